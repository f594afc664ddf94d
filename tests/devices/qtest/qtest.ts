/** Talks to QEMU's `qtest` server: register accesses and input lines without a running guest, to hold our devices against QEMU's. */
import { spawn } from 'node:child_process'

/** One step of a comparison: an access to a register, or a level on an input line of a device. */
export type Step =
  | { kind: 'read'; address: number; size: 1 | 2 | 4 }
  | { kind: 'write'; address: number; size: 1 | 2 | 4; value: number }
  | { kind: 'line'; device: string; line: number; level: boolean }

/** What a step gave: the value read (0 for other steps) and the levels of the processor's IRQ and FIQ inputs after it. */
export interface Outcome {
  readonly value: number
  readonly irq: boolean
  readonly fiq: boolean
}

const LETTER = { 1: 'b', 2: 'w', 4: 'l' } as const

function command(step: Step): string {
  if (step.kind === 'read') return `read${LETTER[step.size]} 0x${step.address.toString(16)}`
  if (step.kind === 'write')
    return `write${LETTER[step.size]} 0x${step.address.toString(16)} 0x${step.value.toString(16)}`
  return `set_irq_in ${step.device} unnamed-gpio-in ${step.line} ${step.level ? 1 : 0}`
}

/** Runs `steps` on a halted QEMU `virt` machine and gives the outcome of each. */
export function runOnQemu(steps: readonly Step[], options: readonly string[] = []): Promise<Outcome[]> {
  const machine = ['-M', 'virt,gic-version=2', '-cpu', 'cortex-a53', '-m', '64M', '-display', 'none', '-net', 'none']
  const io = ['-serial', 'null', '-monitor', 'none', '-S', '-qtest', 'stdio', '-qtest-log', 'none']
  const qemu = spawn('qemu-system-aarch64', [...machine, ...io, ...options])
  return new Promise((resolve, reject) => {
    const outcomes: Outcome[] = []
    let irq = false
    let fiq = false
    let answered = -1
    let rest = ''
    qemu.on('error', reject)
    qemu.stderr.on('data', (data: Buffer) => reject(new Error(`qemu: ${data.toString()}`)))
    qemu.stdout.on('data', (data: Buffer) => {
      const lines = (rest + data.toString()).split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) {
        const [word, first, second] = line.split(' ')
        if (word === 'IRQ') {
          if (second === '0') irq = first === 'raise'
          if (second === '1') fiq = first === 'raise'
        } else if (word === 'OK') {
          if (answered >= 0) outcomes.push({ value: first ? Number(first) : 0, irq, fiq })
          answered++
        } else reject(new Error(`qtest: ${line}`))
      }
      if (outcomes.length === steps.length) {
        qemu.kill('SIGKILL')
        resolve(outcomes)
      }
    })
    qemu.stdin.on('error', reject)
    qemu.stdin.write(`irq_intercept_in /machine/unattached/device[0]\n${steps.map(command).join('\n')}\n`)
  })
}
