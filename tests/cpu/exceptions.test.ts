/** Exceptions, interrupts and waiting, to the instruction. */
import { describe, expect, test } from 'vitest'
import { Guest, START, syndrome } from './guest.js'

const VECTORS = START + 0x800n
const ALL_MASKED = 0x3c0
/** SPSR_ELx.M */
const EL0 = 0n
const EL1T = 4n
const EL1H = 5n
const EL2H = 9n

function guestAt(program: string, options: { el2?: boolean } = {}): Guest {
  const guest = new Guest(options)
  guest.program(START, program)
  guest.cpu.state.vbar_el[1] = VECTORS
  guest.cpu.state.vbar_el[2] = VECTORS + 0x800n
  return guest
}

describe('system calls', () => {
  test('SVC from EL0: the vector for a lower level, the next instruction as return address, everything masked', () => {
    const guest = guestAt('d69f03e0 eret')
    guest.program(START + 0x100n, 'd4024681 svc #0x1234')
    const { state } = guest.cpu
    state.spsr_el[1] = EL0 | (6n << 28n)
    state.elr_el[1] = START + 0x100n
    state.sp = 0x1111n
    state.sp_el[0] = 0x2222n
    guest.run(1)
    expect([state.pc, state.el, state.spsel, state.sp, state.nzcv, state.daif]).toEqual([START + 0x100n, 0, 0, 0x2222n, 6, 0]) // prettier-ignore
    guest.run(1)
    expect([state.pc, state.el, state.spsel, state.sp, state.daif]).toEqual([
      VECTORS + 0x400n,
      1,
      1,
      0x1111n,
      ALL_MASKED,
    ])
    expect([state.elr_el[1], state.spsr_el[1], state.esr_el[1]]).toEqual([START + 0x104n, 6n << 28n, BigInt(syndrome(0x15, 0x1234))]) // prettier-ignore
    expect(guest.faults).toEqual([])
  })

  test('BRK, UNDEFINED and HVC without EL2 return to themselves', () => {
    for (const [line, esr] of [
      ['d4200540 brk #0x2a', syndrome(0x3c, 42)],
      ['0000002a udf #42', syndrome(0)],
      ['d4000002 hvc #0x0', syndrome(0)],
    ] as const) {
      const guest = guestAt(line)
      guest.run(1)
      const { state } = guest.cpu
      expect([state.pc, state.elr_el[1], Number(state.esr_el[1])]).toEqual([VECTORS + 0x200n, START, esr])
      expect(guest.faults).toEqual([esr])
    }
  })

  test('HVC with EL2 goes there, and ERET back', () => {
    const guest = guestAt('d69f03e0 eret', { el2: true })
    guest.program(START + 0x100n, 'd4000022 hvc #0x1\nd503201f nop')
    guest.program(VECTORS + 0x800n + 0x400n, 'd69f03e0 eret')
    const { state } = guest.cpu
    expect(state.el).toBe(2)
    state.hcr_el2 = 1n << 31n
    state.spsr_el[2] = EL1H
    state.elr_el[2] = START + 0x100n
    guest.run(1)
    expect([state.pc, state.el]).toEqual([START + 0x100n, 1])
    guest.run(1)
    expect([state.pc, state.el, Number(state.esr_el[2])]).toEqual([VECTORS + 0xc00n, 2, syndrome(0x16, 1)])
    guest.run(1)
    expect([state.pc, state.el, state.daif]).toEqual([START + 0x104n, 1, 0])
  })

  test('words that are unallocated raise an exception, whatever row they fall into', () => {
    for (const word of [0xd67f_0000, 0xb821_0000, 0xc000_0000, 0xd400_0000, 0xd53f_b000]) {
      const guest = guestAt('d503201f nop')
      guest.write(START, BigInt(word))
      guest.run(1)
      expect([guest.cpu.state.pc, guest.faults]).toEqual([VECTORS + 0x200n, [syndrome(0)]])
    }
  })
})

