/** The exclusive monitor: when a store-exclusive succeeds, and what ends a reservation. */
import { describe, expect, test } from 'vitest'
import { Guest, START } from './guest.js'

const DATA = START + 0x1000n

/** Runs a program with X2 = DATA, X1 = 0x55 and the data 0x11, 0x22; W0 is the status of the store. */
function run(program: string, count = program.trim().split('\n').length): Guest {
  const guest = new Guest()
  guest.program(START, program)
  guest.write(DATA, 0x11n)
  guest.write(DATA + 8n, 0x22n)
  guest.cpu.state.vbar_el[1] = START + 0x800n
  const { x } = guest.cpu.state
  x[0] = 0xffn
  x[1] = 0x55n
  x[2] = DATA
  guest.run(count)
  return guest
}

const LDXR = 'c85f7c43 ldxr x3, [x2]'
const STXR = 'c8007c41 stxr w0, x1, [x2]'

describe('STXR', () => {
  test('succeeds behind its LDXR, once', () => {
    const guest = run(`${LDXR}\n${STXR}\nc8047c42 stxr w4, x2, [x2]`)
    expect([guest.x(0), guest.x(3), guest.x(4), guest.read(DATA)]).toEqual([0n, 0x11n, 1n, 0x55n])
  })

  test('fails without a reservation', () => {
    const guest = run(STXR)
    expect([guest.x(0), guest.read(DATA)]).toEqual([1n, 0x11n])
  })

  test('fails after CLREX', () => {
    const guest = run(`${LDXR}\nd5033f5f clrex\n${STXR}`)
    expect([guest.x(0), guest.read(DATA)]).toEqual([1n, 0x11n])
  })

  test('fails at another address, and the reservation is gone then', () => {
    const guest = run(`${LDXR}\n91002044 add x4, x2, #0x8\nc8007c81 stxr w0, x1, [x4]\nc8057c41 stxr w5, x1, [x2]`)
    expect([guest.x(0), guest.x(5), guest.read(DATA), guest.read(DATA + 8n)]).toEqual([1n, 1n, 0x11n, 0x22n])
  })

  test('fails where an ordinary store has changed the data', () => {
    const guest = run(`${LDXR}\nf9000042 str x2, [x2]\n${STXR}`)
    expect([guest.x(0), guest.read(DATA)]).toEqual([1n, DATA])
  })

  test('fails after an exception has been taken and returned from', () => {
    const guest = new Guest()
    guest.program(START, `${LDXR}\nd4000001 svc #0x0\n${STXR}`)
    guest.program(START + 0xa00n, 'd69f03e0 eret')
    guest.cpu.state.vbar_el[1] = START + 0x800n
    guest.cpu.state.x[2] = DATA
    guest.run(4)
    expect([guest.x(0), guest.cpu.state.pc]).toEqual([1n, START + 12n])
  })

  test('a byte is watched as a byte', () => {
    const guest = run('085f7c43 ldxrb w3, [x2]\n08007c41 stxrb w0, w1, [x2]')
    expect([guest.x(0), guest.x(3), guest.read(DATA)]).toEqual([0n, 0x11n, 0x55n])
  })
})

describe('LDXP and STXP', () => {
  test('both halves are loaded and stored', () => {
    const guest = run('c87f1043 ldxp x3, x4, [x2]\nc8200841 stxp w0, x1, x2, [x2]')
    expect([guest.x(0), guest.x(3), guest.x(4)]).toEqual([0n, 0x11n, 0x22n])
    expect([guest.read(DATA), guest.read(DATA + 8n)]).toEqual([0x55n, DATA])
  })

  test('a change of the second half makes the store fail', () => {
    const guest = run('c87f1043 ldxp x3, x4, [x2]\nf9000441 str x1, [x2, #8]\nc8200841 stxp w0, x1, x2, [x2]')
    expect([guest.x(0), guest.read(DATA), guest.read(DATA + 8n)]).toEqual([1n, 0x11n, 0x55n])
  })

  test('of 32 bits', () => {
    const guest = run('887f1043 ldxp w3, w4, [x2]\n88200441 stxp w0, w1, w1, [x2]')
    expect([guest.x(0), guest.x(3), guest.x(4), guest.read(DATA)]).toEqual([0n, 0x11n, 0n, 0x55_0000_0055n])
  })
})

test('an atomic counter of a hundred steps', () => {
  const guest = new Guest()
  guest.program(
    START,
    `
    c85ffc43 ldaxr x3, [x2]
    91000463 add x3, x3, #0x1
    c800fc43 stlxr w0, x3, [x2]
    35ffffa0 cbnz w0, 0x40000000
    f1000421 subs x1, x1, #0x1
    54ffff61 b.ne 0x40000000
    `,
  )
  guest.cpu.state.x[1] = 100n
  guest.cpu.state.x[2] = DATA
  guest.run(600)
  expect([guest.read(DATA), guest.x(1)]).toEqual([100n, 0n])
})
