/** gdb's `x/NFU ADDR`: memory as numbers, characters, strings or instructions. */
import { disassemble } from '../../cpu/isa/disassembler.js'
import { DebuggerError } from './error.js'
import type { Names } from './names.js'
import { hex64, parseCount } from './numbers.js'

/** How to show memory: how many units, in what format, of how many bytes. */
export interface ExamineFormat {
  readonly count: number
  readonly format: string
  readonly size: number
}

/** Reads guest memory without side effects; undefined where there is none. */
export type ReadMemory = (address: bigint, bytes: number) => Uint8Array | undefined

const SIZES: Readonly<Record<string, number>> = { b: 1, h: 2, w: 4, g: 8 }
const FORMATS = 'xduotacis'
const MOST = 100_000
/** A string without an end is shown up to here, as in gdb. */
const LONGEST_STRING = 200

export const DEFAULT_FORMAT: ExamineFormat = { count: 1, format: 'x', size: 4 }

/**
 * Reads what follows `x`: `/8xw`, `/4xg`, `/s`, `/3i`. What is left out is as it was before, but for the count.
 *
 * @throws {DebuggerError} naming the letter that means nothing.
 */
export function parseFormat(text: string, before: ExamineFormat): ExamineFormat {
  const match = /^(\d*)([a-z]*)$/.exec(text)
  if (!match)
    throw new DebuggerError(`x/${text}: give a count, a format (${[...FORMATS].join(' ')}) and a size (b h w g)`)
  let { format, size } = before
  let sized = false
  for (const letter of match[2]) {
    if (SIZES[letter] !== undefined) {
      size = SIZES[letter]
      sized = true
    } else if (FORMATS.includes(letter)) format = letter
    else throw new DebuggerError(`x/${text}: no format or size ${letter}; give ${[...FORMATS].join(' ')}, b h w g`)
  }
  if (format === 'a' && !sized) size = 8
  if (format === 'c' && !sized) size = 1
  const count = match[1] === '' ? 1 : parseCount(match[1])
  if (count === undefined || count < 1 || count > MOST)
    throw new DebuggerError(`x/${text}: give a count of 1 to ${MOST}`)
  return { count, format, size }
}

/**
 * Shows memory.
 *
 * @returns the lines, and the address behind what was shown.
 * @throws {DebuggerError} naming the address that cannot be read, if that is the first one.
 */
export function examine(
  address: bigint,
  format: ExamineFormat,
  read: ReadMemory,
  names: Names,
): { lines: string[]; next: bigint } {
  if (format.format === 's') return strings(address, format.count, read, names)
  if (format.format === 'i') return instructions(address, format.count, read, names)
  return numbers(address, format, read, names)
}

/** Instructions from an address on, the one at `mark` marked. */
export function instructions(
  address: bigint,
  count: number,
  read: ReadMemory,
  names: Names,
  mark?: bigint,
): { lines: string[]; next: bigint } {
  const lines: string[] = []
  let at = address
  for (let n = 0; n < count; n++) {
    const word = read(at, 4)
    if (!word) return partial(lines, at)
    const text = disassemble(wordOf(word), at, (target) => names.describe(target))
    lines.push(`${at === mark ? '=> ' : '   '}${hex64(at)}${names.suffix(at)}: ${text}`)
    at = BigInt.asUintN(64, at + 4n)
  }
  return { lines, next: at }
}

const wordOf = (bytes: Uint8Array): number => new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true)

function numbers(address: bigint, { count, format, size }: ExamineFormat, read: ReadMemory, names: Names) {
  const perLine = format === 'a' ? 2 : Math.min(16 / size, 8)
  const lines: string[] = []
  let line = ''
  let at = address
  for (let n = 0; n < count; n++) {
    const bytes = read(at, size)
    if (!bytes) return partial(line === '' ? lines : [...lines, line], at)
    if (n % perLine === 0) {
      if (line !== '') lines.push(line)
      line = `${hex64(at)}${names.suffix(at)}:`
    }
    line += ` ${number(bytes, format, names)}`
    at = BigInt.asUintN(64, at + BigInt(size))
  }
  if (line !== '') lines.push(line)
  return { lines, next: at }
}

function number(bytes: Uint8Array, format: string, names: Names): string {
  let value = 0n
  for (let i = bytes.length - 1; i >= 0; i--) value = (value << 8n) | BigInt(bytes[i])
  const bits = bytes.length * 8
  switch (format) {
    case 'd':
      return String(BigInt.asIntN(bits, value))
    case 'u':
      return String(value)
    case 'o':
      return `0${value.toString(8)}`
    case 't':
      return value.toString(2).padStart(bits, '0')
    case 'a':
      return `0x${value.toString(16)}${names.suffix(value)}`
    case 'c':
      return `${value} '${character(bytes[0])}'`
    default:
      return `0x${value.toString(16).padStart(bytes.length * 2, '0')}`
  }
}

function strings(address: bigint, count: number, read: ReadMemory, names: Names) {
  const lines: string[] = []
  let at = address
  for (let n = 0; n < count; n++) {
    const start = at
    let text = ''
    let length = 0
    let more = ''
    for (;;) {
      const byte = read(at, 1)
      if (!byte && length === 0) return partial(lines, at)
      if (!byte) break
      at = BigInt.asUintN(64, at + 1n)
      if (byte[0] === 0) break
      text += character(byte[0])
      if (++length >= LONGEST_STRING) {
        more = '...'
        break
      }
    }
    lines.push(`${hex64(start)}${names.suffix(start)}: "${text}"${more}`)
  }
  return { lines, next: at }
}

/** A byte as in a C string: nothing reaches the terminal as a command. */
function character(byte: number): string {
  const named: Readonly<Record<number, string>> = { 9: '\\t', 10: '\\n', 13: '\\r', 34: '\\"', 92: '\\\\' }
  if (named[byte] !== undefined) return named[byte]
  return byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : `\\x${byte.toString(16).padStart(2, '0')}`
}

/** Memory ended: shown so far, and why no more. */
function partial(lines: string[], at: bigint): { lines: string[]; next: bigint } {
  const message = `${hex64(at)}: no memory there`
  if (lines.length === 0) throw new DebuggerError(message)
  return { lines: [...lines, message], next: at }
}
