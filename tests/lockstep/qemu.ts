/** Runs a guest in QEMU 7.2 with the register plugin, which is built on first use. */
import { execFileSync, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { createReadStream, existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { Guest } from './subject.js'

const QEMU = 'qemu-system-aarch64'
/** From dist/tests/lockstep or tests/lockstep alike. */
const PLUGIN_SOURCE = 'tests/lockstep/qemu-plugin/registers.c'
const PLUGIN_ARGUMENTS = ['-O2', '-Wall', '-Wextra', '-shared', '-fPIC']

/** A fault of the tools or of QEMU: not a difference. Its message is one line for a person. */
export class QemuError extends Error {
  override name = 'QemuError'
}

/** The repository's root. */
export function projectRoot(): string {
  let folder = fileURLToPath(new URL('.', import.meta.url))
  while (!existsSync(join(folder, PLUGIN_SOURCE))) {
    const parent = join(folder, '..')
    if (parent === folder) throw new QemuError(`${PLUGIN_SOURCE} not found above ${import.meta.url}`)
    folder = parent
  }
  return folder
}

/** The version of the QEMU installed; undefined if there is none. */
export function qemuVersion(): string | undefined {
  try {
    return /version (\S+)/.exec(execFileSync(QEMU, ['--version'], { encoding: 'utf8' }))?.[1]
  } catch {
    return undefined
  }
}

/**
 * Builds the plugin unless a build of the same source stands in the cache.
 *
 * @throws {QemuError} if QEMU or gcc is missing, or QEMU is not version 7.2.
 */
export function buildPlugin(): string {
  const version = qemuVersion()
  if (version === undefined) throw new QemuError(`${QEMU} not found: apt-get install qemu-system-arm (version 7.2)`)
  if (!version.startsWith('7.2.')) throw new QemuError(`${QEMU} is version ${version}; the comparison needs 7.2`)
  const root = projectRoot()
  const source = join(root, PLUGIN_SOURCE)
  const key = createHash('sha256')
    .update(readFileSync(source))
    .update(PLUGIN_ARGUMENTS.join(' '))
    .digest('hex')
    .slice(0, 16)
  const cache = join(root, '.build', 'lockstep')
  const plugin = join(cache, `registers-${key}.so`)
  if (existsSync(plugin)) return plugin
  mkdirSync(cache, { recursive: true })
  const partial = `${plugin}.${process.pid}`
  try {
    execFileSync('gcc', [...PLUGIN_ARGUMENTS, '-o', partial, source], {
      stdio: ['ignore', 'ignore', 'pipe'],
      encoding: 'utf8',
    })
  } catch (error) {
    throw new QemuError(`gcc cannot build ${source}: ${String((error as { stderr?: string }).stderr ?? error).trim()}`)
  }
  renameSync(partial, plugin)
  return plugin
}

/** The command line for a guest, without the plugin. */
export function qemuArguments(guest: Guest): string[] {
  const machine = `virt,gic-version=2,dtb-randomness=off${guest.virtualization ? ',virtualization=on' : ''}`
  const options: [option: string, value: string | undefined][] = [
    ['-M', machine],
    ['-cpu', 'cortex-a53'],
    ['-m', `${guest.memoryMiB}M`],
    ['-display', 'none'],
    ['-monitor', 'none'],
    ['-serial', 'stdio'],
    ['-net', 'none'],
    ['-icount', `shift=${guest.icountShift},sleep=off`],
    ['-rtc', 'base=2026-01-01T00:00:00,clock=vm'],
    ['-kernel', guest.kernel],
    ['-append', guest.append],
    ['-initrd', guest.initrd],
  ]
  return options.flatMap(([option, value]) => (value === undefined ? [] : [option, value]))
}

/** How a run in QEMU ended. */
export interface QemuRun {
  readonly uart: Uint8Array
  /** Whether the guest powered off, or the run was cut at `stop`, before the time-out. */
  readonly ended: boolean
}

/** Runs QEMU to its end. After `seconds` it is killed: a guest that waits for ever does not even heed SIGTERM. */
function run(commandLine: readonly string[], seconds: number, input: Uint8Array | undefined): Promise<QemuRun> {
  return new Promise((resolve, reject) => {
    const child = spawn(QEMU, commandLine, { stdio: ['pipe', 'pipe', 'pipe'] })
    const out: Buffer[] = []
    let errors = ''
    let timedOut = false
    const timer = setTimeout(() => {
      timedOut = true
      child.kill('SIGKILL')
    }, seconds * 1000)
    child.stdout.on('data', (data: Buffer) => out.push(data))
    child.stderr.on('data', (data: Buffer) => (errors += data.toString()))
    child.on('error', (error) => reject(new QemuError(`cannot run ${QEMU}: ${error.message}`)))
    child.stdin.on('error', () => undefined)
    if (input) child.stdin.write(input)
    else child.stdin.end()
    child.on('close', (code) => {
      clearTimeout(timer)
      if (!timedOut && code !== 0) {
        const lines = errors.split('\n').filter((line) => line && !line.includes('warning:'))
        reject(new QemuError(`${QEMU} failed (${code ?? 'signal'}): ${lines.join(' ') || 'no message'}`))
      } else resolve({ uart: Buffer.concat(out), ended: !timedOut })
    })
  })
}

/** One line of the plugin's hash mode: the cumulative hash after `count` instructions. */
export interface Checkpoint {
  readonly count: number
  readonly hash: string
}

/** A whole run as hashes. */
export interface HashRun extends QemuRun {
  readonly checkpoints: readonly Checkpoint[]
  /** Instructions until the end. */
  readonly total: number
}

/** One line of the plugin's text mode: an instruction and the state before it. */
export interface TextRecord {
  readonly count: number
  readonly pc: bigint
  readonly opcode: number
  readonly pstate: number
  /** Instructions that advanced time, and virtual nanoseconds, before this one. */
  readonly icount: number
  readonly nanoseconds: bigint
  /** X0-X30 and SP. */
  readonly x: readonly bigint[]
}

/** How far and how long a run may go. */
export interface Limits {
  /** Ends the run before this instruction. */
  readonly stop?: number
  readonly seconds: number
  readonly input?: Uint8Array
}

async function withPlugin<T>(
  guest: Guest,
  limits: Limits,
  pluginArguments: string,
  read: (lines: AsyncIterable<string>, run: QemuRun) => Promise<T>,
): Promise<T> {
  const plugin = buildPlugin()
  const folder = mkdtempSync(join(tmpdir(), 'lockstep-'))
  try {
    const out = join(folder, 'out')
    const stop = limits.stop === undefined ? '' : `,stop=${limits.stop}`
    const commandLine = [
      ...qemuArguments(guest),
      '-singlestep',
      '-plugin',
      `${plugin},out=${out},${pluginArguments}${stop}`,
    ]
    const result = await run(commandLine, limits.seconds, limits.input)
    const lines = createInterface({ input: createReadStream(out), crlfDelay: Infinity })
    return await read(lines, result)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Runs a guest and returns its cumulative hash every `every` instructions. */
export function hashRun(guest: Guest, every: number, limits: Limits): Promise<HashRun> {
  return withPlugin(guest, limits, `mode=hash,every=${every}`, async (lines, result) => {
    const checkpoints: Checkpoint[] = []
    let total: number | undefined
    for await (const line of lines) {
      const words = line.split(' ')
      const end = words[0] === 'end'
      const [count, a, b] = end ? words.slice(1) : words
      if (b === undefined || b.length !== 8) break
      checkpoints.push({ count: Number(count), hash: a + b })
      if (end) total = Number(count)
    }
    return { ...result, checkpoints, total: total ?? checkpoints.at(-1)?.count ?? 0 }
  })
}

/** Instructions `skip` to `skip + max - 1` of a guest with all registers. */
export function textRun(guest: Guest, skip: number, max: number, seconds: number): Promise<TextRecord[]> {
  const limits = { stop: skip + max, seconds }
  return withPlugin(guest, limits, `mode=text,skip=${skip},max=${max}`, async (lines) => {
    const records: TextRecord[] = []
    for await (const line of lines) {
      const words = line.split(' ')
      if (words.length !== 38) break
      records.push({
        count: Number(words[0]),
        pc: BigInt(`0x${words[1]}`),
        opcode: Number.parseInt(words[2], 16),
        pstate: Number.parseInt(words[3], 16),
        icount: Number(words[4]),
        nanoseconds: BigInt(words[5]),
        x: words.slice(6).map((word) => BigInt(`0x${word}`)),
      })
    }
    return records
  })
}
