/** A session of the Debug Adapter Protocol on a trace: requests in, responses and events out. */
import { InitializedEvent, OutputEvent, ProtocolServer, Response, StoppedEvent, TerminatedEvent } from './protocol.js'
import type { DebugProtocol } from '@vscode/debugprotocol'
import type { TraceReader } from '../../trace/reader.js'
import type { Debugger } from '../debugger/debugger.js'
import { DebuggerError } from '../debugger/error.js'
import { grouped, parseCount } from '../debugger/numbers.js'
import { Stepper } from '../debugger/stepping.js'
import type { Stop } from '../timeline/points.js'
import { BreakpointSets } from './breakpoints.js'
import { CAPABILITIES } from './capabilities.js'
import { disassembly, memory } from './memory.js'
import { RequestError } from './error.js'
import { type SourceFiles, stackFrames } from './stack.js'
import { Variables } from './variables.js'

/** What `launch` may say; names are those of launch.json. */
export interface LaunchArguments {
  /** The trace. */
  readonly trace?: unknown
  /** Where to begin: a position, `start` or `end`. */
  readonly position?: unknown
  /** Executables with symbols and line tables. */
  readonly symbols?: unknown
  /** Folders to look for source files in. */
  readonly source?: unknown
}

/** An opened trace. */
export interface Opened {
  readonly reader: TraceReader
  readonly debug: Debugger
  readonly files: SourceFiles
}

/** What a session needs of its host. */
export interface DapHost {
  /**
   * Opens a trace.
   *
   * @throws errors for people.
   */
  open(trace: string, symbols: readonly string[], source: readonly string[]): Opened
  /** The one line that a person gets for an error. */
  explain(error: unknown): string
  /** The session is over. */
  ended(): void
}

/** The one vCPU's thread. */
const THREAD = 1
type Arguments = Readonly<Record<string, unknown>>
type Handler = (args: Arguments) => object | void | Promise<object | void>

/** Requests that make sense before a trace is open. */
const EARLY = new Set(['initialize', 'launch', 'disconnect', 'terminate', 'cancel'])

/** The session. */
export class DapSession extends ProtocolServer {
  private readonly host: DapHost
  private opened: (Opened & { variables: Variables; points: BreakpointSets; stepper: Stepper }) | undefined
  private running = false
  private configured = false
  private over = false
  /** Up to where the guest's output has been shown. */
  private shown = 0

  constructor(host: DapHost) {
    super()
    this.host = host
    // What is no message has no request that could be answered.
    this.on('error', (event: { body?: unknown }) =>
      this.complain(`not a message of this protocol: ${String(event.body)}`),
    )
    this.on('close', () => this.end())
  }

  protected override dispatchRequest(request: DebugProtocol.Request): void {
    void this.answer(request)
  }

  private async answer(request: DebugProtocol.Request): Promise<void> {
    const response: DebugProtocol.Response = new Response(request)
    try {
      const handler = Object.hasOwn(this.handlers, request.command) ? this.handlers[request.command] : undefined
      if (!handler) throw new RequestError(`there is no request ${JSON.stringify(request.command)}`)
      if (this.over && request.command !== 'disconnect') throw new RequestError('the session is over')
      if (!this.opened && !EARLY.has(request.command))
        throw new RequestError(`${request.command}: launch a trace first`)
      const args = request.arguments as unknown
      const body = await handler(typeof args === 'object' && args !== null ? (args as Arguments) : {})
      if (body !== undefined) response.body = body
      this.sendResponse(response)
    } catch (error) {
      const message = error instanceof RequestError ? error.message : this.host.explain(error)
      this.sendResponse(
        Object.assign(response, { success: false, message, body: { error: { id: 1, format: message } } }),
      )
    }
    this.afterwards(request.command, response.success)
  }

  /** Events that follow the response to a request. */
  private afterwards(command: string, success: boolean): void {
    if (command === 'launch' && success) this.sendEvent(new InitializedEvent())
    if (command === 'configurationDone' && success) this.sendStopped('entry')
    if (command === 'disconnect') this.end()
    if (command === 'terminate') this.sendEvent(new TerminatedEvent())
  }

