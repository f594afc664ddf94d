/** Which pages are worth deflating. */
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { deflateRawSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { compressible } from '../../trace/compressible.js'

const PAGE = 4096
const page = (byte: (i: number) => number): Uint8Array => Uint8Array.from({ length: PAGE }, (_, i) => byte(i))

describe('compressible', () => {
  test.each<[string, Uint8Array]>([
    ['zeros', new Uint8Array(PAGE)],
    ['text', page((i) => 'the quick brown fox jumps over the lazy dog '.charCodeAt(i % 44))],
    ['every byte value in turn', page((i) => i)],
    ['a period that no word fits', page((i) => (i % 251) * 31)],
    ['a random kilobyte, four times', new Uint8Array(Buffer.concat(Array(4).fill(randomBytes(1024)) as Buffer[]))],
    ['half of it random', page((i) => (i < PAGE / 2 ? randomBytes(1)[0] : 0))],
  ])('%s: yes', (_name, bytes) => {
    expect(compressible(bytes)).toBe(true)
  })

  test('random bytes: no', () => {
    for (let i = 0; i < 200; i++) expect(compressible(randomBytes(PAGE))).toBe(false)
  })

  test('deflated data: no', () => {
    const image = readFileSync('kernel/prebuilt/kaal.elf')
    const packed = deflateRawSync(image, { level: 9 })
    expect(packed.length).toBeGreaterThan(2 * PAGE)
    expect(compressible(packed.subarray(PAGE, 2 * PAGE))).toBe(false)
  })

  test('where it says no, deflating saves less than an eighth: pages of programs', () => {
    const image = readFileSync('kernel/prebuilt/kaal.elf')
    let asked = 0
    for (let at = 0; at + PAGE <= image.length; at += PAGE) {
      const bytes = image.subarray(at, at + PAGE)
      const saved = PAGE - deflateRawSync(bytes, { level: 3 }).length
      asked++
      if (!compressible(bytes)) expect(saved).toBeLessThan(PAGE / 8)
    }
    expect(asked).toBeGreaterThan(10)
  })
})
