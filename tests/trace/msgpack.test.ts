/** msgpack: what goes in comes out, and what comes from a damaged file is refused. */
import { decode as plainDecode } from 'msgpackr'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decode, decodePages, decodeState, encode, encodePages, encodeState } from '../../trace/msgpack.js'
import type { PageRef, Portable } from '../../trace/rows.js'

const u32 = fc.integer({ min: 0, max: 0xffff_ffff })
const u64 = fc.bigInt({ min: 0n, max: (1n << 64n) - 1n })
const name = fc.stringMatching(/^[a-z][a-z0-9_]{0,12}$/)
const word = fc.oneof(u32, u64, fc.array(u32, { maxLength: 40 }), fc.array(u64, { maxLength: 40 }))
const state = fc.dictionary(name, fc.dictionary(name, word, { maxKeys: 20, noNullPrototype: true }), {
  maxKeys: 6,
  noNullPrototype: true,
})
const pages = fc
  .uniqueArray(fc.tuple(u32, fc.integer({ min: 1, max: 0xffff_ffff })), { selector: ([page]) => page, maxLength: 200 })
  .map((pairs): PageRef[] => pairs.toSorted((a, b) => a[0] - b[0]).map(([page, id]) => ({ page, id })))

describe('msgpack', () => {
  test('state images come back word for word, bigints as bigints', () => {
    fc.assert(
      fc.property(state, (image) => {
        expect(decodeState(encodeState(image))).toEqual(image)
      }),
    )
  })

  test('page lists come back', () => {
    fc.assert(
      fc.property(pages, (list) => {
        expect(decodePages(encodePages(list))).toEqual(list)
      }),
    )
  })

  test('positions up to 2^53 come back as numbers', () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), (icount) => {
        expect(decode(encode(icount))).toBe(icount)
      }),
    )
  })

  test('64-bit words of either sign come back', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: -(1n << 63n), max: (1n << 64n) - 1n }), (value) => {
        expect(decode(encode(value))).toBe(value)
      }),
    )
  })

  test('a reader that knows no extensions reads it', () => {
    const value = { memory: 512, cpu: 'cortex-a53', seed: 3n, list: [1, 'a', null, true], raw: Uint8Array.of(1, 2) }
    const bytes = encode(value)
    expect(plainDecode(bytes)).toEqual(value)
    // fixmap of five, as the specification has it: not msgpackr's record extension.
    expect(bytes[0]).toBe(0x85)
  })

  test('values that do not fit the format are refused', () => {
    expect(() => encode(1n << 64n)).toThrow('does not fit 64 bits')
    expect(() => encode(undefined as unknown as Portable)).toThrow('only plain types')
    expect(() => encode(new Date(0) as unknown as Portable)).toThrow('only plain types')
  })

  test('shapes other than expected are refused by name', () => {
    expect(() => decodeState(encode([1]))).toThrow('the state is not a msgpack map')
    expect(() => decodeState(encode({ cpu0: { pc: 'x' } }))).toThrow('cpu0.pc is neither a word nor a list of words')
    expect(() => decodePages(encode([1, 2, 1, 3]))).toThrow('page 1 of the page list comes after page 1')
    expect(() => decodePages(encode([1]))).toThrow('not a list of pairs')
    expect(() => decodePages(encode([1, 0]))).toThrow('page 1 has id 0')
  })

  test('bytes that are not msgpack throw an Error, whatever they are', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        try {
          decodeState(bytes)
        } catch (error) {
          expect(error).toBeInstanceOf(Error)
        }
      }),
    )
  })
})
