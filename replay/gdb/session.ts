/**
 * A gdb session: answers one client's packets (gdb manual, appendix E) from a timeline. Knows no sockets: bytes go in, bytes come out.
 *
 * A recording cannot be changed: writes of registers and memory are refused, as rr does.
 *
 * gdb takes AArch64 watchpoints for what its debug registers do: a stop is reported *before* the access, in the direction of travel,
 * and gdb itself steps over it to see the new value. So going forwards a hit is reported in front of the instruction, and
 * going backwards behind it.
 */
import type { Watchpoint } from '../../cpu/mmu/watchpoints.js'
import type { Stop } from '../timeline/points.js'
import type { Timeline } from '../timeline.js'
import { yieldToHost } from '../platform.js'
import type { Monitor } from './monitor.js'
import { PACKET_SIZE, PacketReader, hexToText, packet, parseHex, textToHex, toHex } from './packets.js'
import { CORE_REGISTERS, type TargetRegister, registerHex, targetRegisters, targetXml } from './target.js'

/** Where a session's answers go, and what it asks of the connection. */
export interface SessionHost {
  /** Sends bytes, one character each. */
  send(bytes: string): void
  /** The client has detached: nothing more comes from it. */
  detached(): void
  /** The client wants the server to end. */
  killed(): void
}

const REFUSED = 'E.a recording cannot be changed: registers and memory are read-only'
const ERROR = 'E01'
const SIGINT = '02'
const SIGTRAP = '05'
/** The one vCPU's thread. */
const THREAD = '1'
/** The most breakpoints and watchpoints that a client may set. */
const MOST_POINTS = 4096
/** Bytes of memory in an answer, at most. */
const MOST_BYTES = (PACKET_SIZE - 16) / 2
/** Instructions that a range step may take before it stops by itself. */
const LONGEST_RANGE_STEP = 1_000_000
/** Steps of a range step between two turns of the host's event loop. */
const STEPS_A_TURN = 1024

type PointType = 0 | 1 | 2 | 3 | 4
const WATCH_KINDS: Readonly<Record<2 | 3 | 4, Watchpoint['kind']>> = { 2: 'write', 3: 'read', 4: 'access' }
const WATCH_REASONS = { write: 'watch', read: 'rwatch', access: 'awatch' } as const

/** A breakpoint or watchpoint of the client. */
interface Point {
  readonly id: number
  readonly type: PointType
}

/** One client. */
export class GdbSession {
  private readonly timeline: Timeline
  private readonly monitor: Monitor
  private readonly host: SessionHost
  private readonly packets = new PacketReader()
  private readonly registers: readonly TargetRegister[]
  private readonly xml: string
  private readonly points = new Map<string, Point>()
  private acknowledging = true
  private lastSent = ''
  private lastStop: string
  /** Packets still to be answered; the first one is being answered. */
  private readonly queue: string[] = []
  private answering = false
  /** Resolves when what is being answered is answered. */
  private answered = Promise.resolve()
  private running = false
  private interrupted = false
  private closed = false
  /** The client has these stop reasons explained. */
  private readonly knows = { swbreak: false, hwbreak: false }
  /** Where a watchpoint has been reported last without the access being passed, and in which direction. */
  private reported: { readonly position: number; readonly direction: 'forwards' | 'backwards' } | undefined

  constructor(timeline: Timeline, monitor: Monitor, host: SessionHost) {
    this.timeline = timeline
    this.monitor = monitor
    this.host = host
    this.registers = targetRegisters(timeline.machine.cpu)
    this.xml = targetXml(this.registers)
    this.lastStop = this.stopReply(SIGTRAP, '')
  }

  /** Packets received and not yet answered. */
  get backlog(): number {
    return this.queue.length
  }

  /** Takes bytes from the client. */
  receive(bytes: Uint8Array): void {
    for (const received of this.packets.take(bytes)) {
      if (this.closed) return
      switch (received.kind) {
        case 'interrupt':
          this.interrupted = this.running
          if (this.running) this.timeline.interrupt()
          break
        case 'ack':
          break
        case 'nack':
          if (this.acknowledging && this.lastSent !== '') this.host.send(this.lastSent)
          break
        case 'damaged':
          if (this.acknowledging) this.host.send('-')
          break
        case 'overlong':
          if (this.acknowledging) this.host.send('+')
          this.queue.push('overlong')
          break
        case 'packet':
          if (this.acknowledging) this.host.send('+')
          this.queue.push(received.data)
          break
      }
    }
    if (!this.answering) this.answered = this.answerAll()
  }

