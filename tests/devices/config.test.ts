/** Machine options: what is taken, what is refused and in which words. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  ConfigError,
  DEFAULT_CONFIG,
  checkConfig,
  parseCpu,
  parseGicVersion,
  parseIcountShift,
  parseMemory,
  parseRtcBase,
  parseSeed,
  parseSmp,
} from '../../devices/config.js'

const MIB = 2 ** 20

test.each([
  ['512M', 512 * MIB],
  ['512', 512 * MIB],
  ['16m', 16 * MIB],
  ['3G', 3072 * MIB],
  ['1.5g', 1536 * MIB],
  ['65536K', 64 * MIB],
])('-m %s', (text, bytes) => {
  expect(parseMemory(text)).toBe(bytes)
})

test.each(['', '0', '15M', '3073M', '4G', '-1', '512MB', '1e3', '16385.5K', ' G'])('-m %j is refused', (text) => {
  expect(() => parseMemory(text)).toThrow(ConfigError)
  expect(() => parseMemory(text)).toThrow(`-m ${text}: give`)
})

test.each([
  ['1970-01-01', 0],
  ['2026-01-01T00:00:00', 1_767_225_600],
  ['2024-02-29T23:59:59Z', 1_709_251_199],
])('--rtc-base %s', (text, seconds) => {
  expect(parseRtcBase(text)).toBe(seconds)
})

test('--rtc-base agrees with Date for every day that it takes', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: Date.UTC(2105, 11, 31, 23, 59, 59) / 1000 }), (seconds) => {
      expect(parseRtcBase(new Date(seconds * 1000).toISOString().slice(0, 19))).toBe(seconds)
    }),
  )
})

test.each(['', 'utc', '2026-13-01', '2026-02-29', '2026-01-01T24:00:00', '1969-12-31', '2106-01-01', '2026-1-1'])(
  '--rtc-base %j is refused',
  (text) => {
    expect(() => parseRtcBase(text)).toThrow(`--rtc-base ${text}: give a date and time in UTC`)
  },
)

describe('options with one choice', () => {
  test('say which', () => {
    expect([parseSmp('1'), parseCpu('cortex-a53'), parseGicVersion('2')]).toEqual([1, 'cortex-a53', 2])
    expect(() => parseSmp('4')).toThrow('--smp 4: this machine has one processor so far; give 1')
    expect(() => parseCpu('max')).toThrow('--cpu max: give cortex-a53')
    expect(() => parseGicVersion('3')).toThrow('--gic-version 3: give 2')
  })
})

test('numbers are decimal and bounded', () => {
  expect([parseIcountShift('0'), parseIcountShift('10'), parseSeed('4294967295')]).toEqual([0, 10, 4_294_967_295])
  for (const text of ['11', '-1', 'auto', ''])
    expect(() => parseIcountShift(text)).toThrow(`--icount-shift ${text}: give`)
  expect(() => parseSeed('4294967296')).toThrow('--seed 4294967296: give a number from 0 to 4294967295')
})

describe('checkConfig', () => {
  test('takes the default', () => {
    expect(() => checkConfig(DEFAULT_CONFIG)).not.toThrow()
    expect(DEFAULT_CONFIG.rtcBase).toBe(Date.UTC(2026, 0, 1) / 1000)
  })

  test.each([
    [{ memoryBytes: 1 }, '-m'],
    [{ memoryBytes: Number.NaN }, '-m'],
    [{ cpus: 2 }, '--smp 2'],
    [{ cpu: 'max' as 'cortex-a53' }, '--cpu max'],
    [{ gicVersion: 3 as 2 }, '--gic-version 3'],
    [{ icountShift: 1.5 }, '--icount-shift 1.5'],
    [{ rtcBase: -1 }, '--rtc-base -1'],
    [{ seed: 2 ** 32 }, '--seed 4294967296'],
    [{ append: 'a\0b' }, '--append'],
    [{ append: 'x'.repeat(65_536) }, '--append: 65536 characters; give at most 65535'],
  ])('refuses %j', (change, message) => {
    expect(() => checkConfig({ ...DEFAULT_CONFIG, ...change })).toThrow(message)
  })
})
