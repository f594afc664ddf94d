/** Recording a guest for a test: in memory of the process, into a trace in a temporary folder. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll } from 'vitest'
import { type MachineConfig, DEFAULT_CONFIG } from '../../devices/config.js'
import { imageFiles, machineRecord } from '../../replay/description.js'
import { type RecordResult, type RecordRun, Recorder } from '../../replay/recorder.js'
import { type SnapshotPolicy, SNAPSHOT_POLICY } from '../../replay/snapshot-policy.js'
import { TraceWriter } from '../../trace/writer.js'

const folder = mkdtempSync(join(tmpdir(), 'kaal-test-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** The bundled kernel. */
export const KAAL = 'tests/guests/kaal-chapter-3.elf'

/** What to record. */
export interface Recording {
  readonly kernel: string | Uint8Array
  readonly config?: Partial<MachineConfig>
  readonly snapshots?: SnapshotPolicy
  readonly input?: Uint8Array
  readonly run?: RecordRun
}

let traces = 0

/** Records a guest; gives the trace's path, the result and the guest's output. */
export async function record(
  recording: Recording,
): Promise<{ path: string; result: RecordResult; output: Uint8Array }> {
  const { kernel } = recording
  const files = {
    kernel:
      typeof kernel === 'string' ? { name: kernel, bytes: readFileSync(kernel) } : { name: 'guest', bytes: kernel },
  }
  const description = {
    config: { ...DEFAULT_CONFIG, memoryBytes: 64 * 2 ** 20, ...recording.config },
    files,
    snapshots: recording.snapshots ?? SNAPSHOT_POLICY,
  }
  const path = join(folder, `${++traces}.kaal`)
  const writer = () =>
    TraceWriter.create(path, {
      kaal: 'test',
      machine: machineRecord(description),
      images: imageFiles(files),
    })
  const output: number[] = []
  const recorder = new Recorder({ ...description, writer, onTransmit: (byte) => output.push(byte) })
  if (recording.input) recorder.send(recording.input)
  recorder.endInput()
  const result = await recorder.run(recording.run)
  return { path, result, output: Uint8Array.from(output) }
}

/** A flat guest from instruction words, loaded at the start of RAM + 512 KiB and entered by the boot stub. */
export function words(...list: number[]): Uint8Array {
  return new Uint8Array(Uint32Array.from(list).buffer)
}
