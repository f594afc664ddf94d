/** The last events of a trace before a position, a line each. */
import { EXCEPTION_CLASSES } from '../../cpu/sysregs/fields/syndrome.js'
import type { TraceReader } from '../../trace/reader.js'
import { grouped } from '../debugger/numbers.js'
import { printable } from '../debugger/printable.js'

/** How far back is looked, one after the other, until there are enough. */
const WINDOWS = [2 ** 14, 2 ** 20, 2 ** 25, Infinity]

/** An event in a line. */
export interface RecentEvent {
  readonly icount: number
  readonly text: string
}

/**
 * The last events before a position: interrupts, exceptions, inputs, and lines that the guest has printed.
 *
 * @param name an address with its symbol.
 */
export function recentEvents(
  reader: TraceReader,
  position: number,
  count: number,
  name: (address: bigint) => string,
): RecentEvent[] {
  for (const window of WINDOWS) {
    const from = Math.max(position - window, 0)
    const found = eventsOf(reader, from, position, name).slice(-count)
    if (found.length === count || from === 0) return found
  }
  return []
}

function eventsOf(reader: TraceReader, from: number, to: number, name: (address: bigint) => string): RecentEvent[] {
  const events: RecentEvent[] = []
  for (const { icount, intid, pc, el } of reader.interrupts({ from, to }))
    events.push({ icount, text: `interrupt ${intid} taken from EL${el}, pc ${name(pc)}` })
  // What an instruction does comes after the position in front of it.
  const before = to - 1
  if (before < from) return events
  for (const { icount, esr, far, elr, kind } of reader.exceptions({ from, to: before })) {
    const what = EXCEPTION_CLASSES[esr >>> 26] ?? kind
    events.push({ icount, text: `${what}, ESR 0x${esr.toString(16)}, FAR ${name(far)}, pc ${name(elr)}` })
  }
  for (const { icount, source, payload } of reader.inputs({ from, to: before }))
    events.push({ icount, text: `input ${source} ${bytesText(payload)}` })
  events.push(...uartLines(reader, from, before))
  // Sorting keeps the order of events at one position.
  return events.toSorted((a, b) => a.icount - b.icount)
}

function uartLines(reader: TraceReader, from: number, to: number): RecentEvent[] {
  const lines: RecentEvent[] = []
  let text = ''
  let last = 0
  // What comes first may be the end of a line.
  let whole = from === 0
  const put = () => {
    if (text !== '' && whole) lines.push({ icount: last, text: `uart ${JSON.stringify(printable(text))}` })
    text = ''
    whole = true
  }
  for (const { icount, direction, byte } of reader.uart({ from, to })) {
    if (direction !== 0 || byte === 13) continue
    last = icount
    if (byte === 10) put()
    else text += String.fromCharCode(byte)
  }
  put()
  return lines
}

/** Bytes as text in quotes. */
export const bytesText = (bytes: Uint8Array): string => JSON.stringify(String.fromCharCode(...bytes))

/** An event for people. */
export const recentText = ({ icount, text }: RecentEvent): string => `${grouped(icount).padStart(13)}  ${text}`
