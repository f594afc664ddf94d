/** A guest on a bare machine: nothing is recorded, hashed or kept. */
import { readFileSync } from 'node:fs'
import { basename } from 'node:path'
import type { Engine } from '../cpu/translator/translator.js'
import { DEFAULT_CONFIG, parseMemory } from '../devices/config.js'
import { Machine } from '../devices/machine.js'
import { hostMilliseconds, yieldToHost } from '../replay/platform.js'
import { MEMORY } from './guests.js'

/** So many instructions are run at a time: a recorder's batches are as long. */
const SLICE = 2 ** 20
/** The host's event loop gets its turn as often as with a recorder, in milliseconds. */
const TURN = 20

/** A machine as `kaal record -m 512M` builds it, with a guest's image. */
export function bareMachine(image: string, engine: Engine, onTransmit: (byte: number) => void): Machine {
  const machine = new Machine(
    { ...DEFAULT_CONFIG, memoryBytes: parseMemory(MEMORY) },
    { kernel: { name: basename(image), bytes: readFileSync(image) } },
    { interrupt: () => {}, exception: () => {}, transmit: (_icount, byte) => onTransmit(byte) },
  )
  machine.cpu.setEngine(engine)
  return machine
}

/**
 * Runs a guest until it powers off.
 *
 * @param afterSlice called every 2^20 instructions.
 * @throws {Error} if it ends otherwise.
 */
export async function runToPowerOff(machine: Machine, afterSlice: () => void = () => {}): Promise<void> {
  let turn = hostMilliseconds()
  for (;;) {
    const end = machine.run(machine.icount + SLICE - (machine.icount % SLICE))
    if (end === 'power-off') return
    if (end === 'idle') machine.skipIdle()
    else if (end === 'limit') afterSlice()
    else if (end !== 'interrupt') throw new Error(`the guest has ended in ${end} at ${machine.icount}`)
    if (hostMilliseconds() - turn < TURN) continue
    await yieldToHost()
    turn = hostMilliseconds()
  }
}
