/** System registers by name and by field, read without any effect on the guest. */
import { registerFields } from '../../cpu/sysregs/fields/layouts.js'
import { systemRegisters } from '../../cpu/sysregs/table.js'
import type { Machine } from '../../devices/machine.js'
import { DebuggerError } from './error.js'
import type { Names } from './names.js'
import { hex64 } from './numbers.js'

/** Those that can be read, in alphabetical order; the unnamed rest of the identification space aside. */
export const SYSTEM_REGISTERS: readonly string[] = systemRegisters
  .filter(({ read, name }) => read !== undefined && !/^S\d_/.test(name))
  .map(({ name }) => name)
  .toSorted()

/** Whether there is a system register of that name, in any case. */
export const isSystemRegister = (name: string): boolean => find(name) !== undefined

const find = (name: string) => {
  const wanted = name.toLowerCase()
  return systemRegisters.find((row) => row.read !== undefined && row.name.toLowerCase() === wanted)
}

/**
 * The value that software at a level that may would read now.
 *
 * @throws {DebuggerError} if there is none of that name.
 */
export function readSystemRegister(machine: Machine, name: string): { name: string; value: bigint } {
  const row = find(name)
  if (!row) throw new DebuggerError(`${name}: no such register`)
  const { cpu } = machine
  const { state } = cpu
  // The stack pointer in use stands elsewhere than under its own name.
  const inUse = state.spsel === 0 ? 'SP_EL0' : `SP_EL${state.el}`
  if (row.name === (state.el === 0 ? 'SP_EL0' : inUse)) return { name: row.name, value: state.sp }
  if (row.storage !== undefined) return { name: row.name, value: machine.memory.view.getBigUint64(row.storage, true) }
  // What has no place of its own is worked out from the state into `lo` and `hi`, and nothing else changes.
  const { lo, hi } = cpu
  row.onRead?.(cpu)
  const value = (BigInt(cpu.hi >>> 0) << 32n) | BigInt(cpu.lo >>> 0)
  cpu.lo = lo
  cpu.hi = hi
  return { name: row.name, value }
}

/** A register with its fields, a line each, and the same for programs. */
export function describeSystemRegister(
  { name, value }: { name: string; value: bigint },
  names: Names,
): { lines: string[]; data: Record<string, unknown> } {
  const fields = registerFields(name, value) ?? []
  const lines = [`${name.toLowerCase()} ${hex64(value)}${names.suffix(value)}`]
  const ranges = fields.map(({ high, low }) => (high === low ? `${high}` : `${high}:${low}`))
  const width = Math.max(0, ...fields.map((field) => field.name.length))
  const values = fields.map((field) =>
    field.high - field.low < 4 ? `${field.value}` : `0x${field.value.toString(16)}`,
  )
  const valueWidth = Math.max(0, ...values.map((text) => text.length))
  fields.forEach((field, n) => {
    const text = `  ${field.name.padEnd(width)}  ${ranges[n].padEnd(5)}  ${values[n].padEnd(valueWidth)}  ${field.meaning ?? ''}`
    lines.push(text.trimEnd())
  })
  return { lines, data: { register: name, value, fields } }
}
