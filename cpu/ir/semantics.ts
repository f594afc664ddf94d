/**
 * The vocabulary that instructions are written in: registers, flags, memory, branches and exceptions.
 *
 * Running a row's meaning against a `Semantics` yields a list of statements. Register and flag writes take effect after every value
 * of the instruction has been computed, whatever the order in which the meaning names them; memory accesses happen in order,
 * before any register is written, so that an access that faults leaves the registers as they were.
 */
import type { Processor } from '../processor.js'
import type { RegisterOperand } from '../isa/pattern.js'
import type { MemoryOp } from '../wasm/assembler.js'
import { mem } from '../wasm/assembler.js'
import { CONDITION_MASKS, FlagKind, type Flags, nzcvOf, operandsWithFlags } from './flags.js'
import { type Intrinsic, Value, type Width } from './value.js'

/** Bytes in one memory element. */
export type ElementSize = 1 | 2 | 4 | 8

/** One access: `count` elements of `size` bytes, at consecutive addresses. */
export interface Access {
  readonly size: ElementSize
  readonly count: 1 | 2
  readonly write: boolean
  /** Made with EL0's permissions (LDTR, STTR). */
  readonly unprivileged: boolean
  /** Faults unless aligned to its whole size, whatever SCTLR_ELx.A says. */
  readonly aligned: boolean
}

/**
 * An operation of the system kind, done by the processor in TypeScript: exceptions, returns from them, system registers, cache and
 * TLB maintenance. `a` and `b` are the operands given to {@link Semantics.system}. The processor's PC is that of the instruction.
 *
 * @returns whether the operation has set the PC (or changed what code may assume); otherwise execution goes on behind the instruction.
 */
export type SystemOperation = (cpu: Processor, a: number, b: number) => boolean

/** What a branch is for, where the encoding tells (Arm ARM `BranchType`): a call leaves the address behind it in X30. */
export type BranchType = 'jump' | 'call' | 'return'

/** One effect of an instruction. */
export type Statement =
  | { readonly kind: 'register'; readonly name: string; readonly sp: boolean; readonly value: Value }
  | { readonly kind: 'flags'; readonly flags: Flags }
  | {
      readonly kind: 'load'
      readonly access: Access
      readonly address: Value
      readonly how: MemoryOp
      readonly results: readonly Value[]
    }
  | { readonly kind: 'store'; readonly access: Access; readonly address: Value; readonly values: readonly Value[] }
  | { readonly kind: 'cell'; readonly address: Value | number; readonly access: MemoryOp; readonly value: Value }
  | {
      readonly kind: 'if'
      readonly condition: Value
      readonly yes: readonly Statement[]
      readonly no: readonly Statement[]
    }
  | { readonly kind: 'undefinedIf'; readonly condition: Value }
  /** To PC + `offset` (an i32), if `condition` is absent or holds. */
  | {
      readonly kind: 'branch'
      readonly offset: Value
      readonly condition: Value | undefined
      readonly type: BranchType
    }
  | { readonly kind: 'jump'; readonly target: Value; readonly type: BranchType }
  | { readonly kind: 'system'; readonly operation: SystemOperation; readonly a: Value; readonly b: Value }

/** How a 32-bit or 64-bit operand is found in a concrete word. */
export type OperandReader<Raw> = {
  readonly width: Width
  readonly read: (raw: Raw) => number | readonly [number, number]
}

/** The number of the register file's zero register and stack pointer in an instruction word. */
export const REGISTER_31 = 31

const LOADS = {
  1: { unsigned: mem.i64_load8_u, i32: mem.i32_load8_s, i64: mem.i64_load8_s },
  2: { unsigned: mem.i64_load16_u, i32: mem.i32_load16_s, i64: mem.i64_load16_s },
  4: { unsigned: mem.i64_load32_u, i32: mem.i32_load, i64: mem.i64_load32_s },
  8: { unsigned: mem.i64_load, i32: mem.i64_load, i64: mem.i64_load },
} as const

/** Collects what one instruction does. `Raw` is the type of the row's fields as numbers. */
export class Semantics<Raw> {
  /** The word's fields if they are known (translator); without them operands stay open (interpreter). */
  private readonly raw: Raw | undefined
  /** Readers of the open operands, by slot. */
  readonly operands: OperandReader<Raw>[] = []
  /** True once the meaning has said that this combination of modes is unallocated. */
  undefined = false
  private current: Statement[] = []

  constructor(raw?: Raw) {
    this.raw = raw
  }

  /** What the meaning has said so far, in order. */
  get statements(): readonly Statement[] {
    return this.current
  }

