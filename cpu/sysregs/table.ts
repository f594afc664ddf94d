/**
 * The system registers of a Cortex-A53 in AArch64, collected. What is not here is UNDEFINED.
 *
 * @see register.ts for what a row says.
 */
import { control } from './control.js'
import { debug } from './debug.js'
import { identification } from './identification.js'
import { performance } from './performance.js'
import { type RegisterAccess, type RegisterFields, type SystemRegister, keyOf } from './register.js'
import { state } from './state.js'
import { timers } from './timers.js'

/** All rows; a register's index is its place here. */
export const systemRegisters: readonly SystemRegister[] = [
  ...identification,
  ...control,
  ...state,
  ...timers,
  ...debug,
  ...performance,
]

const byKey = new Map<number, number>()
systemRegisters.forEach((row, index) => {
  const other = byKey.get(row.key)
  if (other !== undefined) throw new Error(`${row.name} and ${systemRegisters[other].name} have the same encoding`)
  byKey.set(row.key, index)
})

/** A register, with its index in {@link systemRegisters}. */
export interface FoundRegister {
  readonly index: number
  readonly read: RegisterAccess | undefined
  readonly write: RegisterAccess | undefined
}

/** The register that an MRS or MSR word names; undefined if there is none. */
export function findSystemRegister(fields: RegisterFields): FoundRegister | undefined {
  const index = byKey.get(keyOf(fields))
  if (index === undefined) return undefined
  const { read, write } = systemRegisters[index]
  return { index, read, write }
}

export type { RegisterAccess } from './register.js'
