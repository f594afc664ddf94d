/**
 * `plain.js IMAGE [ENGINE]`: runs a guest without recording it, so that the cost of recording can be told. Its UART output goes to
 * standard output, `N instructions` to standard error.
 */
import { writeSync } from 'node:fs'
import { ENGINES, type Engine } from '../cpu/translator/translator.js'
import { bareMachine, runToPowerOff } from './machine.js'

const [image, engine = 'hybrid'] = process.argv.slice(2)
if (image === undefined || !ENGINES.includes(engine as Engine)) {
  console.error(`usage: plain.js IMAGE [${ENGINES.join('|')}]`)
  process.exit(255)
}
const output = Buffer.alloc(2 ** 16)
let length = 0
const flush = (): void => {
  writeSync(1, output, 0, length)
  length = 0
}
const machine = bareMachine(image, engine as Engine, (byte) => {
  output[length++] = byte
  if (length === output.length) flush()
})
await runToPowerOff(machine)
flush()
console.error(`${machine.icount} instructions`)
