/** `kaal bisect`: the first bad one of a row of kernel builds, by a recorded scenario. */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, rmdirSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import type { Command } from 'commander'
import type { Engine } from '../../cpu/translator/translator.js'
import { searchFirstBad } from '../../replay/bisect/search.js'
import type { EventKind } from '../../replay/diff/events.js'
import type { EventDifference } from '../../replay/diff/hunks.js'
import type { RerunResult } from '../../replay/scenario/rerun.js'
import { TraceReader } from '../../trace/reader.js'
import { checkReadable } from '../console.js'
import { engineOption } from '../engine.js'
import { Exit, UsageError } from '../errors.js'
import { json, print, say } from '../output.js'
import { formatPosition } from '../positions.js'
import { Progress } from '../progress.js'
import { type JudgingOptions, addJudgingOptions, conditionsOf, readKernel, runBuild, scenarioOf } from '../scenarios.js'
import { VERDICT_WORDS } from './rerun.js'

interface BisectFlags extends JudgingOptions {
  readonly good: string
  readonly bad: string
  readonly directory: string
  readonly force?: boolean
  readonly json?: boolean
}

/** A build that was run. */
interface Judged extends RerunResult {
  readonly image: string
  readonly trace: string
}

/** What is compared of the last good and the first bad run. */
const EVENTS: readonly EventKind[] = ['uart', 'exceptions', 'syscalls']
const CONTEXT = 3
/** Lines shown of each side: where runs part is what counts. */
const MOST_LINES = 8

/** Adds the verb. */
export function addBisect(program: Command, exit: (code: number) => void): void {
  const verb = program
    .command('bisect')
    .description(
      'find the first bad one of a row of kernel builds by the scenario of a trace; exit 0 if found, 125 if it may be one that cannot be judged',
    )
    .argument('<trace>')
    .argument('[images...]', 'the builds between the good and the bad one, oldest first')
    .requiredOption('--good <file>', 'a build that does well')
    .requiredOption('--bad <file>', 'a later build that does not')
    .option('-d, --directory <folder>', 'where the traces of the last good and the first bad build go', '.')
    .option('--force', 'replace traces that exist')
    .option('--json', 'the outcome as JSON')
  addJudgingOptions(verb)
    .addOption(engineOption())
    .action(async (path: string, images: string[], options: BisectFlags) => exit(await bisect(path, images, options)))
}

async function bisect(path: string, between: readonly string[], options: BisectFlags): Promise<number> {
  const { directory, engine } = options
  const conditions = conditionsOf(options)
  const images = rowOf(between, options)
  for (const image of images) checkReadable(image)
  const kept = { good: join(directory, 'bisect-good.kaal'), bad: join(directory, 'bisect-bad.kaal') }
  for (const name of Object.values(kept))
    if (options.force !== true && existsSync(name))
      throw new UsageError(`${name}: exists already: give another folder with -d, or --force to replace it`)
  const scenario = await scenarioOf(path, engine, conditions)
  const made = mkdirSync(directory, { recursive: true })
  const scratch = mkdtempSync(join(directory, '.kaal-bisect-'))
  const progress = new Progress({ unit: 'instructions' })
  const runs: Judged[] = []
  const judge = async (n: number): Promise<Judged> => {
    const image = images[n]
    const trace = join(scratch, `${n}.kaal`)
    const result = await runBuild(readKernel(image), {
      scenario,
      conditions,
      options,
      trace,
      onProgress: (icount) =>
        progress.tell(
          `run ${runs.length + 1} of about ${2 + Math.ceil(Math.log2(images.length - 1))}: ${image}, ${formatPosition(icount)}`,
        ),
    })
    progress.clear()
    say(`${image}: ${VERDICT_WORDS[result.verdict]}: ${result.message}`)
    const run = { ...result, image, trace }
    runs[n] = run
    return run
  }
  try {
    const [good, bad] = [await judge(0), await judge(images.length - 1)]
    checkEnds(good, bad)
    const found = await searchFirstBad(images.length, async (n) => (await judge(n)).verdict)
    const [lastGood, firstBad] = [runs[found.lastGood], runs[found.firstBad]]
    renameSync(lastGood.trace, kept.good)
    renameSync(firstBad.trace, kept.bad)
    const difference = await differenceOf([kept.good, kept.bad], engine, (icount) =>
      progress.tell(`comparing, ${formatPosition(icount)}`),
    )
    progress.clear()
    const skipped = found.skipped.map((n) => images[n])
    if (options.json) {
      const facts = { firstBad: firstBad.image, lastGood: lastGood.image, skipped, verdict: firstBad.message }
      const { failures } = firstBad
      const all = runs.flatMap(({ image, verdict, message, instructions }) => ({
        image,
        verdict,
        message,
        instructions,
      }))
      print(json({ ...facts, failures, runs: all, difference, traces: kept }))
    } else for (const line of await reportLines({ lastGood, firstBad, skipped, difference, kept })) print(line)
    return skipped.length > 0 ? Exit.CANNOT_TELL : Exit.GOOD
  } finally {
    progress.clear()
    rmSync(scratch, { recursive: true, force: true })
    // Folders that were made for nothing go away again.
    if (made !== undefined)
      for (let each = resolve(directory); readdirSync(each).length === 0; each = dirname(each)) {
        rmdirSync(each)
        if (each === resolve(made)) break
      }
  }
}