describe('illegal returns', () => {
  test.each([
    ['EL2 where there is none', EL2H],
    ['M[1] set', 6n],
    ['EL0 with SP_EL1', 1n],
    ['EL3', 13n],
  ])('%s: the level stays, and the next instruction is not executed', (_name, mode) => {
    const guest = guestAt('d69f03e0 eret')
    guest.program(START + 0x100n, 'd2800020 mov x0, #0x1')
    const { state } = guest.cpu
    state.spsr_el[1] = mode | (9n << 28n) | 0x80n
    state.elr_el[1] = START + 0x100n
    guest.run(1)
    expect([state.pc, state.el, state.spsel, state.il, state.nzcv, state.daif]).toEqual([
      START + 0x100n,
      1,
      1,
      1,
      9,
      0x80,
    ])
    guest.run(1)
    expect([state.pc, state.il, guest.x(0)]).toEqual([VECTORS + 0x200n, 0, 0n])
    expect([state.elr_el[1], Number(state.esr_el[1])]).toEqual([START + 0x100n, syndrome(0x0e)])
    // PSTATE as it was: EL1h, with IL.
    expect(state.spsr_el[1]).toBe((9n << 28n) | (1n << 20n) | 0x80n | EL1H)
  })
})

describe('stack pointers', () => {
  test('SPSel changes which one SP is, and exceptions take the right vector', () => {
    const guest = guestAt(`
      d50040bf msr spsel, #0x0
      910003e0 mov x0, sp
      910043ff add sp, sp, #0x10
      d50041bf msr spsel, #0x1
      910003e1 mov x1, sp
      d5184102 msr sp_el0, x2
      d5384103 mrs x3, sp_el0
      d50040bf msr spsel, #0x0
      910003e4 mov x4, sp
      d4000001 svc #0x0
      `)
    const { state } = guest.cpu
    state.sp = 0x1000n
    state.sp_el[0] = 0x2000n
    state.x[2] = 0x3000n
    guest.run(3)
    expect(state.sp).toBe(0x2010n)
    guest.run(6)
    expect([guest.x(0), guest.x(1), guest.x(3), guest.x(4)]).toEqual([0x2000n, 0x1000n, 0x3000n, 0x3000n])
    guest.run(1)
    expect([state.pc, state.sp, state.spsr_el[1] & 15n]).toEqual([VECTORS, 0x1000n, EL1T])
  })

  test('SP_EL0 by name is UNDEFINED while it is in use', () => {
    const guest = guestAt('d50040bf msr spsel, #0x0\nd5384103 mrs x3, sp_el0')
    guest.run(2)
    expect([guest.cpu.state.pc, guest.faults]).toEqual([VECTORS, [syndrome(0)]])
  })
})

describe('interrupts', () => {
  const counting = `
    91000400 add x0, x0, #0x1
    91000421 add x1, x1, #0x1
    91000442 add x2, x2, #0x1
    17fffffd b 0x40000000
    `

  test.each([0, 1, 2, 3, 4, 5, 100, 1023])('one that comes after %s instructions is taken there', (count) => {
    const guest = guestAt(counting)
    const { cpu } = guest
    cpu.state.daif = 0
    if (count) guest.run(count)
    expect(cpu.interruptible).toBeUndefined()
    cpu.setInterruptLine('irq', true)
    expect(cpu.interruptible).toBe('irq')
    cpu.interrupt('irq')
    expect(cpu.state.elr_el[1]).toBe(START + BigInt(4 * (count % 4)))
    expect([cpu.state.pc, cpu.state.daif, cpu.state.esr_el[1]]).toEqual([VECTORS + 0x280n, ALL_MASKED, 0n])
    expect(guest.x(0) + guest.x(1) + guest.x(2)).toBe(BigInt(count - Math.floor(count / 4)))
    expect(guest.faults).toEqual([])
  })

  test('FIQ before IRQ, each by its own mask', () => {
    const { cpu } = guestAt(counting)
    cpu.setInterruptLine('irq', true)
    cpu.setInterruptLine('fiq', true)
    expect([ALL_MASKED, 0x340, 0x380, 0x300].map((daif) => { cpu.state.daif = daif; return cpu.interruptible })).toEqual([undefined, 'irq', 'fiq', 'fiq']) // prettier-ignore
  })

  test.each([
    ['d50342ff msr daifclr, #0x2', 0],
    ['d51b4223 msr daif, x3', 0],
    ['d69f03e0 eret', 0x1fc],
  ])('unmasked by %s, is taken before the next instruction', (line, offset) => {
    const guest = guestAt(`${line}\nd2800020 mov x0, #0x1`)
    const { cpu } = guest
    cpu.state.spsr_el[1] = EL1H
    cpu.state.elr_el[1] = START + 0x200n
    cpu.setInterruptLine('irq', true)
    expect(cpu.run(10)).toBe(9)
    expect([cpu.interruptible, cpu.state.pc, guest.x(0)]).toEqual(['irq', START + 4n + BigInt(offset), 0n])
  })
})

