/** A walk of the translation tables, shown level by level. */
import { AccessKind, permitted } from '../../cpu/mmu/mmu.js'
import { ADDRESS_SIZE_LEVEL_0, PHYSICAL_BITS, TableWalker, type WalkStep } from '../../cpu/mmu/walk.js'
import { decodeFields } from '../../cpu/sysregs/fields/field.js'
import { faultStatus } from '../../cpu/sysregs/fields/syndrome.js'
import {
  type DescriptorKind,
  descriptorAddress,
  descriptorFields,
  memoryAttribute,
} from '../../cpu/sysregs/fields/translation.js'
import type { Machine } from '../../devices/machine.js'
import type { Report } from './command.js'
import { hex64 } from './numbers.js'

const hex = (value: bigint | number): string => `0x${value.toString(16)}`
const lo = (value: bigint): number => Number(value & 0xffff_ffffn)
const hi = (value: bigint): number => Number(value >> 32n)

/**
 * Walks the tables for an address.
 *
 * @param el the exception level that makes the access: 0 and 1 share a regime, 2 has its own.
 */
export function walk(machine: Machine, address: bigint, el: 0 | 1 | 2): Report {
  const { cpu } = machine
  const { state } = cpu
  const el2 = el === 2
  const regime = el2 ? 'EL2' : 'EL1&0'
  const sctlr = state.sctlr_el[el2 ? 2 : 1]
  const tcr = state.tcr_el[el2 ? 2 : 1]
  const head = `${hex64(address)} for EL${el}, translation regime ${regime}`
  const canonicalHi = cpu.mmu.withoutTag(hi(address) | 0, lo(tcr), hi(tcr), el2)
  if ((sctlr & 1n) === 0n) return untranslated(address, canonicalHi, el, head)
  const upper = !el2 && (canonicalHi & 0x80_0000) !== 0
  const ttbr0 = state.ttbr0_el[el2 ? 2 : 1]
  const [base, baseName] = upper ? [state.ttbr1_el1, 'TTBR1_EL1'] : [ttbr0, `TTBR0_EL${el2 ? 2 : 1}`]
  const steps: WalkStep[] = []
  const walker = new TableWalker(machine.memory)
  walker.onStep = (step) => steps.push(step)
  const result = walker.walk(
    {
      tcrLo: lo(tcr),
      tcrHi: hi(tcr),
      ttbr0Lo: lo(ttbr0),
      ttbr0Hi: hi(ttbr0),
      ttbr1Lo: lo(state.ttbr1_el1),
      ttbr1Hi: hi(state.ttbr1_el1),
      split: !el2,
    },
    lo(address) | 0,
    canonicalHi,
  )
  const lines = [head, `  ${baseName.toLowerCase()} ${hex64(base)}`]
  const levels = steps.map((step, n) => level(step, n < steps.length - 1, !el2))
  for (const { text } of levels) lines.push(...text)
  const data: Record<string, unknown> = { address, el, mmu: true, base, levels: levels.map((each) => each.data) }
  if (result.fault !== 0) {
    const status = result.fault === ADDRESS_SIZE_LEVEL_0 ? 0 : result.fault
    const words = faultStatus(BigInt(status)) ?? 'fault'
    lines.push(`  ${words} (fault status ${hex(status)})`)
    return {
      lines: [...lines, ...cached(machine, address, canonicalHi, el, undefined)],
      data: { ...data, fault: status, meaning: words },
    }
  }
  const physical = result.page + (lo(address) & 0xfff)
  const index = (result.attributes >>> 5) & 7
  const attribute = memoryAttribute(BigInt.asUintN(8, state.mair_el[el2 ? 2 : 1] >> BigInt(8 * index)))
  const wxn = (sctlr & 0x8_0000n) !== 0n
  const may = (level_: number): string =>
    [[AccessKind.READ, 'read'] as const, [AccessKind.WRITE, 'write'] as const, [AccessKind.EXECUTE, 'execute'] as const]
      .filter(([kind]) => permitted(result.attributes, level_, kind, wxn))
      .map(([, name]) => name)
      .join(', ') || 'nothing'
  const levelsOf = el2 ? [2] : [0, 1]
  const rights = levelsOf.map((level_) => `EL${level_}: ${may(level_)}`).join('; ')
  lines.push(`  physical ${hex64(BigInt(physical))}, ${sizeText(result.size)} at level ${result.level}`)
  lines.push(`  ${rights}; memory: ${attribute} (Attr${index})`)
  lines.push(...cached(machine, address, canonicalHi, el, physical))
  return { lines, data: { ...data, physical, size: 2 ** result.size, rights, memory: attribute } }
}

