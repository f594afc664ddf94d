/** Commands that find things in time: events of the trace, system calls, and who wrote a place in memory. */
import { EXCEPTION_CLASSES } from '../../../cpu/sysregs/fields/syndrome.js'
import { EXCEPTION_KINDS } from '../../../trace/rows.js'
import { type EventFilter, type EventPlaces, eventPlaces } from '../../timeline/points.js'
import { type Command, type Report, count } from '../command.js'
import type { Debugger } from '../debugger.js'
import { DebuggerError } from '../error.js'
import { grouped, hex64, parseCount } from '../numbers.js'

/** What `first`, `next` and `prev` know. */
export const EVENTS = ['interrupt', 'exception', 'uart', 'syscall'] as const

const DETAILS = [
  'interrupt [INTID]: an interrupt is taken',
  `exception [KIND]: a fault is taken; KIND is one of ${EXCEPTION_KINDS.join(', ')}`,
  'uart /REGEX/ or uart TEXT: the guest has printed that',
  'syscall: an SVC is taken',
]

type Direction = 'first' | 'next' | 'prev'

const search = (name: Direction, help: string, aliases: readonly string[] = []): Command => ({
  name,
  aliases,
  usage: `${name} EVENT`,
  help,
  details: DETAILS,
  completes: 'event',
  run: (debug, argument) => find(debug, name, argument),
})

export const eventCommands: readonly Command[] = [
  search('first', 'go to the first interrupt, exception, uart /REGEX/ or syscall'),
  search('next', 'go to the next one'),
  search('prev', 'go back to the one before', ['previous']),
  {
    name: 'who-wrote',
    aliases: ['last'],
    usage: 'who-wrote ADDR [BYTES]|$REGISTER',
    help: 'go back to the instruction that wrote there last; 8 bytes, if not said',
    details: [
      'last write to ADDR says the same. Writes are found by this address and by the physical one behind it, not through other mappings.',
      'who-wrote $x8 goes back to the instruction that changed the register last, if that is not too long ago; $sp+0 is what $sp points to.',
    ],
    completes: 'symbol',
    run: (debug, argument) => whoWrote(debug, argument),
  },
]

async function find(debug: Debugger, direction: Direction, argument: string): Promise<Report> {
  const [, kind, rest] = /^(\S*)\s*(.*)$/s.exec(argument) ?? ['', '', '']
  const found = EVENTS.filter((event) => kind !== '' && event.startsWith(kind))
  if (found.length !== 1) throw new DebuggerError(`${direction} ${argument}: give one of ${EVENTS.join(', ')}`)
  if (found[0] === 'syscall') {
    if (rest !== '') throw new DebuggerError(`${direction} ${argument}: syscall takes no argument`)
    return findCall(debug, direction)
  }
  const filter = filterOf(found[0], rest, `${direction} ${argument}`)
  const places = debug.remembered(`${found[0]} ${rest}`, () => eventPlaces(debug.reader, filter))
  const place = choose(places, direction, debug.timeline.position)
  if (place === undefined) throw new DebuggerError(`${direction} ${argument}: ${missing(direction)}`)
  debug.timeline.seek(place)
  const what = describe(debug, filter, place)
  const { lines, data } = debug.here()
  return { lines: [...what, ...lines], data: { ...data, event: what[0] } }
}

const missing = (direction: Direction): string =>
  ({ first: 'there is none', next: 'there is none from here on', prev: 'there is none before' })[direction]

/** Events are looked at from where they have happened. */
function choose({ after }: EventPlaces, direction: Direction, position: number): number | undefined {
  if (direction === 'first') return after[0]
  return direction === 'next' ? after.find((place) => place > position) : after.findLast((place) => place < position)
}

