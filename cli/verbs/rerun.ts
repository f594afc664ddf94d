/** `kaal rerun`: a recorded scenario on another build of the kernel, with an exit code for `git bisect run`. */
import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Command } from 'commander'
import type { RerunResult } from '../../replay/scenario/rerun.js'
import { engineOption } from '../engine.js'
import { Exit, UsageError, explain } from '../errors.js'
import { GuestOutput, json, print, say } from '../output.js'
import { Progress } from '../progress.js'
import {
  type JudgingOptions,
  addJudgingOptions,
  conditionsOf,
  needTrace,
  readKernel,
  runBuild,
  scenarioOf,
} from '../scenarios.js'

interface RerunFlags extends JudgingOptions {
  readonly kernel: string
  readonly output?: string
  readonly force?: boolean
  readonly build?: string
  readonly quiet?: boolean
  readonly json?: boolean
}

/** What a verdict is called. */
export const VERDICT_WORDS = { good: 'good', bad: 'bad', 'cannot-tell': 'cannot tell' } as const
/** The exit code that `git bisect run` takes for it. */
const EXITS = { good: Exit.GOOD, bad: Exit.BAD, 'cannot-tell': Exit.CANNOT_TELL } as const
/** Lines of a failed build that are shown, and how much of its output is kept. */
const BUILD_LINES = 20
const BUILD_BYTES = 65536

/** Adds the verb. */
export function addRerun(program: Command, exit: (code: number) => void): void {
  const verb = program
    .command('rerun')
    .description(
      'run the scenario of a trace on another kernel; exit 0 if it does well, 1 if not, 125 if that cannot be told',
    )
    .argument('<trace>')
    .requiredOption('--kernel <file>', 'the kernel to run')
    .option('--build <command>', 'a shell command that builds it first; exit 125 if it fails')
    .option('-o, --output <file>', 'keep the new trace')
    .option('--force', 'replace a trace that exists')
    .option('--quiet', "do not show the guest's output")
    .option('--json', 'the verdict as JSON, without the guest output')
  addJudgingOptions(verb)
    .addOption(engineOption())
    .action(async (path: string, options: RerunFlags) => exit(await rerunVerb(path, options)))
}

async function rerunVerb(path: string, options: RerunFlags): Promise<number> {
  const { output, force } = options
  const conditions = conditionsOf(options)
  if (output !== undefined && force !== true && existsSync(output))
    throw new UsageError(`${output}: exists already: give another name with -o, or --force to replace it`)
  const scenario = await scenarioOf(path, options.engine, conditions)
  if (options.build !== undefined) {
    const failed = await build(options.build)
    if (failed !== undefined) return tell(skipped(failed), options, undefined)
  }
  let kernel
  try {
    kernel = readKernel(options.kernel)
  } catch (error) {
    // Without a build, somebody has mistaken the name.
    if (options.build === undefined) throw error
    return tell(skipped(`the build has made no kernel: ${explain(error).line}`), options, undefined)
  }
  const scratch = output === undefined && needTrace(conditions) ? mkdtempSync(join(tmpdir(), 'kaal-rerun-')) : undefined
  const trace = scratch === undefined ? output : join(scratch, 'new.kaal')
  const quiet = options.quiet === true || options.json === true
  const console = new GuestOutput()
  const progress = new Progress({ unit: 'instructions', besideOutput: !quiet })
  try {
    const result = await runBuild(kernel, {
      scenario,
      conditions,
      options,
      ...(trace !== undefined && { trace }),
      force: force === true,
      ...(!quiet && { onTransmit: console.put }),
      onProgress: (icount) => progress.show(icount),
    })
    console.flush()
    progress.clear()
    return tell(result, options, result.end === undefined ? undefined : output)
  } finally {
    console.flush()
    progress.clear()
    if (scratch !== undefined) rmSync(scratch, { recursive: true, force: true })
  }
}

function tell(result: RerunResult, options: RerunFlags, trace: string | undefined): number {
  const code = EXITS[result.verdict]
  if (options.json) print(json({ ...result, end: result.end ?? null, exitCode: code, trace: trace ?? null }))
  else {
    for (const note of result.notes) say(`note: ${note}`)
    say(`${VERDICT_WORDS[result.verdict]}: ${result.message}`)
  }
  return code
}

/** The outcome of a build that there is none of. */
const skipped = (message: string): RerunResult => ({
  verdict: 'cannot-tell',
  message,
  failures: [],
  end: undefined,
  instructions: 0,
  inputs: { given: 0, of: 0 },
  notes: [],
})

/**
 * Runs a shell command that builds a kernel; if it fails, shows the last lines that it has printed.
 *
 * @returns what is wrong, if it fails.
 * @throws {UsageError} if a signal has ended it: somebody wants to stop.
 */
async function build(command: string): Promise<string | undefined> {
  const progress = new Progress({ unit: 'seconds' })
  const turn = setInterval(() => progress.tell(`building: ${command}`), 200)
  let kept = Buffer.alloc(0)
  const child = spawn(command, { shell: true, stdio: ['ignore', 'pipe', 'pipe'] })
  const keep = (piece: Buffer): void => {
    kept = Buffer.concat([kept, piece]).subarray(-BUILD_BYTES)
  }
  child.stdout.on('data', keep)
  child.stderr.on('data', keep)
  const [code, signal] = await new Promise<[number | null, NodeJS.Signals | null]>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (...ended) => resolve(ended))
  }).finally(() => {
    clearInterval(turn)
    progress.clear()
  })
  if (code === 0) return undefined
  for (const line of kept.toString().trimEnd().split('\n').slice(-BUILD_LINES)) if (line !== '') say(`  ${line}`)
  if (signal !== null) throw new UsageError(`the build was ended by ${signal}: ${command}`)
  return `the build fails with exit code ${code}: ${command}`
}
