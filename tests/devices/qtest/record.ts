/**
 * Records how QEMU answers random steps: `npx tsc -b && node dist/tests/devices/qtest/record.js gic|board SEED STEPS [FILE]`.
 *
 * Prints the first difference to our devices and exits 1 if there is one; writes the transcript to FILE if given. Needs QEMU 7.2.
 */
import { writeFileSync } from 'node:fs'
import { boardPreparation, boardStep } from './board-steps.js'
import { GICC, gicStep, numbers } from './gic-steps.js'
import { boardMachine, gicMachine } from './machines.js'
import { type Outcome, type Step, runOnQemu } from './qtest.js'
import { formatStep } from './transcript.js'

const [subject, seed, count, file] = process.argv.slice(2)
const next = numbers(Number(seed))
const { step } = subject === 'gic' ? gicMachine() : boardMachine()
const chooseStep = subject === 'gic' ? gicStep : boardStep
const steps: Step[] = subject === 'gic' ? [] : [...boardPreparation]
const ours: Outcome[] = steps.map((each) => step(each))
let acknowledged = 0
while (steps.length < Number(count)) {
  const chosen = chooseStep(next, acknowledged)
  const outcome = step(chosen)
  if (chosen.kind === 'read' && chosen.address === GICC + 0xc && outcome.value % 1024 < 1020)
    acknowledged = outcome.value
  steps.push(chosen)
  ours.push(outcome)
}
const theirs = await runOnQemu(steps, ['-rtc', 'base=2026-01-01T00:00:00,clock=vm'])
const difference = steps.findIndex((each, i) => formatStep(each, ours[i]) !== formatStep(each, theirs[i]))
if (difference >= 0) {
  console.log(`step ${difference}: QEMU ${formatStep(steps[difference], theirs[difference])}`)
  console.log(`ours: ${formatStep(steps[difference], ours[difference])}`)
} else console.log(`${steps.length} steps, no difference`)
if (file) writeFileSync(file, `${steps.map((each, i) => formatStep(each, theirs[i])).join('\n')}\n`)
process.exit(difference < 0 ? 0 : 1)
