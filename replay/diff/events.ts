/**
 * What a trace shows of a guest that means the same in another build of it: lines printed, exceptions, interrupts, system calls, switches
 * between address spaces, functions entered. Each event has a text without addresses or positions, by which it is compared.
 */
import { UnsupportedFeature } from '../../cpu/processor.js'
import { EXCEPTION_CLASSES, faultStatus } from '../../cpu/sysregs/fields/syndrome.js'
import type { ElfSymbol } from '../../devices/loader/symbols.js'
import type { Machine, RunEnd } from '../../devices/machine.js'
import type { TraceReader } from '../../trace/reader.js'
import { demangle } from '../debugger/demangle.js'
import { Names } from '../debugger/names.js'
import { printable } from '../debugger/printable.js'
import { Side } from '../divergence/side.js'
import type { MachineFactory } from '../execution.js'
import { yieldToHost } from '../platform.js'

/** The kinds of event. The rows of a trace have the first three; the others take a replay. */
export const EVENT_KINDS = ['uart', 'exceptions', 'interrupts', 'syscalls', 'threads', 'functions'] as const
export type EventKind = (typeof EVENT_KINDS)[number]

/** Something that happened. */
export interface GuestEvent {
  readonly kind: EventKind
  readonly icount: number
  /** What is compared, and shown. */
  readonly text: string
  /** What is shown besides: addresses, arguments. */
  readonly detail: string
}

/** More entries of functions are not gathered. */
export const MOST_FUNCTIONS = 2 ** 21
/** Values below this are numbers, others addresses. */
const SMALL = 0x1000n
const EC_SVC = 0x15
const STT_FUNC = 2
/** The host's event loop gets its turn after so many instructions. */
const TURN = 2 ** 24
const FROM_EL0 = 0n

/**
 * The events of a trace, in order.
 *
 * @param kinds which.
 * @param make builds the machine, if one is needed.
 */
export async function guestEvents(
  reader: TraceReader,
  kinds: ReadonlySet<EventKind>,
  make: MachineFactory,
  onProgress: (icount: number) => void = () => {},
): Promise<GuestEvent[]> {
  const side = new Side(reader, make)
  const names = new Names(side.machine.boot.symbols)
  const events: GuestEvent[] = []
  if (kinds.has('uart')) events.push(...printedLines(reader))
  if (kinds.has('exceptions')) events.push(...exceptions(reader, names))
  if (kinds.has('interrupts'))
    for (const { icount, intid, pc } of reader.interrupts())
      events.push({ kind: 'interrupts', icount, text: `interrupt ${intid}`, detail: `pc ${at(names, pc)}` })
  if (['syscalls', 'threads', 'functions'].some((kind) => kinds.has(kind as EventKind)))
    events.push(...(await executed(reader, side, names, kinds, onProgress)))
  // Sorting keeps the order of events at one position.
  return events.toSorted((a, b) => a.icount - b.icount)
}

/** Each line stands where its first byte was sent. */
function printedLines(reader: TraceReader): GuestEvent[] {
  const events: GuestEvent[] = []
  let text = ''
  let start: number | undefined
  const put = () => {
    if (start !== undefined) events.push({ kind: 'uart', icount: start, text: printable(text), detail: '' })
    text = ''
    start = undefined
  }
  for (const { icount, direction, byte } of reader.uart()) {
    if (direction !== 0) continue
    start ??= icount
    if (byte === 10) put()
    else if (byte !== 13) text += String.fromCharCode(byte)
  }
  put()
  return events
}

function exceptions(reader: TraceReader, names: Names): GuestEvent[] {
  return [...reader.exceptions()].map(({ icount, kind, esr, far, elr }) => {
    const what = EXCEPTION_CLASSES[esr >>> 26] ?? kind
    const abort = kind === 'data-abort' || kind === 'instruction-abort'
    const status = abort ? faultStatus(BigInt(esr & 0x3f)) : undefined
    const where = functionName(names, elr)
    const text = [
      what,
      ...(status === undefined ? [] : [status]),
      ...(kind === 'data-abort' ? [esr & 0x40 ? 'write' : 'read'] : []),
      ...(abort ? [`FAR ${value(names, far)}`] : []),
      ...(where === undefined ? [] : [`in ${where}`]),
    ]
    const detail = `ESR 0x${esr.toString(16)} FAR 0x${far.toString(16)} pc ${at(names, elr)}`
    return { kind: 'exceptions', icount, text: text.join(', '), detail }
  })
}

/** What only a replay shows. */
async function executed(
  reader: TraceReader,
  side: Side,
  names: Names,
  kinds: ReadonlySet<EventKind>,
  onProgress: (icount: number) => void,
): Promise<GuestEvent[]> {
  const { machine } = side
  const watch = new Watch(machine, names, kinds)
  const functions = kinds.has('functions') ? functionEntries(machine.boot.symbols.all) : new Map<bigint, string>()
  if (functions.size > 0) machine.cpu.setBreakpoints(functions.keys())
  const end = reader.meta.instructions
  let entered = 0
  for (let next = TURN; ;) {
    const how = runOn(machine, Math.min(next, end))
    side.forget()
    if (how === 'interrupt') watch.entered()
    else if (how === 'idle') machine.skipIdle()
    else if (how === 'reset') machine.restart()
    else if (how === 'breakpoint') {
      const { pc } = machine.cpu.state
      watch.events.push({ kind: 'functions', icount: machine.icount, text: functions.get(pc) ?? '', detail: '' })
      if (++entered === MOST_FUNCTIONS) machine.cpu.setBreakpoints([])
    } else if (how === 'limit' && machine.icount < end) {
      next = machine.icount + TURN
      onProgress(machine.icount)
      await yieldToHost()
    } else if (how !== 'input') return watch.calls()
  }
}

