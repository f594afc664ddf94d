/** What a bug report says of a trace: how it ended, what went wrong, and the state of the machine there. */
import { MODES } from '../cpu/sysregs/fields/status.js'
import type { TraceReader } from '../trace/reader.js'
import type { BatchEnd, ExceptionRow, MachineRecord, TraceMeta } from '../trace/rows.js'
import type { Debugger } from './debugger/debugger.js'
import { grouped } from './debugger/numbers.js'

/** What went wrong, as far as the trace tells. */
export type Verdict =
  /** Nothing: the guest has powered off, and reported no failure. */
  | 'well'
  /** The guest has printed that it panicked. */
  | 'panic'
  /** The guest has reported failed tests. */
  | 'tests-failed'
  /** Every instruction faults. */
  | 'fault-loop'
  /** The guest waits for what never comes. */
  | 'asleep'
  /** The recording was ended from outside, and nothing looks wrong up to there. */
  | 'stopped'
  /** The recorder was killed. */
  | 'unfinished'

/** The machine at the position that matters. */
export interface MachineState {
  readonly position: number
  /** Why this one. */
  readonly what: string
  readonly where: readonly string[]
  readonly backtrace: readonly string[]
  readonly registers: readonly string[]
  /** The syndrome register by field, if an exception brought it here. */
  readonly syndrome: readonly string[]
}

/** The facts of a report. */
export interface BugReport {
  readonly meta: TraceMeta
  readonly machine: MachineRecord
  readonly images: readonly {
    readonly role: string
    readonly name: string
    readonly bytes: number
    readonly sha256: string
  }[]
  readonly inputs: number
  readonly ended: BatchEnd | undefined
  readonly verdict: Verdict
  /** The verdict as one line. */
  readonly summary: string
  /** The last lines that the guest has printed. */
  readonly uart: readonly string[]
  readonly state: MachineState
  /** The last exception in the trace's log, whether it has to do with the end or not. */
  readonly lastException: string | undefined
}

/** Lines of the console in a report. */
const UART_LINES = 40
/** What kernels print when they give up. */
export const PANIC = /\bkernel panic\b|\bpanicked at\b|\bInternal error: Oops\b|^\W*(\[[^\]]*\]\s*)?(panic|oops|BUG):/i
/** An exception that is no farther than this before the words is what they are about. */
const ABOUT = 2 ** 20
/** So many exceptions at the end, each at most two instructions behind the one before, are a loop. */
const LOOP = 100
const LOOP_DISTANCE = 2

/** Gathers the facts. The debugger is left somewhere in the trace. */
export async function bugReport(debug: Debugger): Promise<BugReport> {
  const { reader, timeline } = debug
  const { meta } = reader
  const ended = reader.batch(reader.batchCount)?.ended
  timeline.seek(timeline.end)
  const uart = debug.uartLines(UART_LINES)
  const asleep = timeline.machine.cpu.state.halted !== 0
  const exceptions = lastExceptions(reader)
  const last = exceptions.at(-1)
  const lines = printedLines(reader)
  const panic = lines.findLast(({ text }) => PANIC.test(text))
  const failed = failedTests(lines)
  const loop = faultLoop(exceptions)

  let found: { verdict: Verdict; summary: string; position: number; what: string }
  const atEnd = { position: timeline.end, what: 'the end of the trace' }
  if (panic) {
    const cause = last && causeOf(debug, exceptions, panic.position)
    const { position, what } = cause
      ? { position: cause.icount + 1, what: `the exception before the panic (${cause.kind})` }
      : { position: panic.position, what: 'where the panic is printed' }
    found = { verdict: 'panic', summary: `the guest panicked: ${panic.text.trim()}`, position, what }
  } else if (loop) {
    const summary = `the guest loops on faults: ${loop.kind} at ${debug.place(loop.elr)}, again and again`
    found = {
      verdict: 'fault-loop',
      summary,
      position: loop.icount + 1,
      what: `the first exception of the loop (${loop.kind})`,
    }
  } else if (failed) {
    const summary = `the guest reports failed tests: ${failed.text.trim()}`
    found = { verdict: 'tests-failed', summary, position: failed.position, what: 'where that is printed' }
  } else if (!meta.finished) {
    found = { verdict: 'unfinished', summary: 'the recorder was killed: the trace ends with its last commit', ...atEnd }
  } else if (ended !== 'power-off' && asleep) {
    found = {
      verdict: 'asleep',
      summary: 'the guest waits for an interrupt, and nothing would ever raise one',
      ...atEnd,
    }
  } else if (ended === 'power-off') {
    found = {
      verdict: 'well',
      summary: 'the trace ended well: the guest powered off and reported no failure',
      ...atEnd,
    }
  } else {
    found = {
      verdict: 'stopped',
      summary: 'the recording was ended from outside; nothing looks wrong up to there',
      ...atEnd,
    }
  }
  const { verdict, summary, position, what } = found
  return {
    meta,
    machine: meta.machine,
    images: Array.from(reader.images(), ({ role, name, bytes, sha256 }) => ({
      role,
      name,
      bytes: bytes.length,
      sha256: [...sha256].map((byte) => byte.toString(16).padStart(2, '0')).join(''),
    })),
    inputs: reader.count('inputs'),
    ended,
    verdict,
    summary,
    uart,
    state: await stateAt(debug, position, what),
    lastException: last && describe(debug, last),
  }
}

