/**
 * A gdb session: answers one client's packets (gdb manual, appendix E) from a timeline. Knows no sockets: bytes go in, bytes come out.
 *
 * A recording cannot be changed: writes of registers and memory are refused, as rr does.
 */
import type { Timeline } from '../timeline.js'
import type { Monitor } from './monitor.js'
import { ERROR, Motion, THREAD } from './motion.js'
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
/** Bytes of memory in an answer, at most. */
const MOST_BYTES = (PACKET_SIZE - 16) / 2
/** One client. */
export class GdbSession {
  private readonly timeline: Timeline
  private readonly monitor: Monitor
  private readonly host: SessionHost
  private readonly packets = new PacketReader()
  private readonly registers: readonly TargetRegister[]
  private readonly xml: string
  private readonly motion: Motion
  private acknowledging = true
  private lastSent = ''
  /** Packets still to be answered; the first one is being answered. */
  private readonly queue: string[] = []
  private answering = false
  /** Resolves when what is being answered is answered. */
  private answered = Promise.resolve()
  private closed = false

  constructor(timeline: Timeline, monitor: Monitor, host: SessionHost) {
    this.timeline = timeline
    this.monitor = monitor
    this.host = host
    this.registers = targetRegisters(timeline.machine.cpu)
    this.xml = targetXml(this.registers)
    this.motion = new Motion(timeline, (stop) => this.send(`O${textToHex(`${monitor.describe(stop)}\n`)}`))
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
          this.motion.interrupt(this.queue.length > 0)
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
    this.motion.removePoints()
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
    this.motion.idle()
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
        return this.motion.lastStop
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
        return rest === '' ? this.motion.resume(data[0]) : this.resumeAt(data[0], rest)
      case 'S':
      case 'C':
        return this.motion.resume(data[0] === 'S' ? 's' : 'c')
      case 'b':
        return data === 'bs' || data === 'bc' ? this.motion.resume(data) : ''
      case 'Z':
      case 'z':
        return this.motion.changePoint(data[0] === 'Z', rest)
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
      if (verb === 'r') return this.motion.stepRange(argument)
      return this.motion.resume(verb.toLowerCase() === 's' ? 's' : 'c')
    }
    return ERROR
  }

  private query(data: string): string {
    const name = /^[A-Za-z]*/.exec(data)?.[0] ?? ''
    switch (name) {
      case 'qSupported':
        this.motion.knows.swbreak = data.includes('swbreak+')
        this.motion.knows.hwbreak = data.includes('hwbreak+')
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
    if (this.timeline.position !== before) this.motion.moved()
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

  /** `s ADDRESS` and `c ADDRESS`: only from where it stands, since a recording cannot be made to go elsewhere. */
  private resumeAt(how: 's' | 'c', argument: string): Promise<string> | string {
    return parseHex(argument) === this.timeline.machine.cpu.state.pc ? this.motion.resume(how) : REFUSED
  }
}
