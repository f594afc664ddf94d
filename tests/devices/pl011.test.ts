/** The PL011's registers, FIFOs and interrupts: Arm DDI 0183G, and QEMU 7.2 where it differs (16,000 random steps gave no difference). */
import { readFileSync } from 'node:fs'
import { beforeEach, describe, expect, test } from 'vitest'
import { MachineMemory } from '../../cpu/machine-memory.js'
import { Pl011 } from '../../devices/pl011.js'

const DR = 0x00
const RSR = 0x04
const FR = 0x18
const LCR_H = 0x2c
const IMSC = 0x38
const RIS = 0x3c
const MIS = 0x40
const ICR = 0x44

let memory: MachineMemory
let uart: Pl011
let irq: boolean
let sent: number[]
let rooms: number

beforeEach(() => {
  memory = new MachineMemory(2 ** 24)
  sent = []
  rooms = 0
  uart = new Pl011(memory, (level) => (irq = level), { onTransmit: (byte) => sent.push(byte), onRoom: () => rooms++ })
})

test('reset values and identification', () => {
  const reset = [0x18, 0x20, 0x24, 0x28, 0x2c, 0x30, 0x34, 0x38, 0x3c, 0x48].map((offset) => uart.read(offset))
  expect(reset).toEqual([0x90, 0, 0, 0, 0, 0x300, 0x12, 0, 0, 0])
  const ids = [0, 1, 2, 3, 4, 5, 6, 7].map((n) => uart.read(0xfe0 + 4 * n))
  expect(ids).toEqual([0x11, 0x10, 0x14, 0x00, 0x0d, 0xf0, 0x05, 0xb1])
})

test('a byte is sent at once and raises UARTTXINTR', () => {
  uart.write(IMSC, 4, 0x20)
  uart.write(DR, 4, 0x141)
  expect([sent, uart.read(RIS), uart.read(MIS), irq, uart.read(FR)]).toEqual([[0x41], 0x20, 0x20, true, 0x90])
  uart.write(ICR, 4, 0x20)
  expect([uart.read(RIS), irq]).toEqual([0, false])
})

describe('receiving', () => {
  test('without the FIFO holds one byte', () => {
    uart.write(IMSC, 4, 0x10)
    uart.receive(0x61)
    expect([uart.canReceive(), uart.read(FR), uart.read(RIS), irq]).toEqual([0, 0xc0, 0x10, true])
    expect(() => uart.receive(0x62)).toThrow('no room')
    expect([uart.read(DR), uart.read(FR), uart.read(RIS), irq, rooms]).toEqual([0x61, 0x90, 0, false, 1])
  })

  test('with the FIFO holds sixteen, in order', () => {
    uart.write(LCR_H, 4, 0x10)
    for (let i = 0; i < 16; i++) uart.receive(i)
    expect([uart.canReceive(), uart.read(FR)]).toEqual([0, 0xc0])
    expect(uart.read(DR)).toBe(0)
    expect([uart.canReceive(), uart.read(FR), uart.read(RIS)]).toEqual([1, 0x80, 0x10])
    for (let i = 1; i < 16; i++) expect(uart.read(DR)).toBe(i)
    expect([uart.read(FR), uart.read(RIS)]).toEqual([0x90, 0])
  })

  test('RXIC cleared with bytes left: no interrupt until the FIFO was empty, as QEMU', () => {
    uart.write(LCR_H, 4, 0x10)
    uart.write(IMSC, 4, 0x10)
    uart.receive(1)
    uart.write(ICR, 4, 0x10)
    uart.receive(2)
    expect(irq).toBe(false)
    uart.read(DR)
    uart.read(DR)
    uart.receive(3)
    expect(irq).toBe(true)
  })

  test('a break sets UARTDR.BE and UARTRSR.BE until UARTECR is written', () => {
    uart.receiveBreak()
    expect([uart.read(DR), uart.read(RSR)]).toEqual([0x400, 4])
    uart.write(RSR, 4, 0)
    expect(uart.read(RSR)).toBe(0)
  })
})

test('a change of FEN empties the FIFO but leaves UARTFR alone, as QEMU', () => {
  uart.receive(7)
  uart.write(LCR_H, 4, 0x10)
  expect([uart.canReceive(), uart.read(FR)]).toEqual([16, 0xc0])
})

test('a snapshot restores the FIFO and the interrupt', () => {
  uart.write(IMSC, 4, 0x10)
  uart.receive(9)
  const saved = memory.saveState()
  uart.reset()
  expect(irq).toBe(false)
  memory.loadState(saved)
  uart.restored()
  expect([irq, uart.read(DR)]).toEqual([true, 9])
})

/**
 * What QEMU 7.2 answered, over qtest, to random accesses mixed with bytes from its serial port's socket: `readl OFFSET VALUE`,
 * `writel OFFSET VALUE 0`, or `rx BYTE UARTFR-after-it`; `i` where the interrupt line is high afterwards.
 */
test('answers 2,500 random steps as QEMU does', () => {
  const transcript = readFileSync(new URL('pl011-qemu.txt', import.meta.url), 'utf8')
    .trimEnd()
    .split('\n')
  expect(transcript).toHaveLength(2500)
  const sizes: Record<string, 1 | 2 | 4> = { b: 1, w: 2, l: 4 }
  transcript.forEach((line, i) => {
    const words = line.split(' ')
    const [action, first, second] = words
    const size = sizes[action.at(-1) ?? ''] ?? 4
    let value = 0
    if (action === 'rx') {
      uart.receive(Number.parseInt(first, 16))
      value = uart.read(FR)
    } else if (action.startsWith('read')) value = uart.read(Number(first)) % 2 ** (size * 8)
    else uart.write(Number(first), size, Number(second))
    const answered = words[action.startsWith('write') ? 3 : 2]
    expect(`${i}: ${line.replace(/( i)?$/, '')} ${value.toString(16)}${irq ? ' i' : ''}`).toBe(
      `${i}: ${line.replace(/( i)?$/, '')} ${answered}${words.at(-1) === 'i' ? ' i' : ''}`,
    )
  })
})
