/** The comparison itself, where QEMU is installed: it agrees on a guest, and finds a fault planted at any instruction. */
import { join } from 'node:path'
import { describe as suite, expect, it } from 'vitest'
import { compare, describe } from './compare.js'
import { RunHash } from './hash.js'
import { MachineSubject, machineSubject } from './machine-subject.js'
import { projectRoot, qemuVersion } from './qemu.js'
import type { Guest } from './subject.js'

const guest: Guest = {
  kernel: join(projectRoot(), 'bench/guests/prebuilt/irq.elf'),
  virtualization: false,
  icountShift: 4,
  append: undefined,
  initrd: undefined,
  memoryMiB: 64,
}
const options = { every: 1024, seconds: 60 }

/** Shows one wrong bit of one register from one instruction on. */
class FaultySubject extends MachineSubject {
  private count = 0
  private readonly from: number

  constructor(what: Guest, from: number) {
    super(what)
    this.from = from
    this.spoil()
  }

  override step(): boolean {
    const more = super.step()
    this.count++
    if (more) this.spoil()
    return more
  }

  private spoil(): void {
    // The base class steps once while it is made.
    if (this.from !== undefined && this.count >= this.from) this.words[2 * 17] ^= 0x100
  }
}

suite.skipIf(!qemuVersion()?.startsWith('7.2.'))('lockstep with QEMU', () => {
  it('agrees on a guest with timer interrupts and WFI', async () => {
    const result = await compare(guest, machineSubject, { ...options, stop: 20_000 })
    expect(result).toMatchObject({ compared: 20_000, total: 20_000, difference: undefined, uartDifference: undefined })
  })

  it.each([1, 511, 512, 513, 5000, 19_999])('finds a fault at instruction %i', async (count) => {
    const result = await compare(guest, (what) => new FaultySubject(what, count), { ...options, stop: 20_000 })
    const { difference } = result
    expect(difference?.count).toBe(count)
    expect(difference?.ours?.x[17]).toBe((difference?.qemu?.x[17] ?? 0n) ^ 0x100n)
    expect(difference && describe(difference, () => '')).toContain('x17 ')
  })

  it('notices that one side has ended', async () => {
    const early = { ...guest, kernel: join(projectRoot(), 'bench/guests/prebuilt/null.elf') }
    const result = await compare(guest, () => new MachineSubject(early), { ...options, stop: 20_000 })
    expect(result.difference).toBeDefined()
  })
})

suite('the hash of a run', () => {
  const state = { pcLo: 0x4020_0000, pcHi: 0, pstate: 0x4000_03c5, words: new Uint32Array(64), base: 0 }

  it('depends on every bit that is compared', () => {
    const plain = new RunHash()
    plain.add(state)
    const seen = new Set([plain.value])
    for (let bit = 0; bit < 64 * 32; bit++) {
      const words = new Uint32Array(64)
      words[bit >> 5] = 1 << (bit & 31)
      const hash = new RunHash()
      hash.add({ ...state, words })
      seen.add(hash.value)
    }
    expect(seen.size).toBe(64 * 32 + 1)
  })

  it('leaves out PSTATE bits that neither side shows', () => {
    const [a, b] = [new RunHash(), new RunHash()]
    a.add(state)
    b.add({ ...state, pstate: state.pstate | (1 << 21) })
    expect(a.value).toBe(b.value)
  })
})
