/** The instruction table: what every row must satisfy. */
import { describe, expect, test } from 'vitest'
import { HandlerTable } from '../../cpu/interpreter/handlers.js'
import { decode, instructions } from '../../cpu/isa/table.js'
import { Random, randomWord } from './words.js'

const handlers = new HandlerTable()

test('no two rows match a common word', () => {
  const clashes: string[] = []
  instructions.forEach((a, i) => {
    for (const b of instructions.slice(i + 1)) {
      const common = a.mask & b.mask
      if (((a.value ^ b.value) & common) === 0) clashes.push(`${a.name} and ${b.name}`)
    }
  })
  expect(clashes).toEqual([])
})

describe.each(instructions.map((row) => [row.name, row] as const))('%s', (_name, row) => {
  test('decodes its own words, and only those that are allocated', () => {
    const random = new Random(3)
    let allocated = 0
    for (let i = 0; i < 2000; i++) {
      const word = randomWord(row, random)
      const decoded = decode(word)
      expect(decoded?.instruction).toBe(row.allocated(row.raw(word)) ? row : undefined)
      if (!decoded) continue
      allocated++
      // The fields and the fixed bits make up the word again, but for bits that the processor ignores.
      let again = row.value
      for (const { name, lsb } of row.fields) again |= decoded.raw[name] << lsb
      const ignored = row.fields.reduce((rest, { lsb, width }) => rest & ~(((2 ** width - 1) << lsb) >>> 0), ~row.mask)
      expect((again ^ word) & ~ignored).toBe(0)
    }
    expect(allocated).toBeGreaterThan(0)
  })

  test('has a handler for every allocated word', () => {
    const random = new Random(4)
    for (let i = 0; i < 2000; i++) {
      const decoded = decode(randomWord(row, random))
      // find throws where a row's meaning and its `allocated` do not agree.
      expect(decoded && handlers.find(decoded).instruction).toBe(decoded && row)
    }
  })
})

describe('words of no row', () => {
  // C4.1: op0 of 00xx (reserved, SVE) and what came after Armv8.0.
  test.each([
    0x0000_0000,
    0x0420_0000,
    0xc000_0000,
    0xd67f_0000,
    0xb821_0000,
    0x9ac0_1000,
    0xd503_229f ^ 0x0010_0000,
    0xd400_0000,
  ])('%#x', (word) => {
    expect(decode(word)).toBeUndefined()
  })
})
