/** Restores the whole trace from a packed one: into a file that gets its name only when the replay has reached the expected digest. */
import type { Engine } from '../../cpu/translator/translator.js'
import { TraceError } from '../../trace/errors.js'
import type { PackedTrace } from '../../trace/pack/packed-trace.js'
import { draftName, equalBytes, fileKind, publish, realPath, removeDatabase } from '../../trace/platform.js'
import { TraceReader } from '../../trace/reader.js'
import { TraceWriter } from '../../trace/writer.js'
import { type RestoreResult, type RestoreRun, Restorer, restoredTrace } from './restorer.js'

/** How to unpack. */
export interface UnpackOptions extends Omit<RestoreRun, 'to'> {
  /** Replace a file that exists. */
  readonly force?: boolean
  readonly engine?: Engine
}

/** The outcome, and of a trace that has been restored whether its file is the one that was packed, byte for byte; undefined if nothing tells. */
export type UnpackResult = RestoreResult & { readonly identical?: boolean }

/**
 * Unpacks to the file at `path`. Unless the outcome is `same`, there is no file there that was not there before.
 *
 * @throws {TraceError} `exists` unless `force` is set; and if the trace cannot be written.
 */
export async function unpack(pack: PackedTrace, path: string, options: UnpackOptions = {}): Promise<UnpackResult> {
  const force = options.force === true
  const exists = (): TraceError =>
    new TraceError(path, 'exists', 'exists already: give another name, or --force to replace it')
  const kind = fileKind(path)
  if (kind === 'directory') throw new TraceError(path, 'access', 'is a directory: give the name of a file')
  if (kind === 'other') throw new TraceError(path, 'access', 'is not a regular file')
  if (kind === 'file' && !force) throw exists()
  const file = realPath(path)
  const draft = draftName(file)
  try {
    const trace = restoredTrace(pack)
    const writer = TraceWriter.create(draft, { ...trace, force: true })
    const restorer = new Restorer(pack, { writer })
    if (options.engine) restorer.execution.machine.cpu.setEngine(options.engine)
    const result = await restorer.run(options)
    if (result.kind !== 'same') return result
    const identical = sameSeal(pack, draft)
    if (!publish(draft, file, force)) throw exists()
    return { ...result, ...(identical !== undefined && { identical }) }
  } catch (error) {
    // People know the file by the name that they gave it.
    if (error instanceof TraceError && error.path === draft)
      throw new TraceError(path, error.kind, error.reason, error.cause)
    throw error
  } finally {
    removeDatabase(draft)
  }
}

function sameSeal(pack: PackedTrace, file: string): boolean | undefined {
  const reader = TraceReader.open(file)
  const { sealBytes } = reader
  reader.close()
  const { seal } = pack.manifest
  return seal && sealBytes ? equalBytes(seal, sealBytes) : undefined
}
