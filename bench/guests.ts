/** The guests: what is known about each of them, and where its image comes from. */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'

/** What a guest is there to measure; the reports have a part for each. */
export const GROUPS = [
  /** The processor: arithmetic, memory, branches, translation of addresses and of code. */
  { name: 'compute', title: 'Compute' },
  /** What interrupts it: exceptions, devices, timers. */
  { name: 'events', title: 'Events' },
  /** The time from the command to its end, by the clock on the wall. */
  { name: 'start-up', title: 'Start-up' },
] as const
/** One of {@link GROUPS}. */
export type Group = (typeof GROUPS)[number]['name']

/** A guest and what every right machine makes of it; `bench/guests/README.md` describes them. */
export interface Guest {
  readonly name: string
  readonly group: Group
  /** Instructions from reset to power-off, with 2 ns of virtual time to an instruction; undefined if every build has another number. */
  readonly instructions: number | undefined
  /** What its output ends with. */
  readonly says: Says
  /** Its work is measured in time: a machine that does not count instructions executes another number of them. */
  readonly clockDependent?: boolean
  /** Where its image is, seen from the project's folder; else it is one of `bench/guests`. */
  readonly image?: string
}

/** Either the last line's `result`, and its `ticks` of the 62.5 MHz counter with 2 ns to an instruction; or text. */
export type Says = LastLine | { readonly text: string }

/** The guest that only powers off: what it costs is start-up. */
export const START_UP = 'null'

const CPU = { result: 'b6353158a487ceec', ticks: '7735940' }
const MIX = { result: 'd1697b4ea32d8c69', ticks: '4182a3c' }
const SVC = { result: '0', ticks: '8583b1' }
const MEM = { result: 'bf9c799b732f0000', ticks: 'aa008' }

const compute = (name: string, instructions: number, result: string, ticks: string): Guest => ({
  name,
  group: 'compute',
  instructions,
  says: { result, ticks },
})
const events = (name: string, instructions: number, result: string, ticks: string): Guest => ({
  ...compute(name, instructions, result, ticks),
  group: 'events',
})

/** All guests that need no input. */
export const GUESTS: readonly Guest[] = [
  { name: START_UP, group: 'start-up', instructions: 690, says: { result: '0', ticks: '0' } },
  {
    name: 'kaal-boot',
    group: 'start-up',
    instructions: undefined,
    says: { text: ' passed, 0 failed\nNo root task to run.\nSystem powering off.\n' },
    clockDependent: true,
    image: 'kernel/prebuilt/kaal.elf',
  },
  compute('cpu', 1_000_000_843, CPU.result, CPU.ticks),
  compute('cpu-mmu', 1_000_007_056, CPU.result, CPU.ticks),
  compute('mix', 549_541_003, MIX.result, MIX.ticks),
  compute('mix-mmu', 549_547_216, MIX.result, MIX.ticks),
  compute('mem', 5_571_508, MEM.result, MEM.ticks),
  compute('mem-mmu', 5_577_721, MEM.result, 'aa009'),
  compute('bytecode', 174_174_257, '77c190a2cbc1c85', '14c359a'),
  compute('calls', 269_563_271, '118a0adc1d039f48', '2022659'),
  compute('ptswitch', 52_275_747, '4bd298829daa11df', '63b1da'),
  compute('tlbmiss', 38_332_783, 'cc018375b648961f', '4919c3'),
  compute('smc', 64_812_820, '422848da9680382c', '7b9e8d'),
  compute('cold', 9_071_037, 'f455c6cdd0196fd7', '114cae'),
  events('svc', 70_000_963, SVC.result, SVC.ticks),
  events('svc-mmu', 70_007_176, SVC.result, SVC.ticks),
  events('uart', 10_486_717, '100000', '140000'),
  { ...events('irq', 100_852, '2710', '3b9aca1'), clockDependent: true },
  { ...events('spin', 500_000_852, '9ef188d', '3b9aca1'), clockDependent: true },
]

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
  const { says } = guest
  const end = JSON.stringify(output.slice(-80))
  if ('text' in says) {
    const wrong = counting && !output.replaceAll('\r', '').endsWith(says.text)
    return wrong ? `its output ends in ${end}, and should in ${JSON.stringify(says.text)}` : undefined
  }
  const line = parseLastLine(output)
  if (!line) return `its output has no last line with result= and ticks=, but ends in ${end}`
  const { result, ticks } = says
  if (line.result !== result && !(guest.clockDependent && !counting))
    return `result=${line.result}, and should be ${result}`
  if (counting && line.ticks !== ticks) return `ticks=${line.ticks}, and should be ${ticks}`
  return undefined
}

/**
 * The images of guests, by name: the prebuilt ones, or fresh ones from the sources.
 *
 * @param project the project's folder.
 * @throws {Error} saying what to install.
 */
export function images(project: string, guests: readonly Guest[]): Map<string, string> {
  const folder = join(project, 'bench/guests')
  const elsewhere = guests.flatMap(({ name, image }) => (image === undefined ? [] : [[name, join(project, image)]]))
  const names = guests.filter(({ image }) => image === undefined).map(({ name }) => name)
  const inFolder = (at: string) =>
    new Map([...elsewhere, ...names.map((name) => [name, join(at, `${name}.elf`)])] as [string, string][])
  const prebuilt = inFolder(join(folder, 'prebuilt'))
  if ([...prebuilt.values()].every((path) => existsSync(path))) return prebuilt
  const made = spawnSync('make', ['-s', '-C', folder, ...names.map((name) => `${name}.elf`)], { encoding: 'utf8' })
  if (made.status !== 0) {
    const why = made.error?.message ?? made.stderr.trim().split('\n')[0]
    throw new Error(
      `the guests cannot be built (${why}): apt-get install make gcc-aarch64-linux-gnu binutils-aarch64-linux-gnu`,
    )
  }
  return inFolder(folder)
}
