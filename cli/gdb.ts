/** `kaal debug --gdb PORT`: waits on 127.0.0.1 for one gdb after another. */
import { type Server, type Socket, createServer } from 'node:net'
import { InvalidArgumentError } from 'commander'
import type { Engine } from '../cpu/translator/translator.js'
import { Monitor } from '../replay/gdb/monitor.js'
import { GdbSession } from '../replay/gdb/session.js'
import { Timeline, type TimelineOptions } from '../replay/timeline.js'
import { TraceReader } from '../trace/reader.js'
import { Exit, UsageError } from './errors.js'
import { say } from './output.js'

const HOST = '127.0.0.1'
/** A client that sends faster than it is answered, or does not read the answers, waits. */
const BACKLOG = 256
const UNREAD = 2 ** 20
/** Milliseconds that a second client waits for the first to leave. */
const GRACE = 300

/** The argument of `--gdb`. */
export function portNumber(text: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : Infinity
  if (port > 65535) throw new InvalidArgumentError('give a port of 1 to 65535, or 0 for any that is free')
  return port
}

/** The argument of `--checkpoint-memory`, in bytes. */
export function megabytes(text: string): number {
  const count = /^\d{1,6}$/.test(text) ? Number(text) : 0
  if (count < 1) throw new InvalidArgumentError('give a number of megabytes of at least 1')
  return count * 2 ** 20
}

/**
 * Serves a trace to gdb until a client ends it, or Ctrl-C does.
 *
 * @returns the exit code.
 */
export async function serveGdb(path: string, port: number, engine: Engine, options: TimelineOptions): Promise<number> {
  const reader = TraceReader.open(path)
  try {
    const timeline = new Timeline(reader, options)
    timeline.machine.cpu.setEngine(engine)
    const listener = await listenForGdb(reader, timeline, port)
    process.on('SIGINT', listener.close)
    process.on('SIGTERM', listener.close)
    say(`waiting for gdb on ${HOST}:${listener.port}; in gdb: target remote :${listener.port}`)
    await listener.ended
    return Exit.GOOD
  } finally {
    reader.close()
  }
}

/** A gdb server that listens. */
export interface GdbListener {
  readonly port: number
  /** Resolves when a client has asked for the end (`kill`), or {@link close} was called. */
  readonly ended: Promise<void>
  readonly close: () => void
}

/**
 * Listens for gdb. There is one client at a time; others are turned away. When it detaches or is gone, the next one finds the timeline where it
 * was left; `kill` ends the server.
 *
 * @param port 0 for any that is free.
 * @throws {UsageError} if the port cannot be had.
 */
export async function listenForGdb(reader: TraceReader, timeline: Timeline, port: number): Promise<GdbListener> {
  const monitor = new Monitor(reader, timeline)
  let client: Socket | undefined
  /** When the client has left the timeline. */
  let gone: Promise<unknown> = Promise.resolve()
  let end = (): void => {}
  const ended = new Promise<void>((resolve) => {
    end = resolve
  })
  const accept = async (socket: Socket): Promise<void> => {
    // Whatever the reason, the connection is closed next.
    socket.on('error', () => {})
    // The one before may be gone without anybody having noticed; until somebody listens, the socket keeps what comes.
    if (client) await Promise.race([gone, new Promise((resolve) => setTimeout(resolve, GRACE))])
    if (client) {
      socket.destroy()
      return
    }
    client = socket
    gone = serve(socket, timeline, monitor, close).finally(() => (client = undefined))
  }
  const server = createServer((socket) => void accept(socket))
  function close(): void {
    // What has been answered still goes out, and then nothing comes in any more.
    server.close(end)
    client?.end(() => client?.destroy())
  }
  await listening(server, port)
  const address = server.address()
  return { port: typeof address === 'object' && address ? address.port : port, ended, close }
}

function listening(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const why = error.code === 'EADDRINUSE' ? 'is in use' : `cannot be had (${error.code ?? error.message})`
      reject(new UsageError(`--gdb ${port}: port ${port} of ${HOST} ${why}; give another one, or 0 for any`))
    })
    server.listen(port, HOST, resolve)
  })
}

/** Serves a client; resolves when it is gone and the timeline is free. */
function serve(socket: Socket, timeline: Timeline, monitor: Monitor, kill: () => void): Promise<void> {
  socket.setNoDelay(true)
  const session = new GdbSession(timeline, monitor, {
    send: (bytes) => {
      socket.write(bytes, 'latin1')
      if (socket.writableLength > UNREAD) hold()
    },
    detached: () => socket.end(),
    killed: kill,
  })
  let held: NodeJS.Timeout | undefined
  function hold(): void {
    socket.pause()
    held ??= setInterval(() => {
      if (session.backlog > BACKLOG || socket.writableLength > UNREAD) return
      clearInterval(held)
      held = undefined
      socket.resume()
    }, 10)
  }
  socket.on('data', (bytes) => {
    session.receive(bytes)
    if (session.backlog > BACKLOG) hold()
  })
  return new Promise((resolve) => {
    socket.on('close', () => {
      clearInterval(held)
      resolve(session.close())
    })
    if (socket.destroyed) resolve(session.close())
  })
}
