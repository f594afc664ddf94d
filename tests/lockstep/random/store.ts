/** Stored results: a few random guests, and those of `../time`, with the hashes that QEMU computed of them, for machines without QEMU. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { brotliCompressSync, brotliDecompressSync, constants } from 'node:zlib'
import { type Checkpoint, QemuError, hashRun, projectRoot } from '../qemu.js'
import { randomGuest } from './generate.js'
import { MEMORY_MIB } from './run.js'

const FOLDER = 'tests/cpu/random/stored'
/** Twice every combination of exception level, MMU and EL2. */
const GUESTS = 14
const CASES = 280
const EVERY = 64
const SEED = 2026

const TIME_FOLDER = 'tests/lockstep/time'
const TIME_GUESTS = ['faults', 'faults-mmu', 'interrupts', 'status']
const TIME_SHIFTS = [0, 1, 7]
const TIME_EVERY = 1024

/** What is stored of one run of a guest, beside its image. */
export interface StoredGuest {
  /** For people: what it is. */
  readonly title: string
  readonly icountShift: number
  readonly virtualization: boolean
  /** The compressed image, in the same folder. */
  readonly image: string
  /** Random words by row name. */
  readonly words: Readonly<Record<string, number>>
  readonly total: number
  /** Distance of the hashes. */
  readonly every: number
  /** QEMU's cumulative hashes, 16 digits each, the last one at the end. */
  readonly hashes: string
}

/** Generates or builds the guests, runs them in QEMU and writes what came out. Returns a line for people. */
export async function store(): Promise<string> {
  const folder = join(projectRoot(), FOLDER)
  const temporary = mkdtempSync(join(tmpdir(), 'store-'))
  const guests: StoredGuest[] = []
  let bytes = 0
  const keep = (image: string, file: Uint8Array): void => {
    const compressed = brotliCompressSync(file, { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } })
    bytes += compressed.length
    writeFileSync(join(folder, image), compressed)
  }
  const add = async (
    title: string,
    image: string,
    file: Uint8Array,
    icountShift: number,
    virtualization: boolean,
    every: number,
    words: ReadonlyMap<string, number>,
  ) => {
    const kernel = join(temporary, 'guest.elf')
    writeFileSync(kernel, file)
    const guest = {
      kernel,
      virtualization,
      icountShift,
      append: undefined,
      initrd: undefined,
      memoryMiB: MEMORY_MIB,
    }
    const run = await hashRun(guest, every, { seconds: 60 })
    if (!run.ended) throw new QemuError(`${title}: the guest does not end`)
    const hashes = run.checkpoints.map(({ hash }) => hash).join('')
    const sorted = Object.fromEntries([...words].toSorted(([a], [b]) => (a < b ? -1 : 1)))
    guests.push({ title, icountShift, virtualization, image, words: sorted, total: run.total, every, hashes })
  }
  try {
    for (let number = 0; number < GUESTS; number++) {
      const { file, setting, counts } = randomGuest(SEED, number, CASES)
      const image = `guest-${number}.elf.br`
      keep(image, file)
      await add(
        `random instructions ${number}, EL${setting.el}, MMU ${setting.mmu ? 'on' : 'off'}`,
        image,
        file,
        0,
        setting.virtualization,
        EVERY,
        counts,
      )
    }
    execFileSync('make', ['-s', '-C', join(projectRoot(), TIME_FOLDER)], { stdio: 'inherit' })
    for (const name of TIME_GUESTS) {
      const file = readFileSync(join(projectRoot(), TIME_FOLDER, `${name}.elf`))
      const image = `${name}.elf.br`
      keep(image, file)
      for (const shift of TIME_SHIFTS)
        await add(`${name}, shift ${shift}`, image, file, shift, false, TIME_EVERY, new Map())
    }
  } finally {
    rmSync(temporary, { recursive: true, force: true })
  }
  writeFileSync(join(folder, 'results.json'), `${JSON.stringify(guests, undefined, 2)}\n`)
  return `stored ${guests.length} runs, ${GUESTS * CASES} random words, ${bytes} bytes of images in ${FOLDER}`
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
  return Array.from({ length: hashes.length / 16 }, (_, i) => ({
    count: Math.min((i + 1) * every, total),
    hash: hashes.slice(16 * i, 16 * i + 16),
  }))
}
