/** Chrome's trace event format: JSON for chrome://tracing, the Perfetto UI and others. */
import type { Layout, Mark } from './tracks.js'

/** The one process of the picture: the machine. */
const PID = 1

const PHASES = { begin: 'B', end: 'E', instant: 'i' } as const

/** Writes a layout, an event a line. Times are virtual microseconds since reset. */
export function* chromeTrace({ tracks, marks }: Layout, title: string): IterableIterator<string> {
  yield '{"displayTimeUnit":"ns","traceEvents":[\n'
  yield JSON.stringify({ ph: 'M', name: 'process_name', pid: PID, tid: 0, ts: 0, args: { name: title } })
  for (const { id, name } of tracks) {
    const track = { ph: 'M', pid: PID, tid: id, ts: 0 }
    yield `,\n${JSON.stringify({ ...track, name: 'thread_name', args: { name } })}`
    yield `,\n${JSON.stringify({ ...track, name: 'thread_sort_index', args: { sort_index: id } })}`
  }
  for (const mark of marks) yield `,\n${JSON.stringify(event(mark))}`
  yield '\n]}\n'
}

function event({ phase, track, time, name, category, details }: Mark): Record<string, unknown> {
  const common = { ph: PHASES[phase], ts: time / 1000, pid: PID, tid: track, name, cat: category, args: details }
  return phase === 'instant' ? { ...common, s: 't' } : common
}
