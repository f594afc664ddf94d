/** `lockstep --guests`: the bare-metal guests of bench/guests, with the results and instruction counts that their README lists. */
import { join } from 'node:path'
import { compare, describe } from './compare.js'
import { disassemble } from './disassemble.js'
import { MachineSubject, machineSubject } from './machine-subject.js'
import { projectRoot } from './qemu.js'
import type { Guest } from './subject.js'

interface KnownGuest {
  readonly name: string
  /** What stands behind `result=`; undefined where it depends on the clock. */
  readonly result: string | undefined
  /** Instructions to power-off. */
  readonly total: number
  /** Whether every instruction is compared, or result and total only. */
  readonly lockstep: boolean
}

/** With `-icount shift=4`, as the README's figures. */
const SHIFT = 4
const GUESTS: readonly KnownGuest[] = [
  { name: 'null', result: '0', total: 690, lockstep: true },
  { name: 'irq', result: '2710', total: 100_852, lockstep: true },
  { name: 'uart', result: '100000', total: 10_486_717, lockstep: true },
  { name: 'mem', result: 'bf9c799b732f0000', total: 5_571_508, lockstep: true },
  { name: 'mem-mmu', result: 'bf9c799b732f0000', total: 5_577_721, lockstep: true },
  { name: 'svc', result: '0', total: 70_000_963, lockstep: false },
  { name: 'svc-mmu', result: '0', total: 70_007_176, lockstep: false },
  { name: 'spin', result: undefined, total: 500_000_852, lockstep: false },
  { name: 'mix', result: 'd1697b4ea32d8c69', total: 549_541_003, lockstep: false },
  { name: 'mix-mmu', result: 'd1697b4ea32d8c69', total: 549_547_216, lockstep: false },
  { name: 'cpu', result: 'b6353158a487ceec', total: 1_000_000_843, lockstep: false },
  { name: 'cpu-mmu', result: 'b6353158a487ceec', total: 1_000_007_056, lockstep: false },
]
const SECONDS = 600

/**
 * Runs the guests whose names match, or all.
 *
 * @returns how many went wrong.
 */
export async function runGuests(names: readonly string[], print: (line: string) => void): Promise<number> {
  let wrong = 0
  for (const known of GUESTS) {
    if (names.length > 0 && !names.includes(known.name)) continue
    const kernel = join(projectRoot(), 'bench/guests/prebuilt', `${known.name}.elf`)
    const guest = {
      kernel,
      virtualization: false,
      icountShift: SHIFT,
      append: undefined,
      initrd: undefined,
      memoryMiB: 512,
    }
    const problems = known.lockstep ? await inLockstep(guest, known) : free(guest, known)
    if (problems.length > 0) wrong++
    print(`${problems.length > 0 ? 'WRONG' : 'same '} ${known.name.padEnd(8)} ${problems.join('; ') || how(known)}`)
  }
  return wrong
}

const how = ({ total, lockstep }: KnownGuest): string =>
  `${total} instructions, ${lockstep ? 'every one compared' : 'result and total compared'}`

async function inLockstep(guest: Guest, known: KnownGuest): Promise<string[]> {
  const result = await compare(guest, machineSubject, { every: 65536, seconds: SECONDS })
  const problems = check(known, result.total, result.uart)
  if (result.difference) problems.push(describe(result.difference, disassemble))
  if (result.uartDifference !== undefined) problems.push(`UART byte ${result.uartDifference} differs`)
  return problems
}

/** Runs on our side alone. */
function free(guest: Guest, known: KnownGuest): string[] {
  const subject = new MachineSubject(guest)
  subject.runToEnd()
  const problems = check(known, subject.icount, subject.uart())
  if (!subject.stopReason.startsWith('power-off')) problems.push(subject.stopReason)
  return problems
}

function check(known: KnownGuest, total: number, uart: Uint8Array): string[] {
  const text = new TextDecoder().decode(uart)
  const result = /result=0*([0-9a-f]+)/.exec(text)?.[1]
  const problems: string[] = []
  if (total !== known.total) problems.push(`${total} instructions, not ${known.total}`)
  if (result === undefined) problems.push(`no result in '${text.slice(-80)}'`)
  else if (known.result !== undefined && result !== known.result) problems.push(`result ${result}, not ${known.result}`)
  return problems
}
