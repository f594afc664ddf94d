/** How the bus takes accesses apart. Expected values are what a guest sees on QEMU 7.2 (`virt`, first 64 KiB of registers). */
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import type { AccessSize } from '../../cpu/board.js'
import { MachineMemory } from '../../cpu/machine-memory.js'
import { Bus } from '../../devices/bus.js'
import type { MmioDevice } from '../../devices/device.js'
import { GicV2 } from '../../devices/gicv2.js'
import { Pl011 } from '../../devices/pl011.js'
import { VirtBoard } from '../../devices/virt.js'

function board(): { bus: Bus; sent: number[] } {
  const memory = new MachineMemory(2 ** 24)
  const bus = new Bus()
  const sent: number[] = []
  const gic = new GicV2(memory, 1, { irq: [() => {}], fiq: [() => {}] })
  bus.map(0x0800_0000, 0x1000, gic.distributor)
  bus.map(0x0801_0000, 0x2000, gic.cpuInterface)
  bus.map(0x0900_0000, 0x1000, new Pl011(memory, gic.line(33), { onTransmit: (byte) => sent.push(byte) }))
  return { bus, sent }
}

test.each<[number, AccessSize, number, number]>([
  [0x0900_0018, 1, 0x90, 0],
  [0x0900_0018, 8, 0x90, 0],
  [0x0900_0fe0, 8, 0x11, 0x10],
  [0x0800_0000, 8, 0, 8],
  [0x0800_0004, 2, 8, 0],
  [0x0800_0004, 8, 8, 0x43b],
  [0x0800_0fe9, 2, 0, 0],
])('a read of 0x%s, %s bytes', (address, size, lo, hi) => {
  const { bus } = board()
  expect(bus.read(address, size)).toBe(true)
  expect([bus.lo, bus.hi]).toEqual([lo, hi])
})

test.each([0x0800_1000, 0x0801_2000, 0x0900_1000, 0x0a00_4000, 0x40_0000_0000])(
  'nothing answers at 0x%s',
  (address) => {
    const { bus } = board()
    for (const size of [1, 2, 4, 8] as const) {
      expect(bus.read(address, size)).toBe(false)
      expect(bus.write(address, size, 0, 0)).toBe(false)
    }
  },
)

describe('writes', () => {
  test('of 8 bytes are two of 4', () => {
    const { bus, sent } = board()
    bus.write(0x0900_0000, 8, 0x141, 0)
    expect(sent).toEqual([0x41])
  })

  test('that are unaligned are made of bytes', () => {
    const { bus, sent } = board()
    expect(bus.write(0x0900_0001, 2, 0x4241, 0)).toBe(true)
    expect(sent).toEqual([0x41, 0x42])
  })
})

test('an unaligned read that runs out of a device aborts', () => {
  expect(board().bus.read(0x0900_0ffe, 4)).toBe(false)
})

test('two regions may share a page but not an address', () => {
  const bus = new Bus()
  const device = (name: string): MmioDevice => ({
    name,
    minAccess: 4,
    maxAccess: 4,
    read: (offset) => offset,
    write: () => {},
    reset: () => {},
  })
  bus.map(0x1000, 0x200, device('a'))
  bus.map(0x1200, 0x200, device('b'))
  expect(bus.find(0x1204)?.device.name).toBe('b')
  expect([bus.read(0x1204, 4), bus.lo]).toEqual([true, 4])
  expect(bus.read(0x1204, 2)).toBe(false)
  expect(bus.read(0x1400, 4)).toBe(false)
  expect(() => bus.map(0x1100, 0x200, device('c'))).toThrow('c at 0x1100 overlaps a')
})

test('takes 700 random accesses of all sizes and alignments apart as QEMU does', () => {
  const outputs = { irq: [() => {}], fiq: [() => {}] }
  const options = { cpus: 1, rtcBase: 0 }
  const { bus } = new VirtBoard(new MachineMemory(2 ** 24), options, { now: () => 0 }, outputs, {
    onTransmit: () => {},
  })
  const transcript = readFileSync(new URL('bus-qemu.txt', import.meta.url), 'utf8')
    .trimEnd()
    .split('\n')
  expect(transcript).toHaveLength(700)
  transcript.forEach((line, i) => {
    const [access, at, written, result] = line.split(' ')
    const address = Number.parseInt(at, 16)
    const size = Number(access[1]) as AccessSize
    const value = BigInt(`0x${written}`)
    let ours = 'ok'
    if (access[0] === 'r') {
      const answered = bus.read(address, size)
      ours = answered ? ((BigInt(bus.hi) << 32n) | BigInt(bus.lo)).toString(16) : 'abort'
    } else if (!bus.write(address, size, Number(value & 0xffff_ffffn), Number(value >> 32n))) ours = 'abort'
    expect(`${i}: ${access} ${at} ${ours}`).toBe(`${i}: ${access} ${at} ${result}`)
  })
})
