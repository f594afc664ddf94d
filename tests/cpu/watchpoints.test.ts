/** Watchpoints: every kind of access at every place, nothing that is none, and no trace of them in the guest. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { WatchedAccess, Watchpoint } from '../../cpu/mmu/watchpoints.js'
import { Guest, NORMAL, READ_ONLY, START, USER } from './guest.js'

const LEFT = START + 0x1_0000n
const RIGHT = LEFT + 0x1000n
const NOP = 'd503201f nop'

/** A guest with two data pages side by side whose physical pages are apart; X2 is the address to use. */
function guestFor(program: string, x2: bigint, right: bigint | 'unmapped' = NORMAL): Guest {
  const guest = new Guest()
  guest.program(START, `${program}\n${NOP}\n${NOP}`)
  guest.map({
    [String(START)]: [START, NORMAL],
    [String(LEFT)]: [START + 0x2_0000n, NORMAL],
    ...(right === 'unmapped' ? {} : { [String(RIGHT)]: [START + 0x3_0000n, right] as const }),
  })
  guest.cpu.state.vbar_el[1] = START + 0x800n
  guest.cpu.state.x[2] = x2
  return guest
}

/** Runs at most `budget` instructions; gives how many were executed and the accesses told. */
function watch(guest: Guest, watchpoints: readonly Watchpoint[], budget = 3): [number, WatchedAccess[]] {
  const told: WatchedAccess[] = []
  guest.cpu.setWatchpoints(watchpoints, (access) => told.push(access))
  return [budget - guest.cpu.run(budget), told]
}

const accesses: [string, number, boolean][] = [
  ['39400040 ldrb w0, [x2]', 1, false],
  ['f9400040 ldr x0, [x2]', 8, false],
  ['b9800040 ldrsw x0, [x2]', 4, false],
  ['a9400440 ldp x0, x1, [x2]', 16, false],
  ['29400440 ldp w0, w1, [x2]', 8, false],
  ['f8400840 ldtr x0, [x2]', 8, false],
  ['39000040 strb w0, [x2]', 1, true],
  ['79000040 strh w0, [x2]', 2, true],
  ['f9000040 str x0, [x2]', 8, true],
  ['a9000440 stp x0, x1, [x2]', 16, true],
  ['f8000840 sttr x0, [x2]', 8, true],
]

describe.each(accesses)('%s', (instruction, bytes, write) => {
  const unprivileged = instruction.includes('ldtr') || instruction.includes('sttr')
  const attributes = unprivileged ? NORMAL | USER : NORMAL

  test('is told if it overlaps, across pages too, and ends the run behind itself', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: -20, max: 20 }),
        fc.integer({ min: -24, max: 24 }),
        fc.integer({ min: 1, max: 24 }),
        fc.constantFrom('read', 'write', 'access'),
        (at, from, length, kind) => {
          const address = RIGHT + BigInt(at)
          const guest = new Guest()
          guest.program(START, `${instruction}\n${NOP}\n${NOP}`)
          guest.map({
            [String(START)]: [START, NORMAL],
            [String(LEFT)]: [START + 0x2_0000n, attributes],
            [String(RIGHT)]: [START + 0x3_0000n, attributes],
          })
          guest.cpu.state.x[2] = address
          const overlap = at < from + length && from < at + bytes && kind !== (write ? 'read' : 'write')
          const [executed, told] = watch(guest, [{ address: RIGHT + BigInt(from), length, kind }])
          expect(guest.faults).toEqual([])
          expect(told).toEqual(overlap ? [{ address, bytes, write }] : [])
          expect(executed).toBe(overlap ? 1 : 3)
          expect(guest.cpu.state.pc).toBe(START + (overlap ? 4n : 12n))
        },
      ),
      { numRuns: 60 },
    )
  })

  test('is told again each time, though its page was in use before', () => {
    const guest = guestFor(instruction, LEFT + 0x100n)
    guest.map({ [String(START)]: [START, NORMAL], [String(LEFT)]: [START + 0x2_0000n, attributes] })
    for (let turn = 0; turn < 3; turn++) {
      guest.cpu.state.pc = START
      expect(watch(guest, [])).toEqual([3, []])
      for (let again = 0; again < 3; again++) {
        guest.cpu.state.pc = START
        const [executed, told] = watch(guest, [{ address: LEFT + 0x100n, length: 1, kind: write ? 'write' : 'read' }])
        expect([executed, told.length]).toEqual([1, 1])
      }
    }
  })
})

