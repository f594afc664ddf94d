/**
 * The WebAssembly function of a region.
 *
 * Guest registers and flags are locals from begin to end, loaded at entry and stored at exit. Blocks are laid out by the dominator tree, so that
 * all control flow is structured (after Ramsey, "Beyond Relooper", ICFP 2022). Every way out goes through one place that stores what the region may have changed; a
 * way out in the middle of a block leaves in front of an instruction, which the interpreter then executes, faults and all.
 */
import { InstructionEmitter, accessBits } from '../emitter/instruction-emitter.js'
import type { Expressions } from '../emitter/expressions.js'
import { FlagKind } from '../ir/flags.js'
import type { Access, Statement } from '../ir/semantics.js'
import type { Intrinsic, Value } from '../ir/value.js'
import { CODE_TLB, Cell, regimeAddress } from '../layout.js'
import { PAGE_SIZE } from '../machine-memory.js'
import { registerAddress } from '../state.js'
import { FunctionBuilder, I32, I64, Label, type MemoryOp, mem, op } from '../wasm/assembler.js'
import { type Code, SP, registerNumber } from './code.js'
import { staticCondition } from './conditions.js'
import { REGION_SIGNATURE } from './hub.js'
import { type Block, type Edge, type Region, endOf } from './region.js'

const PC = registerAddress('pc')
const EL = registerAddress('el')
const addressOf = (register: number): number =>
  register === SP ? registerAddress('sp') : registerAddress('x', register)

/** What the code of a region depends on, beside the guest's instructions. */
export interface Regime {
  readonly el: number
  readonly alignmentChecks: boolean
}

/** Function indices of what a region calls. */
export interface RegionImports {
  /** `(va, access)`: the host address of an access to RAM, now in the fast TLB; 0 if the interpreter must do the access. */
  readonly refillRead: number
  readonly refillWrite: number
  readonly nzcv: number
  intrinsic(name: Intrinsic): number
}

/** Emits one region. */
export class RegionFunction extends InstructionEmitter {
  protected readonly regimeBase: number
  private readonly region: Region
  private readonly regime: Regime
  private readonly imports: RegionImports
  /** Address of the records of the page at an offset, as found when the region was made. */
  private readonly recordsAt: (offset: number) => number
  private readonly registers = new Map<number, number>()
  private readonly written: readonly number[]
  private readonly setsFlags: boolean
  private readonly budget = 0
  private readonly page = 1
  private readonly pc: number
  private readonly address: number
  private readonly flagA: number
  private readonly flagB: number
  private readonly flagKind: number
  private readonly step = new Label()
  private readonly exit = new Label()
  /** Where a block begins that has several ways in, and where a loop begins. */
  private readonly merges = new Map<Block, Label>()
  private readonly loops = new Map<Block, Label>()
  private block: Block
  private index = 0
  /** The kind of the flags at this point, if known. */
  private kind: FlagKind | undefined

  constructor(region: Region, regime: Regime, imports: RegionImports, recordsAt: (offset: number) => number) {
    super(new FunctionBuilder(REGION_SIGNATURE.params, REGION_SIGNATURE.results), regime.alignmentChecks)
    const { f } = this
    this.region = region
    this.regime = regime
    this.imports = imports
    this.recordsAt = recordsAt
    this.regimeBase = regimeAddress(regime.el)
    this.block = region.head
    const code = region.blocks.flatMap((block) => block.code)
    const writes = new Set(code.flatMap((each) => [...each.writes]))
    this.written = [...writes].toSorted((a, b) => a - b)
    for (const register of new Set([...this.written, ...code.flatMap((each) => [...each.reads])]))
      this.registers.set(register, f.local(I64))
    this.setsFlags = code.some((each) => each.flags !== undefined)
    this.pc = f.local(I64)
    this.address = f.local(I64)
    this.flagA = f.local(I64)
    this.flagB = f.local(I64)
    this.flagKind = f.local(I32)
  }

  build(): FunctionBuilder {
    const { f, region } = this
    // Made for a regime: for another, it does nothing.
    f.i32(0).memory(mem.i64_load, Cell.REGIME)
    f.i64(this.regimeBase, this.regime.alignmentChecks ? 1 : 0)
      .op(op.i64.ne)
      .if()
    f.get(this.budget).return().end()
    for (const [register, local] of this.registers) f.i32(0).memory(mem.i64_load, addressOf(register)).set(local)
    f.i32(0).memory(mem.i64_load, Cell.FLAG_A).set(this.flagA)
    f.i32(0).memory(mem.i64_load, Cell.FLAG_B).set(this.flagB)
    f.i32(0).memory(mem.i32_load, Cell.FLAG_KIND).set(this.flagKind)
    if (region.head.end.kind === 'dispatch') f.i32(0).memory(mem.i64_load, PC).set(this.pc)
    f.block(this.exit).block(this.step)
    if (!region.head.header) this.checkBudget(region.head)
    this.tree(region.head)
    f.end()
    f.i32(0).i32(1).memory(mem.i32_store, Cell.STEP)
    f.end()
    for (const register of this.written) f.i32(0).get(this.local(register)).memory(mem.i64_store, addressOf(register))
    if (this.setsFlags) {
      f.i32(0).get(this.flagA).memory(mem.i64_store, Cell.FLAG_A)
      f.i32(0).get(this.flagB).memory(mem.i64_store, Cell.FLAG_B)
      f.i32(0).get(this.flagKind).memory(mem.i32_store, Cell.FLAG_KIND)
    }
    f.i32(0).get(this.pc).memory(mem.i64_store, PC)
    return f.get(this.budget)
  }

