/** What gdb is told of the target: its registers by number, and the XML that describes them. */
import { savedProgramStatus } from '../../cpu/exceptions.js'
import type { Processor } from '../../cpu/processor.js'
import type { SystemRegister } from '../../cpu/sysregs/register.js'
import { systemRegisters } from '../../cpu/sysregs/table.js'

/** A register as gdb knows it. */
export interface TargetRegister {
  readonly name: string
  readonly bits: 32 | 64
  /** Its value now; reading has no effect. */
  readonly read: () => bigint
}

/** PSTATE as in SPSR_ELx (Arm ARM DDI 0487, C5.2.19): name, first and last bit. */
const PSTATE_FIELDS = [
  ['SP', 0, 0], ['EL', 2, 3], ['nRW', 4, 4], ['F', 6, 6], ['I', 7, 7], ['A', 8, 8], ['D', 9, 9],
  ['IL', 20, 20], ['SS', 21, 21], ['V', 28, 28], ['C', 29, 29], ['Z', 30, 30], ['N', 31, 31],
] as const // prettier-ignore

/** gdb's own numbers for the core registers end here: X0 to X30, SP, PC, CPSR. */
export const CORE_REGISTERS = 34

/** All registers of a processor, by their numbers: the core registers that gdb asks for, then the system registers of `cpu/sysregs`. */
export function targetRegisters(cpu: Processor): readonly TargetRegister[] {
  const { state } = cpu
  const core: TargetRegister[] = Array.from({ length: 31 }, (_, n) => ({
    name: `x${n}`,
    bits: 64,
    read: () => state.x[n],
  }))
  core.push({ name: 'sp', bits: 64, read: () => state.sp })
  core.push({ name: 'pc', bits: 64, read: () => state.pc })
  core.push({ name: 'cpsr', bits: 32, read: () => BigInt(savedProgramStatus(cpu.u32)) })
  const system = systemRegisters.flatMap((row): TargetRegister[] => {
    const read = exists(row, cpu) ? reader(row, cpu) : undefined
    return read ? [{ name: row.name, bits: 64, read }] : []
  })
  return [...core, ...system]
}

/** Whether the processor has the register, it can be read at all, and it has a name of its own. */
function exists(row: SystemRegister, cpu: Processor): boolean {
  const isOfEl2 = ((row.key >>> 11) & 7) === 4
  return row.read !== undefined && !/^S[23]_/.test(row.name) && (cpu.hasEl2 ? !row.onlyWithoutEl2 : !isOfEl2)
}

/**
 * Reads a register where it stands; what stands nowhere is computed as an MRS would. Registers that stand somewhere are not read as by
 * MRS, since that may trap.
 */
function reader({ storage, onRead }: SystemRegister, cpu: Processor): (() => bigint) | undefined {
  if (storage !== undefined) {
    const word = storage >>> 2
    return () => (BigInt(cpu.u32[word + 1]) << 32n) | BigInt(cpu.u32[word])
  }
  if (!onRead) return undefined
  return () => {
    onRead(cpu)
    return (BigInt(cpu.hi >>> 0) << 32n) | BigInt(cpu.lo >>> 0)
  }
}

/** A register's value as the protocol writes it: little-endian bytes in hexadecimal. */
export function registerHex({ bits, read }: TargetRegister): string {
  const digits = read()
    .toString(16)
    .padStart(bits / 4, '0')
  return (digits.match(/../g) ?? []).toReversed().join('')
}

/** The target description (gdb manual, appendix G): gdb's feature of AArch64, and one of ours in the group `system`. */
export function targetXml(registers: readonly TargetRegister[]): string {
  const fields = PSTATE_FIELDS.map(([name, start, end]) => `<field name="${name}" start="${start}" end="${end}"/>`)
  const type = (name: string): string =>
    name === 'sp' ? 'data_ptr' : name === 'pc' ? 'code_ptr' : name === 'cpsr' ? 'cpsr_flags' : 'int'
  const core = registers
    .slice(0, CORE_REGISTERS)
    .map(({ name, bits }) => `<reg name="${name}" bitsize="${bits}" type="${type(name)}"/>`)
  const system = registers
    .slice(CORE_REGISTERS)
    .map(({ name, bits }) => `<reg name="${name}" bitsize="${bits}" type="uint64" group="system"/>`)
  return [
    '<?xml version="1.0"?>',
    '<!DOCTYPE target SYSTEM "gdb-target.dtd">',
    '<target version="1.0">',
    '<architecture>aarch64</architecture>',
    '<feature name="org.gnu.gdb.aarch64.core">',
    `<flags id="cpsr_flags" size="4">${fields.join('')}</flags>`,
    ...core,
    '</feature>',
    '<feature name="kaal.aarch64.system">',
    ...system,
    '</feature>',
    '</target>',
    '',
  ].join('\n')
}
