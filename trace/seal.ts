/**
 * The seal of a finished trace: the sha256 of its file, kept inside it, with its own 32 bytes read as zeros.
 *
 * A trace is finished in two steps. A transaction writes all that is left and a placeholder for the seal; then the placeholder is
 * overwritten in place. A crash before the first step's commit or between the two leaves a trace that counts as unfinished.
 */
import { createSha256, equalBytes, findBytes, openFile, sha256, type RandomFile } from './platform.js'

const SEAL_BYTES = 32
const CHUNK = 1 << 20

/** The placeholder of the trace with this uuid: bytes that nothing else in the file holds. */
export function sealPlaceholder(uuid: string): Uint8Array {
  return sha256(new TextEncoder().encode(`kaal seal ${uuid}`))
}

interface SealScan {
  /** sha256 of the file with every place in {@link places} zeroed. */
  readonly hash: Uint8Array
  /** Offsets at which the bytes sought stand. */
  readonly places: number[]
}

/** Reads the file once, in pieces. */
function scan(file: RandomFile, sought: Uint8Array): SealScan {
  const sha = createSha256()
  const places: number[] = []
  const keep = SEAL_BYTES - 1
  const buffer = new Uint8Array(CHUNK + keep)
  let held = 0
  for (let offset = 0; ;) {
    const got = file.read(buffer.subarray(held, held + CHUNK), offset)
    offset += got
    const end = held + got
    const bytes = buffer.subarray(0, end)
    for (let at = findBytes(bytes, sought, 0); at >= 0; at = findBytes(bytes, sought, at + SEAL_BYTES)) {
      places.push(offset - end + at)
      bytes.fill(0, at, at + SEAL_BYTES)
    }
    // The last bytes may be the start of a match that the next piece completes.
    const done = got === 0 ? end : Math.max(0, end - keep)
    sha.update(buffer.subarray(0, done))
    buffer.copyWithin(0, done, end)
    held = end - done
    if (got === 0) return { hash: sha.digest(), places }
  }
}

/** Overwrites the placeholder of the closed trace at `path`. @throws {Error} if it does not stand in exactly one place. */
export function writeSeal(path: string, placeholder: Uint8Array): void {
  const file = openFile(path, 'r+')
  try {
    const { hash, places } = scan(file, placeholder)
    if (places.length !== 1) throw new Error(`the seal's placeholder stands in ${places.length} places, not one`)
    file.write(hash, places[0])
  } finally {
    file.close()
  }
}

/** Checks the seal of the file at `path`. @returns what is wrong; undefined if nothing. */
export function checkSeal(path: string, seal: Uint8Array): string | undefined {
  if (seal.length !== SEAL_BYTES) return `seal of ${seal.length} bytes, not ${SEAL_BYTES}`
  const file = openFile(path, 'r')
  try {
    const { hash, places } = scan(file, seal)
    if (places.length !== 1) return `the seal stands in ${places.length} places, not one`
    return equalBytes(hash, seal)
      ? undefined
      : 'the seal does not match the file: bytes were changed since it was recorded'
  } finally {
    file.close()
  }
}
