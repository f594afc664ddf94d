/** The things in which two machines differ, by name: registers, flags, fields of devices, TLB entries, bytes of RAM, and what was told. */
import { PAGE_SIZE, RAM_PHYSICAL } from '../../cpu/machine-memory.js'
import type { BlockImage } from '../../cpu/state-block.js'
import type { Machine } from '../../devices/machine.js'
import type { StateImage } from '../../trace/rows.js'
import { differingPages, sameEvent } from './lockstep.js'
import type { Outcome, Side, SideEvent } from './side.js'

/** What kind of thing differs. */
export type ItemKind =
  'register' | 'flag' | 'system register' | 'processor' | 'device' | 'TLB' | 'memory' | 'event' | 'end'

/** A thing that differs: its two values, for people. */
export interface Item {
  readonly kind: ItemKind
  readonly name: string
  readonly recorded: string
  readonly replayed: string
}

/** Items listed of TLB and RAM; of more it is only said how many. */
const MOST = 16
const FLAGS = 'NZCV'
const TIMERS = ['cntp', 'cntv', 'cnthp', 'cntps']
const PROCESSOR = new Set(['halted', 'irq', 'fiq', 'exclusive', 'exclusive_address', 'exclusive_data'])
const PSTATE = new Set(['daif', 'el', 'spsel', 'il'])

/** Everything in which two machines differ; those of RAM among the pages written since their last checkpoint. */
export function differingItems(recorded: Side, replayed: Side): Item[] {
  const state = differingState(recorded.machine.saveState(), replayed.machine.saveState())
  return [
    ...differingOutcome(recorded, replayed),
    ...differingEvents(recorded.events, replayed.events),
    ...state,
    ...memoryItems(recorded, replayed),
  ]
}

/** The fields of two states that differ. */
export function differingState(recorded: StateImage, replayed: StateImage): Item[] {
  const items: Item[] = []
  for (const block of new Set([...Object.keys(recorded), ...Object.keys(replayed)])) {
    if (block === 'tlb') items.push(...tlbItems(recorded[block], replayed[block]))
    else items.push(...blockItems(block, recorded[block] ?? {}, replayed[block] ?? {}))
  }
  return items
}

function blockItems(block: string, recorded: BlockImage, replayed: BlockImage): Item[] {
  const items: Item[] = []
  const processor = /^cpu(\d+)$/.exec(block)
  // Names of the first processor's registers stand alone.
  const prefix = processor && processor[1] !== '0' ? `${block}.` : ''
  for (const field of new Set([...Object.keys(recorded), ...Object.keys(replayed)])) {
    const [one, other] = [listOf(recorded[field]), listOf(replayed[field])]
    const scalar = !Array.isArray(recorded[field] ?? replayed[field])
    for (let i = 0; i < Math.max(one.length, other.length); i++) {
      if (one[i] === other[i]) continue
      if (processor && field === 'nzcv') items.push(...flagItems(Number(one[i]), Number(other[i]), prefix))
      else {
        const index = scalar ? undefined : i
        const { kind, name } = processor ? register(field, index) : deviceField(block, field, index)
        items.push({ kind, name: prefix + name, recorded: hex(one[i]), replayed: hex(other[i]) })
      }
    }
  }
  return items
}

function listOf(value: BlockImage[string] | undefined): bigint[] {
  return value === undefined ? [] : (Array.isArray(value) ? value : [value]).map(BigInt)
}

function flagItems(recorded: number, replayed: number, prefix: string): Item[] {
  return [...FLAGS].flatMap((name, i) => {
    const [one, other] = [recorded, replayed].map((nzcv) => String((nzcv >>> (3 - i)) & 1))
    return one === other ? [] : [{ kind: 'flag' as const, name: prefix + name, recorded: one, replayed: other }]
  })
}

function deviceField(block: string, field: string, index: number | undefined): Pick<Item, 'kind' | 'name'> {
  return { kind: 'device', name: `${block}.${field}${index === undefined ? '' : `[${index}]`}` }
}

/** A register's name as the manual has it, where the manual has it. */
function register(field: string, index: number | undefined): Pick<Item, 'kind' | 'name'> {
  const element = index === undefined ? '' : `[${index}]`
  if (field === 'x') return { kind: 'register', name: `x${index}` }
  if (field === 'sp' || field === 'pc') return { kind: 'register', name: field }
  if (PROCESSOR.has(field)) return { kind: 'processor', name: `${field}${element}` }
  if (PSTATE.has(field)) return { kind: 'register', name: `pstate.${field}` }
  if (field.endsWith('_el')) return { kind: 'system register', name: `${field}${index}` }
  if (field === 'cnt_ctl' || field === 'cnt_cval') {
    const timer = TIMERS[index ?? 0]
    return {
      kind: 'system register',
      name: `${timer}${field.slice(3)}_el${timer === 'cnthp' ? 2 : timer === 'cntps' ? 1 : 0}`,
    }
  }
  return { kind: 'system register', name: `${field}${element}` }
}

const hex = (value: bigint | undefined): string => (value === undefined ? 'none' : `0x${value.toString(16)}`)

/** Words that `tlb.save` gives for an entry: its index, then what `translation-tlb.ts` keeps. */
const TLB_WORDS = 7
const CODE_FROM = 1024
const ATTRIBUTES = ['EL0', 'read-only', 'PXN', 'UXN', 'nG'] as const