describe('what is no access', () => {
  const everything: Watchpoint = { address: LEFT, length: 0x2000, kind: 'access' }

  test('an instruction that faults, in its second half too', () => {
    const guest = guestFor('a9000440 stp x0, x1, [x2]', RIGHT - 8n, NORMAL | READ_ONLY)
    expect(watch(guest, [everything], 1)).toEqual([1, []])
    expect(guest.faults.length).toBe(1)
    const unmapped = guestFor('a9400440 ldp x0, x1, [x2]', RIGHT - 8n, 'unmapped')
    expect(watch(unmapped, [everything], 1)).toEqual([1, []])
    expect(unmapped.faults.length).toBe(1)
  })

  test('a fetch', () => {
    const guest = guestFor(NOP, LEFT)
    expect(watch(guest, [{ address: START, length: 0x1000, kind: 'access' }])).toEqual([3, []])
  })

  test('what a store-exclusive reads, or does not store', () => {
    const program = 'c85f7c43 ldxr x3, [x2]\nc8007c41 stxr w0, x1, [x2]\nc8007c41 stxr w0, x1, [x2]'
    const guest = guestFor(program, LEFT)
    const all: Watchpoint = { address: LEFT, length: 8, kind: 'access' }
    expect(watch(guest, [all])).toEqual([1, [{ address: LEFT, bytes: 8, write: false }]])
    expect(watch(guest, [all])).toEqual([1, [{ address: LEFT, bytes: 8, write: true }]])
    expect(watch(guest, [all])).toEqual([3, []])
    expect(guest.x(0)).toBe(1n)
  })
})

test('DC ZVA writes its whole block', () => {
  const guest = guestFor('d50b7422 dc zva, x2', LEFT + 0x47n)
  const [executed, told] = watch(guest, [{ address: LEFT + 0x7fn, length: 1, kind: 'write' }])
  expect([executed, told]).toEqual([1, [{ address: LEFT + 0x70n, bytes: 16, write: true }]])
  expect(watch(guest, [{ address: LEFT + 0x80n, length: 1, kind: 'write' }], 1)).toEqual([1, []])
})

test('a tagged pointer reaches the address without its tag', () => {
  const guest = guestFor('f9000040 str x0, [x2]', LEFT | (0x5an << 56n))
  guest.cpu.state.tcr_el[1] |= 1n << 37n
  guest.cpu.restored()
  const [executed, told] = watch(guest, [{ address: LEFT, length: 4, kind: 'write' }])
  expect([executed, told]).toEqual([1, [{ address: LEFT, bytes: 8, write: true }]])
})

test('the top of the address space is an address as others', () => {
  const guest = guestFor(NOP, LEFT)
  const top = 2n ** 64n - 1n
  expect(watch(guest, [{ address: top, length: 1, kind: 'write' }])).toEqual([3, []])
  for (const [address, length] of [
    [top, 2],
    [-1n, 1],
    [0n, 0],
    [0n, -1],
    [0n, 1.5],
  ] as const)
    // prettier-ignore
    expect(() => guest.cpu.setWatchpoints([{ address, length, kind: 'read' }])).toThrow(RangeError)
})

test('virtual pages written are collected, once after each watchWrites, both of a store that crosses', () => {
  const guest = guestFor('f9000040 str x0, [x2]\nf9400040 ldr x0, [x2]', RIGHT - 3n)
  const { mmu } = guest.cpu
  const pages = [Number(LEFT >> 12n), Number(RIGHT >> 12n)]
  const collect = (): number[] => {
    mmu.writtenPages = new Set()
    mmu.watchWrites()
    guest.cpu.state.pc = START
    guest.cpu.run(2)
    return [...mmu.writtenPages]
  }
  expect(collect()).toEqual(pages)
  guest.cpu.state.x[2] = LEFT + 8n
  guest.cpu.state.pc = START
  guest.cpu.run(2)
  expect(collect()).toEqual([pages[0]])
  guest.cpu.state.x[2] = START + 0x4_0000n
  expect(collect()).toEqual([])
})

test('nothing of them is left in the processor: state, TLB and memory are those of a run without', () => {
  // Walks over 16 pages, reads and writes, each a miss of the TLB.
  const program = [
    'd2820003 mov x3, #0x1000',
    'f9400040 ldr x0, [x2]',
    '91000400 add x0, x0, #0x1',
    'f9000040 str x0, [x2]',
    '8b030042 add x2, x2, x3',
    '17fffffc b 0x40000004',
  ]
  const build = () => {
    const guest = new Guest()
    guest.program(START, program.join('\n'))
    const pages: Record<string, readonly [bigint, bigint]> = { [String(START)]: [START, NORMAL] }
    for (let page = 0n; page < 16n; page++)
      pages[String(LEFT + page * 0x1000n)] = [START + 0x2_0000n + page * 0x1000n, NORMAL]
    guest.map(pages)
    guest.cpu.state.vbar_el[1] = START + 0x800n
    guest.cpu.state.x[2] = LEFT
    return guest
  }
  const plain = build()
  const watched = build()
  const all = [{ address: LEFT + 0x3000n, length: 0x4000, kind: 'access' } as const]
  let told = 0
  watched.cpu.setWatchpoints(all, () => told++)
  plain.run(70)
  watched.run(70)
  expect(told).toBe(8)
  const snapshot = ({ cpu, memory }: Guest) => ({
    state: Buffer.from(memory.u8.slice(0x1000, memory.stateEnd)).toString('hex'),
    tlb: cpu.mmu.tlb.save(),
  })
  expect(snapshot(watched)).toEqual(snapshot(plain))
  expect(Buffer.compare(watched.memory.ram, plain.memory.ram)).toBe(0)
})
