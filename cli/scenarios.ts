/** What `kaal rerun` and `kaal bisect` have in common: conditions, the recorded scenario, and runs of builds that Ctrl-C ends. */
import { readFileSync } from 'node:fs'
import { type Command, InvalidArgumentError, Option } from 'commander'
import type { Engine } from '../cpu/translator/translator.js'
import type { BootFile } from '../devices/loader/boot.js'
import { imageFiles, machineRecord } from '../replay/description.js'
import { machineWith } from '../replay/divergence/side.js'
import { type Condition, ConditionError, DEFAULT_CONDITIONS, parseCondition } from '../replay/scenario/conditions.js'
import { type RerunOptions, type RerunResult, rerun } from '../replay/scenario/rerun.js'
import { type Scenario, readScenario } from '../replay/scenario/scenario.js'
import { TraceReader } from '../trace/reader.js'
import { TraceWriter } from '../trace/writer.js'
import { UsageError } from './errors.js'
import { parsePosition } from './positions.js'
import { Progress } from './progress.js'
import { VERSION } from './version.js'

/** The options that say how builds are judged. */
export interface JudgingOptions {
  readonly failIf: readonly Condition[]
  readonly maxInstructions?: number
  readonly engine: Engine
}

/** Adds them to a verb. */
export function addJudgingOptions(verb: Command): Command {
  return verb
    .addOption(
      new Option('--fail-if <condition>', 'what makes a build bad; may be given again')
        .default([], DEFAULT_CONDITIONS.join(', '))
        .argParser((text: string, before: readonly Condition[]) => [...before, conditionOf(text)]),
    )
    .option('--max-instructions <n>', 'end a run after so many instructions, if nothing else has', limitOf)
}

/** The conditions to judge by. */
export const conditionsOf = ({ failIf }: JudgingOptions): readonly Condition[] =>
  failIf.length > 0 ? failIf : DEFAULT_CONDITIONS.map(parseCondition)

function conditionOf(text: string): Condition {
  try {
    return parseCondition(text)
  } catch (error) {
    if (error instanceof ConditionError) throw new UsageError(`--fail-if ${error.message}`)
    throw error
  }
}

function limitOf(text: string): number {
  const limit = parsePosition('--max-instructions', text, Infinity)
  if (!(limit >= 1 && limit < Infinity)) throw new InvalidArgumentError('give 1 or more')
  return limit
}

/** Reads a kernel. */
export function readKernel(path: string): BootFile {
  try {
    return { name: path.split('/').at(-1) ?? path, bytes: readFileSync(path) }
  } catch (error) {
    // Some of Node's errors (a directory, for one) do not carry the path.
    throw Object.assign(error as Error, { path })
  }
}

/** The scenario that a trace holds. */
export async function scenarioOf(path: string, engine: Engine, conditions: readonly Condition[]): Promise<Scenario> {
  const reader = TraceReader.open(path)
  const exceptions = conditions.some(({ kind }) => kind === 'fault')
  const progress = new Progress({ unit: 'instructions', total: reader.meta.instructions })
  try {
    return await readScenario(reader, machineWith(engine), exceptions, (icount) => progress.show(icount))
  } finally {
    progress.clear()
    reader.close()
  }
}

/** How a build is run. */
export interface BuildRun {
  readonly scenario: Scenario
  readonly conditions: readonly Condition[]
  readonly options: JudgingOptions
  /** Where the new trace goes; without one there is none. */
  readonly trace?: string
  readonly force?: boolean
  readonly onTransmit?: (byte: number) => void
  readonly onProgress: (icount: number) => void
}

/** Runs a build; signals end it, as {@link Stopped}. */
export async function runBuild(kernel: BootFile, run: BuildRun): Promise<RerunResult> {
  const { options, trace, force = false } = run
  let stop = (): void => {}
  const stopped = (): void => stop()
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
  for (const signal of signals) process.on(signal, stopped)
  const rerunOptions: RerunOptions = {
    engine: options.engine,
    ...(trace !== undefined && {
      writer: (description) =>
        TraceWriter.create(trace, {
          kaal: VERSION,
          machine: machineRecord(description),
          images: imageFiles(description.files),
          force,
        }),
      open: () => TraceReader.open(trace),
    }),
    ...(options.maxInstructions !== undefined && { maxInstructions: options.maxInstructions }),
    ...(run.onTransmit && { onTransmit: run.onTransmit }),
    onProgress: run.onProgress,
    onStart: (stopRun) => {
      stop = stopRun
    },
  }
  try {
    return await rerun(run.scenario, kernel, run.conditions, rerunOptions)
  } finally {
    for (const signal of signals) process.off(signal, stopped)
  }
}

/** Whether a trace is needed to judge by these conditions. */
export const needTrace = (conditions: readonly Condition[]): boolean => conditions.some(({ kind }) => kind === 'assert')