  // Control flow

  /** Emits a block and all that it dominates. */
  private tree(block: Block): void {
    const { f } = this
    const merges = block.children.filter((child) => child.entries > 1)
    if (!block.header) return this.within(block, merges)
    const label = new Label()
    this.loops.set(block, label)
    f.loop(label)
    this.checkBudget(block)
    this.within(block, merges)
    f.end()
    return undefined
  }

  /** Emits a block inside of WebAssembly blocks, behind whose ends the given blocks follow. */
  private within(block: Block, following: readonly Block[]): void {
    const last = following.at(-1)
    if (!last) return this.straight(block)
    const label = new Label()
    this.merges.set(last, label)
    this.f.block(label)
    this.within(block, following.slice(0, -1))
    this.f.end()
    this.tree(last)
    return undefined
  }

  /** Leaves the region in front of a block that the budget may not suffice for. */
  private checkBudget(block: Block): void {
    const { f } = this
    f.get(this.budget).i32(block.need).op(op.i32.lt_s).expect(false).if()
    if (block.end.kind === 'dispatch') f.br(this.exit)
    else this.leaveTo(block.offset)
    f.end()
  }

  private straight(block: Block): void {
    const { f } = this
    this.block = block
    this.kind = block.flags
    const count = block.code.length
    if (count > 0) f.get(this.budget).i32(count).op(op.i32.sub).set(this.budget)
    block.code.forEach((code, index) => {
      this.index = index
      this.instruction(code.statements)
      if (code.flags !== undefined) this.kind = code.flags
    })
    const { end } = block
    if (end.kind === 'interpreter') {
      this.setPc(endOf(block))
      f.br(this.step)
    } else if (end.kind === 'goto') this.follow(end.edge)
    else if (end.kind === 'dispatch') this.dispatch(block, end.edges)
  }

  /** Goes on at the one of the edges that the target of an indirect branch names, or leaves the region. */
  private dispatch(block: Block, edges: readonly Edge[]): void {
    const { f } = this
    const offsets = edges.map(({ offset }) => offset)
    const [first, last] = [Math.min(...offsets), Math.max(...offsets)]
    const labels = new Map(edges.map((edge) => [edge.offset, new Label()]))
    const elsewhere = new Label()
    f.block(elsewhere)
    for (const label of [...labels.values()].toReversed()) f.block(label)
    // Rotated, an address that is not aligned is out of range too.
    f.get(this.pc)
    this.pushAddress(first)
    f.op(op.i64.sub).i64(2, 0).op(op.i64.rotr).tee(this.address)
    f.i64((last - first) >>> 2, 0)
      .op(op.i64.gt_u)
      .brIf(elsewhere)
    const table = Array.from({ length: ((last - first) >>> 2) + 1 }, (_, i) => labels.get(first + 4 * i) ?? elsewhere)
    f.get(this.address).op(op.i32.wrap_i64).brTable(table, elsewhere)
    for (const edge of edges) {
      f.end()
      this.back(block)
      this.follow(edge)
    }
    f.end().br(this.exit)
  }

  protected terminate(statement: Statement, e: Expressions): void {
    const { f, block } = this
    const { end } = block
    if (statement.kind === 'branch' && end.kind === 'branch' && statement.condition) {
      e.push(statement.condition)
      f.if()
      this.follow(end.yes)
      f.else()
      this.back(block)
      this.follow(end.no)
      f.end().op(op.unreachable)
    } else if (statement.kind === 'jump') {
      e.push(statement.target)
      f.set(this.pc)
      const { edges, otherwise } = end.kind === 'jump' ? end : { edges: [], otherwise: undefined }
      for (const edge of edges) {
        f.get(this.pc)
        this.pushAddress(edge.offset)
        f.op(op.i64.eq).if()
        this.follow(edge)
        f.end()
        this.back(block)
      }
      if (!otherwise?.to) f.br(this.exit)
      else this.follow(otherwise)
    }
  }