/** With the MMU off (Arm ARM DDI 0487, D8.2.10). */
function untranslated(address: bigint, canonicalHi: number, el: number, head: string): Report {
  const off = `  the MMU is off (SCTLR_EL${el === 2 ? 2 : 1}.M is 0)`
  const plain = (BigInt(canonicalHi >>> 0) << 32n) | (address & 0xffff_ffffn)
  const physical = hi(address) >>> 0 === canonicalHi >>> 0 ? plain : plain & 0xff_ffff_ffff_ffffn
  const data = { address, el, mmu: false }
  if (physical >> BigInt(PHYSICAL_BITS) !== 0n) {
    const meaning = 'Address size fault, level 0'
    return { lines: [head, off, `  ${meaning} (fault status 0x0)`], data: { ...data, fault: 0, meaning } }
  }
  const lines = [head, `${off}: physical ${hex64(physical)}`]
  return { lines, data: { ...data, physical: Number(physical) } }
}

/** A note if the TLB has another translation than the tables: the processor uses that one. */
function cached(
  machine: Machine,
  address: bigint,
  canonicalHi: number,
  el: number,
  walked: number | undefined,
): string[] {
  const known = machine.cpu.mmu.peek(lo(address) | 0, canonicalHi, el)
  if (known < 0 || known === walked) return []
  return [
    `  but the TLB still holds ${hex64(BigInt(known))}, which the processor uses: a TLBI is missing, or yet to come`,
  ]
}

function level(step: WalkStep, more: boolean, split: boolean): { text: string[]; data: Record<string, unknown> } {
  const descriptor = (BigInt(step.high >>> 0) << 32n) | BigInt(step.low >>> 0)
  const kind = kindOf(step, more)
  const at = step.table + step.index * 8
  const target = kind === 'invalid' ? undefined : descriptorAddress(descriptor)
  const fields = decodeFields(descriptorFields(kind, split), descriptor)
  const title = `  level ${step.level}: table ${hex(step.table)}, index ${step.index}: [${hex(at)}] = ${hex64(descriptor)} ${kind}`
  const shown = fields
    // Of what a table restricts and of hints only what is set says something.
    .filter(({ value, name }) => value !== 0n || !(name.endsWith('Table') || name === 'Contiguous'))
    .map(({ name, value, meaning }) => `${name}=${value}${meaning === undefined ? '' : ` (${meaning})`}`)
  const text = [target === undefined ? title : `${title} -> ${hex(target)}`]
  if (shown.length > 0) text.push(`    ${shown.join(', ')}`)
  return { text, data: { level: step.level, table: step.table, index: step.index, at, descriptor, kind, fields } }
}

function kindOf({ level: n, low }: WalkStep, more: boolean): DescriptorKind {
  if ((low & 1) === 0) return 'invalid'
  if (n === 3) return (low & 2) !== 0 ? 'page' : 'invalid'
  return more || (low & 2) !== 0 ? 'table' : 'block'
}

function sizeText(bits: number): string {
  const units = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB']
  const unit = Math.floor(bits / 10)
  return `${2 ** (bits - 10 * unit)} ${units[unit]}`
}
