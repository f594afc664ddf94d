/** The generic timer's rules: stored ISTATUS, deadlines, 64-bit edges. Expected values follow from Arm DDI 0487, D11.2. */
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { GenericTimers, TIMER, type TimerRegisters } from '../../devices/generic-timer.js'

const EL0_LIMIT = 2n ** 64n

/** Timers over plain registers; `now` is set by the test. */
function bench(): {
  timers: GenericTimers
  clock: { time: number; now(): number }
  registers: { ctl: number[]; cval: bigint[]; voff: bigint }
  lines: boolean[]
} {
  const state = { ctl: [0, 0, 0, 0], cval: [0n, 0n, 0n, 0n], voff: 0n }
  const lines = [false, false, false, false]
  const clock = {
    time: 0,
    now() {
      return this.time
    },
  }
  const registers: TimerRegisters = {
    ctl: (timer) => state.ctl[timer],
    setCtl: (timer, value) => (state.ctl[timer] = value),
    cvalLo: (timer) => Number(state.cval[timer] & 0xffff_ffffn),
    cvalHi: (timer) => Number(state.cval[timer] >> 32n),
    voffLo: () => Number(state.voff & 0xffff_ffffn),
    voffHi: () => Number(state.voff >> 32n),
  }
  const wires = lines.map((_, timer) => (level: boolean) => (lines[timer] = level))
  return { timers: new GenericTimers(registers, clock, wires), clock, registers: state, lines }
}

const { physical, virtual } = TIMER

describe('a timer', () => {
  test('fires when the count reaches CVAL, not a tick sooner', () => {
    const { timers, clock, registers, lines } = bench()
    registers.cval[virtual] = 100n
    registers.ctl[virtual] = 1
    timers.update()
    expect(timers.nextDeadline()).toBe(1600)
    clock.time = 1599
    timers.update()
    expect([registers.ctl[virtual], lines[virtual]]).toEqual([1, false])
    clock.time = 1600
    timers.update()
    expect([registers.ctl[virtual], lines[virtual], timers.nextDeadline()]).toEqual([5, true, Infinity])
  })

  test('that is masked stores ISTATUS but keeps its line low, and raises it when unmasked', () => {
    const { timers, clock, registers, lines } = bench()
    registers.ctl[physical] = 3
    registers.cval[physical] = 1n
    clock.time = 16
    timers.update()
    expect([registers.ctl[physical], lines[physical]]).toEqual([7, false])
    registers.ctl[physical] = 5
    timers.update()
    expect(lines[physical]).toBe(true)
  })

  test('that is disabled loses ISTATUS and its deadline', () => {
    const { timers, clock, registers, lines } = bench()
    registers.ctl[physical] = 1
    timers.update()
    expect([registers.ctl[physical], lines[physical]]).toEqual([5, true])
    registers.ctl[physical] = 4
    clock.time = 160
    timers.update()
    expect([registers.ctl[physical], lines[physical], timers.nextDeadline()]).toEqual([0, false, Infinity])
  })

  test('keeps its ISTATUS until it is programmed again, as QEMU does', () => {
    const { timers, registers } = bench()
    registers.ctl[physical] = 1
    timers.update()
    registers.cval[physical] = 1000n
    timers.update()
    expect([registers.ctl[physical], timers.nextDeadline()]).toEqual([1, 16_000])
  })

  test('takes its deadline from the earliest of all four', () => {
    const { timers, registers } = bench()
    registers.cval = [50n, 20n, 30n, 40n]
    registers.ctl = [1, 1, 1, 1]
    timers.update()
    expect(timers.nextDeadline()).toBe(320)
    registers.ctl[virtual] = 0
    timers.update()
    expect(timers.nextDeadline()).toBe(480)
  })
})