  /** The connection is gone: what the client has set goes too. Resolves when the timeline is free for others. */
  async close(): Promise<void> {
    this.closed = true
    this.queue.length = 0
    this.timeline.interrupt()
    await this.answered
    for (const { id, type } of this.points.values()) this.removePoint(id, type)
    this.points.clear()
    for (const { id } of this.timeline.catchpoints.list()) this.timeline.catchpoints.delete(id)
  }

  private async answerAll(): Promise<void> {
    this.answering = true
    while (this.queue.length > 0 && !this.closed) {
      const data = this.queue.shift() ?? ''
      let answer: string | undefined
      try {
        answer = await this.answer(data)
      } catch (error) {
        answer = `E.${error instanceof Error ? error.message : String(error)}`
      }
      if (answer !== undefined && !this.isClosed()) this.send(answer)
    }
    this.answering = false
  }

  /** Asked anew behind an await. */
  private isClosed(): boolean {
    return this.closed
  }

  private send(data: string): void {
    this.lastSent = packet(data)
    this.host.send(this.lastSent)
  }

  /** The answer to a packet; an empty one says that it is not known, undefined that there is none. */
  private async answer(data: string): Promise<string | undefined> {
    const rest = data.slice(1)
    switch (data[0]) {
      case '?':
        return this.lastStop
      case 'g':
        return this.registers.slice(0, CORE_REGISTERS).map(registerHex).join('')
      case 'p': {
        const number = parseHex(rest)
        const register = number === undefined ? undefined : this.registers[Number(number)]
        return register ? registerHex(register) : ERROR
      }
      case 'G':
      case 'P':
      case 'M':
      case 'X':
        return REFUSED
      case 'm':
        return this.readMemory(rest)
      case 's':
      case 'c':
        return rest === '' ? this.resume(data[0]) : this.resumeAt(data[0], rest)
      case 'S':
      case 'C':
        return this.resume(data[0] === 'S' ? 's' : 'c')
      case 'b':
        return data === 'bs' || data === 'bc' ? this.resume(data) : ''
      case 'Z':
      case 'z':
        return this.changePoint(data[0] === 'Z', rest)
      case 'H':
        return /^[cg](-1|0|1|)$/.test(rest) ? 'OK' : ERROR
      case 'T':
        return rest === THREAD ? 'OK' : ERROR
      case 'D':
        this.send('OK')
        this.host.detached()
        return undefined
      case 'k':
        this.host.killed()
        return undefined
      case 'v':
        return this.answerLong(data)
      case 'q':
      case 'Q':
        return this.query(data)
      default:
        return data === 'overlong' ? ERROR : ''
    }
  }

  private answerLong(data: string): Promise<string> | string | undefined {
    if (data === 'vCont?') return 'vCont;c;C;s;S;r'
    if (data.startsWith('vKill')) {
      this.send('OK')
      this.host.killed()
      return undefined
    }
    if (!data.startsWith('vCont;')) return ''
    for (const action of data.slice('vCont;'.length).split(';')) {
      const match = /^([csCSr])([0-9a-f,]*)(?::(-?[0-9a-f]+))?$/i.exec(action)
      if (!match) return ERROR
      const [, verb, argument, thread] = match
      if (thread !== undefined && !['-1', '0', THREAD].includes(thread)) continue
      if (verb === 'r') return this.whileRunning(() => this.stepRange(argument))
      return this.resume(verb.toLowerCase() === 's' ? 's' : 'c')
    }
    return ERROR
  }

  private query(data: string): string {
    const name = /^[A-Za-z]*/.exec(data)?.[0] ?? ''
    switch (name) {
      case 'qSupported':
        this.knows.swbreak = data.includes('swbreak+')
        this.knows.hwbreak = data.includes('hwbreak+')
        return [
          `PacketSize=${PACKET_SIZE.toString(16)}`,
          'QStartNoAckMode+',
          'qXfer:features:read+',
          'vContSupported+',
          'ReverseStep+',
          'ReverseContinue+',
          'swbreak+',
          'hwbreak+',
        ].join(';')
      case 'QStartNoAckMode':
        // The answer is the last thing to be acknowledged; nothing is lost if that never comes.
        this.acknowledging = false
        return 'OK'
      case 'qXfer':
        return this.transfer(data)
      case 'qfThreadInfo':
        return `m${THREAD}`
      case 'qsThreadInfo':
        return 'l'
      case 'qC':
        return `QC${THREAD}`
      case 'qAttached':
        return '1'
      case 'qThreadExtraInfo':
        return textToHex(`vCPU 0, EL${this.timeline.machine.cpu.state.el}`)
      case 'qSymbol':
        return 'OK'
      case 'qRcmd':
        return this.command(data.slice('qRcmd,'.length))
      default:
        return ''
    }
  }

