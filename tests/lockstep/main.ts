/** `npm run lockstep`: compares this machine with QEMU 7.2, instruction by instruction. */
import { existsSync } from 'node:fs'
import { Command, InvalidArgumentError } from 'commander'
import { compare, describe } from './compare.js'
import { disassemble } from './disassemble.js'
import { runGuests } from './guests.js'
import { machineSubject } from './machine-subject.js'
import { QemuError } from './qemu.js'
import { runRandom } from './random/run.js'
import { store } from './random/store.js'

const DIFFERENT = 1
const TROUBLE = 255

interface Options {
  readonly virtualization: boolean
  readonly icountShift: number
  readonly memory: number
  readonly append?: string
  readonly initrd?: string
  readonly max?: number
  readonly every: number
  readonly timeout: number
  readonly random?: number
  readonly seed: number
  readonly store: boolean
  readonly guests?: string[] | true
}

const number =
  (low: number, high: number) =>
  (text: string): number => {
    const value = Number(text.replaceAll('_', ''))
    if (!Number.isInteger(value) || value < low || value > high)
      throw new InvalidArgumentError(`give a number from ${low} to ${high}`)
    return value
  }

const program = new Command('lockstep')
  .description(
    'Runs a kernel in QEMU 7.2 and here, and compares every register before every instruction. Exits 0 if all agree, 1 if not.',
  )
  .argument('[image]', 'an ELF or an arm64 Image')
  .option('--virtualization', 'start at EL2 (-M virtualization=on)', false)
  .option('--icount-shift <n>', 'an instruction takes 2^n ns', number(0, 10), 1)
  .option('--memory <MiB>', 'RAM', number(16, 3072), 512)
  .option('--append <text>', "the kernel's command line")
  .option('--initrd <file>', 'initial RAM disk')
  .option('--max <n>', 'compare so many instructions at most', number(1, 2 ** 52))
  .option('--every <n>', 'distance of checkpoints', number(1, 2 ** 31), 65536)
  .option('--timeout <s>', 'seconds that QEMU may run', number(1, 1e6), 600)
  .option('--random <words>', 'compare random instructions instead of an image', number(1, 1e9))
  .option('--seed <n>', 'seed of the random instructions', number(0, 2 ** 32 - 1), 1)
  .option('--store', "write QEMU's results for the random guests that npm test replays", false)
  .option('--guests [names...]', 'run the guests of bench/guests instead of an image')
  .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : TROUBLE))
program.parse()

const print = (line: string): void => console.log(line)
const progress = (line: string): void => {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${line}`)
}

async function compareImage(kernel: string, options: Options): Promise<number> {
  if (!existsSync(kernel)) throw new QemuError(`${kernel}: no such file`)
  const { virtualization, icountShift, append, initrd, max, every, timeout } = options
  const guest = { kernel, virtualization, icountShift, append, initrd, memoryMiB: options.memory }
  const result = await compare(guest, machineSubject, {
    every,
    seconds: timeout,
    ...(max === undefined ? {} : { stop: max }),
    progress: (count) => progress(`${count} instructions`),
  })
  progress('')
  if (result.difference) {
    print(describe(result.difference, disassemble))
    return DIFFERENT
  }
  if (result.uartDifference !== undefined) {
    print(`the UART output differs from byte ${result.uartDifference} on, although every instruction agrees`)
    return DIFFERENT
  }
  const end = result.ended ? (max === undefined ? 'to power-off' : 'to the limit') : 'until QEMU was stopped'
  print(
    `same: ${result.compared} instructions ${end}, ${result.checkpoints} checkpoints, ${result.uart.length} UART bytes, hash ${result.hash}`,
  )
  return 0
}

async function main(): Promise<number> {
  const options = program.opts<Options>()
  const [image] = program.args
  if (options.random !== undefined)
    return (await runRandom({ words: options.random, seed: options.seed, progress }, print)) === 0 ? 0 : DIFFERENT
  if (options.store) {
    print(await store())
    return 0
  }
  if (options.guests !== undefined)
    return (await runGuests(options.guests === true ? [] : options.guests, print)) === 0 ? 0 : DIFFERENT
  if (image === undefined) throw new QemuError('give an image, --random, --guests or --store')
  return compareImage(image, options)
}

try {
  process.exitCode = await main()
} catch (error) {
  console.error(`lockstep: ${error instanceof Error ? error.message : String(error)}`)
  process.exitCode = TROUBLE
}