describe('64-bit values', () => {
  const cases: [string, { cval: bigint; voff: bigint; count: bigint }, boolean, number][] = [
    ['CVAL of all ones never comes', { cval: EL0_LIMIT - 1n, voff: 0n, count: 5n }, false, Infinity],
    ['CVAL of 2^49 lies beyond exact time', { cval: 2n ** 49n, voff: 0n, count: 5n }, false, Infinity],
    ['the last exact tick', { cval: 2n ** 49n - 1n, voff: 0n, count: 5n }, false, (2 ** 49 - 1) * 16],
    ['an offset delays the virtual timer', { cval: 10n, voff: 7n, count: 16n }, false, 17 * 16],
    ['an offset, reached', { cval: 10n, voff: 7n, count: 17n }, true, Infinity],
    ['an offset above the count wraps to a huge count', { cval: 10n, voff: 20n, count: 16n }, true, Infinity],
    ['a negative offset', { cval: 2n ** 32n + 5n, voff: EL0_LIMIT - 2n, count: 9n }, false, (2 ** 32 + 3) * 16],
    ['carries from the low half', { cval: 0xffff_fff0n, voff: 0x20n, count: 2n ** 32n }, false, (2 ** 32 + 16) * 16],
    ['CVAL plus offset wraps into the past', { cval: EL0_LIMIT - 1n, voff: 5n, count: 16n }, false, Infinity],
  ]
  test.each(cases)('%s', (_name, { cval, voff, count }, met, deadline) => {
    const { timers, clock, registers } = bench()
    expect((((count - voff) % EL0_LIMIT) + EL0_LIMIT) % EL0_LIMIT >= cval).toBe(met)
    clock.time = Number(count) * 16 + 3
    registers.cval[virtual] = cval
    registers.voff = voff
    registers.ctl[virtual] = 1
    timers.update()
    expect([registers.ctl[virtual], timers.nextDeadline()]).toEqual([met ? 5 : 1, deadline])
  })

  test('the offset is the virtual timer’s alone', () => {
    const { timers, registers } = bench()
    registers.voff = 100n
    registers.cval = [10n, 10n, 10n, 10n]
    registers.ctl = [1, 0, 1, 0]
    timers.update()
    expect(timers.nextDeadline()).toBe(160)
  })
})

test('sample() splits the count into halves', () => {
  const { timers, clock } = bench()
  clock.time = (2 ** 33 + 5) * 16 + 15
  timers.sample()
  expect([timers.countHi, timers.countLo]).toEqual([2, 5])
})

test('restored() takes deadlines from ISTATUS as stored, without changing it', () => {
  const { timers, clock, registers, lines } = bench()
  clock.time = 1000
  registers.cval = [100n, 1n, 100n, 0n]
  registers.ctl = [1, 5, 7, 0]
  timers.restored()
  expect([timers.nextDeadline(), registers.ctl, lines]).toEqual([1600, [1, 5, 7, 0], [false, true, false, false]])
})

/**
 * What a guest at EL2 saw on QEMU 7.2 (`virtualization=on -icount shift=0,sleep=off`) of random writes to timer registers: a line has
 * the operation, its argument, CNTPCT before and after, then CNTP_CTL, CNTV_CTL << 4 and CNTHP_CTL << 8 in one, and GICD_ISPENDR0.
 */
test('stores ISTATUS and moves lines as QEMU does, over 500 random operations', () => {
  const { timers, clock, registers, lines } = bench()
  const transcript = readFileSync(new URL('generic-timer-qemu.txt', import.meta.url), 'utf8')
    .trimEnd()
    .split('\n')
  expect(transcript).toHaveLength(500)
  const wrap = (value: bigint): bigint => BigInt.asUintN(64, value)
  const passTo = (time: number): void => {
    while (timers.nextDeadline() <= time) {
      clock.time = timers.nextDeadline()
      timers.update()
    }
    clock.time = time
  }
  transcript.forEach((line, i) => {
    const [operation, argument, before, after, ctl, pending] = line.split(' ').map((word) => BigInt(`0x${word}`))
    passTo(Number(before) * 16)
    const perform: Record<string, () => unknown> = {
      0: () => (registers.cval[0] = wrap(before + argument)),
      1: () => (registers.cval[1] = wrap(before - registers.voff + argument)),
      2: () => (registers.cval[2] = wrap(before + argument)),
      3: () => (registers.ctl[0] = (registers.ctl[0] & 4) | Number(argument)),
      4: () => (registers.ctl[1] = (registers.ctl[1] & 4) | Number(argument)),
      5: () => (registers.ctl[2] = (registers.ctl[2] & 4) | Number(argument)),
      6: () => (registers.voff = argument),
      7: () => 'a delay',
      8: () => (registers.cval[1] = argument),
      9: () => (registers.cval[0] = argument),
      10: () => (registers.cval[0] = wrap(before + BigInt.asIntN(32, argument))),
    }
    perform[operation.toString()]()
    timers.update()
    passTo(Number(after) * 16)
    const control = registers.ctl[0] | (registers.ctl[1] << 4) | (registers.ctl[2] << 8)
    const levels = ((Number(lines[0]) << 30) | (Number(lines[1]) << 27) | (Number(lines[2]) << 26)) >>> 0
    expect([control, levels], `operation ${i}`).toEqual([Number(ctl), Number(pending)])
  })
})
