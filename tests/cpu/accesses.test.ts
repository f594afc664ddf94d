/** Loads and stores: every size at every alignment, across pages that do not follow each other, and faults in the middle. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Guest, NORMAL, READ_ONLY, START, TABLES, syndrome } from './guest.js'

const VECTORS = START + 0x800n
/** Two virtual pages side by side, whose physical pages are apart. */
const LEFT = START + 0x1_0000n
const RIGHT = LEFT + 0x1000n
const LEFT_PHYSICAL = START + 0x2_0000n
const RIGHT_PHYSICAL = START + 0x3_0000n
const DATA_ABORT = 0x25
const WRITE = 0x40

/** A guest whose program is one instruction on the memory at X2, with data in X0 and X1. */
function guestFor(instruction: string, right: boolean | 'read-only' = true): Guest {
  const guest = new Guest()
  guest.program(START, instruction)
  guest.map({
    [String(START)]: [START, NORMAL],
    [String(LEFT)]: [LEFT_PHYSICAL, NORMAL],
    ...(right ? { [String(RIGHT)]: [RIGHT_PHYSICAL, right === true ? NORMAL : NORMAL | READ_ONLY] as const } : {}),
  })
  guest.cpu.state.vbar_el[1] = VECTORS
  return guest
}

function byteAt(guest: Guest, virtual: bigint): bigint {
  const physical = virtual < RIGHT ? virtual - LEFT + LEFT_PHYSICAL : virtual - RIGHT + RIGHT_PHYSICAL
  return (guest.read(physical & ~7n) >> (8n * (physical & 7n))) & 0xffn
}

const loads: [string, number, (value: bigint) => bigint][] = [
  ['39400040 ldrb w0, [x2]', 1, (v) => v],
  ['79400040 ldrh w0, [x2]', 2, (v) => v],
  ['b9400040 ldr w0, [x2]', 4, (v) => v],
  ['f9400040 ldr x0, [x2]', 8, (v) => v],
  ['39800040 ldrsb x0, [x2]', 1, (v) => BigInt.asUintN(64, BigInt.asIntN(8, v))],
  ['39c00040 ldrsb w0, [x2]', 1, (v) => BigInt.asUintN(32, BigInt.asIntN(8, v))],
  ['79800040 ldrsh x0, [x2]', 2, (v) => BigInt.asUintN(64, BigInt.asIntN(16, v))],
  ['79c00040 ldrsh w0, [x2]', 2, (v) => BigInt.asUintN(32, BigInt.asIntN(16, v))],
  ['b9800040 ldrsw x0, [x2]', 4, (v) => BigInt.asUintN(64, BigInt.asIntN(32, v))],
]
const stores: [string, number][] = [
  ['39000040 strb w0, [x2]', 1],
  ['79000040 strh w0, [x2]', 2],
  ['b9000040 str w0, [x2]', 4],
  ['f9000040 str x0, [x2]', 8],
]
const offsets = Array.from({ length: 33 }, (_, i) => BigInt(i - 16))

describe('at every offset from a page boundary', () => {
  test.each(loads)('%s', (instruction, size, extend) => {
    const guest = guestFor(instruction)
    for (let at = 0n; at < 32n; at += 8n) {
      guest.write(LEFT_PHYSICAL + 0xfe0n + at, 0x8182_8384_8586_8788n + 0x1010_1010_1010_1010n * at)
      guest.write(RIGHT_PHYSICAL + at, 0x9192_9394_9596_9798n + at)
    }
    for (const offset of offsets) {
      // Twice, since the second goes through what the first left in the TLBs.
      for (let time = 0; time < 2; time++) {
        guest.cpu.state.pc = START
        guest.cpu.state.x[2] = RIGHT + offset
        guest.run(1)
        let value = 0n
        for (let i = size - 1; i >= 0; i--) value = (value << 8n) | byteAt(guest, RIGHT + offset + BigInt(i))
        expect(guest.x(0), `offset ${offset}`).toBe(extend(value))
      }
    }
    expect(guest.faults).toEqual([])
  })

  test.each(stores)('%s', (instruction, size) => {
    const guest = guestFor(instruction)
    fc.assert(
      fc.property(fc.constantFrom(...offsets), fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), (offset, value) => {
        const before = Array.from({ length: 64 }, (_, i) => byteAt(guest, RIGHT - 32n + BigInt(i)))
        guest.cpu.state.pc = START
        guest.cpu.state.x[0] = value
        guest.cpu.state.x[2] = RIGHT + offset
        guest.run(1)
        for (let i = 0; i < size; i++) before[32 + Number(offset) + i] = (value >> BigInt(8 * i)) & 0xffn
        expect(before.map((_, i) => byteAt(guest, RIGHT - 32n + BigInt(i)))).toEqual(before)
      }),
      { numRuns: 200 },
    )
    expect(guest.faults).toEqual([])
  })

  test('pairs, at every offset', () => {
    const guest = guestFor('a9000440 stp x0, x1, [x2]\na9401043 ldp x3, x4, [x2]')
    for (const offset of offsets) {
      const { x } = guest.cpu.state
      guest.cpu.state.pc = START
      x[0] = 0x0102_0304_0506_0708n + BigInt.asUintN(32, offset)
      x[1] = 0x1112_1314_1516_1718n + BigInt.asUintN(32, offset)
      x[2] = RIGHT + offset
      guest.run(2)
      expect([guest.x(3), guest.x(4)]).toEqual([guest.x(0), guest.x(1)])
      expect(byteAt(guest, RIGHT + offset + 15n)).toBe(guest.x(1) >> 56n)
    }
  })
})