  private readonly handlers: Readonly<Record<string, Handler>> = {
    initialize: () => CAPABILITIES,
    launch: (args) => this.launch(args),
    configurationDone: () => {
      if (this.configured) throw new RequestError('configurationDone: that has been said already')
      this.configured = true
    },
    disconnect: () => this.pause(),
    terminate: () => this.pause(),
    cancel: () => this.pause(),
    pause: () => this.pause(),
    threads: () => ({ threads: [{ id: THREAD, name: 'vCPU 0' }] }),
    setBreakpoints: (args) => ({ breakpoints: this.still.points.sourceLines(args) }),
    setFunctionBreakpoints: (args) => ({ breakpoints: this.still.points.functions(args) }),
    setInstructionBreakpoints: (args) => ({ breakpoints: this.still.points.instructions(args) }),
    setDataBreakpoints: (args) => ({ breakpoints: this.still.points.data(args) }),
    dataBreakpointInfo: (args) => this.still.points.dataInfo(args),
    setExceptionBreakpoints: (args) => ({ breakpoints: this.still.points.exceptions(args) }),
    stackTrace: (args) => {
      const { debug, files } = this.still
      return stackFrames(debug, files, number(args['startFrame'], 0), number(args['levels'], 0))
    },
    scopes: (args) => ({ scopes: this.still.variables.scopes(number(args['frameId'], -1)) }),
    variables: (args) => ({ variables: this.still.variables.of(number(args['variablesReference'], -1)) }),
    setVariable: () => refuse('setVariable'),
    setExpression: () => refuse('setExpression'),
    writeMemory: () => refuse('writeMemory'),
    evaluate: (args) => this.evaluate(args),
    completions: (args) => this.completions(args),
    readMemory: (args) => memory(this.still.debug, args),
    disassemble: (args) => disassembly(this.still.debug, this.still.files, args),
    loadedSources: () => ({ sources: this.still.files.all(this.still.debug.sources.filesFrom('')) }),
    continue: () => {
      this.move('continue', ({ debug }) => debug.timeline.continue())
      return { allThreadsContinued: true }
    },
    reverseContinue: () => this.move('continue', ({ debug }) => debug.timeline.reverseContinue()),
    next: (args) => this.step(args, ({ stepper }) => stepper.over()),
    stepIn: (args) => this.step(args, ({ stepper }) => stepper.into()),
    stepOut: () => this.move('step', ({ stepper }) => stepper.out()),
    stepBack: (args) =>
      instructionWise(args)
        ? this.move('step', ({ debug }) => debug.timeline.reverseStepWatched())
        : this.move('step', ({ stepper }) => stepper.back()),
    restart: () => {
      const { timeline } = this.still.debug
      timeline.seek(0)
      this.shown = 0
      this.sendStopped('entry')
    },
  }

  /** The opened trace. */
  private get trace(): NonNullable<typeof this.opened> {
    if (!this.opened) throw new RequestError('launch a trace first')
    return this.opened
  }

  /** The opened trace, while nothing runs. */
  private get still(): NonNullable<typeof this.opened> {
    if (this.running) throw new RequestError('it is running: pause it first')
    return this.trace
  }

  private launch(args: LaunchArguments): void {
    if (this.opened) throw new RequestError('launch: a trace is open already')
    const { trace, position } = args
    if (typeof trace !== 'string' || trace === '') throw new RequestError('launch: give the path of a trace as "trace"')
    const opened = this.host.open(trace, texts('symbols', args.symbols), texts('source', args.source))
    const { timeline } = opened.debug
    timeline.seek(startOf(position, timeline.end))
    this.shown = timeline.position
    const variables = new Variables(opened.debug)
    const points = new BreakpointSets(opened.debug, opened.files)
    this.opened = { ...opened, variables, points, stepper: new Stepper(opened.debug) }
  }

  private pause(): void {
    if (this.running) this.trace.stepper.interrupt()
  }

  private step(args: Arguments, byLine: (trace: NonNullable<typeof this.opened>) => Promise<Stop>): void {
    if (instructionWise(args)) this.move('step', ({ debug }) => debug.timeline.stepWatched())
    else this.move('step', byLine)
  }

  /** Starts a motion; how it ends is told by an event. */
  private move(
    reason: 'step' | 'continue',
    action: (trace: NonNullable<typeof this.opened>) => Stop | Promise<Stop>,
  ): void {
    const trace = this.still
    this.running = true
    setImmediate(() => void this.finish(reason, trace, action))
  }

  private async finish(
    reason: 'step' | 'continue',
    trace: NonNullable<typeof this.opened>,
    action: (trace: NonNullable<typeof this.opened>) => Stop | Promise<Stop>,
  ): Promise<void> {
    let stop: Stop | undefined
    try {
      stop = await action(trace)
    } catch (error) {
      this.complain(this.host.explain(error))
    }
    this.running = false
    if (this.over) return
    this.showOutput()
    this.sendStopped(reason, stop)
  }

