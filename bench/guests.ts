/** The guests: what is known about each of them, and where its image comes from. */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'

/** A guest and what every right machine makes of it; `bench/guests/README.md` describes them. */
export interface Guest {
  readonly name: string
  /** Instructions from reset to power-off, with 2 ns of virtual time to an instruction. */
  readonly instructions: number
  /** What its last line says: `result`, and `ticks` of the 62.5 MHz counter with 2 ns to an instruction. */
  readonly says: { readonly result: string; readonly ticks: string }
  /** Its work is measured in time: a machine that does not count instructions executes another number of them. */
  readonly clockDependent?: boolean
}

/** The guest that only powers off: what it costs is start-up. */
export const START_UP = 'null'

const CPU = { result: 'b6353158a487ceec', ticks: '7735940' }
const MIX = { result: 'd1697b4ea32d8c69', ticks: '4182a3c' }
const SVC = { result: '0', ticks: '8583b1' }
const MEM = { result: 'bf9c799b732f0000', ticks: 'aa008' }

/** All guests that need no input. */
export const GUESTS: readonly Guest[] = [
  { name: START_UP, instructions: 690, says: { result: '0', ticks: '0' } },
  { name: 'cpu', instructions: 1_000_000_843, says: CPU },
  { name: 'cpu-mmu', instructions: 1_000_007_056, says: CPU },
  { name: 'mix', instructions: 549_541_003, says: MIX },
  { name: 'mix-mmu', instructions: 549_547_216, says: MIX },
  { name: 'svc', instructions: 70_000_963, says: SVC },
  { name: 'svc-mmu', instructions: 70_007_176, says: SVC },
  { name: 'uart', instructions: 10_486_717, says: { result: '100000', ticks: '140000' } },
  { name: 'mem', instructions: 5_571_508, says: MEM },
  { name: 'mem-mmu', instructions: 5_577_721, says: { ...MEM, ticks: 'aa009' } },
  { name: 'bytecode', instructions: 174_174_257, says: { result: '77c190a2cbc1c85', ticks: '14c359a' } },
  { name: 'calls', instructions: 269_563_271, says: { result: '118a0adc1d039f48', ticks: '2022659' } },
  { name: 'ptswitch', instructions: 52_275_747, says: { result: '4bd298829daa11df', ticks: '63b1da' } },
  { name: 'tlbmiss', instructions: 38_332_783, says: { result: 'cc018375b648961f', ticks: '4919c3' } },
  { name: 'smc', instructions: 64_812_820, says: { result: '422848da9680382c', ticks: '7b9e8d' } },
  { name: 'cold', instructions: 9_071_037, says: { result: 'f455c6cdd0196fd7', ticks: '114cae' } },
  { name: 'irq', instructions: 100_852, says: { result: '2710', ticks: '3b9aca1' }, clockDependent: true },
  { name: 'spin', instructions: 500_000_852, says: { result: '9ef188d', ticks: '3b9aca1' }, clockDependent: true },
]

/** What is measured unless other guests are asked for. */
export const DEFAULT_GUESTS: readonly string[] = ['cpu', 'mix', 'svc', 'uart', 'spin']

/** RAM that every guest is content with, as `-m` takes it. */
export const MEMORY = '512M'

/** A guest's last line. */
export interface LastLine {
  readonly result: string
  readonly ticks: string
}

/** The values in a guest's last line, `NAME … result=<hex> ticks=<hex>`, without leading zeros; undefined if it says none. */
export function parseLastLine(output: string): LastLine | undefined {
  const last = output.trimEnd().split('\n').at(-1) ?? ''
  const found = /\bresult=([0-9a-f]+) ticks=([0-9a-f]+)\r?$/.exec(last)
  return found ? { result: plain(found[1]), ticks: plain(found[2]) } : undefined
}

const plain = (hex: string): string => hex.replace(/^0+(?=.)/, '')

/**
 * What is wrong with a guest's output; undefined if nothing is.
 *
 * @param counting whether time was counted in instructions, 2 ns each, so that the number of ticks is known.
 */
export function wrongOutput(guest: Guest, output: string, counting: boolean): string | undefined {
  const line = parseLastLine(output)
  if (!line)
    return `its output has no last line with result= and ticks=, but ends in ${JSON.stringify(output.slice(-80))}`
  const { result, ticks } = guest.says
  if (line.result !== result && !(guest.clockDependent && !counting))
    return `result=${line.result}, and should be ${result}`
  if (counting && line.ticks !== ticks) return `ticks=${line.ticks}, and should be ${ticks}`
  return undefined
}

/**
 * The images of guests, by name: the prebuilt ones, or fresh ones from the sources.
 *
 * @param folder `bench/guests`.
 * @throws {Error} saying what to install.
 */
export function images(folder: string, guests: readonly Guest[]): Map<string, string> {
  const prebuilt = new Map(guests.map(({ name }) => [name, join(folder, 'prebuilt', `${name}.elf`)]))
  if ([...prebuilt.values()].every((path) => existsSync(path))) return prebuilt
  const wanted = guests.map(({ name }) => `${name}.elf`)
  const made = spawnSync('make', ['-s', '-C', folder, ...wanted], { encoding: 'utf8' })
  if (made.status !== 0) {
    const why = made.error?.message ?? made.stderr.trim().split('\n')[0]
    throw new Error(
      `the guests cannot be built (${why}): apt-get install make gcc-aarch64-linux-gnu binutils-aarch64-linux-gnu`,
    )
  }
  return new Map(guests.map(({ name }) => [name, join(folder, `${name}.elf`)]))
}
