/** Stored comparisons: a line for each step with what QEMU answered, so that tests need no QEMU. */
import type { Outcome, Step } from './qtest.js'

/** `r4 8000004 8 if`: kind and size, address, value (or line and level), then i and f if the processor's IRQ and FIQ inputs are high. */
export function formatStep(step: Step, outcome: Outcome): string {
  const levels = `${outcome.irq ? 'i' : ''}${outcome.fiq ? 'f' : ''}`
  const words =
    step.kind === 'line'
      ? ['l', step.line, step.level ? 1 : 0]
      : step.kind === 'read'
        ? [`r${step.size}`, step.address.toString(16), outcome.value.toString(16)]
        : [`w${step.size}`, step.address.toString(16), step.value.toString(16)]
  return [...words, levels].join(' ').trimEnd()
}

/** The inverse of {@link formatStep}; `device` names the device whose input lines the transcript moves. */
export function parseStep(line: string, device: string): [Step, Outcome] {
  const [kind, first, second, levels = ''] = line.split(' ')
  const irq = levels.includes('i')
  const fiq = levels.includes('f')
  if (kind === 'l')
    return [
      { kind: 'line', device, line: Number(first), level: second === '1' },
      { value: 0, irq, fiq },
    ]
  const size = Number(kind[1]) as 1 | 2 | 4
  const address = Number.parseInt(first, 16)
  const value = Number.parseInt(second, 16)
  if (kind[0] === 'r')
    return [
      { kind: 'read', address, size },
      { value, irq, fiq },
    ]
  return [
    { kind: 'write', address, size, value },
    { value: 0, irq, fiq },
  ]
}
