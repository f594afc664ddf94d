/** What happens in a trace, laid out on tracks: slices that begin and end, and moments. What Chrome's format and Perfetto's have in common. */
import { SymbolTable } from '../../devices/loader/symbols.js'
import { EXCEPTION_CLASSES } from '../../cpu/sysregs/fields/syndrome.js'
import { Names } from '../debugger/names.js'
import { hex64 } from '../debugger/numbers.js'
import type { Happening, Observation } from './happenings.js'

/** A line of the picture. */
export interface Track {
  /** From 1; the order of the lines. */
  readonly id: number
  readonly name: string
}

/** A mark on a track, at a virtual time in nanoseconds. */
export interface Mark {
  readonly phase: 'begin' | 'end' | 'instant'
  readonly track: number
  readonly time: number
  readonly name: string
  readonly category: string
  readonly details: Readonly<Record<string, string | number>>
}

/** Tracks and marks; the times of marks never fall, and on each track what begins ends, the last begun first. */
export interface Layout {
  readonly tracks: readonly Track[]
  readonly marks: readonly Mark[]
}

const BATCHES = 1
const INTERRUPTS = 2
const EXCEPTIONS = 3
const UART = 4
const FIRST_THREAD = 10
/** The highest that a call's number is likely to be. */
const LIKELY_NUMBER = 0xfffn

/** Lays out an observation. */
export function layOut(observation: Observation): Layout {
  const names = new Names(new SymbolTable(observation.symbols))
  const place = (address: bigint): string => `${hex64(address)}${names.suffix(address)}`
  const tracks: Track[] = [
    { id: BATCHES, name: 'vCPU 0: batches' },
    { id: INTERRUPTS, name: 'vCPU 0: interrupts' },
    { id: EXCEPTIONS, name: 'vCPU 0: exceptions' },
    { id: UART, name: 'UART' },
    ...observation.threads.map(({ id, stack, ttbr0 }) => ({
      id: FIRST_THREAD + id,
      name: `thread ${id} (SP_EL1 ${place(stack)}, TTBR0_EL1 ${hex64(ttbr0)})`,
    })),
  ]
  const marks: Mark[] = []
  const open = new Map<number, Mark>()
  for (const happening of observation.happenings) marks.push(...markOf(happening, place))
  marks.push(...uartLines(observation.happenings))
  // Ends come first where one slice follows another, but never in front of their own beginning.
  const order = marks
    .map((mark, n) => ({ mark, n }))
    .toSorted((a, b) => a.mark.time - b.mark.time || rank(a.mark) - rank(b.mark) || a.n - b.n)
  const sorted: Mark[] = []
  for (const { mark } of order) {
    const before = open.get(mark.track)
    if (mark.phase === 'end') {
      // It has been closed by what came after it on its track.
      if (before?.details['position'] !== mark.details['position'] || before.category !== mark.category) continue
      open.delete(mark.track)
    } else if (mark.phase === 'begin') {
      if (before)
        sorted.push({ ...before, phase: 'end', time: mark.time, details: { position: before.details['position'] } })
      open.set(mark.track, mark)
    }
    sorted.push(mark)
  }
  const time = Math.max(observation.endTime, sorted.at(-1)?.time ?? 0)
  for (const mark of open.values())
    sorted.push({ ...mark, phase: 'end', time, details: { position: mark.details['position'] } })
  return { tracks, marks: sorted }
}

const rank = ({ phase }: Mark): number => (phase === 'end' ? 0 : 1)

type Place = (address: bigint) => string

function* markOf(happening: Happening, place: Place): IterableIterator<Mark> {
  const { position, time } = happening
  switch (happening.kind) {
    case 'batch': {
      const { n, count, ended, pc, end, idle } = happening
      const details = { position, instructions: count, ended, pc: place(pc), digest: hex64(happening.digest) }
      // A batch without instructions takes no time, and a slice must.
      if (end > time) {
        yield { phase: 'begin', track: BATCHES, time, name: `batch ${n}`, category: 'batch', details }
        yield { phase: 'end', track: BATCHES, time: end, name: `batch ${n}`, category: 'batch', details: { position } }
      } else yield { phase: 'instant', track: BATCHES, time, name: `batch ${n}`, category: 'batch', details }
      if (idle === 0) return
      const at = { position: position + count }
      yield { phase: 'begin', track: BATCHES, time: end, name: 'idle', category: 'idle', details: at }
      yield { phase: 'end', track: BATCHES, time: end + idle, name: 'idle', category: 'idle', details: at }
      return
    }
    case 'interrupt': {
      const { intid, pc, el } = happening
      const details = { position, intid, el, pc: place(pc) }
      yield { phase: 'instant', track: INTERRUPTS, time, name: `INTID ${intid}`, category: 'interrupt', details }
      return
    }
    case 'exception': {
      const { what, esr, far, elr } = happening
      const details = {
        position,
        esr: `0x${esr.toString(16)}`,
        far: place(far),
        elr: place(elr),
        class: EXCEPTION_CLASSES[esr >>> 26] ?? what,
      }
      yield { phase: 'instant', track: EXCEPTIONS, time, name: what, category: 'exception', details }
      return
    }
    case 'input': {
      const { source, payload } = happening
      const details = { position, source, bytes: payload.length }
      yield { phase: 'instant', track: UART, time, name: `input to ${source}`, category: 'input', details }
      return
    }
    case 'syscall': {
      const { thread, immediate, pc, x8, x0, returned } = happening
      const name = `SVC #${immediate}${callNumber(x8, x0)}`
      const track = FIRST_THREAD + thread
      const details = { position, pc: place(pc), x8: hex64(x8), x0: hex64(x0), returns: returned ? 'yes' : 'not seen' }
      yield { phase: 'begin', track, time, name, category: 'syscall', details }
      if (!returned) return
      const result = { position, returned: returned.position, result: hex64(returned.x0) }
      yield { phase: 'end', track, time: returned.time, name, category: 'syscall', details: result }
      return
    }
    default:
  }
}

/** Kernels have the number of a call in X8, as Linux does, or in X0; whichever looks like one. */
function callNumber(x8: bigint, x0: bigint): string {
  if (x8 <= LIKELY_NUMBER) return ` x8=${x8}`
  return x0 <= LIKELY_NUMBER ? ` x0=${x0}` : ''
}

/** A moment for each line that the guest prints, at its first byte. */
function* uartLines(happenings: readonly Happening[]): IterableIterator<Mark> {
  let line: { bytes: number[]; time: number; position: number } | undefined
  const mark = ({ bytes, time, position }: NonNullable<typeof line>): Mark => {
    const text = new TextDecoder().decode(Uint8Array.from(bytes)).trimEnd()
    return {
      phase: 'instant',
      track: UART,
      time,
      name: text || '(empty line)',
      category: 'uart',
      details: { position },
    }
  }
  for (const happening of happenings) {
    if (happening.kind !== 'uart' || happening.direction !== 0) continue
    line ??= { bytes: [], time: happening.time, position: happening.position }
    line.bytes.push(happening.byte)
    if (happening.byte !== 10) continue
    yield mark(line)
    line = undefined
  }
  if (line) yield mark(line)
}