function tlbItems(recorded: BlockImage | undefined, replayed: BlockImage | undefined): Item[] {
  const [one, other] = [tlbEntries(recorded), tlbEntries(replayed)]
  const items: Item[] = []
  for (const index of new Set([...one.keys(), ...other.keys()])) {
    const [left, right] = [one.get(index), other.get(index)]
    if (left?.text === right?.text) continue
    const pages = new Set([left, right].flatMap((entry) => (entry ? [entry.page] : [])))
    const name = `entry for ${index < CODE_FROM ? 'data' : 'code'} at ${[...pages].join(' and ')}`
    items.push({ kind: 'TLB', name, recorded: left?.text ?? 'none', replayed: right?.text ?? 'none' })
  }
  return shortened(items, 'TLB', 'entries')
}

function tlbEntries(image: BlockImage | undefined): Map<number, { page: string; text: string }> {
  const words = listOf(image?.['entries'])
  const entries = new Map<number, { page: string; text: string }>()
  for (let at = 0; at < words.length; at += TLB_WORDS) {
    const [index, valid, lo, high, physical, attributes, level] = words.slice(at, at + TLB_WORDS).map(Number)
    const page = hex((BigInt(high) << 32n) | BigInt(lo))
    const bits = ATTRIBUTES.filter((_, bit) => (attributes >>> bit) & 1)
    const parts = [
      `${page} to ${hex(BigInt(physical) * BigInt(PAGE_SIZE))}`,
      attributes & 2 ? 'read-only' : 'writable',
      ...bits.filter((bit) => bit !== 'read-only'),
      `MAIR index ${(attributes >>> 5) & 7}`,
      `shareability ${(attributes >>> 8) & 3}`,
      `level ${level}`,
      `ASID ${valid >>> 16}`,
      ...(valid & 2 ? ['global'] : []),
      ...(valid & 4 ? ['EL2'] : []),
      `2^${(valid >>> 8) & 0xff} bytes`,
    ]
    entries.set(index, { page, text: parts.join(', ') })
  }
  return entries
}

function shortened(items: Item[], kind: ItemKind, what: string): Item[] {
  if (items.length <= MOST) return items
  const rest = items.length - MOST
  return [...items.slice(0, MOST), { kind, name: `${rest} more ${what}`, recorded: '…', replayed: '…' }]
}

function memoryItems(recorded: Side, replayed: Side): Item[] {
  const items: Item[] = []
  for (const page of differingPages(recorded, replayed))
    items.push(...differingBytes(page, pageOf(recorded.machine, page), pageOf(replayed.machine, page)))
  return shortened(items, 'memory', 'places')
}

const pageOf = ({ memory }: Machine, page: number): Uint8Array =>
  memory.ram.subarray(page * PAGE_SIZE, (page + 1) * PAGE_SIZE)

/** Differing bytes of a page of RAM, neighbours within 8 bytes together, by guest physical address. */
export function differingBytes(page: number, recorded: Uint8Array, replayed: Uint8Array): Item[] {
  const items: Item[] = []
  const text = (bytes: Uint8Array) => [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join(' ')
  for (let at = 0; at < PAGE_SIZE; at++) {
    if (recorded[at] === replayed[at]) continue
    let end = at + 1
    for (let i = end; i < Math.min((at | 7) + 1, PAGE_SIZE); i++) if (recorded[i] !== replayed[i]) end = i + 1
    const address = RAM_PHYSICAL + page * PAGE_SIZE + at
    const name = `${end - at === 1 ? 'byte' : `${end - at} bytes`} at 0x${address.toString(16)}`
    items.push({
      kind: 'memory',
      name,
      recorded: text(recorded.subarray(at, end)),
      replayed: text(replayed.subarray(at, end)),
    })
    at = end - 1
  }
  return items
}

function differingOutcome(recorded: Side, replayed: Side): Item[] {
  const [one, other] = [outcomeText(recorded.outcome), outcomeText(replayed.outcome)]
  if (recorded.position === replayed.position && one === other) return []
  const text = (side: Side, outcome: string) =>
    side.outcome === 'there' ? `goes on` : `${outcome} at ${side.position}`
  return [{ kind: 'end', name: 'the guest', recorded: text(recorded, one), replayed: text(replayed, other) }]
}

function outcomeText(outcome: Outcome): string {
  if (typeof outcome !== 'string') return outcome.unsupported
  return { there: 'goes on', asleep: 'sleeps for ever', 'power-off': 'powers off' }[outcome]
}

/** The first event that differs. */
export function differingEvents(recorded: readonly SideEvent[], replayed: readonly SideEvent[]): Item[] {
  const length = Math.max(recorded.length, replayed.length)
  for (let i = 0; i < length; i++) {
    const [one, other] = [recorded[i], replayed[i]]
    if (sameEvent(one, other)) continue
    // Another kind or place is another event altogether; otherwise only what differs in it.
    if (!one || !other || one.kind !== other.kind || one.icount !== other.icount) {
      const name = one && other ? 'next event' : ((one ?? other)?.kind ?? '')
      return [{ kind: 'event', name, recorded: eventText(one), replayed: eventText(other) }]
    }
    return Object.keys(one.values)
      .filter((name) => one.values[name] !== other.values[name])
      .map((name) => ({
        kind: 'event',
        name: `${name} of the ${one.kind} at ${one.icount}`,
        recorded: hex(one.values[name]),
        replayed: hex(other.values[name]),
      }))
  }
  return []
}

/** An event in a line. */
export function eventText(event: SideEvent | undefined): string {
  if (!event) return 'none'
  const values = Object.entries(event.values).map(([name, value]) => `${name} ${name === 'INTID' ? value : hex(value)}`)
  return `${event.kind} at ${event.icount}: ${values.join(', ')}`
}