  /** Shows what the guest has printed since it was shown last, if time has gone forwards. */
  private showOutput(): void {
    const { reader, debug } = this.trace
    const { position } = debug.timeline
    if (position > this.shown) {
      const bytes: number[] = []
      for (const { direction, byte } of reader.uart({ from: this.shown, to: position - 1 }))
        if (direction === 0) bytes.push(byte)
      const printed = new TextDecoder().decode(Uint8Array.from(bytes)).replaceAll('\r', '')
      if (printed !== '') this.sendEvent(new OutputEvent(printed, 'stdout'))
    }
    this.shown = position
  }

  private sendStopped(reason: string, stop?: Stop): void {
    const { debug, points, variables } = this.trace
    variables.forget()
    const { timeline } = debug
    const at = `position ${grouped(timeline.position)} of ${grouped(timeline.end)}`
    const why: Readonly<Record<Stop['reason'], [string, string]>> = {
      step: ['step', at],
      breakpoint: ['breakpoint', at],
      watchpoint: ['data breakpoint', at],
      event: ['exception', stop?.breakpoint === undefined ? at : `${points.eventName(stop.breakpoint)}, ${at}`],
      start: [reason, `start of the recording, ${at}`],
      end: [reason, `end of the recording, ${at}`],
      interrupted: ['pause', at],
    }
    const [name, description] = stop ? why[stop.reason] : [reason, at]
    const event: DebugProtocol.StoppedEvent = new StoppedEvent(name, THREAD)
    Object.assign(event.body, { description, text: description, allThreadsStopped: true })
    const id = stop?.breakpoint === undefined ? undefined : points.idOf(stop.breakpoint)
    if (id !== undefined) event.body.hitBreakpointIds = [id]
    this.sendEvent(event)
  }

  private async evaluate(args: Arguments): Promise<object> {
    const { debug } = this.still
    const expression = text('evaluate', 'expression', args['expression'])
    if (args['context'] !== 'repl') {
      const value = debug.evaluate(expression)
      return { result: debug.place(value), variablesReference: 0, memoryReference: `0x${value.toString(16)}` }
    }
    const before = debug.timeline.position
    const report = await debug.run(expression)
    if (debug.finished) throw new DebuggerError('quit: end the session in the editor instead')
    if (debug.timeline.position !== before) {
      this.showOutput()
      this.sendStopped('goto')
    }
    return { result: (report?.lines ?? []).join('\n'), variablesReference: 0 }
  }

  private completions(args: Arguments): object {
    const line = text('completions', 'text', args['text'])
    const [found, part] = this.still.debug.complete(line.slice(0, number(args['column'], line.length + 1) - 1))
    return { targets: found.map((label) => ({ label, start: line.length - part.length, length: part.length })) }
  }

  /** Says something that no response can say. */
  private complain(line: string): void {
    this.sendEvent(new OutputEvent(`kaal: ${line}\n`, 'stderr'))
  }

  private end(): void {
    if (this.over) return
    this.over = true
    this.pause()
    this.opened?.reader.close()
    this.host.ended()
  }
}

const instructionWise = (args: Arguments): boolean => args['granularity'] === 'instruction'

/** Whole number of an argument, or what is taken if it is none. */
const number = (value: unknown, otherwise: number): number =>
  typeof value === 'number' && Number.isInteger(value) ? value : otherwise

function text(request: string, name: string, value: unknown): string {
  if (typeof value !== 'string') throw new RequestError(`${request}: ${name} is missing`)
  return value
}

function texts(name: string, value: unknown): readonly string[] {
  if (value === undefined) return []
  if (Array.isArray(value) && value.every((each) => typeof each === 'string')) return value
  throw new RequestError(`launch: ${name} is not a list of paths`)
}

function startOf(position: unknown, end: number): number {
  if (position === undefined || position === 'start') return 0
  if (position === 'end') return end
  const found = typeof position === 'string' ? parseCount(position) : position
  if (typeof found === 'number' && Number.isInteger(found) && found >= 0 && found <= end) return found
  throw new RequestError(`launch: position ${JSON.stringify(position)}: give one of 0 to ${grouped(end)}, start or end`)
}

function refuse(what: string): never {
  throw new RequestError(`${what}: a recording cannot be changed`)
}
