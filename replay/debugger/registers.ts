/** The processor's registers as text. */
import type { CpuState } from '../../cpu/state.js'
import type { Report } from './command.js'
import type { Names } from './names.js'
import { hex64 } from './numbers.js'

/** {@link registerLines}, and the same for programs. */
export function registerReport(state: CpuState, names: Names): Report {
  const general = Object.fromEntries([...state.x].map((value, n) => [`x${n}`, value]))
  const { sp, pc, el, nzcv, daif, spsel } = state
  return { lines: registerLines(state, names), data: { registers: { ...general, sp, pc }, el, spsel, nzcv, daif } }
}

/** General registers, SP, PC and PSTATE, then the registers of the exception that was taken last to EL1. */
function registerLines(state: CpuState, names: Names): string[] {
  const lines: string[] = []
  const general = [...state.x].map((value, n) => `x${n}`.padEnd(4) + hex64(value))
  for (let n = 0; n < 30; n += 3) lines.push(general.slice(n, n + 3).join('  '))
  lines.push(`${general[30]}${names.suffix(state.x[30])}`)
  lines.push(`sp  ${hex64(state.sp)}`, `pc  ${hex64(state.pc)}${names.suffix(state.pc)}`)
  lines.push(`pstate ${pstate(state)}`)
  const { elr_el: elr, spsr_el: spsr, esr_el: esr, far_el: far } = state
  lines.push(`elr_el1 ${hex64(elr[1])}${names.suffix(elr[1])}`)
  lines.push(`spsr_el1 ${hex64(spsr[1])}  esr_el1 ${hex64(esr[1])}  far_el1 ${hex64(far[1])}`)
  lines.push(
    `ttbr0_el1 ${hex64(state.ttbr0_el[1])}  ttbr1_el1 ${hex64(state.ttbr1_el1)}  sctlr_el1 ${hex64(state.sctlr_el[1])}`,
  )
  return lines
}

/** PSTATE: flags and masks in capitals if set, the exception level and its stack. */
function pstate({ nzcv, daif, el, spsel, halted }: CpuState): string {
  const letters = (names: string, bits: number) =>
    [...names].map((name, n) => ((bits >>> (names.length - 1 - n)) & 1 ? name.toUpperCase() : name)).join('')
  const waits = halted ? ', waiting for an interrupt' : ''
  return `${letters('nzcv', nzcv)} ${letters('daif', daif >>> 6)} EL${el}${el > 0 ? (spsel ? 'h' : 't') : ''}${waits}`
}
