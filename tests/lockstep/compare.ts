/** Runs a guest in QEMU and in the machine under test, and finds the first instruction before which they differ. */
import { PSTATE_MASK, REGISTER_WORDS, type Registers, RunHash } from './hash.js'
import { type Checkpoint, type HashRun, type Limits, hashRun, textRun } from './qemu.js'
import type { Guest, Subject, SubjectFactory } from './subject.js'

/** Distance of the checkpoints of a narrowing run, and the length of a window of registers. */
const FINE = 512

/** The state of one side before one instruction. */
export interface StateRecord {
  readonly count: number
  readonly pc: bigint
  readonly opcode: number | undefined
  readonly pstate: number
  /** X0-X30 and SP. */
  readonly x: readonly bigint[]
}

/** The first instruction before which the sides differ. */
export interface Difference {
  readonly count: number
  /** The state before it; undefined for a side that has ended. */
  readonly ours: StateRecord | undefined
  readonly qemu: StateRecord | undefined
  /** The instruction before, in QEMU: the one whose effect differs. Undefined if the first instruction differs. */
  readonly previous: StateRecord | undefined
  /** Why our side ended, if it did. */
  readonly note: string | undefined
}

/** What a comparison found. */
export interface Comparison {
  /** Instructions compared, and QEMU's total. */
  readonly compared: number
  readonly total: number
  readonly checkpoints: number
  readonly hash: string
  readonly difference: Difference | undefined
  /** First UART byte that differs. */
  readonly uartDifference: number | undefined
  readonly uart: Uint8Array
  /** Whether QEMU ended by itself (or at `stop`) and not by time-out. */
  readonly ended: boolean
}

/** How a comparison is run. */
export interface CompareOptions extends Limits {
  readonly every: number
  /** Called with the number of instructions compared so far. */
  readonly progress?: (count: number) => void
}

/**
 * Compares a guest on both sides.
 *
 * @throws {QemuError} if QEMU cannot run it.
 */
export async function compare(guest: Guest, makeSubject: SubjectFactory, options: CompareOptions): Promise<Comparison> {
  const reference = await hashRun(guest, options.every, options)
  const subject = await makeSubject(guest)
  const outcome = await compareWith(reference, subject, guest, makeSubject, options)
  const ours = subject.uart()
  const uartDifference = outcome.difference ? undefined : firstByteDifference(ours, reference.uart)
  return { ...outcome, total: reference.total, uartDifference, uart: reference.uart, ended: reference.ended }
}

async function compareWith(
  reference: HashRun,
  subject: Subject,
  guest: Guest,
  makeSubject: SubjectFactory,
  options: CompareOptions,
) {
  const hash = new RunHash()
  const compared = follow(subject, hash, reference.checkpoints, options.progress)
  const result = { compared: compared.count, checkpoints: compared.agreed, hash: hash.value }
  const reached = compared.count === reference.total
  // A run cut at a limit leaves the machine running; one that powered off must have ended here too.
  if (compared.same && reached && (!subject.running || options.stop !== undefined || !reference.ended))
    return { ...result, difference: undefined }
  return { ...result, difference: await narrow(guest, makeSubject, compared.count, options) }
}

/** Runs to the last checkpoint, or the first that does not agree. */
export function follow(
  subject: Subject,
  hash: RunHash,
  checkpoints: readonly Checkpoint[],
  progress?: (count: number) => void,
  seen?: (count: number, subject: Subject) => void,
) {
  let count = 0
  let agreed = 0
  for (const checkpoint of checkpoints) {
    while (count < checkpoint.count && subject.running) {
      seen?.(count, subject)
      hash.add(subject.registers)
      count++
      subject.step()
    }
    if (count < checkpoint.count || hash.value !== checkpoint.hash) return { count, agreed, same: false }
    agreed++
    progress?.(count)
  }
  return { count, agreed, same: true }
}