  /** `qXfer:features:read:target.xml:OFFSET,LENGTH`. */
  private transfer(data: string): string {
    const match = /^qXfer:features:read:([^:]*):([0-9a-f]+),([0-9a-f]+)$/i.exec(data)
    if (!match) return ''
    const [, annex, from, length] = match
    if (annex !== 'target.xml') return 'E00'
    const start = Number.parseInt(from, 16)
    const piece = this.xml.slice(start, start + Math.min(Number.parseInt(length, 16), PACKET_SIZE / 2))
    return `${start + piece.length < this.xml.length ? 'm' : 'l'}${piece}`
  }

  private command(hex: string): string {
    const line = hexToText(hex)
    if (line === undefined) return ERROR
    const before = this.timeline.position
    const output = `${this.monitor.execute(line)}\n`
    if (this.timeline.position !== before) this.reported = undefined
    // In pieces that fit a packet, whatever the escapes.
    const digits = textToHex(output)
    const size = PACKET_SIZE / 2
    for (let at = 0; at < digits.length; at += size) this.send(`O${digits.slice(at, at + size)}`)
    return 'OK'
  }

  private readMemory(argument: string): string {
    const [address, length] = argument.split(',', 2).map(parseHex)
    if (address === undefined || length === undefined) return ERROR
    const count = length > BigInt(MOST_BYTES) ? MOST_BYTES : Number(length)
    if (count === 0) return ''
    const bytes = this.timeline.readMemory(address, count)
    if (bytes) return toHex(bytes)
    // As far as it goes: up to the first page that leads nowhere.
    const readable: Uint8Array[] = []
    for (let at = address, left = count; left > 0;) {
      const piece = Math.min(left, 4096 - Number(at & 0xfffn))
      const part = this.timeline.readMemory(at, piece)
      if (!part) break
      readable.push(part)
      at = BigInt.asUintN(64, at + BigInt(piece))
      left -= piece
    }
    return readable.length > 0 ? readable.map(toHex).join('') : 'E14'
  }

  /** `TYPE,ADDRESS,KIND`, what may follow it being conditions, which are not supported and which gdb checks itself. */
  private changePoint(insert: boolean, argument: string): string {
    const match = /^([0-4]),([0-9a-f]{1,16}),([0-9a-f]{1,13})$/i.exec(argument)
    if (!match) return /^[5-9]/.test(argument) ? '' : ERROR
    const key = argument.toLowerCase()
    const type = Number(match[1]) as PointType
    const known = this.points.get(key)
    if (!insert) {
      if (known) this.removePoint(known.id, type)
      this.points.delete(key)
      return 'OK'
    }
    if (known) return 'OK'
    if (this.points.size >= MOST_POINTS) return 'E.too many breakpoints'
    const address = BigInt(`0x${match[2]}`)
    if (type < 2) {
      if (address % 4n !== 0n) return ERROR
      this.points.set(key, { id: this.timeline.breakpoints.add(address), type })
      return 'OK'
    }
    const watchpoint = { address, length: Number.parseInt(match[3], 16), kind: WATCH_KINDS[type as 2 | 3 | 4] }
    this.points.set(key, { id: this.timeline.watchpoints.add(watchpoint), type })
    return 'OK'
  }

  private removePoint(id: number, type: PointType): void {
    if (type < 2) this.timeline.breakpoints.delete(id)
    else this.timeline.watchpoints.delete(id)
  }

  /** `s ADDRESS` and `c ADDRESS`: only from where it stands, since a recording cannot be made to go elsewhere. */
  private resumeAt(how: 's' | 'c', argument: string): Promise<string> | string {
    return parseHex(argument) === this.timeline.machine.cpu.state.pc ? this.resume(how) : REFUSED
  }

  private async resume(how: 's' | 'c' | 'bs' | 'bc'): Promise<string> {
    return this.whileRunning(async () => {
      if (how === 's') return this.stopped(this.step(), 'forwards')
      if (how === 'c') return this.stopped(await this.continue(), 'forwards')
      return this.stopped(how === 'bs' ? this.stepBack() : await this.continueBack(), 'backwards')
    })
  }

