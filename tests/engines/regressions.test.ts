/** Differences between engines that generated guests have found, each in a guest of a few instructions. */
import { expect, test } from 'vitest'
import { RAM_PHYSICAL } from '../../cpu/machine-memory.js'
import type { Processor } from '../../cpu/processor.js'
import { DEVICE, Subject } from './subject.js'

const START = BigInt(RAM_PHYSICAL)
const ERET = 0xd69f03e0
const [reference, tested] = [new Subject(), new Subject()]

/** Runs words, by their offsets in RAM, with both engines; `between` is done after each of the counts. */
function agree(
  words: Readonly<Record<number, number>>,
  prepare: (cpu: Processor) => void,
  counts: readonly number[],
  between: (subject: Subject) => void = () => {},
): void {
  const image = new Uint8Array(Math.max(...Object.keys(words).map(Number)) + 4)
  const view = new DataView(image.buffer)
  for (const [offset, word] of Object.entries(words)) view.setUint32(Number(offset), word, true)
  reference.cpu.setEngine('interpreter')
  tested.cpu.setEngine('translator')
  for (const subject of [reference, tested])
    subject.load(image, (cpu) => {
      cpu.state.pc = START
      prepare(cpu)
    })
  for (const count of counts) {
    for (const subject of [reference, tested]) {
      subject.run(count)
      between(subject)
    }
    expect(tested.differsFrom(reference)).toBeUndefined()
  }
}

test('an instruction in a device is not read again to be translated', () => {
  // What the device answers is UNDEFINED; the handler returns to it.
  agree({ 0xa00: ERET }, ({ state }) => {
    state.vbar_el[1] = START + 0x800n
    state.pc = BigInt(DEVICE)
  }, [100]) // prettier-ignore
  expect(reference.events.some((event) => event.includes('read'))).toBe(true)
})
