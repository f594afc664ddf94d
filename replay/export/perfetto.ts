/**
 * Perfetto's own format: TracePackets with TrackDescriptors and TrackEvents (protos/perfetto/trace in Perfetto's sources has the numbers).
 * Times are virtual nanoseconds since reset.
 */
import { ProtoWriter } from './protobuf.js'
import type { Layout, Mark } from './tracks.js'

const Trace = { packet: 1 } as const
const TracePacket = {
  timestamp: 8,
  trustedPacketSequenceId: 10,
  trackEvent: 11,
  sequenceFlags: 13,
  trackDescriptor: 60,
} as const
const TrackDescriptor = { uuid: 1, name: 2, process: 3, parentUuid: 5 } as const
const ProcessDescriptor = { pid: 1, processName: 6 } as const
const TrackEvent = { debugAnnotations: 4, type: 9, trackUuid: 11, categories: 22, name: 23 } as const
const DebugAnnotation = { uintValue: 3, stringValue: 6, name: 10 } as const
const TYPES = { begin: 1, end: 2, instant: 3 } as const
/** SEQ_INCREMENTAL_STATE_CLEARED: nothing is known from before. */
const STATE_CLEARED = 1
const SEQUENCE = 1
/** The machine's own track; those of its parts are numbered from here. */
const MACHINE = 1000

/** Writes a layout, a packet at a time. */
export function* perfettoTrace({ tracks, marks }: Layout, title: string): IterableIterator<Uint8Array> {
  const process = new ProtoWriter().uint(ProcessDescriptor.pid, 1).text(ProcessDescriptor.processName, title)
  const machine = new ProtoWriter().uint(TrackDescriptor.uuid, MACHINE).message(TrackDescriptor.process, process)
  yield packet((writer) =>
    writer.uint(TracePacket.sequenceFlags, STATE_CLEARED).message(TracePacket.trackDescriptor, machine),
  )
  for (const { id, name } of tracks) {
    const track = new ProtoWriter()
      .uint(TrackDescriptor.uuid, MACHINE + id)
      .uint(TrackDescriptor.parentUuid, MACHINE)
      .text(TrackDescriptor.name, name)
    yield packet((writer) => writer.message(TracePacket.trackDescriptor, track))
  }
  for (const mark of marks)
    yield packet((writer) => writer.uint(TracePacket.timestamp, mark.time).message(TracePacket.trackEvent, event(mark)))
}

function event({ phase, track, name, category, details }: Mark): ProtoWriter {
  const writer = new ProtoWriter().uint(TrackEvent.type, TYPES[phase]).uint(TrackEvent.trackUuid, MACHINE + track)
  if (phase !== 'end') writer.text(TrackEvent.categories, category).text(TrackEvent.name, name)
  for (const [key, value] of Object.entries(details)) {
    const annotation = new ProtoWriter().text(DebugAnnotation.name, key)
    if (typeof value === 'number') annotation.uint(DebugAnnotation.uintValue, value)
    else annotation.text(DebugAnnotation.stringValue, value)
    writer.message(TrackEvent.debugAnnotations, annotation)
  }
  return writer
}

function packet(fill: (writer: ProtoWriter) => void): Uint8Array {
  const writer = new ProtoWriter().uint(TracePacket.trustedPacketSequenceId, SEQUENCE)
  fill(writer)
  return new ProtoWriter().message(Trace.packet, writer).finish()
}
