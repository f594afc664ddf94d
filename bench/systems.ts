/** The systems that are compared: how each runs a guest in each of its modes. */
import { spawnSync } from 'node:child_process'
import { existsSync, realpathSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { MEMORY } from './guests.js'

/** A way in which a system runs a guest. */
export interface Mode {
  readonly system: 'kaal' | 'QEMU'
  /** `plain` records nothing; QEMU's does not even count instructions. */
  readonly name: 'plain' | 'counted' | 'record' | 'replay'
  /** kaal's engine; undefined for the one it chooses itself. */
  readonly engine?: string
  /** Whether virtual time is counted in instructions: everything a guest sees is then known beforehand. */
  readonly counting: boolean
  /** The command for a guest's image; `trace` is written by `record` and read by `replay`. */
  command(image: string, trace: string): string[]
  /** The number of instructions, from what the command writes to standard error; undefined for a mode that does not say it there. */
  instructions?(messages: string): number
}

/** Which mode of which system, with which engine: what tells modes apart. */
export type ModeKey = Pick<Mode, 'system' | 'name'> & { readonly engine?: string | undefined }

/** A mode in words: `kaal record`, `kaal record (interpreter)`. */
export const modeName = ({ system, name, engine }: ModeKey): string =>
  `${system} ${name}${engine === undefined ? '' : ` (${engine})`}`

/**
 * Recording, replaying and running without either; with the engine that kaal chooses, and with each of `engines`.
 *
 * @param entry the script that is kaal. A plain run needs `dist/bench/plain.js` beside it, and is left out without.
 * @throws {Error} if this kaal has no choice of engines, and some are asked for.
 */
export function kaalModes(entry: string, engines: readonly string[] = []): Mode[] {
  if (engines.length > 0) requireEngines(entry, engines)
  return [undefined, ...engines].flatMap((engine) => engineModes(entry, engine))
}

/** `record` before `replay`: a replay reads what was recorded in the same round. */
function engineModes(entry: string, engine: string | undefined): Mode[] {
  const kaal = [process.execPath, entry]
  const choice = engine === undefined ? [] : ['--engine', engine]
  const common = { system: 'kaal', counting: true, ...(engine === undefined ? {} : { engine }) } as const
  const plain = plainScript(entry)
  const recording: Mode[] = [
    {
      ...common,
      name: 'record',
      command: (image, trace) => [...kaal, 'record', ...choice, '-o', trace, '--force', '-m', MEMORY, image],
    },
    { ...common, name: 'replay', command: (_image, trace) => [...kaal, 'replay', ...choice, trace] },
  ]
  if (plain === undefined) return recording
  const running: Mode = {
    ...common,
    name: 'plain',
    command: (image) => [process.execPath, plain, image, ...(engine === undefined ? [] : [engine])],
    instructions: (messages) => Number(/^(\d+) instructions$/m.exec(messages)?.[1]),
  }
  return [running, ...recording]
}

/** The script of a plain run that belongs to a kaal; undefined if there is none. */
function plainScript(entry: string): string | undefined {
  if (!existsSync(entry)) return undefined
  const script = join(dirname(realpathSync(entry)), '../dist/bench/plain.js')
  return existsSync(script) ? script : undefined
}

function requireEngines(entry: string, engines: readonly string[]): void {
  for (const verb of ['record', 'replay']) {
    const { stdout, stderr } = spawnSync(process.execPath, [entry, verb, '--help'], { encoding: 'utf8' })
    const missing = stdout.includes('--engine') ? engines.find((engine) => !stdout.includes(engine)) : '--engine'
    if (missing !== undefined)
      throw new Error(
        `--engines ${engines.join(',')}: ${entry} ${verb} does not know ${missing} (${stderr.trim() || 'see its --help'})`,
      )
  }
}

/** QEMU without counting, counting, and with its record/replay. */
export function qemuModes(qemu: string): Mode[] {
  const machine = ['-M', 'virt,gic-version=2', '-cpu', 'cortex-a53', '-m', MEMORY]
  const host = ['-display', 'none', '-serial', 'stdio', '-monitor', 'none', '-net', 'none']
  const command = (image: string, icount?: string): string[] => [
    qemu,
    ...machine,
    ...host,
    ...(icount === undefined ? [] : ['-icount', `shift=1,${icount}sleep=off`]),
    '-kernel',
    image,
  ]
  return [
    { system: 'QEMU', name: 'plain', counting: false, command: (image) => command(image) },
    { system: 'QEMU', name: 'counted', counting: true, command: (image) => command(image, '') },
    {
      system: 'QEMU',
      name: 'record',
      counting: true,
      command: (image, trace) => command(image, `rr=record,rrfile=${trace},`),
    },
    {
      system: 'QEMU',
      name: 'replay',
      counting: true,
      command: (image, trace) => command(image, `rr=replay,rrfile=${trace},`),
    },
  ]
}

/** The first line of `qemu --version`; undefined if there is no such program. */
export function qemuVersion(qemu: string): string | undefined {
  const { status, stdout } = spawnSync(qemu, ['--version'], { encoding: 'utf8' })
  return status === 0 ? stdout.split('\n')[0] : undefined
}
