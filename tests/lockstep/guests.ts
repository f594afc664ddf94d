/** `lockstep --guests`: the bare-metal guests of bench/guests, with the results and instruction counts that their README lists. */
import { join } from 'node:path'
import { compare, describe } from './compare.js'
import { disassemble } from './disassemble.js'
import { MachineSubject, machineSubject } from './machine-subject.js'
import { hashRun, projectRoot } from './qemu.js'
import type { Guest } from './subject.js'

interface KnownGuest {
  readonly name: string
  /** What stands behind `result=`; undefined where it depends on the clock. */
  readonly result: string | undefined
  /** Instructions to power-off. */
  readonly total: number
  /** Whether every instruction is compared, or result and total only. */
  readonly lockstep: boolean
  /** The `-icount` shift of the total. */
  readonly shift: number
}

const GUESTS: readonly KnownGuest[] = [
  { name: 'null', result: '0', total: 690, lockstep: true, shift: 4 },
  { name: 'irq', result: '2710', total: 100_852, lockstep: true, shift: 4 },
  { name: 'uart', result: '100000', total: 10_486_717, lockstep: true, shift: 4 },
  { name: 'mem', result: 'bf9c799b732f0000', total: 5_571_508, lockstep: true, shift: 4 },
  { name: 'mem-mmu', result: 'bf9c799b732f0000', total: 5_577_721, lockstep: true, shift: 4 },
  { name: 'svc', result: '0', total: 70_000_963, lockstep: false, shift: 4 },
  { name: 'svc-mmu', result: '0', total: 70_007_176, lockstep: false, shift: 4 },
  { name: 'cold', result: 'f455c6cdd0196fd7', total: 9_071_037, lockstep: true, shift: 1 },
  { name: 'tlbmiss', result: 'cc018375b648961f', total: 38_332_783, lockstep: false, shift: 4 },
  { name: 'ptswitch', result: '4bd298829daa11df', total: 52_275_747, lockstep: false, shift: 4 },
  { name: 'smc', result: '422848da9680382c', total: 64_812_820, lockstep: false, shift: 4 },
  { name: 'bytecode', result: '77c190a2cbc1c85', total: 174_174_257, lockstep: false, shift: 4 },
  { name: 'calls', result: '118a0adc1d039f48', total: 269_563_271, lockstep: false, shift: 4 },
  { name: 'spin', result: undefined, total: 500_000_852, lockstep: false, shift: 1 },
  { name: 'mix', result: 'd1697b4ea32d8c69', total: 549_541_003, lockstep: false, shift: 4 },
  { name: 'mix-mmu', result: 'd1697b4ea32d8c69', total: 549_547_216, lockstep: false, shift: 4 },
  { name: 'cpu', result: 'b6353158a487ceec', total: 1_000_000_843, lockstep: false, shift: 4 },
  { name: 'cpu-mmu', result: 'b6353158a487ceec', total: 1_000_007_056, lockstep: false, shift: 4 },
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
    const guest = guestOf(known.name, known.shift)
    const problems = known.lockstep ? await inLockstep(guest, known) : free(guest, known)
    if (problems.length > 0) wrong++
    print(`${problems.length > 0 ? 'WRONG' : 'same '} ${known.name.padEnd(8)} ${problems.join('; ') || how(known)}`)
  }
  for (const name of ECHO_GUESTS) {
    if (names.length > 0 && !names.includes(name)) continue
    const problem = await echoes(name)
    if (problem !== undefined) wrong++
    print(
      `${problem === undefined ? 'same ' : 'WRONG'} ${name.padEnd(8)} ${problem ?? `${ECHO_BYTES} bytes given at once, the right sum and echo on both sides`}`,
    )
  }
  return wrong
}

/** These sum and echo what comes by the UART until 0x04. When it comes depends on the host, so only the outcome is compared. */
const ECHO_GUESTS = ['echo', 'echo-spin']
const ECHO_BYTES = 4096
const END_OF_INPUT = 4

async function echoes(name: string): Promise<string | undefined> {
  const guest = guestOf(name, 1)
  const input = Buffer.from(
    Array.from({ length: ECHO_BYTES }, (_, i) => (i === ECHO_BYTES - 1 ? END_OF_INPUT : 0x20 + ((i * 7) % 90))),
  )
  const sum = input.reduce((total, byte) => total + byte, 0).toString(16)
  const subject = new MachineSubject(guest)
  subject.type(input)
  subject.runToEnd()
  const reference = await hashRun(guest, 2 ** 30, { seconds: SECONDS, input })
  for (const [side, uart] of [
    ['kaal', subject.uart()],
    ['QEMU', reference.uart],
  ] as const) {
    const result = resultOf(uart)
    if (result !== sum) return `${side}: sum ${result}, not ${sum}`
    if (!Buffer.from(uart).includes(input)) return `${side}: the echo is not what was sent`
  }
  return undefined
}

const guestOf = (name: string, icountShift: number): Guest => ({
  kernel: join(projectRoot(), 'bench/guests/prebuilt', `${name}.elf`),
  virtualization: false,
  icountShift,
  append: undefined,
  initrd: undefined,
  memoryMiB: 512,
})

/** What stands behind `result=`, without leading zeroes. */
const resultOf = (uart: Uint8Array): string | undefined =>
  /result=0*([0-9a-f]+)/.exec(new TextDecoder().decode(uart))?.[1]

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
  const result = resultOf(uart)
  const problems: string[] = []
  if (total !== known.total) problems.push(`${total} instructions, not ${known.total}`)
  if (result === undefined) problems.push(`no result on the UART`)
  else if (known.result !== undefined && result !== known.result) problems.push(`result ${result}, not ${known.result}`)
  return problems
}