/** Runs one instruction that must fault, and returns what the handler would see. */
function faultOf(guest: Guest, address: bigint) {
  const { state } = guest.cpu
  state.x[0] = 0xaaaa_aaaa_aaaa_aaaan
  state.x[1] = 0xbbbb_bbbb_bbbb_bbbbn
  state.x[2] = address
  guest.run(1)
  expect(state.pc).toBe(VECTORS + 0x200n)
  expect(state.elr_el[1]).toBe(START)
  return { esr: Number(state.esr_el[1]), far: state.far_el[1], x: [guest.x(0), guest.x(1), guest.x(2)] }
}

describe('with the right-hand page unmapped', () => {
  const untouched = (address: bigint) => [0xaaaa_aaaa_aaaa_aaaan, 0xbbbb_bbbb_bbbb_bbbbn, address]

  test('a load that crosses reports the page that is missing, and changes nothing', () => {
    expect(faultOf(guestFor('f9400040 ldr x0, [x2]', false), RIGHT - 3n)).toEqual({ esr: syndrome(DATA_ABORT, 7), far: RIGHT, x: untouched(RIGHT - 3n) }) // prettier-ignore
  })

  test('a store that crosses writes nothing', () => {
    const guest = guestFor('f9000040 str x0, [x2]', false)
    expect(faultOf(guest, RIGHT - 3n)).toEqual({ esr: syndrome(DATA_ABORT, 7 | WRITE), far: RIGHT, x: untouched(RIGHT - 3n) }) // prettier-ignore
    expect(guest.read(LEFT_PHYSICAL + 0xff8n)).toBe(0n)
  })

  test('a pair loaded whose second element is there: neither register changes, nor the base', () => {
    expect(faultOf(guestFor('a8c10440 ldp x0, x1, [x2], #16', false), RIGHT - 8n)).toEqual({ esr: syndrome(DATA_ABORT, 7), far: RIGHT, x: untouched(RIGHT - 8n) }) // prettier-ignore
  })

  test('a pair stored: the first element has been written, the base has not', () => {
    const guest = guestFor('a9bf0440 stp x0, x1, [x2, #-16]!', false)
    expect(faultOf(guest, RIGHT + 8n)).toEqual({ esr: syndrome(DATA_ABORT, 7 | WRITE), far: RIGHT, x: untouched(RIGHT + 8n) }) // prettier-ignore
    expect(guest.read(LEFT_PHYSICAL + 0xff8n)).toBe(0xaaaa_aaaa_aaaa_aaaan)
  })

  test('a read-only page takes no store, and says so', () => {
    const guest = guestFor('f9000040 str x0, [x2]', 'read-only')
    expect(faultOf(guest, RIGHT + 8n)).toMatchObject({ esr: syndrome(DATA_ABORT, 0xf | WRITE), far: RIGHT + 8n })
  })

  test('after the fault is repaired the same instruction succeeds', () => {
    const guest = guestFor('a8c10440 ldp x0, x1, [x2], #16', false)
    faultOf(guest, RIGHT - 8n)
    guest.write(LEFT_PHYSICAL + 0xff8n, 1n)
    guest.write(RIGHT_PHYSICAL, 2n)
    guest.write(TABLES + 0x2000n + ((RIGHT >> 12n) & 511n) * 8n, RIGHT_PHYSICAL | NORMAL | 3n)
    guest.cpu.state.pc = START
    guest.run(1)
    expect([guest.x(0), guest.x(1), guest.x(2)]).toEqual([1n, 2n, RIGHT + 8n])
  })
})

describe('alignment', () => {
  test('with SCTLR_EL1.A an unaligned access faults, and an aligned one does not', () => {
    const guest = guestFor('f9400040 ldr x0, [x2]')
    guest.cpu.state.sctlr_el[1] |= 2n
    expect(faultOf(guest, LEFT + 4n)).toMatchObject({ esr: syndrome(DATA_ABORT, 0x21), far: LEFT + 4n })
    guest.cpu.state.pc = START
    guest.cpu.state.x[2] = LEFT + 8n
    guest.run(1)
    expect(guest.cpu.state.pc).toBe(START + 4n)
  })

  test('exclusive and ordered accesses fault without it too', () => {
    expect(faultOf(guestFor('c85f7c40 ldxr x0, [x2]'), LEFT + 4n)).toMatchObject({ esr: syndrome(DATA_ABORT, 0x21), far: LEFT + 4n }) // prettier-ignore
    expect(faultOf(guestFor('c8dffc40 ldar x0, [x2]'), LEFT + 1n)).toMatchObject({ esr: syndrome(DATA_ABORT, 0x21), far: LEFT + 1n }) // prettier-ignore
    expect(faultOf(guestFor('c87f0440 ldxp x0, x1, [x2]'), LEFT + 8n)).toMatchObject({ esr: syndrome(DATA_ABORT, 0x21), far: LEFT + 8n }) // prettier-ignore
  })
})

describe('DC ZVA', () => {
  test('clears the 64 bytes around the address, and no more', () => {
    const guest = guestFor('d50b7422 dc zva, x2')
    for (let at = 0n; at < 256n; at += 8n) guest.write(LEFT_PHYSICAL + at, ~0n & 0xffff_ffff_ffff_ffffn)
    guest.cpu.state.x[2] = LEFT + 0x7bn
    guest.run(1)
    const zero = Array.from({ length: 32 }, (_, i) => guest.read(LEFT_PHYSICAL + BigInt(8 * i)) === 0n)
    expect(zero).toEqual(zero.map((_, i) => i >= 8 && i < 16))
  })

  test('of a page that is missing reports the address given', () => {
    expect(faultOf(guestFor('d50b7422 dc zva, x2', false), RIGHT + 0x7bn)).toMatchObject({ far: RIGHT + 0x7bn })
  })
})
