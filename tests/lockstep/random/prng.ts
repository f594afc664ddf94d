/** A seeded source of random numbers: the same seed gives the same guests on any host. */

/** Values that arithmetic tends to get wrong. */
const CORNERS: readonly bigint[] = [
  0n, 1n, 2n, 0x7fn, 0x80n, 0xffn, 0x7fffn, 0x8000n, 0xffffn, 0x7fff_ffffn, 0x8000_0000n, 0xffff_ffffn, 0x1_0000_0000n,
  0x7fff_ffff_ffff_ffffn, 0x8000_0000_0000_0000n, 0xffff_ffff_0000_0000n, 0xffff_ffff_8000_0000n, 0xffff_ffff_ffff_fffen,
  0xffff_ffff_ffff_ffffn, 0x5555_5555_5555_5555n, 0xaaaa_aaaa_aaaa_aaaan, 0x0123_4567_89ab_cdefn,
] // prettier-ignore

/** mulberry32. */
export class Random {
  private state: number

  constructor(seed: number) {
    this.state = seed | 0
  }

  /** 32 random bits, unsigned. */
  u32(): number {
    this.state = (this.state + 0x6d2b79f5) | 0
    let t = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return (t ^ (t >>> 14)) >>> 0
  }

  /** 0 … limit-1. */
  below(limit: number): number {
    return Math.floor((this.u32() / 2 ** 32) * limit)
  }

  chance(probability: number): boolean {
    return this.u32() < probability * 2 ** 32
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)]
  }

  u64(): bigint {
    return (BigInt(this.u32()) << 32n) | BigInt(this.u32())
  }

  /** A 64-bit value for a register: a corner, something near one, a few bits, or any. */
  value(): bigint {
    const kind = this.below(6)
    if (kind === 0) return this.pick(CORNERS)
    if (kind === 1) return BigInt.asUintN(64, this.pick(CORNERS) + BigInt(this.below(9) - 4))
    if (kind === 2) return 1n << BigInt(this.below(64))
    if (kind === 3) return BigInt(this.u32() >>> this.below(32))
    return this.u64()
  }
}