  /** Does something that the client may interrupt. */
  private async whileRunning(action: () => Promise<string>): Promise<string> {
    this.running = true
    this.interrupted = false
    try {
      return await action()
    } finally {
      this.running = false
    }
  }

  /** Steps while the PC stays in `START,END`, as gdb asks for when it steps a source line. */
  private async stepRange(argument: string): Promise<string> {
    const [start, end] = argument.split(',', 2).map(parseHex)
    if (start === undefined || end === undefined) return ERROR
    const { timeline } = this
    for (let n = 1; n < LONGEST_RANGE_STEP; n++) {
      if (n % STEPS_A_TURN === 0) {
        await yieldToHost()
        if (this.interrupted) return this.stopped({ reason: 'interrupted', position: timeline.position }, 'forwards')
      }
      const stop = this.step()
      const { pc } = timeline.machine.cpu.state
      const breakpoint = timeline.breakpoints.list().find(({ address }) => address === pc)
      if (stop.reason === 'step' && breakpoint)
        return this.stopped({ ...stop, reason: 'breakpoint', breakpoint: breakpoint.id }, 'forwards')
      if (stop.reason !== 'step' || pc < start || pc >= end) return this.stopped(stop, 'forwards')
    }
    return this.stopped({ reason: 'step', position: timeline.position }, 'forwards')
  }

  private step(): Stop {
    return this.passing('forwards') ? this.timeline.step() : this.timeline.stepWatched()
  }

  private stepBack(): Stop {
    return this.passing('backwards') ? this.timeline.reverseStep() : this.timeline.reverseStepWatched()
  }

  private async continue(): Promise<Stop> {
    const { timeline } = this
    if (this.passing('forwards')) {
      const stop = timeline.step()
      const { pc } = timeline.machine.cpu.state
      const breakpoint = timeline.breakpoints.list().find(({ address }) => address === pc)
      if (stop.reason === 'step' && breakpoint)
        return { reason: 'breakpoint', position: timeline.position, breakpoint: breakpoint.id }
    }
    return timeline.continue()
  }

  private async continueBack(): Promise<Stop> {
    if (this.passing('backwards')) this.timeline.reverseStep()
    return this.timeline.reverseContinue()
  }

  /** Whether the access next on the way has been reported already: a client that does not step over it shall not meet it again. */
  private passing(direction: 'forwards' | 'backwards'): boolean {
    const { reported } = this
    this.reported = undefined
    return reported?.direction === direction && reported.position === this.timeline.position
  }

  /** Goes to where gdb wants to see a stop, and says it. */
  private stopped(stop: Stop, direction: 'forwards' | 'backwards'): string {
    const { timeline } = this
    const { reason, access, breakpoint } = stop
    switch (reason) {
      case 'start':
        return this.stopReply(SIGTRAP, 'replaylog:begin;')
      case 'end':
        return this.stopReply(SIGTRAP, 'replaylog:end;')
      case 'interrupted':
        return this.stopReply(SIGINT, '')
      case 'event':
        this.send(`O${textToHex(`${this.monitor.describe(stop)}\n`)}`)
        return this.stopReply(SIGTRAP, '')
      case 'breakpoint': {
        const hardware = [...this.points.values()].some(({ id, type }) => id === breakpoint && type === 1)
        const name = hardware ? 'hwbreak' : 'swbreak'
        return this.stopReply(SIGTRAP, this.knows[name] ? `${name}:;` : '')
      }
      case 'watchpoint': {
        if (direction === 'forwards') timeline.reverseStep()
        else timeline.step()
        this.reported = { position: timeline.position, direction }
        const watchpoint = timeline.watchpoints.list().find(({ id }) => id === breakpoint)
        if (!watchpoint || !access) return this.stopReply(SIGTRAP, '')
        // gdb knows its watchpoint by an address in it.
        const address = access.address > watchpoint.address ? access.address : watchpoint.address
        return this.stopReply(SIGTRAP, `${WATCH_REASONS[watchpoint.kind]}:${address.toString(16)};`)
      }
      default:
        return this.stopReply(SIGTRAP, '')
    }
  }

  private stopReply(signal: string, reasons: string): string {
    this.lastStop = `T${signal}thread:${THREAD};${reasons}`
    return this.lastStop
  }
}
