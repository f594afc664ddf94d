/** Files that get their names only when they are whole. */
import { TraceError } from './errors.js'
import { draftName, fileKind, hostFailure, publish, realPath, removeDatabase, writePieces } from './platform.js'

/** The content of a file. */
export type Pieces = Iterable<Uint8Array | string>

/**
 * Writes the file at `path`.
 *
 * @param make makes what goes in, piece by piece; called only if the file may be written.
 * @throws {TraceError} `exists` unless `force` is set; `access`, `full` or `write` as the disk decides. Nothing half-written is left.
 */
export async function writeWhole(path: string, make: () => Promise<Pieces>, force: boolean): Promise<void> {
  const exists = (): TraceError =>
    new TraceError(path, 'exists', 'exists already: give another name, or --force to replace it')
  const kind = fileKind(path)
  if (kind === 'directory') throw new TraceError(path, 'access', 'is a directory: give the name of a file')
  if (kind === 'other') throw new TraceError(path, 'access', 'is not a regular file')
  if (kind === 'file' && !force) throw exists()
  const pieces = await make()
  const file = realPath(path)
  const draft = draftName(file)
  try {
    writePieces(draft, pieces)
    if (!publish(draft, file, force)) throw exists()
  } catch (error) {
    const failure = hostFailure(error)
    if (failure === undefined) throw error
    const reason = failure.kind === 'missing' ? 'its folder does not exist' : failure.reason
    const known = failure.kind === 'full' || failure.kind === 'write' ? failure.kind : 'access'
    throw new TraceError(path, known, `cannot write: ${reason}`, error)
  } finally {
    removeDatabase(draft)
  }
}