  // Registers

  /** A general-purpose register, 31 being zero; the low half as an i32 unless `sf` (Arm ARM `X[n]`). */
  X(n: RegisterOperand, sf: number = 1): Value {
    return this.register(n, false, sf)
  }

  /** The same, 31 being the current stack pointer (Arm ARM `SP[]`). */
  XSP(n: RegisterOperand, sf: number = 1): Value {
    return this.register(n, true, sf)
  }

  /** Writes a register; an i32 is zero-extended; 31 discards. */
  setX(n: RegisterOperand, value: Value): void {
    this.writeRegister(n, false, value)
  }

  /** Writes a register, 31 being the current stack pointer. */
  setXSP(n: RegisterOperand, value: Value): void {
    this.writeRegister(n, true, value)
  }

  /** The address of this instruction. */
  get PC(): Value {
    return new Value('i64', { kind: 'pc' })
  }

  // Operands

  /** A constant of the width that `sf` names. */
  constant(sf: number, value: number): Value {
    return Value.constant(sf ? 'i64' : 'i32', value)
  }

  /** An operand computed from the word's fields: a 32-bit number, sign-extended if `width` is i64. */
  operand(width: Width, read: (raw: Raw) => number): Value {
    if (this.raw !== undefined) return Value.constant(width, read(this.raw))
    this.operands.push({ width: 'i32', read })
    const value = new Value('i32', { kind: 'operand', slot: this.operands.length - 1 })
    return width === 'i32' ? value : value.signExtend()
  }

  /** An operand of 64 bits, given as [low, high]. */
  operand64(read: (raw: Raw) => readonly [number, number]): Value {
    if (this.raw !== undefined) return Value.constant('i64', ...read(this.raw))
    this.operands.push({ width: 'i64', read })
    return new Value('i64', { kind: 'operand', slot: this.operands.length - 1 })
  }

  // Flags

  /** Sets NZCV. */
  setFlags(flags: Flags): void {
    this.current.push({ kind: 'flags', flags })
  }

  /** Sets NZCV from four bits, N in bit 3. */
  setNZCV(nzcv: Value): void {
    this.setFlags({ kind: FlagKind.NZCV, a: nzcv.zeroExtend(), b: Value.constant('i64', 0) })
  }

  /** Sets NZCV from `flags` if the i32 `condition` is not zero, else from four bits. */
  setFlagsIf(condition: Value, flags: Flags, nzcv: Value): void {
    const known = nzcv.small
    if (known === undefined) {
      this.if(
        condition,
        () => this.setFlags(flags),
        () => this.setNZCV(nzcv),
      )
      return
    }
    // Where some operands of the same operation have these very flags, the choice is one of operands.
    const operands = operandsWithFlags(flags.kind, known)
    if (operands)
      this.setFlags({ kind: flags.kind, a: flags.a.when(condition, operands[0]), b: flags.b.when(condition, operands[1]) }) // prettier-ignore
    else this.setNZCV(nzcvOf(flags).when(condition, nzcv))
  }

  /** NZCV as four bits, N in bit 3. */
  get NZCV(): Value {
    return new Value('i32', { kind: 'nzcv' })
  }

  /** Whether condition code `cond` holds (Arm ARM `ConditionHolds`): an i32, 0 or 1. */
  ConditionHolds(cond: number): Value {
    return cond >= 14 ? Value.constant('i32', 1) : new Value('i32', { kind: 'condition', cond })
  }

  /** The same for a condition that is an operand, given as `conditionMask` of it. */
  ConditionHoldsIn(mask: Value): Value {
    const cond = mask.small === undefined ? -1 : CONDITION_MASKS.indexOf(mask.small)
    if (cond >= 0) return this.ConditionHolds(cond)
    return mask.lsr(this.NZCV).and(1)
  }

  // Memory

  /** Reads one element: zero-extended to 64 bits, or sign-extended to `signed`. */
  load(
    address: Value,
    size: ElementSize,
    signed?: Width,
    options: { unprivileged?: boolean; aligned?: boolean } = {},
  ): Value {
    return this.loadElements(address, size, 1, signed, options)[0]
  }

  /** Reads two consecutive elements. */
  loadPair(address: Value, size: 4 | 8, signed?: Width, options: { aligned?: boolean } = {}): [Value, Value] {
    const [first, second] = this.loadElements(address, size, 2, signed, options)
    return [first, second]
  }

