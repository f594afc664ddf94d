/** Breakpoints of every kind that a client sets: each request replaces those of its kind. */
import type { DebugProtocol } from '@vscode/debugprotocol'
import type { Watchpoint } from '../../cpu/mmu/watchpoints.js'
import type { Debugger } from '../debugger/debugger.js'
import { DebuggerError } from '../debugger/error.js'
import { hex64 } from '../debugger/numbers.js'
import type { Condition } from '../timeline/points.js'
import { EXCEPTION_FILTERS } from './capabilities.js'
import { RequestError } from './error.js'
import type { SourceFiles } from './stack.js'

type Arguments = Readonly<Record<string, unknown>>
type Answer = DebugProtocol.Breakpoint

/** The most breakpoints that a client may set in a request. */
const MOST = 1024
/** Bytes that a data breakpoint watches if its name does not say. */
const WORD = 8

/** Kinds of watchpoints, by the protocol's names; otherwise it is writes. */
const ACCESS: Readonly<Record<string, Watchpoint['kind']>> = { read: 'read', readWrite: 'access' }

/** All breakpoints of a client. */
export class BreakpointSets {
  private readonly debug: Debugger
  private readonly files: SourceFiles
  /** Numbers of the timeline's points, by what set them. */
  private readonly sets = new Map<string, number[]>()
  /** The client's numbers, by the timeline's. */
  private readonly ids = new Map<number, number>()
  private readonly events = new Map<number, string>()
  private nextId = 1

  constructor(debug: Debugger, files: SourceFiles) {
    this.debug = debug
    this.files = files
  }

  /** The client's number of a timeline's point. */
  idOf(point: number): number | undefined {
    return this.ids.get(point)
  }

  /** What an event's catchpoint is for. */
  eventName(point: number): string {
    return this.events.get(point) ?? 'event'
  }

  /** `setBreakpoints`: those of one file. */
  sourceLines(args: Arguments): Answer[] {
    const { source } = args
    const path = typeof source === 'object' && source !== null ? (source as { path?: unknown }).path : undefined
    if (typeof path !== 'string') throw new RequestError('setBreakpoints: source has no path')
    const { sources } = this.debug
    const file = this.files.known(path, sources.filesFrom(''))
    const wanted = list('setBreakpoints', args['breakpoints'])
    return this.replace(`source ${path}`, wanted, (each) => {
      const line = whole('setBreakpoints: line', each['line'])
      if (file === undefined) throw new DebuggerError(`no code of this trace comes from ${path}`)
      const places = sources.locations(file, line)
      return {
        points: places.map(({ address }) => this.debug.timeline.breakpoints.add(address, this.condition(each))),
        answer: {
          line: places[0].place.line,
          source: this.files.source(file),
          instructionReference: hex64(places[0].address),
        },
      }
    })
  }

  /** `setFunctionBreakpoints`: by symbol, address or expression. */
  functions(args: Arguments): Answer[] {
    return this.replace('functions', list('setFunctionBreakpoints', args['breakpoints']), (each) => {
      const address = this.debug.location(String(each['name']))
      return this.at(address, each)
    })
  }

  /** `setInstructionBreakpoints`: by address. */
  instructions(args: Arguments): Answer[] {
    return this.replace('instructions', list('setInstructionBreakpoints', args['breakpoints']), (each) => {
      const offset = typeof each['offset'] === 'number' ? each['offset'] : 0
      const address = this.debug.evaluate(String(each['instructionReference'])) + BigInt(offset)
      return this.at(address, each)
    })
  }

  /** `dataBreakpointInfo`: whether what a client shows can be watched, and by which name. */
  dataInfo(args: Arguments): object {
    const { name, asAddress, bytes } = args
    if (typeof name !== 'string') throw new RequestError('dataBreakpointInfo: name is missing')
    try {
      const address = this.debug.evaluate(name)
      const length = asAddress === true && typeof bytes === 'number' ? bytes : WORD
      return {
        dataId: `${hex64(address)},${length}`,
        description: `${length} bytes at ${this.debug.place(address)}`,
        accessTypes: ['read', 'write', 'readWrite'],
      }
    } catch (error) {
      if (error instanceof DebuggerError) return { dataId: null, description: error.message }
      throw error
    }
  }