function filterOf(event: 'interrupt' | 'exception' | 'uart', text: string, command: string): EventFilter {
  switch (event) {
    case 'interrupt': {
      if (text === '') return { kind: 'interrupt' }
      const intid = parseCount(text)
      if (intid === undefined) throw new DebuggerError(`${command}: give an INTID, a number`)
      return { kind: 'interrupt', intid }
    }
    case 'exception': {
      if (text === '') return { kind: 'exception' }
      const kinds = EXCEPTION_KINDS.filter((kind) => kind === text)
      if (kinds.length === 0) throw new DebuggerError(`${command}: give one of ${EXCEPTION_KINDS.join(', ')}`)
      return { kind: 'exception', kinds }
    }
    default:
      return { kind: 'uart', pattern: pattern(text, command) }
  }
}

function pattern(text: string, command: string): string | RegExp {
  if (text === '') throw new DebuggerError(`${command}: give a text, or /REGEX/`)
  const match = /^\/(.*)\/(i?)$/.exec(text)
  if (!match) return text
  try {
    return new RegExp(match[1], `${match[2]}m`)
  } catch (error) {
    throw new DebuggerError(`${command}: ${(error as Error).message.toLowerCase()}`)
  }
}

/** What has happened right before a place. */
function describe(debug: Debugger, { kind }: EventFilter, place: number): string[] {
  const { reader } = debug
  if (kind === 'uart') return [`uart: ${debug.uartLines(1)[0] ?? ''}`]
  if (kind === 'interrupt') {
    const row = [...reader.interrupts({ from: place, to: place })].at(-1)
    return row ? [`interrupt: INTID ${row.intid} at EL${row.el}, pc ${debug.place(row.pc)}`] : ['interrupt']
  }
  const row = [...reader.exceptions({ from: place - 1, to: place - 1 })].at(-1)
  if (!row) return ['exception']
  const what = EXCEPTION_CLASSES[row.esr >>> 26] ?? row.kind
  return [`exception: ${what}, ESR 0x${row.esr.toString(16)}, FAR ${debug.place(row.far)}, pc ${debug.place(row.elr)}`]
}

const EC_SVC = 0x15
/** Where a vector table has what an SVC enters: from EL1 on SP_EL0, from EL1, from EL0 (Arm ARM DDI 0487, D1.3.1). */
const SYNCHRONOUS = [0n, 0x200n, 0x400n]

/** The next or last SVC: the trace does not list them, so the code that they enter is watched for. */
async function findCall(debug: Debugger, direction: Direction): Promise<Report> {
  const { timeline } = debug
  const origin = timeline.position
  const bases = debug.remembered('vector tables', () => vectorTables(debug))
  if (direction === 'first') timeline.seek(0)
  const calls = () => Number((timeline.machine.cpu.state.esr_el[1] >> 26n) & 63n) === EC_SVC
  const ids = bases.flatMap((base) => SYNCHRONOUS.map((offset) => timeline.breakpoints.add(base + offset, calls)))
  let stop
  try {
    stop = await debug.search(() => (direction === 'prev' ? timeline.reverseContinue() : timeline.continue()))
  } finally {
    for (const id of ids) timeline.breakpoints.delete(id)
  }
  if (stop.reason === 'interrupted') return debug.stopped(stop)
  if (stop.reason !== 'breakpoint') {
    timeline.seek(origin)
    throw new DebuggerError(`${direction} syscall: ${missing(direction)}`)
  }
  const { state } = timeline.machine.cpu
  const immediate = Number(state.esr_el[1] & 0xffffn)
  const what = `syscall: SVC #${immediate}, pc ${debug.place(state.elr_el[1] - 4n)}, x8 ${hex64(state.x[8])}, x0 ${hex64(state.x[0])}`
  const { lines, data } = debug.here()
  return { lines: [what, ...lines], data: { ...data, event: what } }
}

/** The vector tables of EL1 in use now, at each snapshot and at the end. */
function vectorTables(debug: Debugger): bigint[] {
  const { timeline, reader } = debug
  const here = timeline.position
  const bases = new Set<bigint>()
  for (const position of [...reader.snapshotPositions(), timeline.end, here]) {
    timeline.seek(position)
    bases.add(timeline.machine.cpu.state.vbar_el[1])
  }
  return [...bases]
}