  /** Writes the low `size` bytes of `value`, an i64. */
  store(
    address: Value,
    size: ElementSize,
    value: Value,
    options: { unprivileged?: boolean; aligned?: boolean } = {},
  ): void {
    const access = {
      size,
      count: 1,
      write: true,
      unprivileged: options.unprivileged ?? false,
      aligned: options.aligned ?? false,
    } as const
    this.current.push({ kind: 'store', access, address, values: [value] })
  }

  /** Writes two consecutive elements. */
  storePair(address: Value, size: 4 | 8, first: Value, second: Value, options: { aligned?: boolean } = {}): void {
    const access = { size, count: 2, write: true, unprivileged: false, aligned: options.aligned ?? false } as const
    this.current.push({ kind: 'store', access, address, values: [first, second] })
  }

  // Machine state at fixed places

  /** A word of machine state. */
  cell(address: number, access: MemoryOp, width: Width): Value {
    return new Value(width, { kind: 'cell', address, access })
  }

  /** Writes a word of machine state, at once. */
  setCell(address: number | Value, access: MemoryOp, value: Value): void {
    this.current.push({ kind: 'cell', address, access, value })
  }

  /** A 64-bit word of machine state at an address that is an operand. */
  indirect(address: Value): Value {
    return new Value('i64', { kind: 'indirect', address, access: mem.i64_load })
  }

  /** A call of a helper function of the back end; the result is an i32. */
  intrinsic(name: Intrinsic, ...args: Value[]): Value {
    return new Value('i32', { kind: 'intrinsic', name, args })
  }

  // Control

  /** Does `yes` if the i32 `condition` is not zero, else `no`. */
  if(condition: Value, yes: () => void, no: () => void = () => {}): void {
    this.current.push({ kind: 'if', condition, yes: this.arm(yes), no: this.arm(no) })
  }

  /** Branches by `offset` bytes from this instruction, always or if `condition` holds. Nothing may follow. */
  branch(offset: Value, condition?: Value, type: BranchType = 'jump'): void {
    this.current.push({ kind: 'branch', offset, condition, type })
  }

  /** Branches to an address (Arm ARM `BranchTo`). Nothing may follow. */
  jump(target: Value, type: BranchType): void {
    this.current.push({ kind: 'jump', target, type })
  }

  /** This combination of modes is unallocated. */
  UNDEFINED(): void {
    this.undefined = true
  }

  /** The instruction is UNDEFINED if the i32 `condition` is not zero. */
  undefinedIf(condition: Value): void {
    this.current.push({ kind: 'undefinedIf', condition })
  }

  /** Hands over to the processor; `a` and `b` are i32 operands for it. Nothing may follow. */
  system(operation: SystemOperation, a: Value = Value.constant('i32', 0), b: Value = Value.constant('i32', 0)): void {
    this.current.push({ kind: 'system', operation, a, b })
  }

  private arm(body: () => void): readonly Statement[] {
    const outer = this.current
    this.current = []
    body()
    const inner = this.current
    this.current = outer
    return inner
  }

  private register(n: RegisterOperand, sp: boolean, sf: number): Value {
    if (!sp && this.raw !== undefined && this.numberOf(n) === REGISTER_31) return this.constant(sf, 0)
    const value = new Value('i64', { kind: 'register', name: n.name, sp })
    return sf ? value : value.low()
  }

  private writeRegister(n: RegisterOperand, sp: boolean, value: Value): void {
    this.current.push({ kind: 'register', name: n.name, sp, value: value.zeroExtend() })
  }

  private numberOf(n: RegisterOperand): number {
    return (this.raw as Record<string, number>)[n.name]
  }

  private loadElements(
    address: Value,
    size: ElementSize,
    count: 1 | 2,
    signed: Width | undefined,
    options: { unprivileged?: boolean; aligned?: boolean },
  ): Value[] {
    const access = {
      size,
      count,
      write: false,
      unprivileged: options.unprivileged ?? false,
      aligned: options.aligned ?? false,
    }
    const width = signed ?? 'i64'
    const results = Array.from({ length: count }, () => new Value(width, { kind: 'loaded' }))
    this.current.push({ kind: 'load', access, address, how: LOADS[size][signed ?? 'unsigned'], results })
    return results
  }
}

/** The operands object that a row's meaning receives: names for registers and operands, numbers for modes. */
export function operandsOf(
  fields: readonly { readonly name: string; readonly role: string }[],
  modes: Readonly<Record<string, number>>,
): Record<string, unknown> {
  const operands: Record<string, unknown> = { ...modes }
  for (const { name, role } of fields) if (role !== 'mode') operands[name] = { name }
  return operands
}
