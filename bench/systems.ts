/** The systems that are compared: how each runs a guest in each of its modes. */
import { spawnSync } from 'node:child_process'
import { MEMORY } from './guests.js'

/** A way in which a system runs a guest. */
export interface Mode {
  readonly system: 'kaal' | 'QEMU'
  readonly name: 'plain' | 'counted' | 'record' | 'replay'
  /** Whether virtual time is counted in instructions: everything a guest sees is then known beforehand. */
  readonly counting: boolean
  /** The command for a guest's image; `trace` is written by `record` and read by `replay`. */
  command(image: string, trace: string): string[]
}

/** `record` before `replay`: a replay reads what was recorded in the same round. */
export function kaalModes(entry: string): Mode[] {
  const kaal = [process.execPath, entry]
  return [
    {
      system: 'kaal',
      name: 'record',
      counting: true,
      command: (image, trace) => [...kaal, 'record', '-o', trace, '--force', '-m', MEMORY, image],
    },
    { system: 'kaal', name: 'replay', counting: true, command: (_image, trace) => [...kaal, 'replay', trace] },
  ]
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
