/** The pattern compiler. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { extract, parsePattern, roleOf } from '../../cpu/isa/pattern.js'

describe('malformed patterns are refused with the reason', () => {
  test.each([
    ['0101', /covers 4 bits, not 32/],
    ['0'.repeat(33), /covers 33 bits, not 32/],
    ['sf:1 imm31:30', /covers 31 bits/],
    ['Rd:5 Rd:5 xxxxxxxxxxxxxxxxxxxxxx', /field Rd occurs twice/],
    ['Rd:5 012 000000000000000000000000', /token '012' is neither bits nor name:width/],
    ['Rd:  000000000000000000000000000', /token 'Rd:' is neither/],
    ['Rd:5  000000000000000000000000000', /token '' is neither/],
    ['', /token '' is neither/],
  ])('%s', (text, reason) => {
    expect(() => parsePattern(text)).toThrow(reason)
  })
})

test('roles follow from names', () => {
  expect(
    ['Rd', 'Rt2', 'imm12', 'nzcv', 'CRm', 'op1', 'o0', 'b40', 'op', 'sf', 'size', 'cond', 'opc', 'o2'].map(roleOf),
  ).toEqual(
    ['register', 'register', 'operand', 'operand', 'operand', 'operand', 'operand', 'operand', 'mode', 'mode', 'mode', 'mode', 'mode', 'mode'], // prettier-ignore
  )
})

/** A pattern of tokens that add up to 32 bits, with what it means as a string of 32 characters: 0, 1, x, or the letter of a field. */
const patterns = fc
  .array(fc.record({ width: fc.integer({ min: 1, max: 32 }), field: fc.boolean(), bits: fc.nat(3 ** 10) }), {
    minLength: 32,
  })
  .map((parts) => {
    const tokens: string[] = []
    let picture = ''
    for (const { width: wanted, field, bits } of parts) {
      const width = Math.min(wanted, 32 - picture.length)
      if (width === 0) break
      const letter = String.fromCharCode(65 + tokens.length)
      tokens.push(field ? `${letter}:${width}` : bits.toString(3).replace(/2/g, 'x').padStart(width, '0').slice(-width))
      picture += field ? letter.repeat(width) : tokens.at(-1)
    }
    return { text: tokens.join(' '), picture }
  })

test('mask, value and fields are those of the picture', () => {
  fc.assert(
    fc.property(patterns, fc.nat(0xffff_ffff), ({ text, picture }, random) => {
      const { mask, value, fields } = parsePattern(text)
      const bits = random.toString(2).padStart(32, '0')
      expect(mask.toString(2).padStart(32, '0')).toBe(
        picture.replace(/[01]/g, 'm').replace(/[^m]/g, '0').replace(/m/g, '1'),
      )
      expect(value.toString(2).padStart(32, '0')).toBe(picture.replace(/[^1]/g, '0'))
      for (const field of fields) {
        const from = picture.indexOf(field.name)
        expect(field.width).toBe(picture.lastIndexOf(field.name) - from + 1)
        expect(extract(random, field)).toBe(Number.parseInt(bits.slice(from, from + field.width), 2))
      }
    }),
  )
})
