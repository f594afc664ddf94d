/** What gdb's `monitor` can ask for: places in the trace, bookmarks, events, and what the guest has printed. */
import { hex64 } from '../debugger/numbers.js'
import { grouped, parseCount } from '../debugger/numbers.js'
import { Names } from '../debugger/names.js'
import type { EventFilter, Stop } from '../timeline/points.js'
import type { Timeline } from '../timeline.js'
import type { TraceReader } from '../../trace/reader.js'

/** A verb of `monitor`. */
interface Verb {
  readonly usage: string
  readonly help: string
  readonly run: (monitor: Monitor, argument: string) => string
}

/** gdb keeps registers until it is told that they have changed. */
const REFRESH = 'gdb shows it after: maintenance flush register-cache'
const UART_LINES = 20

/** The verbs, by name. */
const VERBS: Readonly<Record<string, Verb>> = {
  when: {
    usage: 'when',
    help: 'the position: instructions executed so far, of how many',
    run: (monitor) => monitor.here(),
  },
  goto: {
    usage: 'goto POSITION|start|end',
    help: 'go to a position',
    run: (monitor, argument) => monitor.goto(argument),
  },
  checkpoint: {
    usage: 'checkpoint',
    help: 'remember this position under a number',
    run: (monitor) => monitor.checkpoint(),
  },
  checkpoints: {
    usage: 'checkpoints',
    help: 'list the remembered positions',
    run: (monitor) => monitor.list(),
  },
  restart: {
    usage: 'restart [N]',
    help: 'go to remembered position N, or to the start',
    run: (monitor, argument) => monitor.restart(argument),
  },
  catch: {
    usage: 'catch exception|interrupt [INTID]|uart TEXT',
    help: 'stop at such events too, in both directions',
    run: (monitor, argument) => monitor.catch(argument),
  },
  delete: {
    usage: 'delete N',
    help: 'forget remembered position N, or what catch has set under N',
    run: (monitor, argument) => monitor.delete(argument),
  },
  uart: {
    usage: 'uart [LINES]',
    help: `the last lines that the guest has printed by now, ${UART_LINES} if not said`,
    run: (monitor, argument) => monitor.uart(argument),
  },
  help: {
    usage: 'help',
    help: 'this list',
    run: () => {
      const width = Math.max(...Object.values(VERBS).map(({ usage }) => usage.length)) + 2
      return Object.values(VERBS)
        .map(({ usage, help }) => `${usage.padEnd(width)}${help}`)
        .join('\n')
    },
  },
}

/** Carries out `monitor` commands. */
export class Monitor {
  private readonly reader: TraceReader
  private readonly timeline: Timeline
  private readonly names: Names
  private readonly bookmarks = new Map<number, number>()
  private next = 1

  constructor(reader: TraceReader, timeline: Timeline) {
    this.reader = reader
    this.timeline = timeline
    this.names = new Names(timeline.symbols)
  }

  /** The text to show for a command; a verb may be shortened while it stays the only one. */
  execute(line: string): string {
    const [, word, argument] = /^\s*(\S*)\s*(.*?)\s*$/s.exec(line) ?? ['', '', '']
    const exact = Object.keys(VERBS).filter((name) => name === word)
    const found = exact.length > 0 ? exact : Object.keys(VERBS).filter((name) => word !== '' && name.startsWith(word))
    if (found.length === 1) return VERBS[found[0]].run(this, argument)
    const known = (found.length > 0 ? found : Object.keys(VERBS)).join(', ')
    return `${word === '' ? 'monitor' : word}: ${found.length > 0 ? 'could be' : 'no such command; there are'} ${known}`
  }

  /** An event that the timeline has stopped at, in a line. */
  describe({ breakpoint, position }: Stop): string {
    const point = this.timeline.catchpoints.list().find(({ id }) => id === breakpoint)
    return `${point?.filter.kind ?? 'event'} ${breakpoint ?? ''} at ${grouped(position)}`
  }

  here(): string {
    const { position, end, machine } = this.timeline
    const { pc, el } = machine.cpu.state
    return `${grouped(position)} of ${grouped(end)}, EL${el}, pc ${hex64(pc)}${this.names.suffix(pc)}`
  }

  goto(argument: string): string {
    const { timeline } = this
    const position = argument === 'end' ? timeline.end : argument === 'start' ? 0 : parseCount(argument)
    if (position === undefined || position > timeline.end)
      return `goto ${argument}: give a position of 0 to ${grouped(timeline.end)}, start or end`
    timeline.seek(position)
    return `${this.here()}\n${REFRESH}`
  }

  checkpoint(): string {
    const n = this.next++
    this.bookmarks.set(n, this.timeline.position)
    return `checkpoint ${n} at ${this.here()}`
  }

  list(): string {
    const lines = [...this.bookmarks].map(([n, position]) => `${n}  ${grouped(position)}`)
    return lines.length > 0 ? lines.join('\n') : 'no checkpoints'
  }

  restart(argument: string): string {
    if (argument === '') return this.goto('start')
    const position = this.bookmarks.get(parseCount(argument) ?? -1)
    if (position === undefined) return `restart ${argument}: no such checkpoint; there are ${this.known()}`
    return this.goto(String(position))
  }

  catch(argument: string): string {
    const [, kind, rest] = /^(\S*)\s*(.*)$/s.exec(argument) ?? ['', '', '']
    let filter: EventFilter
    if (kind === 'exception' && rest === '') filter = { kind }
    else if (kind === 'interrupt' && rest === '') filter = { kind }
    else if (kind === 'interrupt' && parseCount(rest) !== undefined) filter = { kind, intid: Number(rest) }
    else if (kind === 'uart' && rest !== '') filter = { kind, pattern: rest }
    else return `catch ${argument}: give exception, interrupt, interrupt INTID or uart TEXT`
    return `catchpoint ${this.timeline.catchpoints.add(filter)}: ${argument}`
  }

  delete(argument: string): string {
    const n = parseCount(argument) ?? -1
    const known = this.timeline.catchpoints.list().some(({ id }) => id === n)
    if (known) this.timeline.catchpoints.delete(n)
    else if (!this.bookmarks.delete(n)) return `delete ${argument}: there is nothing of that number`
    return `deleted ${n}`
  }

  uart(argument: string): string {
    const count = argument === '' ? UART_LINES : parseCount(argument)
    if (count === undefined || count < 1) return `uart ${argument}: give a number of lines`
    const { position } = this.timeline
    if (position === 0) return 'nothing yet'
    const bytes: number[] = []
    for (const { direction, byte } of this.reader.uart({ to: position - 1 })) if (direction === 0) bytes.push(byte)
    const lines = new TextDecoder().decode(Uint8Array.from(bytes)).replaceAll('\r', '').split('\n')
    if (lines.at(-1) === '') lines.pop()
    return lines.length > 0 ? lines.slice(-count).map(printable).join('\n') : 'nothing yet'
  }

  private known(): string {
    return this.bookmarks.size > 0 ? [...this.bookmarks.keys()].join(', ') : 'none'
  }
}

/** A line without what a terminal would take as commands. */
const printable = (line: string): string =>
  line.replaceAll(/[^\t\P{Cc}]/gu, (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`)
