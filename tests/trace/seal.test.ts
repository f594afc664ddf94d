/** The seal on plain files: wherever it stands, and only if it stands once. */
import { createHash } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { checkSeal, sealPlaceholder, writeSeal } from '../../trace/seal.js'
import { testFolder } from './folder.js'

const folder = testFolder()
const placeholder = sealPlaceholder('a')
/** What the file is read in. */
const PIECE = 1 << 20

function fileWith(name: string, size: number, ...places: number[]): string {
  const bytes = Buffer.alloc(size, 'the rest of the file ')
  for (const at of places) bytes.set(placeholder, at)
  const path = folder(name)
  writeFileSync(path, bytes)
  return path
}

describe('the seal', () => {
  const ends = [0, 1, 4000, PIECE - 32, PIECE - 31, PIECE - 16, PIECE - 1, PIECE, 2 * PIECE - 5, 3 * PIECE + 7 - 32]
  test.each(ends)('at byte %i is the sha256 of the file without it', (at) => {
    const path = fileWith(`at-${at}`, 3 * PIECE + 7, at)
    writeSeal(path, placeholder)
    const bytes = readFileSync(path)
    const seal = Uint8Array.from(bytes.subarray(at, at + 32))
    expect(checkSeal(path, seal)).toBeUndefined()
    bytes.fill(0, at, at + 32)
    expect(createHash('sha256').update(bytes).digest().equals(seal)).toBe(true)
    bytes.set(seal, at)
    bytes[(at + 500_000) % bytes.length] ^= 4
    writeFileSync(path, bytes)
    expect(checkSeal(path, seal)).toContain('the seal does not match the file')
  })

  test('is neither written nor accepted unless it stands in one place', () => {
    const twice = fileWith('twice', 5000, 100, 3000)
    expect(() => writeSeal(twice, placeholder)).toThrow("the seal's placeholder stands in 2 places, not one")
    expect(checkSeal(twice, placeholder)).toBe('the seal stands in 2 places, not one')
    const never = fileWith('never', 5000)
    expect(() => writeSeal(never, placeholder)).toThrow("the seal's placeholder stands in 0 places, not one")
    expect(checkSeal(never, placeholder)).toBe('the seal stands in 0 places, not one')
    expect(checkSeal(never, new Uint8Array(31))).toBe('seal of 31 bytes, not 32')
  })
})
