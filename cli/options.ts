/** The machine options of `kaal record`, with QEMU's names, and the files they name. */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { type Command, InvalidArgumentError } from 'commander'
import {
  type MachineConfig,
  ConfigError,
  DEFAULT_CONFIG,
  checkConfig,
  parseCpu,
  parseGicVersion,
  parseIcountShift,
  parseMemory,
  parseRtcBase,
  parseSeed,
  parseSmp,
} from '../devices/config.js'
import type { BootFile, BootFiles } from '../devices/loader/boot.js'
import { UsageError } from './errors.js'

/** The kernel that is recorded if none is named. */
export const BUNDLED_KERNEL = fileURLToPath(new URL('../../kernel/prebuilt/bootimage.elf', import.meta.url))

/** What the options give, as commander names them. */
export interface MachineOptions {
  readonly memory?: number
  readonly smp?: number
  readonly cpu?: MachineConfig['cpu']
  readonly gicVersion?: MachineConfig['gicVersion']
  readonly virtualization?: boolean
  readonly kernel?: string
  readonly initrd?: string
  readonly append?: string
  readonly dtb?: string
  readonly icountShift?: number
  readonly rtcBase?: number
  readonly seed?: number
}

/** A parser for commander that tells its own errors from those of people. */
function parsed<T>(parse: (text: string) => T): (text: string) => T {
  return (text) => {
    try {
      return parse(text)
    } catch (error) {
      if (error instanceof ConfigError) throw new UsageError(error.message)
      throw new InvalidArgumentError((error as Error).message)
    }
  }
}

/** Adds the machine options to a verb. */
export function addMachineOptions(command: Command): Command {
  return command
    .option('-m, --memory <size>', 'RAM, 16M to 3G (default 512M)', parsed(parseMemory))
    .option('--smp <n>', 'processors: 1', parsed(parseSmp))
    .option('--cpu <model>', 'cortex-a53', parsed(parseCpu))
    .option('--gic-version <n>', '2', parsed(parseGicVersion))
    .option('--virtualization', 'the processor has EL2 and starts there')
    .option('--kernel <file>', 'the kernel: an ELF or an arm64 Image (or as the argument)')
    .option('--initrd <file>', 'initial RAM disk')
    .option('--append <text>', "the kernel's command line")
    .option('--dtb <file>', 'device tree to use instead of the generated one')
    .option('--icount-shift <n>', 'an instruction takes 2^n ns of virtual time (default 1)', parsed(parseIcountShift))
    .option(
      '--rtc-base <time>',
      'what the real-time clock shows at reset (default 2026-01-01T00:00:00)',
      parsed(parseRtcBase),
    )
    .option('--seed <n>', 'seed of what is chosen at random (default 0)', parsed(parseSeed))
}

/** The configuration that the options describe. */
export function configOf(options: MachineOptions): MachineConfig {
  const config: MachineConfig = {
    memoryBytes: options.memory ?? DEFAULT_CONFIG.memoryBytes,
    cpus: options.smp ?? DEFAULT_CONFIG.cpus,
    cpu: options.cpu ?? DEFAULT_CONFIG.cpu,
    gicVersion: options.gicVersion ?? DEFAULT_CONFIG.gicVersion,
    virtualization: options.virtualization ?? DEFAULT_CONFIG.virtualization,
    icountShift: options.icountShift ?? DEFAULT_CONFIG.icountShift,
    rtcBase: options.rtcBase ?? DEFAULT_CONFIG.rtcBase,
    seed: options.seed ?? DEFAULT_CONFIG.seed,
    append: options.append ?? DEFAULT_CONFIG.append,
  }
  checkConfig(config)
  return config
}

/**
 * Reads the files that the options name.
 *
 * @throws {UsageError} if a kernel is named twice.
 */
export function filesOf(options: MachineOptions, argument: string | undefined): BootFiles {
  if (argument !== undefined && options.kernel !== undefined) {
    throw new UsageError(`the kernel is named twice: ${argument} and --kernel ${options.kernel}`)
  }
  const kernel = readNamed(argument ?? options.kernel ?? BUNDLED_KERNEL)
  return {
    kernel,
    ...(options.initrd !== undefined && { initrd: readNamed(options.initrd) }),
    ...(options.dtb !== undefined && { dtb: readNamed(options.dtb) }),
  }
}

function readNamed(path: string): BootFile {
  const name = path.split('/').at(-1) ?? path
  try {
    return { name, bytes: readFileSync(path) }
  } catch (error) {
    // Some of Node's errors (a directory, for one) do not carry the path.
    throw Object.assign(error as Error, { path })
  }
}
