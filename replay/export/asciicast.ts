/** The guest's console as an asciicast, version 2 (docs.asciinema.org): a line of JSON for what is printed at a moment. */
import type { Happening } from './happenings.js'

/** What the header says. */
export interface CastHeader {
  readonly title: string
  /** What the guest's real-time clock showed at reset, in seconds of the Unix epoch. */
  readonly timestamp: number
}

/** Bytes closer together than this, in virtual nanoseconds, make one event. */
const TOGETHER = 1_000_000
const SECOND = 1e9

/** Writes what went through the UART, both ways; times are virtual seconds since reset. What is no UTF-8 becomes U+FFFD. */
export function* asciicast(happenings: readonly Happening[], header: CastHeader): IterableIterator<string> {
  yield `${JSON.stringify({ version: 2, width: 100, height: 30, ...header })}\n`
  // One for each direction: a character may come in several events.
  const decoders = [new TextDecoder(), new TextDecoder()] as const
  let run: { time: number; direction: 0 | 1; bytes: number[] } | undefined
  const event = ({ time, direction, bytes }: NonNullable<typeof run>, last = false): string => {
    const text = decoders[direction].decode(Uint8Array.from(bytes), { stream: !last })
    return text === '' ? '' : `${JSON.stringify([time / SECOND, direction === 0 ? 'o' : 'i', text])}\n`
  }
  for (const happening of happenings) {
    if (happening.kind !== 'uart') continue
    const { time, direction, byte } = happening
    if (run && (run.direction !== direction || time - run.time >= TOGETHER)) {
      yield event(run)
      run = undefined
    }
    run ??= { time, direction, bytes: [] }
    run.bytes.push(byte)
  }
  if (run) yield event(run, true)
}
