/** Guests of a few instructions that are written out, run with the interpreter and with the translator. */
import { expect } from 'vitest'
import { RAM_PHYSICAL } from '../../cpu/machine-memory.js'
import type { Processor } from '../../cpu/processor.js'
import { Subject } from './subject.js'

/** Where RAM begins, and so do guests. */
export const START = BigInt(RAM_PHYSICAL)

/** The processors, used again for each guest. */
export const [reference, tested] = [new Subject(), new Subject()]

/**
 * Runs a guest with both engines and compares them behind each of the counts, where `between` may do something to them.
 *
 * @param words of RAM, by their offsets.
 * @returns how many regions have been translated.
 */
export function agree(
  words: Readonly<Record<number, number>>,
  prepare: (cpu: Processor) => void,
  counts: readonly number[],
  between: (subject: Subject, index: number) => void = () => {},
  threshold = 1,
): number {
  const offsets = Object.keys(words).map(Number)
  const image = new Uint8Array(offsets.reduce((most, offset) => Math.max(most, offset + 4), 0))
  const view = new DataView(image.buffer)
  for (const [offset, word] of Object.entries(words)) view.setUint32(Number(offset), word, true)
  reference.cpu.setEngine('interpreter')
  tested.cpu.setEngine('translator', threshold)
  const before = tested.cpu.translations.translated
  for (const subject of [reference, tested])
    subject.load(image, (cpu) => {
      cpu.state.pc = START
      prepare(cpu)
    })
  counts.forEach((count, i) => {
    for (const subject of [reference, tested]) subject.run(count)
    expect(tested.differsFrom(reference)).toBeUndefined()
    for (const subject of [reference, tested]) between(subject, i)
  })
  return tested.cpu.translations.translated - before
}