async function stateAt(debug: Debugger, position: number, what: string): Promise<MachineState> {
  const { timeline, reader } = debug
  timeline.seek(position)
  const excepted = position > 0 && [...reader.exceptions({ from: position - 1, to: position - 1 })].length > 0
  return {
    position,
    what,
    where: debug.here().lines,
    backtrace: await debug.execute('backtrace'),
    registers: await debug.execute('regs'),
    syndrome: excepted ? await debug.execute(`regs esr_el${timeline.machine.cpu.state.el}`) : [],
  }
}

/** The exceptions of the last stretch: enough to see a loop, and what came before a panic. */
function lastExceptions(reader: TraceReader): ExceptionRow[] {
  const kept: ExceptionRow[] = []
  for (const row of reader.exceptions()) {
    kept.push(row)
    // A guest that faults for ever has millions of them.
    if (kept.length > 4 * KEPT) kept.splice(0, kept.length - KEPT)
  }
  return kept
}
const KEPT = 20_000

/** The exception that a panic is about: taken from the kernel itself, not long before. */
function causeOf(debug: Debugger, exceptions: readonly ExceptionRow[], panic: number): ExceptionRow | undefined {
  const cause = exceptions.findLast(({ icount }) => icount < panic)
  if (!cause || panic - cause.icount > ABOUT) return undefined
  debug.timeline.seek(cause.icount + 1)
  const { el, spsr_el: spsr } = debug.timeline.machine.cpu.state
  const from = MODES[Number(spsr[el] & 0xfn)] ?? ''
  return from.startsWith('EL0') ? undefined : cause
}

/** The first exception of a loop that lasts to the end. */
function faultLoop(exceptions: readonly ExceptionRow[]): ExceptionRow | undefined {
  let first = exceptions.length - 1
  while (first > 0 && exceptions[first].icount - exceptions[first - 1].icount <= LOOP_DISTANCE) first--
  return exceptions.length - first >= LOOP ? exceptions[first] : undefined
}

interface PrintedLine {
  readonly text: string
  /** Of its first byte. */
  readonly position: number
}

function printedLines(reader: TraceReader): PrintedLine[] {
  const lines: PrintedLine[] = []
  let bytes: number[] = []
  let position = 0
  const take = (): void => {
    if (bytes.length > 0) lines.push({ text: new TextDecoder().decode(Uint8Array.from(bytes)), position })
    bytes = []
  }
  for (const { icount, direction, byte } of reader.uart()) {
    if (direction !== 0 || byte === 13) continue
    if (byte === 10) {
      take()
      continue
    }
    if (bytes.length === 0) position = icount
    bytes.push(byte)
  }
  take()
  return lines
}

/** The last line `N passed, N failed`, if the second number is not 0. */
function failedTests(lines: readonly PrintedLine[]): PrintedLine | undefined {
  const last = lines.findLast(({ text }) => /\b\d+ passed, \d+ failed\b/.test(text))
  return last && !/\b\d+ passed, 0 failed\b/.test(last.text) ? last : undefined
}

function describe(debug: Debugger, { icount, kind, esr, far, elr }: ExceptionRow): string {
  return `${kind} at ${grouped(icount)}, ESR 0x${esr.toString(16)}, FAR ${debug.place(far)}, pc ${debug.place(elr)}`
}