async function whoWrote(debug: Debugger, argument: string): Promise<Report> {
  const [, text, bytes] = /^(?:write\s+to\s+)?(.*?)(?:\s+(\d[\d_]*))?$/.exec(argument) ?? ['', argument, undefined]
  const { timeline } = debug
  if (/^\$\w+$/.test(text.trim())) return whoChanged(debug, text.trim())
  const address = debug.evaluate(text)
  const length = count(`who-wrote ${text}`, bytes ?? '', 8)
  const origin = timeline.position
  const ids: number[] = []
  let stop
  try {
    for (const start of [address, ...alias(debug, address)])
      ids.push(timeline.watchpoints.add({ address: start, length, kind: 'write' }))
    stop = await debug.search(() => timeline.reverseContinue())
  } catch (error) {
    if (error instanceof RangeError) throw new DebuggerError(`who-wrote ${argument}: ${error.message}`)
    throw error
  } finally {
    for (const id of ids) timeline.watchpoints.delete(id)
  }
  if (stop.reason === 'interrupted') return debug.stopped(stop)
  const { access } = stop
  if (stop.reason !== 'watchpoint' || !access) {
    timeline.seek(origin)
    return {
      lines: [`${debug.place(address)}: no instruction has written there before ${grouped(origin)}`],
      data: { address, length, writer: null },
    }
  }
  const before = valueAt(debug, access.address, access.bytes)
  timeline.step()
  const after = valueAt(debug, access.address, access.bytes)
  timeline.reverseStep()
  const { lines, data } = debug.here()
  const written = `${access.bytes} byte${access.bytes === 1 ? '' : 's'} at ${debug.place(access.address)}`
  const what = `last write before ${grouped(origin)}: ${written}, ${before ?? 'unknown'} -> ${after ?? 'unknown'}`
  return { lines: [what, ...lines], data: { address, length, writer: { ...data, access, before, after } } }
}

/** A register's history is looked through by single steps, so far back and in such pieces. */
const LONGEST_LOOK = 2 ** 20
const PIECE = 2 ** 12

/** The last instruction that changed a register. */
function whoChanged(debug: Debugger, register: string): Report {
  const { timeline } = debug
  const origin = timeline.position
  const value = () => debug.evaluate(register)
  const now = value()
  const floor = Math.max(origin - LONGEST_LOOK, 0)
  for (let end = origin; end > floor; end = Math.max(end - PIECE, floor)) {
    timeline.seek(Math.max(end - PIECE, floor))
    let last: { at: number; before: bigint } | undefined
    for (let before = value(); timeline.position < end;) {
      const at = timeline.position
      timeline.step()
      const after = value()
      if (after !== before) last = { at, before }
      before = after
    }
    if (last) {
      timeline.seek(last.at)
      const { lines, data } = debug.here()
      const what = `last change of ${register} before ${grouped(origin)}: ${debug.place(last.before)} -> ${debug.place(now)}`
      return { lines: [what, ...lines], data: { register, changer: { ...data, before: last.before, after: now } } }
    }
  }
  timeline.seek(origin)
  const since = floor === 0 ? 'the start' : grouped(floor)
  return { lines: [`${register}: no instruction has changed it since ${since}`], data: { register, changer: null } }
}

/** The physical address behind a virtual one: software with the MMU off, or an identity map, writes there by that. */
function alias({ timeline }: Debugger, address: bigint): bigint[] {
  const { cpu } = timeline.machine
  const physical = cpu.mmu.peek(Number(address & 0xffff_ffffn) | 0, Number(address >> 32n) | 0, cpu.state.el)
  return physical < 0 || BigInt(physical) === address ? [] : [BigInt(physical)]
}

/** A value of up to 16 bytes in hexadecimal. */
function valueAt(debug: Debugger, address: bigint, bytes: number): string | undefined {
  const read = debug.read(address, bytes)
  return (
    read &&
    `0x${[...read]
      .toReversed()
      .map((byte) => byte.toString(16).padStart(2, '0'))
      .join('')}`
  )
}
