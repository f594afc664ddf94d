/** A client of the Debug Adapter Protocol: drives the real command over its standard input and output. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { ROOT } from '../../cli/kaal.js'

/** A message of the protocol. */
export interface Message {
  readonly type: 'response' | 'event'
  readonly seq: number
  readonly request_seq?: number
  readonly success?: boolean
  readonly command?: string
  readonly event?: string
  readonly message?: string
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- bodies are of as many shapes as there are requests
  readonly body?: any
}

const PATIENCE = 20_000

/** A client and its adapter. */
export class DapClient {
  readonly messages: Message[] = []
  stderr = ''
  private readonly child: ChildProcessWithoutNullStreams
  private raw = Buffer.alloc(0)
  private seq = 1
  private taken = new Set<Message>()
  private wake: () => void = () => {}
  private readonly exited: Promise<number | null>

  constructor(args: readonly string[] = []) {
    this.child = spawn(process.execPath, [`${ROOT}cli/bin.js`, 'dap', ...args])
    this.child.stdout.on('data', (piece: Buffer) => this.read(piece))
    this.child.stderr.on('data', (piece: Buffer) => (this.stderr += piece.toString()))
    this.child.stdin.on('error', () => {})
    this.exited = new Promise((resolve) => this.child.on('close', resolve))
  }

  /** Sends bytes as they are. */
  write(bytes: string | Uint8Array): void {
    this.child.stdin.write(bytes)
  }

  /** Sends a request; gives its response. */
  async send(command: string, args: object = {}): Promise<Message> {
    const seq = this.seq++
    const json = JSON.stringify({ type: 'request', seq, command, arguments: args })
    this.write(`Content-Length: ${Buffer.byteLength(json)}\r\n\r\n${json}`)
    return this.find((message) => message.type === 'response' && message.request_seq === seq)
  }

  /** Sends a request that must succeed; gives the body of its response. */
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- see Message
  async ask(command: string, args: object = {}): Promise<any> {
    const { success, message, body } = await this.send(command, args)
    if (!success) throw new Error(`${command}: ${message}`)
    return body
  }

  /** The next event of that name that has not been given yet. */
  event(name: string): Promise<Message> {
    return this.find((message) => message.type === 'event' && message.event === name)
  }

  /** Sends a request that moves; gives the body of the event that says where it stopped. */
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- see Message
  async move(command: string, args: object = {}): Promise<any> {
    await this.ask(command, { threadId: 1, ...args })
    return (await this.event('stopped')).body
  }

  /** Ends standard input; gives the exit code. */
  end(): Promise<number | null> {
    this.child.stdin.end()
    return this.exited
  }

  private async find(wanted: (message: Message) => boolean): Promise<Message> {
    const begun = performance.now()
    for (;;) {
      const found = this.messages.find((message) => !this.taken.has(message) && wanted(message))
      if (found) {
        this.taken.add(found)
        return found
      }
      const left = PATIENCE - (performance.now() - begun)
      if (left <= 0) throw new Error(`no such message; the last ones: ${JSON.stringify(this.messages.slice(-3))}`)
      await new Promise<void>((resolve) => {
        this.wake = resolve
        setTimeout(resolve, left)
      })
    }
  }

  private read(piece: Buffer): void {
    this.raw = Buffer.concat([this.raw, piece])
    for (;;) {
      const match = /^Content-Length: (\d+)\r\n\r\n/.exec(this.raw.toString('latin1'))
      if (!match) return
      const [start, end] = [match[0].length, match[0].length + Number(match[1])]
      if (this.raw.length < end) return
      this.messages.push(JSON.parse(this.raw.toString('utf8', start, end)) as Message)
      this.raw = this.raw.subarray(end)
      this.wake()
    }
  }
}
