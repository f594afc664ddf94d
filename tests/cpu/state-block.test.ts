/** State blocks and the machine memory that they stand in. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { MachineMemory, PAGE_SIZE, RAM_MAX, RAM_MIN, STATE_BASE, STATE_END } from '../../cpu/machine-memory.js'
import {
  type BlockImage,
  type FieldSpec,
  loadBlock,
  saveBlock,
  stateBlock,
  u32,
  u32s,
  u64,
  u64s,
} from '../../cpu/state-block.js'

const specs = fc.oneof(
  fc.constant<FieldSpec>(u32),
  fc.constant<FieldSpec>(u64),
  fc.integer({ min: 1, max: 5 }).map<FieldSpec>(u32s),
  fc.integer({ min: 1, max: 5 }).map<FieldSpec>(u64s),
)
const word = { 32: fc.nat(0xffff_ffff), 64: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }) }

/** A block of random fields, and a value for it. */
const blocks = fc.array(specs, { minLength: 1, maxLength: 12 }).chain((list) => {
  const names = list.map((_, i) => `field${i}`)
  const values = list.map(({ bits, length }) =>
    length === undefined ? word[bits] : fc.array<number | bigint>(word[bits], { minLength: length, maxLength: length }),
  )
  return fc.tuple(...values).map((given) => ({
    block: stateBlock('block', Object.fromEntries(names.map((name, i) => [name, list[i]]))),
    image: Object.fromEntries(names.map((name, i) => [name, given[i]])) as BlockImage,
  }))
})

describe('blocks', () => {
  test('what is loaded is saved again, and touches nothing around it', () => {
    fc.assert(
      fc.property(blocks, fc.nat(4), ({ block, image }, at) => {
        const buffer = new ArrayBuffer(block.size + 64)
        new Uint8Array(buffer).fill(0xa5)
        loadBlock(block, buffer, at * 8, image)
        expect(saveBlock(block, buffer, at * 8)).toEqual(image)
        const around = [...new Uint8Array(buffer, 0, at * 8), ...new Uint8Array(buffer, at * 8 + block.size)]
        expect(new Set(around)).toEqual(new Set([0xa5]))
      }),
    )
  })

  test('fields follow each other, aligned, without overlap', () => {
    fc.assert(
      fc.property(blocks, ({ block }) => {
        let end = 0
        for (const { name, offset, bits, words } of block.places) {
          expect(offset).toBeGreaterThanOrEqual(end)
          expect(offset - end).toBeLessThan(bits / 8)
          expect(offset % (bits / 8)).toBe(0)
          expect(block.offsetOf(name)).toBe(offset)
          end = offset + (words * bits) / 8
        }
        expect(block.size % 8).toBe(0)
        expect(block.size - end).toBeLessThan(8)
      }),
    )
  })

  test('accessors read and write in place', () => {
    const block = stateBlock('timer', { control: u32, compare: u64, pending: u32s(2) })
    const buffer = new ArrayBuffer(64)
    const view = block.view(buffer, 8)
    view.control = 0xffff_ffff
    view.compare = 0x1_0000_0001n
    view.pending[1] = 7
    expect(saveBlock(block, buffer, 8)).toEqual({ control: 0xffff_ffff, compare: 0x1_0000_0001n, pending: [0, 7] })
    expect(view.control).toBe(0xffff_ffff)
  })

  describe('images that do not fit are refused by name', () => {
    const block = stateBlock('timer', { control: u32, pending: u32s(2) })
    test.each<[string, BlockImage, string]>([
      ['lacking a field', { control: 1 }, 'snapshot of timer lacks the field pending'],
      [
        'with a field too many',
        { control: 1, pending: [1, 2], mask: 3 },
        'snapshot of timer has an unknown field mask',
      ],
      ['with an array too short', { control: 1, pending: [1] }, 'snapshot of timer: pending has 1 words, not 2'],
      [
        'with an array for a word',
        { control: [1, 2], pending: [1, 2] },
        'snapshot of timer: control has 2 words, not 1',
      ],
    ])('%s', (_name, image, message) => {
      expect(() => loadBlock(block, new ArrayBuffer(64), 0, image)).toThrow(message)
    })

    test('a field that a block has not', () => {
      expect(() => block.offsetOf('mask' as 'control')).toThrow('state block timer has no field mask')
    })
  })
})

describe('machine memory', () => {
  test.each([0, RAM_MIN - PAGE_SIZE, RAM_MIN + 1, RAM_MAX + PAGE_SIZE, Number.NaN, 2 ** 24 + 0.5])(
    '%s bytes of RAM are refused',
    (size) => {
      expect(() => new MachineMemory(size)).toThrow(`RAM of ${size} bytes: give a multiple of 4096 between 16M and 3G`)
    },
  )

  test.each([RAM_MIN, RAM_MIN + PAGE_SIZE, RAM_MIN + 0x1_0000])('%s bytes of RAM are given', (size) => {
    const memory = new MachineMemory(size)
    expect(memory.ram.length).toBe(size)
    memory.ram[size - 1] = 0x5a
    expect(memory.ram[size - 1]).toBe(0x5a)
  })

  test('blocks stand one behind the other, and are saved and put back by name', () => {
    const memory = new MachineMemory(RAM_MIN)
    const first = memory.place(stateBlock('first', { a: u32 }))
    const second = memory.place(stateBlock('second', { b: u64s(2) }))
    expect(memory.stateEnd).toBe(STATE_BASE + 8 + 16)
    first.a = 1
    second.b[1] = 2n
    const saved = memory.saveState()
    expect(saved).toEqual({ first: { a: 1 }, second: { b: [0n, 2n] } })
    first.a = 9
    memory.loadState(saved)
    expect(first.a).toBe(1)
    expect(() => memory.loadState({ first: { a: 1 } })).toThrow('snapshot lacks the state of second')
    expect(() => memory.loadState({ ...saved, third: {} })).toThrow('snapshot has an unknown device third')
  })

  test('the state area has an end', () => {
    const memory = new MachineMemory(RAM_MIN)
    expect(() => memory.place(stateBlock('huge', { a: u64s((STATE_END - STATE_BASE) / 8 + 1) }))).toThrow(
      'no room in the state area for huge',
    )
    memory.place(stateBlock('all', { a: u64s((STATE_END - STATE_BASE) / 8) }))
    expect(memory.stateEnd).toBe(STATE_END)
  })
})