  /** `setDataBreakpoints`: watchpoints. */
  data(args: Arguments): Answer[] {
    return this.replace('data', list('setDataBreakpoints', args['breakpoints']), (each) => {
      const match = /^(0x[0-9a-f]+),(\d{1,6})$/.exec(String(each['dataId']))
      if (!match) throw new DebuggerError(`${String(each['dataId'])}: not a dataId of dataBreakpointInfo`)
      const kind = ACCESS[String(each['accessType'])] ?? 'write'
      const watchpoint = { address: BigInt(match[1]), length: Number(match[2]), kind }
      try {
        return { points: [this.debug.timeline.watchpoints.add(watchpoint, this.condition(each))], answer: {} }
      } catch (error) {
        if (error instanceof RangeError) throw new DebuggerError(error.message)
        throw error
      }
    })
  }

  /** `setExceptionBreakpoints`: events of the trace. */
  exceptions(args: Arguments): Answer[] {
    const names = args['filters']
    if (!Array.isArray(names)) throw new RequestError('setExceptionBreakpoints: filters is no list')
    const wanted = names.map((name): Arguments => ({ name: String(name) }))
    return this.replace('events', wanted, ({ name }) => {
      const found = EXCEPTION_FILTERS.find((each) => each.name === name)
      if (!found)
        throw new DebuggerError(`${String(name)}: there are ${EXCEPTION_FILTERS.map((each) => each.name).join(', ')}`)
      const point = this.debug.timeline.catchpoints.add(found.filter)
      this.events.set(point, found.label)
      return { points: [point], answer: {} }
    })
  }

  private at(address: bigint, each: Arguments): { points: number[]; answer: Partial<Answer> } {
    const place = this.debug.sources.at(address)
    return {
      points: [this.debug.timeline.breakpoints.add(address, this.condition(each))],
      answer: {
        instructionReference: hex64(address),
        ...(place && { line: place.line, source: this.files.source(place.file) }),
      },
    }
  }

  /** A condition holds if its expression is not 0. */
  private condition(each: Arguments): Condition {
    const { condition } = each
    const { debug } = this
    if (typeof condition !== 'string' || condition.trim() === '') return debug.notSearching
    // What cannot be understood is said now, not when the place is met.
    debug.evaluate(condition)
    return () => debug.notSearching() && debug.evaluate(condition) !== 0n
  }

  /** Replaces a set of points. One that cannot be set has an answer that says why. */
  private replace(
    set: string,
    wanted: readonly Arguments[],
    add: (each: Arguments) => { points: number[]; answer: Partial<Answer> },
  ): Answer[] {
    const { breakpoints, watchpoints, catchpoints } = this.debug.timeline
    for (const id of this.sets.get(set) ?? []) {
      void (breakpoints.delete(id) || watchpoints.delete(id) || catchpoints.delete(id))
      this.ids.delete(id)
    }
    const all: number[] = []
    this.sets.set(set, all)
    return wanted.map((each) => {
      const id = this.nextId++
      try {
        const { points, answer } = add(each)
        for (const point of points) this.ids.set(point, id)
        all.push(...points)
        return { id, verified: true, ...answer }
      } catch (error) {
        if (!(error instanceof DebuggerError)) throw error
        return { id, verified: false, message: error.message }
      }
    })
  }
}

function list(request: string, value: unknown): Arguments[] {
  const isList = Array.isArray(value) && value.every((each) => typeof each === 'object' && each !== null)
  if (!isList) throw new RequestError(`${request}: breakpoints is no list`)
  if (value.length > MOST) throw new RequestError(`${request}: ${value.length} breakpoints, at most ${MOST}`)
  return value as Arguments[]
}

function whole(what: string, value: unknown): number {
  if (typeof value === 'number' && Number.isInteger(value) && value > 0) return value
  throw new RequestError(`${what}: ${JSON.stringify(value)} is not a number from 1`)
}
