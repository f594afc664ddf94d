/** Our devices behind the same steps that QEMU gets. */
import { MachineMemory } from '../../../cpu/machine-memory.js'
import { GicV2 } from '../../../devices/gicv2.js'
import { VirtBoard } from '../../../devices/virt.js'
import { GICC, GICD } from './gic-steps.js'
import type { Outcome, Step } from './qtest.js'

const fit = (value: number, size: 1 | 2 | 4): number => (size === 4 ? value >>> 0 : value & (2 ** (size * 8) - 1))

/** Something that takes steps as QEMU's qtest server does. */
export interface Machine {
  readonly step: (step: Step) => Outcome
}

/** A GIC alone, so that its every input can be moved. */
export function gicMachine(): Machine {
  let irq = false
  let fiq = false
  const gic = new GicV2(new MachineMemory(2 ** 24), 1, {
    irq: [(level) => (irq = level)],
    fiq: [(level) => (fiq = level)],
  })
  const lines = new Map<number, (level: boolean) => void>()
  return {
    step(step) {
      let value = 0
      if (step.kind === 'line') {
        const intid = step.line < 256 ? step.line + 32 : step.line - 256
        const line = lines.get(intid) ?? gic.line(intid)
        lines.set(intid, line)
        line(step.level)
      } else {
        const device = step.address >= GICC ? gic.cpuInterface : gic.distributor
        const offset = step.address - (step.address >= GICC ? GICC : GICD)
        if (step.kind === 'read') value = fit(device.read(offset, step.size), step.size)
        else device.write(offset, step.size, step.value)
      }
      return { value, irq, fiq }
    },
  }
}

/** The whole board at virtual time 0; lines are the PL061's pins. */
export function boardMachine(): Machine {
  let irq = false
  let fiq = false
  const outputs = { irq: [(level: boolean) => (irq = level)], fiq: [(level: boolean) => (fiq = level)] }
  const options = { cpus: 1, rtcBase: 1_767_225_600 }
  const board = new VirtBoard(new MachineMemory(2 ** 24), options, { now: () => 0 }, outputs, { onTransmit: () => {} })
  return {
    step(step) {
      let answered = true
      if (step.kind === 'line') board.gpio.pin(step.line)(step.level)
      else if (step.kind === 'read') answered = board.bus.read(step.address, step.size)
      else answered = board.bus.write(step.address, step.size, step.value, 0)
      if (!answered) throw new Error(`nothing answered at 0x${step.kind === 'line' ? '' : step.address.toString(16)}`)
      return { value: step.kind === 'read' ? board.bus.lo : 0, irq, fiq }
    },
  }
}
