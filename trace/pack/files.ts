/** The file of a packed trace: it gets its name only when it is whole. */
import { TraceError } from '../errors.js'
import { draftName, fileKind, hostFailure, publish, realPath, removeDatabase, writeBytes } from '../platform.js'

/**
 * Writes a pack to the file at `path`.
 *
 * @param make makes its bytes; called only if the file may be written.
 * @throws {TraceError} `exists` unless `force` is set; `access`, `full` or `write` as the disk decides. Nothing half-written is left.
 */
export async function writePack(path: string, make: () => Promise<Uint8Array>, force: boolean): Promise<void> {
  const exists = (): TraceError =>
    new TraceError(path, 'exists', 'exists already: give another name, or --force to replace it')
  const kind = fileKind(path)
  if (kind === 'directory') throw new TraceError(path, 'access', 'is a directory: give the name of a file')
  if (kind === 'other') throw new TraceError(path, 'access', 'is not a regular file')
  if (kind === 'file' && !force) throw exists()
  const bytes = await make()
  const file = realPath(path)
  const draft = draftName(file)
  try {
    writeBytes(draft, bytes)
    if (!publish(draft, file, force)) throw exists()
  } catch (error) {
    const failure = hostFailure(error)
    if (failure === undefined) throw error
    const reason = failure.kind === 'missing' ? 'its folder does not exist' : failure.reason
    const known = failure.kind === 'full' || failure.kind === 'write' ? failure.kind : 'access'
    throw new TraceError(path, known, `cannot write the pack: ${reason}`, error)
  } finally {
    removeDatabase(draft)
  }
}
