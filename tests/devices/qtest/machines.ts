/** Our devices behind the same steps that QEMU gets. */
import { MachineMemory } from '../../../cpu/machine-memory.js'
import { GicV2 } from '../../../devices/gicv2.js'
import { GICC, GICD } from './gic-steps.js'
import type { Outcome, Step } from './qtest.js'

const fit = (value: number, size: 1 | 2 | 4): number => (size === 4 ? value >>> 0 : value & (2 ** (size * 8) - 1))

/** A GIC alone; `step` does what QEMU's qtest server would. */
export function gicMachine(): { gic: GicV2; step: (step: Step) => Outcome } {
  let irq = false
  let fiq = false
  const gic = new GicV2(new MachineMemory(2 ** 24), 1, {
    irq: [(level) => (irq = level)],
    fiq: [(level) => (fiq = level)],
  })
  const lines = new Map<number, (level: boolean) => void>()
  return {
    gic,
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
