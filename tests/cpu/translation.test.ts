/** Address translation as a guest sees it: AT and PAR_EL1, permissions, faults of fetches, and stale TLB entries until their TLBI. */
import { describe, expect, test } from 'vitest'
import { Guest, NORMAL, READ_ONLY, START, TABLES, USER, syndrome } from './guest.js'

const VECTORS = START + 0x800n
const NOT_EXECUTABLE = 3n << 53n
const page = (n: bigint) => START + 0x1000n * n

function guestFor(program: string): Guest {
  const guest = new Guest()
  guest.program(START, program)
  guest.cpu.state.vbar_el[1] = VECTORS
  guest.map({
    [String(START)]: [START, NORMAL],
    [String(page(16n))]: [page(32n), NORMAL | USER | NOT_EXECUTABLE],
    [String(page(17n))]: [page(33n), NORMAL | READ_ONLY | NOT_EXECUTABLE],
    [String(page(18n))]: [page(34n), NORMAL & ~0x400n],
    [String(page(19n))]: [page(35n), 0x400n | 4n],
  })
  return guest
}

describe('AT', () => {
  const results: [string, bigint, bigint][] = [
    // Inner shareable, write-back: attribute 0xff, SH 3.
    ['d5087802 at s1e1r, x2', 16n, (0xffn << 56n) | page(32n) | 0xb80n],
    ['d5087822 at s1e1w, x2', 16n, (0xffn << 56n) | page(32n) | 0xb80n],
    ['d5087842 at s1e0r, x2', 16n, (0xffn << 56n) | page(32n) | 0xb80n],
    ['d5087862 at s1e0w, x2', 16n, (0xffn << 56n) | page(32n) | 0xb80n],
    ['d5087802 at s1e1r, x2', 17n, (0xffn << 56n) | page(33n) | 0xb80n],
    // Permission faults, level 3: FST 0xf.
    ['d5087822 at s1e1w, x2', 17n, 0x81fn],
    ['d5087842 at s1e0r, x2', 17n, 0x81fn],
    // Access flag, translation, and a device, whose shareability is the descriptor's, as QEMU has it.
    ['d5087802 at s1e1r, x2', 18n, 0x817n],
    ['d5087802 at s1e1r, x2', 100n, 0x80fn],
    ['d5087802 at s1e1r, x2', 19n, page(35n) | 0xa00n],
  ]
  test.each(results)('%s of page %s', (line, n, par) => {
    const guest = guestFor(`${line}\nd5387400 mrs x0, par_el1`)
    guest.cpu.state.x[2] = page(n) + 0x123n
    guest.run(2)
    expect(guest.x(0).toString(16)).toBe(par.toString(16))
    expect(guest.faults).toEqual([])
  })

  test('of an address that no level maps', () => {
    const guest = guestFor('d5087802 at s1e1r, x2\nd5387400 mrs x0, par_el1')
    for (const [address, par] of [
      [0x8000_0000n, 0x80bn],
      [1n << 39n, 0x809n],
      [START + (1n << 21n), 0x80dn],
    ] as const) {
      guest.cpu.state.pc = START
      guest.cpu.state.x[2] = address
      guest.run(2)
      expect(guest.x(0)).toBe(par)
    }
  })
})

describe('permissions', () => {
  test('code that may not be executed at EL1', () => {
    const guest = guestFor('d61f0040 br x2')
    guest.cpu.state.x[2] = page(16n)
    guest.run(2)
    const { state } = guest.cpu
    expect([state.pc, state.elr_el[1], state.far_el[1], Number(state.esr_el[1])]).toEqual([VECTORS + 0x200n, page(16n), page(16n), syndrome(0x21, 0xf)]) // prettier-ignore
  })

  test('LDTR and STTR are accesses of EL0', () => {
    const guest = guestFor('f8400840 ldtr x0, [x2]\nf8000841 sttr x1, [x2]\nf8400860 ldtr x0, [x3]')
    guest.write(page(32n), 7n)
    const { state } = guest.cpu
    state.x[1] = 8n
    state.x[2] = page(16n)
    state.x[3] = page(17n)
    guest.run(2)
    expect([guest.x(0), guest.read(page(32n))]).toEqual([7n, 8n])
    guest.run(1)
    expect([state.pc, state.far_el[1], Number(state.esr_el[1])]).toEqual([
      VECTORS + 0x200n,
      page(17n),
      syndrome(0x25, 0xf),
    ])
  })
})

describe('the TLB', () => {
  const entry = TABLES + 0x2000n + 16n * 8n

  test('keeps an entry until its TLBI, whatever the tables say', () => {
    const guest = guestFor(
      'f9400040 ldr x0, [x2]\nf9400041 ldr x1, [x2]\nd5088763 tlbi vaae1, x3\nf9400044 ldr x4, [x2]',
    )
    guest.write(page(32n), 1n)
    guest.write(page(40n), 2n)
    guest.cpu.state.x[2] = page(16n)
    guest.cpu.state.x[3] = page(16n) >> 12n
    guest.run(1)
    guest.write(entry, page(40n) | NORMAL | 3n)
    guest.run(3)
    expect([guest.x(0), guest.x(1), guest.x(4)]).toEqual([1n, 1n, 2n])
  })

  test('a page unmapped under the code that runs there is missed after the TLBI alone', () => {
    const guest = guestFor('d503201f nop\nd503201f nop\nd508871f tlbi vmalle1\nd503201f nop')
    guest.run(1)
    guest.write(TABLES + 0x2000n, 0n)
    guest.run(2)
    expect([guest.cpu.state.pc, guest.faults]).toEqual([START + 12n, []])
    guest.run(1)
    expect([guest.cpu.state.pc, guest.faults, guest.cpu.state.far_el[1]]).toEqual([VECTORS + 0x200n, [syndrome(0x21, 7)], START + 12n]) // prettier-ignore
  })

  test('entries of another ASID are not hit', () => {
    const guest = guestFor('f9400040 ldr x0, [x2]\nd5182005 msr ttbr0_el1, x5\nf9400041 ldr x1, [x2]')
    guest.write(page(32n), 1n)
    guest.write(page(40n), 2n)
    guest.write(entry, page(32n) | NORMAL | 3n | 0x800n)
    guest.cpu.state.x[2] = page(16n)
    guest.cpu.state.x[5] = TABLES | (1n << 48n)
    guest.run(1)
    guest.write(entry, page(40n) | NORMAL | 3n | 0x800n)
    guest.run(2)
    expect([guest.x(0), guest.x(1)]).toEqual([1n, 2n])
  })
})
