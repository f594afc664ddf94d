/** The machine's options, with QEMU's names. */
import { type Command, Option } from 'commander'
import {
  type MachineConfig,
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
import { bundledKernel, readInputFile } from './files.js'

/** What commander gives for {@link addMachineOptions}. */
export interface MachineFlags {
  readonly memory?: number
  readonly smp?: number
  readonly cpu?: 'cortex-a53'
  readonly gicVersion?: 2
  readonly virtualization?: true
  readonly kernel?: string
  readonly initrd?: string
  readonly append?: string
  readonly dtb?: string
  readonly icountShift?: number
  readonly rtcBase?: number
  readonly seed?: number
}

/** Adds the options that say what machine to build. */
export function addMachineOptions(command: Command): Command {
  const options = [
    new Option('-m, --memory <size>', 'RAM, 16M to 3G (default: 512M)').argParser(parseMemory),
    new Option('--smp <n>', 'processors (default: 1)').argParser(parseSmp),
    new Option('--cpu <name>', 'processor (default: cortex-a53)').argParser(parseCpu),
    new Option('--gic-version <n>', 'interrupt controller (default: 2)').argParser(parseGicVersion),
    new Option('--virtualization', 'the processor has EL2 and starts there'),
    new Option('--kernel <file>', 'the kernel, instead of as an argument'),
    new Option('--initrd <file>', 'initial RAM disk'),
    new Option('--append <text>', "the kernel's command line"),
    new Option('--dtb <file>', 'device tree to use instead of the generated one'),
    new Option('--icount-shift <n>', 'an instruction takes 2^n ns of virtual time (default: 1)').argParser(
      parseIcountShift,
    ),
    new Option('--rtc-base <time>', 'what the clock shows at reset, UTC (default: 2026-01-01)').argParser(parseRtcBase),
    new Option('--seed <n>', 'seed of all that is chosen at random (default: 0)').argParser(parseSeed),
  ]
  for (const option of options) command.addOption(option.helpGroup('Machine options:'))
  return command
}

/**
 * The configuration that the options say.
 *
 * @throws {ConfigError} naming the option that cannot be.
 */
export function machineConfig(flags: MachineFlags): MachineConfig {
  const config: MachineConfig = {
    memoryBytes: flags.memory ?? DEFAULT_CONFIG.memoryBytes,
    cpus: flags.smp ?? DEFAULT_CONFIG.cpus,
    cpu: flags.cpu ?? DEFAULT_CONFIG.cpu,
    gicVersion: flags.gicVersion ?? DEFAULT_CONFIG.gicVersion,
    virtualization: flags.virtualization ?? DEFAULT_CONFIG.virtualization,
    icountShift: flags.icountShift ?? DEFAULT_CONFIG.icountShift,
    rtcBase: flags.rtcBase ?? DEFAULT_CONFIG.rtcBase,
    seed: flags.seed ?? DEFAULT_CONFIG.seed,
    append: flags.append ?? DEFAULT_CONFIG.append,
  }
  checkConfig(config)
  return config
}

/** The path of the kernel to boot: the argument, `--kernel`, or the image that comes with kaal. */
export function kernelPath(argument: string | undefined, flags: MachineFlags): string {
  if (argument !== undefined && flags.kernel !== undefined)
    throw new UsageError(`--kernel ${flags.kernel}: there is a kernel already, ${argument}; give one of them`)
  return argument ?? flags.kernel ?? bundledKernel()
}

/**
 * Reads the files of a machine.
 *
 * @throws {UsageError} naming the file that cannot be read.
 */
export function readBootFiles(kernel: string, flags: MachineFlags): BootFiles {
  const read = (name: string): BootFile => ({ name, bytes: readInputFile(name) })
  return {
    kernel: read(kernel),
    ...(flags.initrd !== undefined && { initrd: read(flags.initrd) }),
    ...(flags.dtb !== undefined && { dtb: read(flags.dtb) }),
  }
}
