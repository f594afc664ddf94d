/** Exceptions that a kernel takes from itself, counted by kind and status: what may go wrong in a build without a word on the console. */
import { EXCEPTION_CLASSES, faultStatus } from '../../cpu/sysregs/fields/syndrome.js'
import type { ExceptionKind, ExceptionRow } from '../../trace/rows.js'

/** ESR_ELx.EC of aborts, whose class tells whether they came from a lower level (Arm ARM DDI 0487, D17.2.37). */
const INSTRUCTION_ABORT_LOWER = 0x20
const INSTRUCTION_ABORT = 0x21
const DATA_ABORT_LOWER = 0x24
const DATA_ABORT = 0x25
const ABORTS: ReadonlySet<number> = new Set([INSTRUCTION_ABORT_LOWER, INSTRUCTION_ABORT, DATA_ABORT_LOWER, DATA_ABORT])

/** Whether the class of some exception does not tell whom it was taken from. */
export function ambiguous(rows: Iterable<ExceptionRow>): boolean {
  for (const { esr } of rows) if (!ABORTS.has(esr >>> 26)) return true
  return false
}

/** How often each kind of exception was taken from EL1 or EL2. */
export class ExceptionTally {
  private readonly counts = new Map<string, number>()

  /** Of rows that are not {@link ambiguous}. */
  static ofRows(rows: Iterable<ExceptionRow>): ExceptionTally {
    const tally = new ExceptionTally()
    for (const { kind, esr } of rows) {
      const lower = esr >>> 26 === INSTRUCTION_ABORT_LOWER || esr >>> 26 === DATA_ABORT_LOWER
      tally.add(kind, esr, lower ? 0 : 1)
    }
    return tally
  }

  /**
   * Counts an exception.
   *
   * @param from the exception level that it was taken from; those from EL0 do not count.
   * @returns its kind and status in words, or undefined for one from EL0.
   */
  add(kind: ExceptionKind, esr: number, from: number): string | undefined {
    if (from === 0) return undefined
    const name = nameOf(kind, esr)
    this.counts.set(name, this.count(name) + 1)
    return name
  }

  /** How many of this name there have been. */
  count(name: string): number {
    return this.counts.get(name) ?? 0
  }
}

function nameOf(kind: ExceptionKind, esr: number): string {
  const what = EXCEPTION_CLASSES[esr >>> 26] ?? kind
  const status = ABORTS.has(esr >>> 26) ? faultStatus(BigInt(esr & 0x3f)) : undefined
  return status === undefined ? what : `${what}, ${status}`
}
