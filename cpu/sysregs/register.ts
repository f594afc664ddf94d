/** How a system register is described: one row of the table, made with `register` or `constant`. */
import type { Processor } from '../processor.js'
import { registerAddress } from '../state.js'

/** How one direction of access works. */
export interface RegisterAccess {
  /** The lowest exception level that may. */
  readonly el: number
  /** Where the value stands, for a register that only holds one. */
  readonly address: number | undefined
}

/** A side effect or special meaning of an access: gets and sets the value in the processor's `lo` and `hi`. */
export type RegisterHook = (cpu: Processor) => void

/** Says what a write asks for that is not modelled; undefined if it can be done. */
export type RegisterRefusal = (cpu: Processor, lo: number, hi: number) => string | undefined

/** A trap: the exception level that an access traps to (EC 0x18) although its level would allow it, or 0. */
export type RegisterTrap = (cpu: Processor, write: boolean) => 0 | 1 | 2

/** A system register. */
export interface SystemRegister {
  readonly name: string
  /** op0<0>:op1:CRn:CRm:op2, the 15 bits that tell registers apart. */
  readonly key: number
  readonly read: RegisterAccess | undefined
  readonly write: RegisterAccess | undefined
  /** Reset value. */
  readonly reset: bigint
  /** Where the value stands, if it stands anywhere. */
  readonly storage: number | undefined
  /** Bits that a write may change, as halves. */
  readonly maskLo: number
  readonly maskHi: number
  /** What a write of the value in `lo` and `hi` would ask for that is not modelled, if anything: asked before the write. */
  readonly refuse: RegisterRefusal | undefined
  readonly onRead: RegisterHook | undefined
  readonly onWrite: RegisterHook | undefined
  readonly trap: RegisterTrap | undefined
  /** UNDEFINED where EL2 is implemented. */
  readonly onlyWithoutEl2: boolean
}

/** The fields of an MRS or MSR word that name a register. */
export interface RegisterFields {
  readonly o0: number
  readonly op1: number
  readonly CRn: number
  readonly CRm: number
  readonly op2: number
}

type StateField = Parameters<typeof registerAddress>[0]

/** What a row may say beyond its name and encoding. */
export interface RowOptions {
  /** Lowest level that may read and write; a write level of 4 is read-only, a read level of 4 write-only. Default: from op1. */
  readonly read?: number
  readonly write?: number
  readonly at?: readonly [StateField, number?]
  readonly reset?: bigint
  readonly mask?: bigint
  readonly refuse?: RegisterRefusal
  readonly onRead?: RegisterHook
  readonly onWrite?: RegisterHook
  readonly trap?: RegisterTrap
  readonly onlyWithoutEl2?: boolean
}

/** A level that no code runs at. */
export const NEVER = 4
const ALL = 0xffff_ffff_ffff_ffffn

/** The level that op1 of an encoding implies (Arm ARM, D17.1.1). */
function levelOf(op1: number): number {
  return op1 === 3 ? 0 : op1 === 4 ? 2 : op1 >= 5 ? NEVER : 1
}

/**
 * Makes a row.
 *
 * @param encoding `S<op0>_<op1>_C<n>_C<m>_<op2>`, as the Arm ARM writes registers without a name.
 * @throws {Error} if the encoding is malformed.
 */
export function register(name: string, encoding: string, options: RowOptions = {}): SystemRegister {
  const parts = /^S([23])_([0-7])_C(\d+)_C(\d+)_([0-7])$/.exec(encoding)
  if (!parts) throw new Error(`${name}: ${encoding} is not an encoding`)
  const [op0, op1, CRn, CRm, op2] = parts.slice(1).map(Number)
  const { at, mask = ALL, reset = 0n, refuse, onRead, onWrite, trap, onlyWithoutEl2 = false } = options
  const storage = at && registerAddress(at[0], at[1] ?? 0)
  const readEl = options.read ?? levelOf(op1)
  const plain = trap === undefined && !onlyWithoutEl2
  const access = (el: number, direct: boolean): RegisterAccess | undefined =>
    el >= NEVER ? undefined : { el, address: plain && direct ? storage : undefined }
  return {
    name,
    key: keyOf({ o0: op0 & 1, op1, CRn, CRm, op2 }),
    read: access(readEl, !onRead),
    write: access(options.write ?? readEl, !onWrite && !refuse && mask === ALL),
    reset,
    storage,
    maskLo: Number(mask & 0xffff_ffffn),
    maskHi: Number(mask >> 32n),
    refuse,
    onRead,
    onWrite,
    trap,
    onlyWithoutEl2,
  }
}

/** A register that reads as a constant; writes, where the level is given, are ignored. */
export function constant(name: string, encoding: string, value: bigint, options: RowOptions = {}): SystemRegister {
  const lo = Number(value & 0xffff_ffffn)
  const hi = Number(value >> 32n)
  return register(name, encoding, {
    write: NEVER,
    ...options,
    mask: 0n,
    onRead(cpu) {
      cpu.lo = lo
      cpu.hi = hi
    },
  })
}

/** The 15 bits that tell registers apart. */
export function keyOf({ o0, op1, CRn, CRm, op2 }: RegisterFields): number {
  return (o0 << 14) | (op1 << 11) | (CRn << 7) | (CRm << 3) | op2
}

/** A 64-bit value in hexadecimal, for messages. */
export function hex(hi: number, lo: number): string {
  return ((BigInt(hi >>> 0) << 32n) | BigInt(lo >>> 0)).toString(16)
}
