/** Stored results: a few random guests and the hashes that QEMU computed of them, for machines without QEMU. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { brotliCompressSync, brotliDecompressSync, constants } from 'node:zlib'
import { type Checkpoint, hashRun, projectRoot } from '../qemu.js'
import { randomGuest } from './generate.js'
import { MEMORY_MIB } from './run.js'

const FOLDER = 'tests/cpu/random/stored'
const GUESTS = 8
const CASES = 480
const EVERY = 64
const SEED = 2026

/** What is stored of one guest, beside its image. */
export interface StoredGuest {
  /** The compressed image, in the same folder. */
  readonly image: string
  readonly el: number
  readonly mmu: boolean
  /** Random words by row name. */
  readonly words: Readonly<Record<string, number>>
  readonly total: number
  /** Distance of the hashes. */
  readonly every: number
  /** QEMU's cumulative hashes, the last one at the end. */
  readonly hashes: readonly string[]
}

/** Generates the guests, runs them in QEMU and writes what came out. Returns a line for people. */
export async function store(): Promise<string> {
  const folder = join(projectRoot(), FOLDER)
  const temporary = mkdtempSync(join(tmpdir(), 'store-'))
  const guests: StoredGuest[] = []
  let bytes = 0
  try {
    for (let number = 0; number < GUESTS; number++) {
      const { file, setting, counts } = randomGuest(SEED, number, CASES)
      const kernel = join(temporary, 'guest.elf')
      writeFileSync(kernel, file)
      const guest = {
        kernel,
        virtualization: false,
        icountShift: 0,
        append: undefined,
        initrd: undefined,
        memoryMiB: MEMORY_MIB,
      }
      const run = await hashRun(guest, EVERY, { seconds: 60 })
      if (!run.ended) throw new Error(`guest ${number} of seed ${SEED} does not end`)
      const compressed = brotliCompressSync(file, {
        params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_LGWIN]: 22 },
      })
      bytes += compressed.length
      const image = `guest-${number}.elf.br`
      writeFileSync(join(folder, image), compressed)
      const words = Object.fromEntries([...counts].sort(([a], [b]) => (a < b ? -1 : 1)))
      guests.push({
        image,
        el: setting.el,
        mmu: setting.mmu,
        words,
        total: run.total,
        every: EVERY,
        hashes: run.checkpoints.map(({ hash }) => hash),
      })
    }
  } finally {
    rmSync(temporary, { recursive: true, force: true })
  }
  writeFileSync(join(folder, 'results.json'), `${JSON.stringify(guests, undefined, 1)}\n`)
  return `stored ${GUESTS} guests, ${GUESTS * CASES} random words, ${bytes} bytes of images in ${FOLDER}`
}

/** The stored guests. */
export function storedGuests(): readonly StoredGuest[] {
  return JSON.parse(readFileSync(join(projectRoot(), FOLDER, 'results.json'), 'utf8')) as StoredGuest[]
}

/** The image of a stored guest. */
export function storedImage(guest: StoredGuest): Uint8Array {
  return brotliDecompressSync(readFileSync(join(projectRoot(), FOLDER, guest.image)))
}

/** The checkpoints of a stored guest. */
export function storedCheckpoints({ hashes, every, total }: StoredGuest): readonly Checkpoint[] {
  return hashes.map((hash, i) => ({ count: Math.min((i + 1) * every, total), hash }))
}