describe('WFI', () => {
  const program = 'd503207f wfi\nd2800020 mov x0, #0x1\nd2800040 mov x0, #0x2'

  test('waits until an interrupt comes, masked or not, and goes on behind itself', () => {
    const { cpu } = guestAt(program)
    expect(cpu.run(10)).toBe(9)
    expect([cpu.waiting, cpu.state.pc]).toEqual([true, START + 4n])
    cpu.setInterruptLine('irq', true)
    expect([cpu.waiting, cpu.interruptible]).toEqual([false, undefined])
    expect(cpu.run(1)).toBe(0)
    expect(cpu.state.x[0]).toBe(1n)
  })

  test('does not wait where one is pending', () => {
    const { cpu } = guestAt(program)
    cpu.setInterruptLine('fiq', true)
    expect(cpu.run(3)).toBe(0)
    expect([cpu.waiting, cpu.state.x[0]]).toEqual([false, 2n])
  })

  test.each([
    ['d503207f wfi', true],
    // QEMU never traps WFE, which does not wait either.
    ['d503205f wfe', false],
  ])('%s from EL0, with SCTLR_EL1.nTWI and nTWE clear', (line, traps) => {
    for (const allowed of [true, false]) {
      const guest = guestAt('d69f03e0 eret')
      guest.program(START + 0x100n, line)
      const { state } = guest.cpu
      state.spsr_el[1] = EL0
      state.elr_el[1] = START + 0x100n
      state.sctlr_el[1] = allowed ? BigInt((1 << 16) | (1 << 18)) : 0n
      guest.cpu.run(1)
      guest.cpu.run(1)
      expect([state.pc, guest.faults]).toEqual(allowed || !traps ? [START + 0x104n, []] : [VECTORS + 0x400n, [syndrome(1, 0x1e << 20)]]) // prettier-ignore
    }
  })
})

describe('fetches that fail', () => {
  test('a misaligned PC', () => {
    const guest = guestAt('d61f0040 br x2')
    guest.cpu.state.x[2] = START + 0x102n
    guest.run(2)
    const { state } = guest.cpu
    expect([state.pc, state.elr_el[1], state.far_el[1], Number(state.esr_el[1])]).toEqual([VECTORS + 0x200n, START + 0x102n, START + 0x102n, syndrome(0x22)]) // prettier-ignore
  })

  test('nothing there', () => {
    const guest = guestAt('d61f0040 br x2')
    guest.cpu.state.x[2] = 0x1000n
    guest.run(2)
    const { state } = guest.cpu
    expect([state.pc, state.elr_el[1], state.far_el[1], Number(state.esr_el[1])]).toEqual([VECTORS + 0x200n, 0x1000n, 0x1000n, syndrome(0x21, 0x10)]) // prettier-ignore
  })
})
