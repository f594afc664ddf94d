/**
 * The disassembler against GNU objdump 2.40: `disassembler.txt` has an address, a word and objdump's text for each form of text that
 * each row of the table has, chosen from 780,000 random words by `node dist/tests/cpu/objdump.js --sample`.
 */
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { disassemble } from '../../cpu/isa/disassembler.js'
import { decode, instructions } from '../../cpu/isa/table.js'
import { Random, randomWord } from './words.js'

const sample = readFileSync(new URL('disassembler.txt', import.meta.url), 'utf8')
  .trimEnd()
  .split('\n')
  .map((line) => {
    const [pc, word, ...text] = line.split(' ')
    return { pc: BigInt(`0x${pc}`), word: Number.parseInt(word, 16), text: text.join(' ') }
  })

test('writes what objdump writes', () => {
  expect(sample.length).toBeGreaterThan(700)
  expect(sample.map(({ pc, word }) => disassemble(word, pc))).toEqual(sample.map(({ text }) => text))
})

test('the sample has every row', () => {
  const covered = new Set(sample.map(({ word }) => decode(word)?.instruction.name))
  const missing = instructions.filter(({ name }) => !covered.has(name)).map(({ name }) => name)
  expect(missing.every((name) => name.startsWith('FP/SIMD'))).toBe(true)
})

test('every word of every row has a text', () => {
  const random = new Random(2)
  for (const row of instructions) {
    for (let i = 0; i < 1000; i++) {
      const word = randomWord(row, random)
      const text = disassemble(word, 0xffff_0000_4020_1000n)
      expect(text).toMatch(decode(word) ? /^[a-z.]/ : /^\.inst 0x[0-9a-f]{8} \/\/ undefined$/)
      expect(text).not.toMatch(/undefined.|NaN|,,|, $/)
    }
  }
})

describe('addresses', () => {
  const symbol = (address: bigint) => (address === 0x4008_0010n ? 'loop+0x8' : undefined)

  test('have their symbol behind them', () => {
    expect(disassemble(0x5400_0080, 0x4008_0000n, symbol)).toBe('b.eq 0x40080010 <loop+0x8>')
    expect(disassemble(0x5400_0081, 0x4008_0004n, symbol)).toBe('b.ne 0x40080014')
  })

  test('wrap at 2^64, both ways', () => {
    expect(disassemble(0x1400_0002, 0xffff_ffff_ffff_fffcn)).toBe('b 0x4')
    expect(disassemble(0x17ff_ffff, 0n)).toBe('b 0xfffffffffffffffc')
    expect(disassemble(0xf0ff_ffe0, 0x123n)).toBe('adrp x0, 0xfffffffffffff000')
  })
})

describe('words that are not instructions', () => {
  test.each([
    [0xc000_0000, '.inst 0xc0000000 // undefined'],
    // BR with opc 3
    [0xd67f_0000, '.inst 0xd67f0000 // undefined'],
    // LDADD, of Armv8.1
    [0xb821_0000, '.inst 0xb8210000 // undefined'],
    // MRS of a register that a Cortex-A53 has not, and MSR of one that is read-only
    [0xd53f_b000, '.inst 0xd53fb000 // undefined'],
    [0xd518_00a0, '.inst 0xd51800a0 // undefined'],
    [0x1e62_4020, '.inst 0x1e624020 // FP/SIMD'],
    [0x0000_002a, 'udf #42'],
  ])('%#x', (word, text) => {
    expect(disassemble(word, 0n)).toBe(text)
  })

  test('a word given as a signed number is the same word', () => {
    expect(disassemble(0xd503_201f | 0, 0n)).toBe('nop')
  })
})
