/** `lockstep --guests`: the bare-metal guests of bench/guests, with the results and instruction counts of `bench/guests.ts`, which are QEMU's. */
import { join } from 'node:path'
import { GUESTS, type Guest as KnownGuest, parseLastLine, wrongOutput } from '../../bench/guests.js'
import { compare, describe } from './compare.js'
import { disassemble } from './disassemble.js'
import { MachineSubject, machineSubject } from './machine-subject.js'
import { hashRun, projectRoot } from './qemu.js'
import type { Guest } from './subject.js'

/** Of these, every instruction is compared: the others have too many, and only their output and total is. */
const IN_LOCKSTEP = new Set(['null', 'kaal-boot', 'irq', 'uart', 'mem', 'mem-mmu', 'cold'])
/** The `-icount` shift for which the list of guests has totals and ticks. */
const SHIFT = 1
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
    const problems = IN_LOCKSTEP.has(known.name) ? await inLockstep(known) : free(known)
    if (problems.length > 0) wrong++
    print(`${problems.length > 0 ? 'WRONG' : 'same '} ${known.name.padEnd(9)} ${problems.join('; ') || how(known)}`)
  }
  for (const name of ECHO_GUESTS) {
    if (names.length > 0 && !names.includes(name)) continue
    const problem = await echoes(name)
    if (problem !== undefined) wrong++
    print(
      `${problem === undefined ? 'same ' : 'WRONG'} ${name.padEnd(9)} ${problem ?? `${ECHO_BYTES} bytes given at once, the right sum and echo on both sides`}`,
    )
  }
  return wrong
}

/** These sum and echo what comes by the UART until 0x04. When it comes depends on the host, so only the outcome is compared. */
const ECHO_GUESTS = ['echo', 'echo-spin']
const ECHO_BYTES = 4096
const END_OF_INPUT = 4

async function echoes(name: string): Promise<string | undefined> {
  const guest = guestOf(join('bench/guests/prebuilt', `${name}.elf`))
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

/** @param image seen from the project's folder. */
const guestOf = (image: string): Guest => ({
  kernel: join(projectRoot(), image),
  virtualization: false,
  icountShift: SHIFT,
  append: undefined,
  initrd: undefined,
  memoryMiB: 512,
})

const imageOf = (known: KnownGuest): string => known.image ?? join('bench/guests/prebuilt', `${known.name}.elf`)

/** What stands behind `result=`, without leading zeroes. */
const resultOf = (uart: Uint8Array): string | undefined => parseLastLine(new TextDecoder().decode(uart))?.result

const how = ({ name, instructions }: KnownGuest): string =>
  `${instructions ?? 'all'} instructions, ${IN_LOCKSTEP.has(name) ? 'every one compared' : 'output and total compared'}`

async function inLockstep(known: KnownGuest): Promise<string[]> {
  const result = await compare(guestOf(imageOf(known)), machineSubject, { every: 65536, seconds: SECONDS })
  const problems = check(known, result.total, result.uart)
  if (result.difference) problems.push(describe(result.difference, disassemble))
  if (result.uartDifference !== undefined) problems.push(`UART byte ${result.uartDifference} differs`)
  return problems
}

/** Runs on our side alone. */
function free(known: KnownGuest): string[] {
  const subject = new MachineSubject(guestOf(imageOf(known)))
  subject.runToEnd()
  const problems = check(known, subject.icount, subject.uart())
  if (!subject.stopReason.startsWith('power-off')) problems.push(subject.stopReason)
  return problems
}

function check(known: KnownGuest, total: number, uart: Uint8Array): string[] {
  const problems: string[] = []
  if (total !== (known.instructions ?? total)) problems.push(`${total} instructions, not ${known.instructions}`)
  const wrong = wrongOutput(known, new TextDecoder().decode(uart), true)
  if (wrong !== undefined) problems.push(wrong)
  return problems
}
