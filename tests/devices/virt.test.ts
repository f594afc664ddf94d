/** The board as a whole: against QEMU's answers (`qtest/record.ts board 5 4000`), and through reset and snapshot. */
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import type { AccessSize } from '../../cpu/board.js'
import { MachineMemory } from '../../cpu/machine-memory.js'
import { VirtBoard } from '../../devices/virt.js'
import { GPIO_DEVICE } from './qtest/board-steps.js'
import { boardMachine } from './qtest/machines.js'
import { formatStep, parseStep } from './qtest/transcript.js'

test('PL031, PL061, GICv2m, virtio and PCIe answer 4,000 random steps as QEMU does', () => {
  const { step } = boardMachine()
  const transcript = readFileSync(new URL('qtest/board.txt', import.meta.url), 'utf8')
    .trimEnd()
    .split('\n')
  expect(transcript).toHaveLength(4000)
  transcript.forEach((line, i) => {
    const [each] = parseStep(line, GPIO_DEVICE)
    expect(formatStep(each, step(each)), `step ${i}`).toBe(line)
  })
})

function board(clock = { now: () => 0 }): { memory: MachineMemory; board: VirtBoard; irq: () => boolean } {
  const memory = new MachineMemory(2 ** 24)
  let irq = false
  const outputs = { irq: [(level: boolean) => (irq = level)], fiq: [() => {}] }
  const serial = { onTransmit: () => {} }
  return {
    memory,
    board: new VirtBoard(memory, { cpus: 1, rtcBase: 100 }, clock, outputs, serial),
    irq: () => irq,
  }
}

/** What a guest reads where there is no state behind it. Values seen on QEMU. */
test.each<[string, number, number]>([
  ['flash', 0x0000_0000, 0],
  ['flash, second bank', 0x07ff_fffc, 0],
  ['virtio magic', 0x0a00_3e00, 0x7472_6976],
  ['PCI memory window', 0x1000_0000, 0xffff_ffff],
  ['PCI I/O window', 0x3eff_0000, 0xffff_ffff],
  ['PCI high window', 0xff_ffff_fff8, 0xffff_ffff],
  ['host bridge', 0x40_1000_0000, 0x0008_1b36],
])('%s', (_name, address, value) => {
  const { bus } = board().board
  expect([bus.read(address, 4), bus.lo, bus.hi]).toEqual([true, value, 0])
})

test.each([0x0800_1000, 0x0803_0000, 0x0902_0018, 0x0904_0000, 0x0c00_0000, 0x40_2000_0000, 0x100_0000_0000])(
  'nothing answers at 0x%s',
  (address) => {
    expect(board().board.bus.read(address, 4)).toBe(false)
  },
)

test('the RTC counts seconds of virtual time and its alarm comes whole seconds after it is set', () => {
  let time = 500_000_000
  const { board: virt, irq } = board({ now: () => time })
  const { bus } = virt
  bus.write(0x0800_0000, 4, 1, 0)
  bus.write(0x0800_0104, 4, 4, 0)
  bus.write(0x0801_0004, 4, 0xff, 0)
  bus.write(0x0801_0000, 4, 1, 0)
  bus.write(0x0901_0010, 4, 1, 0)
  bus.write(0x0901_0004, 4, 103, 0)
  expect(virt.nextDeadline()).toBe(3_500_000_000)
  time = 3_499_999_999
  virt.update()
  expect(irq()).toBe(false)
  time = 3_500_000_000
  virt.update()
  expect([irq(), virt.nextDeadline(), bus.read(0x0901_0000, 4), bus.lo]).toEqual([true, Infinity, true, 103])
  bus.write(0x0901_001c, 4, 1, 0)
  expect(irq()).toBe(false)
})

test('a system reset leaves the serial port and the clock alone, as a guest sees on QEMU', () => {
  const { board: virt } = board()
  const { bus } = virt
  const written: [number, number][] = [
    [0x0900_0038, 0x155],
    [0x0901_0008, 5],
    [0x0903_0400, 5],
    [0x0800_0000, 1],
  ]
  for (const [address, value] of written) bus.write(address, 4, value, 0)
  virt.systemReset()
  const after = written.map(([address]) => bus.read(address, 4) && bus.lo)
  expect(after).toEqual([0x155, 5, 0, 0])
})

describe('fw_cfg', () => {
  const { bus } = board().board
  const select = (key: number): boolean => bus.write(0x0902_0008, 2, ((key & 0xff) << 8) | (key >> 8), 0)
  const read = (size: 1 | 2 | 4 | 8): string =>
    bus.read(0x0902_0000, size) ? `${bus.hi.toString(16)}:${bus.lo.toString(16)}` : 'abort'

  test('gives successive bytes of the item, whatever the size', () => {
    expect([read(1), read(2), read(4), read(8)]).toEqual(['0:51', '0:4d45', '0:55', '0:0'])
    select(0)
    expect([read(8), read(1)]).toEqual(['0:554d4551', '0:0'])
  })

  test('lists its files', () => {
    select(0x19)
    expect([read(4), read(4), read(2), read(2), read(8)]).toEqual([
      '0:4000000',
      '0:0',
      '0:2000',
      '0:0',
      '6f65672d:736f6962',
    ])
    select(0x22)
    expect(read(4)).toBe('0:ffffffff')
  })

  test('answers at its two registers alone, in their sizes', () => {
    expect([1, 2, 4, 8].map((size) => bus.write(0x0902_0008, size as AccessSize, 0, 0))).toEqual([
      false,
      true,
      false,
      false,
    ])
    expect([1, 2, 4, 8].map((size) => bus.read(0x0902_0008, size as AccessSize))).toEqual([false, false, false, false])
    expect(bus.read(0x0902_0004, 4)).toBe(false)
    expect(bus.read(0x0902_0010, 8)).toBe(false)
  })
})

test('a snapshot restores every device, and its lines', () => {
  const { memory, board: virt, irq } = board()
  const { bus } = virt
  bus.write(0x0800_0000, 4, 1, 0)
  bus.write(0x0800_0104, 4, 0xff, 0)
  bus.write(0x0801_0004, 4, 0xff, 0)
  bus.write(0x0801_0000, 4, 1, 0)
  bus.write(0x0900_0038, 4, 0x10, 0)
  bus.write(0x0903_0400, 4, 1, 0)
  bus.write(0x0903_03fc, 4, 1, 0)
  bus.write(0x0901_0004, 4, 1000, 0)
  virt.uart.receive(0x41)
  const saved = memory.saveState()
  virt.reset()
  expect([irq(), virt.nextDeadline()]).toEqual([false, Infinity])
  memory.loadState(saved)
  virt.restored()
  expect([irq(), virt.gic.highestPending(0), virt.nextDeadline()]).toEqual([true, 33, 900e9])
  expect([bus.read(0x0903_03fc, 4), bus.lo, memory.saveState()]).toEqual([true, 1, saved])
})