  /** Takes up a block again behind others that have been emitted in between. */
  private back(block: Block): void {
    this.block = block
    this.kind = block.code.reduce<FlagKind | undefined>((kind, { flags }) => flags ?? kind, block.flags)
  }

  /** Goes where an edge leads. */
  private follow(edge: Edge): void {
    const { f, block } = this
    const { to } = edge
    if (!to) return this.leaveTo(edge.offset)
    if (edge.crossing) this.guard(edge)
    if (to.order <= block.order) f.br(this.label(this.loops, to))
    else if (to.entries > 1) f.br(this.label(this.merges, to))
    else this.tree(to)
    return undefined
  }

  private label(labels: ReadonlyMap<Block, Label>, block: Block): Label {
    const label = labels.get(block)
    if (!label) throw new Error(`no way to the block at ${block.offset}`)
    return label
  }

  /** Leaves the region unless the page that an edge leads to is still the one that the region was made from. */
  private guard({ offset, to }: Edge): void {
    const { f } = this
    const start = Math.floor(offset / PAGE_SIZE) * PAGE_SIZE
    const table = this.regimeBase + CODE_TLB
    this.pushAddress(start)
    f.tee(this.address).i64(8, 0).op(op.i64.shr_u, op.i32.wrap_i64).i32(0xff0).op(op.i32.and).tee(this.host)
    f.memory(mem.i64_load, table).get(this.address).op(op.i64.ne)
    f.get(this.host).memory(mem.i32_load, table + 8)
    f.i32(this.recordsAt(offset)).op(op.i32.ne, op.i32.or).expect(false).if()
    // The target of an indirect branch stands in the PC already.
    if (to?.end.kind === 'dispatch') f.br(this.exit)
    else this.leaveTo(offset)
    f.end()
  }

  private leaveTo(offset: number): void {
    this.setPc(offset)
    this.f.br(this.exit)
  }

  /** Leaves the region in front of the current instruction, which the interpreter is to execute. */
  private leaveHere(): void {
    const { f, block, index } = this
    this.setPc(block.offset + 4 * index)
    f.get(this.budget)
      .i32(block.code.length - index)
      .op(op.i32.add)
      .set(this.budget)
    f.br(this.step)
  }

  private setPc(offset: number): void {
    this.pushAddress(offset)
    this.f.set(this.pc)
  }

  private pushAddress(offset: number): void {
    this.f.get(this.page)
    if (offset !== 0) this.f.i64(offset, offset < 0 ? -1 : 0).op(op.i64.add)
  }

  // Instructions

  private get code(): Code {
    return this.block.code[this.index]
  }

  private local(register: number): number {
    const local = this.registers.get(register)
    if (local === undefined) throw new Error(`register ${register} has no local`)
    return local
  }

  protected pushRegister(name: string, sp: boolean): void {
    const number = registerNumber(this.code.raw, name)
    if (number === SP && !sp) this.f.i64(0, 0)
    else this.f.get(this.local(number))
  }

  protected writeRegister(name: string, sp: boolean, value: () => void): void {
    const number = registerNumber(this.code.raw, name)
    if (number === SP && !sp) return
    value()
    this.f.set(this.local(number))
  }

  protected pushOperand(): void {
    throw new Error('an operand of a known instruction is open')
  }

  protected pushPc(): void {
    this.pushAddress(this.block.offset + 4 * this.index)
  }

  protected override pushCell(address: number, access: MemoryOp): void {
    if (address === EL) this.f.i32(this.regime.el)
    else super.pushCell(address, access)
  }

  protected addRegime(): void {
    // It is part of every offset.
  }

  protected intrinsic(name: Intrinsic): number {
    return this.imports.intrinsic(name)
  }

  protected undefinedInstruction(): void {
    this.leaveHere()
  }

  protected setFlags(kind: FlagKind, a: Value, b: Value, e: Expressions): void {
    e.push(a)
    e.push(b)
    this.f.set(this.flagB).set(this.flagA).i32(kind).set(this.flagKind)
  }

  protected nzcv(): void {
    const { f } = this
    if (this.kind === FlagKind.NZCV) f.get(this.flagA).op(op.i32.wrap_i64)
    else f.get(this.flagA).get(this.flagB).get(this.flagKind).call(this.imports.nzcv)
  }

  protected condition(cond: number): void {
    staticCondition(this.f, cond, this.kind, this.flagA, this.flagB, () => this.nzcv())
  }

  protected slowAccess(access: Access, address: Value, values: readonly Value[] | undefined, e: Expressions): void {
    const { f } = this
    e.push(address)
    f.i32(accessBits(access))
      .call(values ? this.imports.refillWrite : this.imports.refillRead)
      .tee(this.host)
      .op(op.i32.eqz)
      .expect(false)
      .if()
    this.leaveHere()
    f.end().get(this.host)
  }
}
