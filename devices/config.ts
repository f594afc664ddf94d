/** A machine's configuration: what `-m`, `--cpu` and their like say, with QEMU's names, checked. */
import { RAM_MAX, RAM_MIN } from '../cpu/machine-memory.js'

/** An option with a value that cannot be. The message is one line for people: the option, the value, what to give instead. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
}

/** All that a machine is apart from its images. Two machines with equal configurations, images and inputs run alike. */
export interface MachineConfig {
  /** Bytes of RAM: `-m`. */
  readonly memoryBytes: number
  /** Processors: `--smp`. */
  readonly cpus: number
  /** `--cpu`. */
  readonly cpu: 'cortex-a53'
  /** `--gic-version`. */
  readonly gicVersion: 2
  /** The processor has EL2 and starts there: `--virtualization`. */
  readonly virtualization: boolean
  /** An instruction takes 2^n ns of virtual time: `--icount-shift`. */
  readonly icountShift: number
  /** What the real-time clock shows at reset, in seconds since 1970-01-01T00:00:00Z: `--rtc-base`. */
  readonly rtcBase: number
  /** Seed of all that is chosen at random: `--seed`, 0 to 2^32-1. */
  readonly seed: number
  /** The kernel's command line: `--append`. */
  readonly append: string
}

/** What a machine is if nothing is said. */
export const DEFAULT_CONFIG: MachineConfig = {
  memoryBytes: 512 * 2 ** 20,
  cpus: 1,
  cpu: 'cortex-a53',
  gicVersion: 2,
  virtualization: false,
  icountShift: 1,
  // 2026-01-01T00:00:00Z
  rtcBase: 1_767_225_600,
  seed: 0,
  append: '',
}

/** Far more than kernels take (Linux: 2047); it must fit into the device tree. */
const APPEND_MAX = 0xffff

const UNITS: Readonly<Record<string, number>> = { '': 2 ** 20, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30 }

/**
 * Reads the value of `-m`: a number of mebibytes, or with a suffix K, M or G of KiB, MiB or GiB.
 *
 * @returns bytes.
 * @throws {ConfigError} if it is malformed, below 16M, above 3G, or no whole number of pages.
 */
export function parseMemory(text: string): number {
  const match = /^(\d+(?:\.\d+)?)([kKmMgG]?)$/.exec(text.trim())
  if (!match) throw new ConfigError(`-m ${text}: give a size such as 512M or 2G`)
  const bytes = Number(match[1]) * UNITS[match[2].toLowerCase()]
  if (bytes < RAM_MIN || bytes > RAM_MAX) throw new ConfigError(`-m ${text}: give 16M to 3G`)
  if (!Number.isInteger(bytes / 4096)) throw new ConfigError(`-m ${text}: give a multiple of 4K`)
  return bytes
}

/** Reads a decimal integer within bounds, for `option`. */
function parseInteger(option: string, text: string, low: number, high: number): number {
  const value = /^\d+$/.test(text.trim()) ? Number(text) : Number.NaN
  if (!(value >= low && value <= high)) throw new ConfigError(`${option} ${text}: give a number from ${low} to ${high}`)
  return value
}

/**
 * Reads the value of `--smp`.
 *
 * @throws {ConfigError} if it is not 1.
 */
export function parseSmp(text: string): number {
  const cpus = parseInteger('--smp', text, 1, 512)
  if (cpus !== 1) throw new ConfigError(`--smp ${text}: this machine has one processor so far; give 1`)
  return cpus
}

/**
 * Reads the value of `--cpu`.
 *
 * @throws {ConfigError} if there is no such processor here.
 */
export function parseCpu(text: string): 'cortex-a53' {
  if (text !== 'cortex-a53') throw new ConfigError(`--cpu ${text}: give cortex-a53, the one processor there is`)
  return text
}

/**
 * Reads the value of `--gic-version`.
 *
 * @throws {ConfigError} if it is not 2.
 */
export function parseGicVersion(text: string): 2 {
  if (text !== '2') throw new ConfigError(`--gic-version ${text}: give 2, the one interrupt controller there is`)
  return 2
}

/**
 * Reads the value of `--icount-shift`.
 *
 * @throws {ConfigError} if it is not 0 to 10.
 */
export function parseIcountShift(text: string): number {
  return parseInteger('--icount-shift', text, 0, 10)
}

/**
 * Reads the value of `--seed`.
 *
 * @throws {ConfigError} if it is not 0 to 2^32-1.
 */
export function parseSeed(text: string): number {
  return parseInteger('--seed', text, 0, 2 ** 32 - 1)
}

/**
 * Reads the value of `--rtc-base`: a date and time in UTC, `2026-01-01T00:00:00` or `2026-01-01`.
 *
 * @returns seconds since 1970-01-01T00:00:00Z.
 * @throws {ConfigError} if it is malformed, no date, or not within 1970 to 2105: the clock has 32 bits.
 */
export function parseRtcBase(text: string): number {
  const match = /^(\d{4})-(\d\d)-(\d\d)(?:T(\d\d):(\d\d):(\d\d)Z?)?$/.exec(text.trim())
  const wrong = new ConfigError(
    `--rtc-base ${text}: give a date and time in UTC such as 2026-01-01T00:00:00, 1970 to 2105`,
  )
  if (!match) throw wrong
  const [year, month, day, hour, minute, second] = match.slice(1).map((part) => Number(part ?? 0))
  if (month < 1 || month > 12 || day < 1 || day > daysIn(month, year)) throw wrong
  if (hour > 23 || minute > 59 || second > 59 || year < 1970 || year > 2105) throw wrong
  return ((daysSince1970(year, month, day) * 24 + hour) * 60 + minute) * 60 + second
}

const isLeap = (year: number): boolean => year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0)

const daysIn = (month: number, year: number): number =>
  month === 2 && isLeap(year) ? 29 : [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month - 1]

function daysSince1970(year: number, month: number, day: number): number {
  let days = day - 1
  for (let y = 1970; y < year; y++) days += isLeap(y) ? 366 : 365
  for (let m = 1; m < month; m++) days += daysIn(m, year)
  return days
}

/** The option whose parser checks a field, with the field as that option's text. */
const CHECKS: readonly ((config: MachineConfig) => unknown)[] = [
  ({ memoryBytes }) => parseMemory(`${memoryBytes / 1024}K`),
  ({ cpus }) => parseSmp(String(cpus)),
  ({ cpu }) => parseCpu(cpu),
  ({ gicVersion }) => parseGicVersion(String(gicVersion)),
  ({ icountShift }) => parseIcountShift(String(icountShift)),
  ({ seed }) => parseSeed(String(seed)),
  ({ rtcBase }) => parseInteger('--rtc-base', String(rtcBase), 0, 2 ** 32 - 1),
  ({ append }) => checkAppend(append),
]

function checkAppend(append: string): void {
  if (append.includes('\0')) throw new ConfigError('--append: a command line has no NUL characters')
  if (append.length > APPEND_MAX)
    throw new ConfigError(`--append: ${append.length} characters; give at most ${APPEND_MAX}`)
}

/**
 * Checks a configuration that did not come through the parsers above, such as one from a trace.
 *
 * @throws {ConfigError} naming the option and the value.
 */
export function checkConfig(config: MachineConfig): void {
  for (const check of CHECKS) check(config)
}
