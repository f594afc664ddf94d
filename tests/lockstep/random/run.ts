/** `lockstep --random`: guests of random instructions, each run on both sides. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { instructions } from '../../../cpu/isa/table.js'
import { type Comparison, compare, describe } from '../compare.js'
import { disassemble } from '../disassemble.js'
import type { Guest } from '../subject.js'
import { MachineSubject, machineSubject } from '../machine-subject.js'
import { NO_ROW } from './cases.js'
import { excludedReads, excludedWords, excludedWrites } from './exclusions.js'
import { type RandomGuest, randomGuest, sweepGuests } from './generate.js'
import { CASES, SLOT_BYTES } from './image.js'

/** Random words in one guest. */
export const CASES_PER_GUEST = 4000
/** RAM of the guests. */
export const MEMORY_MIB = 32
const SECONDS = 60

/** How the random comparison is asked for. */
export interface RandomOptions {
  readonly words: number
  readonly seed: number
  readonly progress: (line: string) => void
}

/**
 * Runs the sweeps, then guests until they hold `words` random words.
 *
 * @returns the number of guests that differed.
 */
export async function runRandom(options: RandomOptions, print: (line: string) => void): Promise<number> {
  const counts = new Map<string, number>()
  let done = 0
  let instructionsCompared = 0
  let differences = 0
  const folder = mkdtempSync(join(tmpdir(), 'random-'))
  try {
    const run = async (label: string, guest: RandomGuest): Promise<void> => {
      const kernel = join(folder, 'guest.elf')
      writeFileSync(kernel, guest.file)
      const what = {
        kernel,
        virtualization: guest.setting.virtualization,
        icountShift: 0,
        append: undefined,
        initrd: undefined,
        memoryMiB: MEMORY_MIB,
      }
      const result = await compare(what, machineSubject, { every: 1024, seconds: SECONDS })
      for (const [row, count] of guest.counts) counts.set(row, (counts.get(row) ?? 0) + count)
      instructionsCompared += result.compared
      if (!result.difference && !sameWithoutSteps(what)) {
        differences++
        print(`${label}: a run in one go ends in another state than one by single steps`)
      }
      if (result.difference || !result.ended) {
        differences++
        print(explain(label, guest, result))
      }
      options.progress(`${label}: ${differences} differences`)
    }
    for (const [label, guest] of sweepGuests()) await run(label, guest)
    for (let number = 0; done < options.words; number++) {
      const cases = Math.min(CASES_PER_GUEST, options.words - done)
      await run(`guest ${number} of seed ${options.seed}`, randomGuest(options.seed, number, cases))
      done += cases
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
  for (const line of summary(counts)) print(line)
  const guests = Math.ceil(options.words / CASES_PER_GUEST)
  print(
    `${done} random words in ${guests} guests (seed ${options.seed}) and the sweeps, ${instructionsCompared} instructions compared, ${differences} differences`,
  )
  return differences
}

/** Whether a guest that is not stopped after every instruction ends in the same state. */
function sameWithoutSteps(guest: Guest): boolean {
  const stepped = new MachineSubject(guest)
  while (stepped.step());
  const free = new MachineSubject(guest)
  free.runToEnd()
  return stepped.sameEnd(free)
}

function explain(label: string, guest: RandomGuest, result: Comparison): string {
  const { el, mmu, sctlr } = guest.setting
  const lines = [`${label}: EL${el}, MMU ${mmu ? 'on' : 'off'}, SCTLR_EL1 ${sctlr.toString(16)}`]
  if (!result.difference) return [...lines, 'QEMU did not come to an end'].join('\n')
  lines.push(describe(result.difference, disassemble))
  const pc = result.difference.previous?.pc
  const found = pc === undefined ? undefined : guest.cases.get(Math.floor((Number(pc) - CASES) / SLOT_BYTES))
  if (found)
    lines.push(`  case of row ${found.row}: ${found.words.map((word) => word.toString(16).padStart(8, '0')).join(' ')}`)
  return lines.join('\n')
}

function* summary(counts: ReadonlyMap<string, number>): Generator<string> {
  yield `${'words'.padStart(8)}  row`
  const rows = [...new Set([...instructions.map(({ name }) => name), NO_ROW, ...counts.keys()])]
  for (const row of rows) yield `${String(counts.get(row) ?? 0).padStart(8)}  ${row}`
  yield 'left out:'
  for (const { register, reason } of excludedWrites) yield `  MSR ${register.source}: ${reason}`
  for (const { register, reason } of excludedReads) yield `  MRS ${register.source}: ${reason}`
  for (const { what, reason } of excludedWords) yield `  ${what}: ${reason}`
}
