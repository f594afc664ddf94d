/**
 * Records how QEMU's GIC answers random steps: `npx tsc -b && node dist/tests/devices/qtest/record-gic.js SEED STEPS [FILE]`.
 *
 * Prints the first difference to our GIC and exits 1 if there is one; writes the transcript to FILE if given. Needs QEMU 7.2.
 */
import { writeFileSync } from 'node:fs'
import { GICC, gicStep, numbers } from './gic-steps.js'
import { gicMachine } from './machines.js'
import { type Outcome, type Step, runOnQemu } from './qtest.js'
import { formatStep } from './transcript.js'

const [seed, count, file] = process.argv.slice(2)
const next = numbers(Number(seed))
const { step } = gicMachine()
const steps: Step[] = []
const ours: Outcome[] = []
let acknowledged = 0
for (let i = 0; i < Number(count); i++) {
  const chosen = gicStep(next, acknowledged)
  const outcome = step(chosen)
  if (chosen.kind === 'read' && chosen.address === GICC + 0xc && outcome.value % 1024 < 1020)
    acknowledged = outcome.value
  steps.push(chosen)
  ours.push(outcome)
}
const theirs = await runOnQemu(steps)
const difference = steps.findIndex((each, i) => formatStep(each, ours[i]) !== formatStep(each, theirs[i]))
if (difference >= 0) {
  console.log(`step ${difference}: QEMU ${formatStep(steps[difference], theirs[difference])}`)
  console.log(`ours: ${formatStep(steps[difference], ours[difference])}`)
} else console.log(`${steps.length} steps, no difference`)
if (file) writeFileSync(file, `${steps.map((each, i) => formatStep(each, theirs[i])).join('\n')}\n`)
process.exit(difference < 0 ? 0 : 1)
