/** PSCI against the answers of QEMU 7.2: `psci-qemu.txt` has X0-X3 of 105 calls made by a guest with one CPU, and X0 after each. */
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { type PsciHost, psciCall } from '../../devices/psci.js'

/** A caller with X0-X3, on a machine with one CPU (on) and one that is off at affinity 1. */
function caller(x: bigint[], cpus: 1 | 2 = 1): { host: PsciHost; x: bigint[]; events: string[] } {
  const events: string[] = []
  const host: PsciHost = {
    xLo: (n) => Number(x[n] & 0xffff_ffffn),
    xHi: (n) => Number(x[n] >> 32n),
    setX0: (lo, hi) => (x[0] = (BigInt(hi) << 32n) | BigInt(lo)),
    powerState: (lo, hi) => (hi !== 0 || lo >= cpus ? undefined : lo === 0 ? 'on' : 'off'),
    cpuOn: (lo, _hi, [entry], [context]) => events.push(`on ${lo} ${entry} ${context}`),
    cpuOff: () => events.push('cpu off'),
    suspend: () => events.push('suspend'),
    systemOff: () => events.push('off'),
    systemReset: () => events.push('reset'),
  }
  return { host, x, events }
}

const lines = readFileSync(new URL('psci-qemu.txt', import.meta.url), 'utf8')
  .trimEnd()
  .split('\n')

test('answers every recorded call as QEMU does', () => {
  expect(lines).toHaveLength(105)
  for (const line of lines) {
    const [before] = line.split(' ')
    const { host, x } = caller(before.split(',').map(BigInt))
    psciCall(host)
    expect(`${before} 0x${x[0].toString(16)}`).toBe(line)
  }
})

describe('calls with an effect', () => {
  const effects: [string, bigint[], string[]][] = [
    ['SYSTEM_OFF', [0x8400_0008n, 0n, 0n, 0n], ['off']],
    ['SYSTEM_RESET', [0x8400_0009n, 0n, 0n, 0n], ['reset']],
    ['CPU_OFF', [0x8400_0002n, 0n, 0n, 0n], ['cpu off']],
    ['CPU_SUSPEND', [0xc400_0001n, 0n, 0n, 0n], ['suspend']],
    ['CPU_ON', [0xc400_0003n, 1n, 0x4020_0000n, 7n], ['on 1 1075838976 7']],
  ]
  test.each(effects)('%s', (_name, x, expected) => {
    const { host, events } = caller([...x], 2)
    psciCall(host)
    expect(events).toEqual(expected)
  })

  test('CPU_SUSPEND has SUCCESS in X0 before the processor sleeps', () => {
    const { host, x } = caller([0x8400_0001n, 0n, 0n, 0n])
    psciCall(host)
    expect(x[0]).toBe(0n)
  })
})
