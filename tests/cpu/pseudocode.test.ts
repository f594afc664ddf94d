/** Functions of the Arm ARM's pseudocode, against models in BigInt. */
import { expect, test } from 'vitest'
import { DecodeBitMasks, Ones, SignExtend, rotateRight64 } from '../../cpu/isa/pseudocode.js'
import { unsigned } from '../../cpu/isa/assembly.js'

const ror = (value: bigint, by: bigint, bits: bigint) =>
  BigInt.asUintN(Number(bits), (value >> by) | (value << (bits - by)))

/** `DecodeBitMasks(immN, imms, immr, TRUE)`, as the manual words it: find the element, rotate it, replicate it. */
function model(immN: number, imms: number, immr: number, sf: number): bigint | undefined {
  const bits = `${immN}${(~imms & 63).toString(2).padStart(6, '0')}`
  const length = 6 - bits.indexOf('1')
  if (!bits.includes('1') || length < 1 || (!sf && immN)) return undefined
  const esize = 2 ** length
  const [s, r] = [imms % esize, immr % esize]
  if (s === esize - 1) return undefined
  const element = ror((1n << BigInt(s + 1)) - 1n, BigInt(r), BigInt(esize))
  const pattern = element.toString(2).padStart(esize, '0')
  return BigInt(`0b${pattern.repeat((sf ? 64 : 32) / esize)}`)
}

test('DecodeBitMasks for all inputs', () => {
  let valid = 0
  for (let inputs = 0; inputs < 2 ** 14; inputs++) {
    const [sf, immN, imms, immr] = [inputs >>> 13, (inputs >>> 12) & 1, (inputs >>> 6) & 63, inputs & 63]
    const pair = DecodeBitMasks(immN, imms, immr, sf)
    expect(pair && unsigned(pair), `sf ${sf} N ${immN} imms ${imms} immr ${immr}`).toBe(model(immN, imms, immr, sf))
    if (pair) valid++
  }
  // Elements of 64 bits have 63 lengths of ones and 64 rotations; smaller ones as many more encodings as immr has bits to spare.
  expect(valid).toBe(63 * 64 + (31 + 15 + 7 + 3 + 1) * 64 * 2)
})

test('Ones and rotateRight64', () => {
  for (let count = 0; count <= 64; count++) {
    const ones = Ones(count)
    expect(unsigned(ones)).toBe((1n << BigInt(count)) - 1n)
    for (let by = 0; by < 64; by++)
      expect(unsigned(rotateRight64(...ones, by))).toBe(ror(unsigned(ones), BigInt(by), 64n))
  }
})

test('SignExtend', () => {
  for (let width = 1; width <= 32; width++) {
    for (const value of [0, 1, 2 ** (width - 1), 2 ** width - 1, 0x1234_5678])
      expect(SignExtend(value, width)).toBe(Number(BigInt.asIntN(width, BigInt(value))))
  }
})