/** Repeats both runs up to instruction `end` with finer checkpoints, then looks at every register of the window that differs. */
async function narrow(
  guest: Guest,
  makeSubject: SubjectFactory,
  end: number,
  options: CompareOptions,
): Promise<Difference | undefined> {
  const fine = await hashRun(guest, FINE, { ...options, stop: end + 1 })
  const subject = await makeSubject(guest)
  const recent: StateRecord[] = []
  const compared = follow(subject, new RunHash(), fine.checkpoints, undefined, (count, at) => {
    recent[count % FINE] = recordOf(count, at)
  })
  const first = Math.max(0, Math.ceil(compared.count / FINE) * FINE - FINE)
  const window = await textRun(guest, Math.max(0, first - 1), FINE + 8, options.seconds)
  const byCount = new Map(window.map((record) => [record.count, record]))
  for (let count = first; count <= compared.count; count++) {
    let ours: StateRecord | undefined = count < compared.count ? recent[count % FINE] : undefined
    if (count === compared.count && subject.running) ours = recordOf(count, subject)
    const qemu = byCount.get(count)
    if (ours && qemu && sameState(ours, qemu)) continue
    if (!ours && !qemu) return undefined
    return { count, ours, qemu, previous: byCount.get(count - 1), note: ours ? undefined : subject.stopReason }
  }
  return undefined
}

/** The state of a subject, copied. */
export function recordOf(count: number, subject: Subject): StateRecord {
  const { pcLo, pcHi, pstate } = subject.registers
  return {
    count,
    pc: join(pcLo, pcHi),
    pstate: (pstate & PSTATE_MASK) >>> 0,
    opcode: undefined,
    x: registersOf(subject.registers),
  }
}

function registersOf({ words, base }: Registers): bigint[] {
  return Array.from({ length: REGISTER_WORDS / 2 }, (_, i) => join(words[base + 2 * i], words[base + 2 * i + 1]))
}

function sameState(a: StateRecord, b: StateRecord): boolean {
  return a.pc === b.pc && a.pstate === b.pstate && a.x.every((value, i) => value === b.x[i])
}

const join = (lo: number, hi: number): bigint => (BigInt(hi >>> 0) << 32n) | BigInt(lo >>> 0)

function firstByteDifference(a: Uint8Array, b: Uint8Array): number | undefined {
  const length = Math.max(a.length, b.length)
  for (let i = 0; i < length; i++) if (a[i] !== b[i]) return i
  return undefined
}

/** Name of register `index` of a record. */
const nameOf = (index: number): string => (index === 31 ? 'sp' : `x${index}`)
const hex = (value: bigint | number, digits: number): string => value.toString(16).padStart(digits, '0')

/** A difference for people: both sides, and the registers that differ. */
export function describe(difference: Difference, disassemble: (opcode: number, pc: bigint) => string): string {
  const { count, ours, qemu, previous, note } = difference
  const line = (label: string, record: StateRecord | undefined, ended: string): string =>
    record
      ? `${label} pc ${hex(record.pc, 16)} pstate ${hex(record.pstate, 8)}  ${showOpcode(record, disassemble)}`
      : `${label} ${ended}`
  const lines = [`first difference: before instruction ${count}`]
  if (previous) lines.push(line('  after   ', previous, ''))
  lines.push(line('  QEMU    ', qemu, 'has ended'), line('  kaal    ', ours, `has ended: ${note ?? 'no reason given'}`))
  if (ours && qemu) {
    ours.x.forEach((value, i) => {
      if (value !== qemu.x[i]) lines.push(`  ${nameOf(i).padEnd(4)} QEMU ${hex(qemu.x[i], 16)}  kaal ${hex(value, 16)}`)
    })
  }
  if (previous)
    lines.push(`  registers before it: ${previous.x.map((value, i) => `${nameOf(i)}=${value.toString(16)}`).join(' ')}`)
  return lines.join('\n')
}

function showOpcode(record: StateRecord, disassemble: (opcode: number, pc: bigint) => string): string {
  return record.opcode === undefined ? '' : `${hex(record.opcode, 8)} ${disassemble(record.opcode, record.pc)}`
}
