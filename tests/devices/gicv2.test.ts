/** The GIC against QEMU's answers (`qtest/record.ts gic 7 5000`), and what the transcript does not show. */
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { MachineMemory } from '../../cpu/machine-memory.js'
import { GicV2, SPURIOUS } from '../../devices/gicv2.js'
import { GIC_DEVICE } from './qtest/gic-steps.js'
import { gicMachine } from './qtest/machines.js'
import { formatStep, parseStep } from './qtest/transcript.js'

const transcript = readFileSync(new URL('qtest/gic.txt', import.meta.url), 'utf8')
  .trimEnd()
  .split('\n')

test('answers 5,000 random steps as QEMU does', () => {
  const { step } = gicMachine()
  let done = 0
  for (const line of transcript) {
    const [each] = parseStep(line, GIC_DEVICE)
    expect(formatStep(each, step(each)), `step ${done}`).toBe(line)
    done++
  }
  expect(done).toBe(5000)
})

/** Group 0 and the CPU interface on, all priorities let through, SPI 33 enabled, as a simple kernel does it. */
function ready(gic: GicV2): void {
  gic.distributor.write(0x000, 4, 1)
  gic.distributor.write(0x104, 4, 2)
  gic.cpuInterface.write(0x04, 4, 0xff)
  gic.cpuInterface.write(0x00, 4, 1)
}

describe('an interrupt', () => {
  test('goes from its line to the processor, is acknowledged and ended', () => {
    let irq = false
    const gic = new GicV2(new MachineMemory(2 ** 24), 1, { irq: [(level) => (irq = level)], fiq: [() => {}] })
    ready(gic)
    const uart = gic.line(33)
    uart(true)
    expect([irq, gic.highestPending(0)]).toEqual([true, 33])
    expect(gic.cpuInterface.read(0x0c, 4)).toBe(33)
    expect([irq, gic.highestPending(0)]).toEqual([false, SPURIOUS])
    uart(false)
    gic.cpuInterface.write(0x10, 4, 33)
    expect(irq).toBe(false)
  })

  test('of a level still high comes again after its end', () => {
    let irq = false
    const gic = new GicV2(new MachineMemory(2 ** 24), 1, { irq: [(level) => (irq = level)], fiq: [() => {}] })
    ready(gic)
    gic.line(33)(true)
    gic.cpuInterface.read(0x0c, 4)
    gic.cpuInterface.write(0x10, 4, 33)
    expect(irq).toBe(true)
  })

  test('has no input line as an SGI', () => {
    const gic = new GicV2(new MachineMemory(2 ** 24), 1, { irq: [() => {}], fiq: [() => {}] })
    expect(() => gic.line(15)).toThrow('INTID 15 has no input')
    expect(() => gic.line(288)).toThrow('INTID 288 has no input')
  })
})

test('with two CPUs, banks PPIs and SGIs and follows GICD_ITARGETSR', () => {
  const irq = [false, false]
  const gic = new GicV2(new MachineMemory(2 ** 24), 2, {
    irq: [(level) => (irq[0] = level), (level) => (irq[1] = level)],
    fiq: [() => {}, () => {}],
  })
  ready(gic)
  gic.currentCpu = 1
  gic.cpuInterface.write(0x04, 4, 0xff)
  gic.cpuInterface.write(0x00, 4, 1)
  gic.distributor.write(0x100, 4, 1 << 27)
  gic.line(27, 0)(true)
  expect(irq).toEqual([false, false])
  gic.line(27, 1)(true)
  expect(irq).toEqual([false, true])
  expect(gic.cpuInterface.read(0x0c, 4)).toBe(27)
  gic.distributor.write(0x820, 4, 0x0100)
  gic.line(33)(true)
  expect(irq).toEqual([true, false])
  gic.distributor.write(0xf00, 4, 0x0001_0003)
  gic.currentCpu = 0
  expect(gic.cpuInterface.read(0x0c, 4)).toBe(3 | (1 << 10))
})

test('a snapshot restores state and outputs', () => {
  const memory = new MachineMemory(2 ** 24)
  let irq = false
  const gic = new GicV2(memory, 1, { irq: [(level) => (irq = level)], fiq: [() => {}] })
  ready(gic)
  gic.line(33)(true)
  const saved = memory.saveState()
  gic.reset()
  expect(irq).toBe(false)
  memory.loadState(saved)
  gic.restored()
  expect([irq, gic.cpuInterface.read(0x0c, 4)]).toEqual([true, 33])
})
