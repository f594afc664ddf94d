/** Code that changes under the processor: through the same page, another page, another address, and among data. */
import { describe, expect, test } from 'vitest'
import { Guest, NORMAL, START } from './guest.js'

/** MOVZ X0, #imm */
const movX0 = (imm: number) => BigInt((0xd280_0000 | (imm << 5)) >>> 0)
/** MOVZ X0, #1; RET, as one 64-bit word with the MOVZ low. */
const RET = 0xd65f_03c0n << 32n

describe('stores over code that has been executed', () => {
  test('in the same page, behind the store', () => {
    const guest = new Guest()
    // X1 gathers what the instruction at `target` gives: 1 the first time, 2 from the second time on.
    guest.program(
      START,
      `
      10000063 adr x3, 0x4000000c
      52800802 mov w2, #0x40
      72ba5002 movk w2, #0xd280, lsl #16
      d2800020 mov x0, #0x1
      8b000021 add x1, x1, x0
      b9000062 str w2, [x3]
      91000484 add x4, x4, #0x1
      f1000c9f cmp x4, #0x3
      54ffff61 b.ne 0x4000000c
      `,
    )
    guest.run(3 + 3 * 6)
    expect(guest.x(1)).toBe(1n + 2n + 2n)
  })

  test('the very next instruction', () => {
    const guest = new Guest()
    guest.program(
      START,
      `
      b9000062 str w2, [x3]
      d503201f nop
      91008042 add x2, x2, #0x20
      17fffffd b 0x40000000
      `,
    )
    guest.cpu.state.x[2] = movX0(1)
    guest.cpu.state.x[3] = START + 4n
    for (let value = 1n; value <= 5n; value++) {
      guest.run(2)
      expect(guest.x(0)).toBe(value)
      guest.run(2)
    }
  })

  test('one half of a 64-bit store, and a pair across two instructions each', () => {
    const guest = new Guest()
    guest.program(
      START,
      `
      d503201f nop
      d503201f nop
      d503201f nop
      d503201f nop
      a9000c82 stp x2, x3, [x4]
      17fffffb b 0x40000000
      `,
    )
    // MOV X0, #1; ADD X0, X0, #1 twice; ADD X0, X0, #4
    guest.cpu.state.x[2] = (0x9100_0400n << 32n) | movX0(1)
    guest.cpu.state.x[3] = (0x9100_1000n << 32n) | 0x9100_0400n
    guest.cpu.state.x[4] = START
    guest.run(6 + 4)
    expect(guest.x(0)).toBe(7n)
  })

  test('in another page', () => {
    const guest = new Guest()
    const callee = START + 0x5000n
    guest.program(
      START,
      `
      d63f00a0 blr x5
      8b000021 add x1, x1, x0
      b90000a2 str w2, [x5]
      17fffffd b 0x40000000
      `,
    )
    guest.write(callee, RET | movX0(1))
    guest.cpu.state.x[2] = movX0(10)
    guest.cpu.state.x[5] = callee
    guest.run(3 * 6)
    expect(guest.x(1)).toBe(1n + 10n + 10n)
  })

  test('with a store that crosses from a data page into a code page', () => {
    const guest = new Guest()
    const callee = START + 0x5000n
    guest.program(
      START,
      `
      d63f00a0 blr x5
      8b000021 add x1, x1, x0
      f81fc0a2 stur x2, [x5, #-4]
      17fffffd b 0x40000000
      `,
    )
    guest.write(callee, RET | movX0(1))
    guest.cpu.state.x[2] = movX0(10) << 32n
    guest.cpu.state.x[5] = callee
    guest.run(3 * 6)
    expect(guest.x(1)).toBe(1n + 10n + 10n)
  })
})

describe('one page of code at two virtual addresses', () => {
  /** Identity for the caller, its data and both views of the callee. */
  function twoViews(): Guest {
    const guest = new Guest()
    guest.program(
      START,
      `
      d63f00a0 blr x5
      8b000021 add x1, x1, x0
      d63f00c0 blr x6
      8b000021 add x1, x1, x0
      b90000e2 str w2, [x7]
      91008042 add x2, x2, #0x20
      17fffffa b 0x40000000
      `,
    )
    guest.write(START + 0x5000n, RET | movX0(1))
    guest.map({
      [String(START)]: [START, NORMAL],
      [String(START + 0x8000n)]: [START + 0x5000n, NORMAL],
      [String(START + 0x9000n)]: [START + 0x5000n, NORMAL],
      [String(START + 0xa000n)]: [START + 0x5000n, NORMAL],
    })
    guest.cpu.state.x[2] = movX0(2)
    guest.cpu.state.x[5] = START + 0x8000n
    guest.cpu.state.x[6] = START + 0x9000n
    return guest
  }

  test.each([0x8000n, 0x9000n, 0xa000n])('a store through %#x is seen at both', (view) => {
    const guest = twoViews()
    guest.cpu.state.x[7] = START + view
    guest.run(4 * 11)
    expect(guest.x(1)).toBe(2n * (1n + 2n + 3n + 4n))
  })

  test('a store from outside is seen at both', () => {
    const guest = twoViews()
    guest.cpu.state.x[7] = START + 0x100n
    guest.run(11)
    guest.write(START + 0x5000n, RET | movX0(100))
    guest.run(8)
    expect(guest.x(1)).toBe(2n + 200n)
  })
})

test('code and data on one page, with thousands of stores, and a change of the code at last', () => {
  const guest = new Guest()
  guest.program(
    START,
    `
    f8207860 str x0, [x3, x0, lsl #3]
    d2800021 mov x1, #0x1
    91000400 add x0, x0, #0x1
    92401400 and x0, x0, #0x3f
    f1000484 subs x4, x4, #0x1
    54ffff61 b.ne 0x40000000
    b90000a2 str w2, [x5]
    d2800024 mov x4, #0x1
    17fffff8 b 0x40000000
    `,
  )
  const { x } = guest.cpu.state
  x[2] = movX0(7) | 1n
  x[3] = START + 0x800n
  x[4] = 3000n
  // The MOV in the loop, executed all the while, becomes MOV X1, #7.
  x[5] = START + 4n
  guest.run(3000 * 6 + 3 + 2)
  expect(guest.x(1)).toBe(7n)
  expect(Array.from({ length: 64 }, (_, n) => guest.read(START + 0x800n + BigInt(8 * n)))).toEqual(Array.from({ length: 64 }, (_, n) => BigInt(n))) // prettier-ignore
  expect(guest.faults).toEqual([])
})

test('a page that is forgotten for its many stores, and is then executed and changed again', () => {
  const guest = new Guest()
  // The caller writes 600 words over the callee's page, then calls it; four times.
  guest.program(
    START,
    `
    d2804b04 mov x4, #0x258
    b90008a8 str w8, [x5, #8]
    f1000484 subs x4, x4, #0x1
    54ffffc1 b.ne 0x40000004
    b90000a2 str w2, [x5]
    d63f00a0 blr x5
    8b000021 add x1, x1, x0
    91008042 add x2, x2, #0x20
    17fffff8 b 0x40000000
    `,
  )
  const callee = START + 0x5000n
  guest.write(callee, RET | movX0(1))
  const { x } = guest.cpu.state
  x[2] = movX0(1)
  x[5] = callee
  guest.run(4 * (1 + 3 * 600 + 7))
  expect(guest.x(1)).toBe(1n + 2n + 3n + 4n)
})
