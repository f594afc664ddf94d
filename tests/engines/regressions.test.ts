/** Differences between engines that generated guests have found, each in a guest of a few instructions. */
import { expect, test } from 'vitest'
import { Guest } from '../cpu/guest.js'
import { START, agree, reference } from './agreement.js'
import { DEVICE } from './subject.js'

const ERET = 0xd69f03e0

test('an instruction in a device is not read again to be translated', () => {
  // What the device answers is UNDEFINED; the handler returns to it.
  agree({ 0xa00: ERET }, ({ state }) => {
    state.vbar_el[1] = START + 0x800n
    state.pc = BigInt(DEVICE)
  }, [100]) // prettier-ignore
  expect(reference.events.some((event) => event.includes('read'))).toBe(true)
})

test('a branch backwards at the end of a page, not taken: what leads out of the page is not the head of a region', () => {
  const run = (engine: 'interpreter' | 'hybrid') => {
    const guest = new Guest()
    guest.cpu.setEngine(engine, 8)
    // A first region, so that the second one's number is that of the handler of UNDEFINED words.
    guest.program(
      START,
      `
      d2800c80 mov x0, #0x64
      d1000400 sub x0, x0, #0x1
      b5ffffe0 cbnz x0, 0x40000004
      140003f9 b 0x40000ff0
      `,
    )
    // The head of this loop is the interpreter's, so that it gets no region.
    guest.program(
      START + 0xff0n,
      `
      d53b4205 mrs x5, nzcv
      91000421 add x1, x1, #0x1
      f240003f tst x1, #0x1
      54ffffa1 b.ne 0x40000ff0
      14000400 b 0x40002000
      `,
    )
    guest.program(
      START + 0x2000n,
      `
      ${Array(10).fill('91000463 add x3, x3, #0x1').join('\n')}
      17fffbf2 b 0x40000ff0
      `,
    )
    guest.run(2000)
    return { pc: guest.cpu.state.pc, x: [...guest.cpu.state.x], faults: guest.faults }
  }
  expect(run('interpreter').faults).toEqual([])
  expect(run('hybrid')).toEqual(run('interpreter'))
})