/** The whole row; shells expand `k*.elf` to the good and the bad one too. */
function rowOf(between: readonly string[], { good, bad }: BisectFlags): string[] {
  const inner = between.filter(
    (image, n) => !(n === 0 && image === good) && !(n === between.length - 1 && image === bad),
  )
  const images = [good, ...inner, bad]
  const twice = images.find((image, n) => images.indexOf(image) !== n)
  if (twice !== undefined) throw new UsageError(`${twice}: is named twice: give each build once, oldest first`)
  return images
}

function checkEnds(good: Judged, bad: Judged): void {
  const wrong = (run: Judged, wanted: string): UsageError =>
    new UsageError(`${run.image}: given as ${wanted}, but ${VERDICT_WORDS[run.verdict]}: ${run.message}`)
  if (good.verdict === bad.verdict) {
    const both = { good: 'do well', bad: 'are bad', 'cannot-tell': 'cannot be judged' }[good.verdict]
    throw new UsageError(`${good.image} and ${bad.image} both ${both}: ${bad.message}; there is nothing to search for`)
  }
  if (good.verdict !== 'good') throw wrong(good, 'good')
  if (bad.verdict !== 'bad') throw wrong(bad, 'bad')
}

/** The events of two traces side by side. */
async function differenceOf(
  paths: readonly [string, string],
  engine: Engine,
  onProgress: (icount: number) => void,
): Promise<EventDifference> {
  // Loaded here, and not by the other verbs.
  const [{ guestEvents }, { diffEvents }, { machineWith }] = await Promise.all([
    import('../../replay/diff/events.js'),
    import('../../replay/diff/hunks.js'),
    import('../../replay/divergence/side.js'),
  ])
  const lists = []
  for (const path of paths) {
    const reader = TraceReader.open(path)
    try {
      lists.push(await guestEvents(reader, new Set(EVENTS), machineWith(engine), onProgress))
    } finally {
      reader.close()
    }
  }
  return diffEvents(lists[0], lists[1], CONTEXT)
}

interface Outcome {
  readonly lastGood: Judged
  readonly firstBad: Judged
  readonly skipped: readonly string[]
  readonly difference: EventDifference
  readonly kept: { readonly good: string; readonly bad: string }
}

async function reportLines({ lastGood, firstBad, skipped, difference, kept }: Outcome): Promise<string[]> {
  const { eventLines } = await import('../../replay/diff/report.js')
  const doubt = skipped.length > 0 ? ` or, since they cannot be judged, ${skipped.join(', ')}` : ''
  const [hunk] = difference.hunks
  const counts = { ' ': 0, '-': 0, '+': 0 }
  const lines = hunk?.lines.filter(({ side }) => side === ' ' || ++counts[side] <= MOST_LINES) ?? []
  const events = hunk ? eventLines({ hunks: [{ ...hunk, lines }], complete: true }, true) : []
  return [
    `first bad build: ${firstBad.image}${doubt}`,
    `  ${firstBad.message}`,
    `last good build: ${lastGood.image}`,
    `--- ${kept.good}`,
    `+++ ${kept.bad}`,
    ...(events.length > 0 ? events : [`no ${EVENTS.join(', ')} differ`]),
    `all that differs: kaal diff --all ${kept.good} ${kept.bad}`,
  ]
}
