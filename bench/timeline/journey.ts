/** Where a measurement of the timeline goes, and a gdb that goes there with a watch in its hand. */
import { spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** The positions to visit in a recording. */
export interface Journey {
  readonly positions: readonly number[]
  /** Instructions of the recording. */
  readonly length: number
}

/** Milliseconds of each move, by kind. */
export interface Times {
  readonly goto: readonly number[]
  readonly back: readonly number[]
  readonly next: readonly number[]
  readonly watch: readonly number[]
}

/** `count` positions between the first and the last thousandth of a recording, from a seed (the generator is xorshift32). */
export function randomPositions(seed: number, count: number, length: number): number[] {
  let state = Math.imul(seed, 0x9e3779b9) | 1
  return Array.from({ length: count }, () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return Math.floor(length * (0.001 + 0.998 * ((state >>> 0) / 2 ** 32)))
  })
}

/** The Python that gdb runs: `move(kind, command…)` times commands. */
const STOPWATCH = `python
import time
def move(kind, *commands):
    begun = time.monotonic()
    for command in commands: gdb.execute(command, to_string=True)
    print("TIME %s %.3f" % (kind, 1000 * (time.monotonic() - begun)))
end`

/**
 * Runs gdb against a server on this machine.
 *
 * @param folder for the script.
 * @param commands what it does once connected, lines of gdb or of a Python block.
 * @throws {Error} with gdb's last words if it fails, or says fewer times than `expected`.
 */
export async function timed(
  folder: string,
  port: number,
  commands: readonly string[],
  expected: number,
): Promise<Times> {
  const setup = ['set pagination off', 'set confirm off', 'set tcp connect-timeout 30', 'set architecture aarch64']
  const script = [...setup, STOPWATCH, `target remote 127.0.0.1:${port}`, ...commands, 'detach', ''].join('\n')
  const file = join(folder, 'journey.gdb')
  writeFileSync(file, script)
  const child = spawn('gdb-multiarch', ['--batch', '-nx', '-x', file], { timeout: 600_000 })
  let [output, messages] = ['', '']
  child.stdout.on('data', (piece: Buffer) => (output += piece.toString()))
  child.stderr.on('data', (piece: Buffer) => (messages += piece.toString()))
  await new Promise<void>((resolve, reject) => {
    child.on('error', () => reject(new Error('gdb-multiarch is not here (Debian: apt-get install gdb-multiarch)')))
    child.on('close', () => resolve())
  })
  const found = [...output.matchAll(/^TIME (\w+) ([\d.]+)$/gm)]
  if (found.length !== expected) {
    const last = messages.trim().split('\n').at(-1) ?? output.trim().split('\n').at(-1)
    throw new Error(`gdb has said ${found.length} of ${expected} times, and last: ${last}`)
  }
  const of = (kind: string): number[] => found.filter(([, name]) => name === kind).map(([, , ms]) => Number(ms))
  return { goto: of('goto'), back: of('back'), next: of('next'), watch: of('watch') }
}

/** The steps back at a position: one, and four more. */
export const STEPS = [
  `python move("back", "reverse-stepi")`,
  ...Array<string>(4).fill('python move("next", "reverse-stepi")'),
]

/** Where the guests with an MMU write their first table, once, at the start: relative to x28, which they keep. */
export const WRITTEN_ONCE = '*(long *)($x28 + 8)'