/** Runs a machine; undefined if the guest asks for something that is not modelled, where its recording ended too. */
function runOn(machine: Machine, limit: number): RunEnd | undefined {
  try {
    return machine.run(limit)
  } catch (error) {
    if (error instanceof UnsupportedFeature) return undefined
    throw error
  }
}

/** The addresses of functions, with their readable names. */
function functionEntries(symbols: readonly ElfSymbol[]): Map<bigint, string> {
  const entries = new Map<bigint, string>()
  for (const { name, address, info } of symbols) if ((info & 15) === STT_FUNC) entries.set(address, demangle(name))
  return entries
}

/** Listens to a machine that runs. */
class Watch {
  readonly events: GuestEvent[] = []
  private readonly machine: Machine
  private readonly names: Names
  private readonly kinds: ReadonlySet<EventKind>
  private readonly spaces = new Map<string, number>()
  private space = 0
  private readonly svcs: { index: number; immediate: number; x: BigUint64Array }[] = []

  constructor(machine: Machine, names: Names, kinds: ReadonlySet<EventKind>) {
    this.machine = machine
    this.names = names
    this.kinds = kinds
    const { cpu } = machine
    // The processor tells this of every synchronous exception; whoever records is told of faults only.
    const taken = cpu.exceptionTaken.bind(cpu)
    cpu.exceptionTaken = (target, syndrome) => {
      taken(target, syndrome)
      this.entered()
      if (this.kinds.has('syscalls') && syndrome >>> 26 === EC_SVC) this.called(syndrome & 0xffff)
    }
  }

  /** The kernel has been entered: who was running? */
  entered(): void {
    const { machine, spaces } = this
    if (!this.kinds.has('threads')) return
    const { spsr_el: spsr, ttbr0_el: ttbr0, tpidr_el: tpidr, tpidrro_el0: shared } = machine.cpu.state
    if (((spsr[1] >> 2n) & 3n) !== FROM_EL0) return
    const key = `${ttbr0[1]} ${tpidr[0]} ${shared}`
    const known = spaces.get(key) ?? spaces.size + 1
    spaces.set(key, known)
    if (known === this.space) return
    this.space = known
    const detail = `ttbr0_el1 0x${ttbr0[1].toString(16)} tpidr_el0 0x${tpidr[0].toString(16)}`
    this.events.push({ kind: 'threads', icount: machine.current, text: `thread ${known}`, detail })
  }

  /** All events, when it is known by which register system calls have their numbers. */
  calls(): GuestEvent[] {
    const { svcs, events } = this
    // seL4's numbers, in x7, are negative, and Linux has them in x8. A guest that tries what happens makes calls of no such number.
    const seL4 = svcs.filter(({ x }) => BigInt.asIntN(64, x[7]) < 0n && BigInt.asIntN(64, x[7]) > -SMALL)
    const inX7 = seL4.length * 2 > svcs.length
    for (const { index, immediate, x } of svcs) {
      const text = inX7 ? this.message(immediate, x) : `svc #${immediate}, x8 ${BigInt.asIntN(64, x[8])}`
      events[index] = { ...events[index], text }
    }
    return events
  }

  private called(immediate: number): void {
    const { machine, events, names } = this
    const { x, elr_el: elr } = machine.cpu.state
    const values = x.slice(0, 9)
    this.svcs.push({ index: events.length, immediate, x: values })
    const shown = [0, 1, 2, 3, 4, 5, 7, 8].map((n) => `x${n} 0x${values[n].toString(16)}`).join(' ')
    const detail = `${shown} pc ${at(names, elr[1] - 4n)}`
    events.push({ kind: 'syscalls', icount: machine.current, text: '', detail })
  }

  /** A call in seL4's manner: capability, message information, and as many message registers as that says. */
  private message(immediate: number, x: BigUint64Array): string {
    const length = Number(x[1] & 0x7fn)
    const registers = Array.from(x.subarray(2, Math.min(2 + length, 6)), (each) => value(this.names, each))
    const info = `label ${x[1] >> 12n}, ${length} words`
    return [
      `svc #${immediate}, x7 ${BigInt.asIntN(64, x[7])}`,
      `x0 ${value(this.names, x[0])}`,
      info,
      ...registers,
    ].join(', ')
  }
}

/** A value for comparison: small numbers as they are, addresses by what they lead to. */
function value(names: Names, of: bigint): string {
  const signed = BigInt.asIntN(64, of)
  if (signed > -SMALL && signed < SMALL) return signed < 0n ? String(signed) : `0x${of.toString(16)}`
  return functionName(names, of) ?? 'address'
}

const functionName = (names: Names, address: bigint): string | undefined => {
  const symbol = names.find(address)
  return symbol && demangle(symbol.name)
}

const at = (names: Names, address: bigint): string => `0x${address.toString(16)}${names.suffix(address)}`
