/** Runs a scenario on another build of the kernel, and says whether the build is good. */
import type { Engine } from '../../cpu/translator/translator.js'
import type { BootFile } from '../../devices/loader/boot.js'
import { LoadError } from '../../devices/loader/load-error.js'
import type { TraceReader } from '../../trace/reader.js'
import type { TraceWriter } from '../../trace/writer.js'
import { grouped } from '../debugger/numbers.js'
import type { MachineDescription } from '../description.js'
import { type RecordEnd, type RecordResult, Recorder } from '../recorder.js'
import { checkAssertion } from './assertion.js'
import { type Condition, silence } from './conditions.js'
import { ScenarioFeeder } from './feeder.js'
import { type Failure, Judge } from './judge.js'
import type { Scenario } from './scenario.js'
import { Stopped } from './stopped.js'

/** What a build is: as `git bisect` has it, good, bad, or one that cannot be tested. */
export type BuildVerdict = 'good' | 'bad' | 'cannot-tell'

/** How a build did. */
export interface RerunResult {
  readonly verdict: BuildVerdict
  /** Why, in a line. */
  readonly message: string
  /** The conditions that came true; the first decides. */
  readonly failures: readonly Failure[]
  /** How the run ended; undefined if there was none. */
  readonly end: RecordEnd | undefined
  readonly instructions: number
  readonly inputs: { readonly given: number; readonly of: number }
  /** What is worth knowing besides. */
  readonly notes: readonly string[]
}

/** How to run a build. */
export interface RerunOptions {
  readonly engine: Engine
  /** Where the new trace goes. */
  readonly writer?: (description: MachineDescription) => TraceWriter
  /** Opens it, once it is finished: assertions need that. */
  readonly open?: () => TraceReader
  /** The run ends after so many instructions at the latest; by default {@link cap}. */
  readonly maxInstructions?: number
  readonly onTransmit?: (byte: number) => void
  readonly onProgress?: (icount: number) => void
  /** Gets what stops the run from outside. */
  readonly onStart?: (stop: () => void) => void
}

/** A build gets so many times the recorded run's instructions, and at least so many. */
const GENEROSITY = 8
const LEAST = 2 ** 28

/** After how many instructions a run ends, whatever the guest does: no condition that counts instructions comes later. */
export function cap(scenario: Scenario, conditions: readonly Condition[]): number {
  const recorded = scenario.instructions
  const counted = conditions.map((condition) => {
    if (condition.kind === 'hang') return recorded + (condition.instructions ?? silence(recorded))
    if (condition.kind === 'budget') return (condition.instructions ?? (condition.factor ?? 1) * recorded) + LEAST
    return 0
  })
  return Math.ceil(Math.max(LEAST, GENEROSITY * recorded, ...counted))
}

/**
 * Runs a scenario.
 *
 * @throws {Stopped} if it was stopped from outside.
 * @throws {TraceError} if the trace cannot be written.
 */
export async function rerun(
  scenario: Scenario,
  kernel: BootFile,
  conditions: readonly Condition[],
  options: RerunOptions,
): Promise<RerunResult> {
  const description = { ...scenario.description, files: { ...scenario.description.files, kernel } }
  const feeder = new ScenarioFeeder(scenario.inputs)
  const judge = new Judge(conditions, scenario, feeder)
  const { writer, onTransmit, onProgress } = options
  let recorder: Recorder
  try {
    recorder = new Recorder({
      ...description,
      ...(writer && { writer: () => writer(description) }),
      feeder,
      onTransmit: (byte, icount) => {
        feeder.see(byte, recorder.execution.machine.now())
        judge.transmit(byte, icount)
        onTransmit?.(byte)
      },
      onException: (icount, kind, esr, from) => judge.exception(icount, kind, esr, from),
    })
  } catch (error) {
    if (!(error instanceof LoadError)) throw error
    const message = `the kernel does not load: ${error.message}`
    return { ...cannotTell(message, scenario), end: undefined, instructions: 0 }
  }
  recorder.execution.machine.cpu.setEngine(options.engine)
  recorder.endInput()
  options.onStart?.(() => recorder.stop())
  const most = options.maxInstructions ?? cap(scenario, conditions)
  const result = await recorder.run({
    maxInstructions: () => {
      if (scenario.poweredOff || scenario.asleep || feeder.left > 0) return most
      return Math.min(most, Math.max(scenario.instructions, feeder.lastGiven + scenario.tail))
    },
    until: (icount) => judge.over(icount),
    ...(onProgress && { onProgress }),
  })
  if (result.end === 'stopped')
    throw new Stopped(`stopped at ${grouped(result.instructions)}, before there was a verdict`)
  const { end, instructions } = result
  const facts = { end, instructions, inputs: { given: feeder.given, of: scenario.inputs.length } }
  if (end !== 'unsupported') judge.finish(result)
  if (judge.failures.length > 0) return { ...facts, ...bad(judge.failures), notes: [] }
  if (end === 'unsupported')
    return { ...cannotTell(`the kernel asks for what is not modelled: ${result.message}`, scenario), ...facts }
  const checked = await assertions(conditions, options)
  if (checked.failures.length > 0) return { ...facts, ...bad(checked.failures), notes: checked.notes }
  const unfinished = checked.unknown ?? unfinishedBusiness(result, feeder, instructions >= most)
  if (unfinished !== undefined) return { ...cannotTell(unfinished, scenario), ...facts, notes: checked.notes }
  const names = conditions.map(({ text }) => text).join(', ')
  const message = `none of ${names} in ${grouped(instructions)} instructions; ${result.message}`
  return { ...facts, verdict: 'good', message, failures: [], notes: checked.notes }
}

function bad(failures: readonly Failure[]): Pick<RerunResult, 'verdict' | 'message' | 'failures'> {
  const [{ condition, message, position }] = failures
  return { verdict: 'bad', message: `${condition}: ${message}, at ${grouped(position)}`, failures }
}

function cannotTell(message: string, { inputs }: Scenario) {
  return {
    verdict: 'cannot-tell',
    message,
    failures: [],
    inputs: { given: 0, of: inputs.length },
    notes: [],
  } as const
}

/** Why a run in which nothing failed says nothing; undefined if it does. */
function unfinishedBusiness(
  { end, message }: RecordResult,
  feeder: ScenarioFeeder,
  capped: boolean,
): string | undefined {
  const waiting = feeder.waiting()
  const rest = waiting === undefined ? '' : `; ${waiting}`
  if (end === 'fault-loop') return `${message}${rest}`
  if (capped) return `nothing of what was asked for has happened, but the run has not ended: ${message}${rest}`
  return waiting === undefined ? undefined : `the scenario was not carried out: ${message}${rest}`
}

async function assertions(conditions: readonly Condition[], { open, onProgress }: RerunOptions) {
  const failures: Failure[] = []
  const notes: string[] = []
  let unknown: string | undefined
  if (!open || conditions.every(({ kind }) => kind !== 'assert')) return { failures, notes, unknown }
  const reader = open()
  try {
    for (const condition of conditions) {
      if (condition.kind !== 'assert') continue
      const outcome = await checkAssertion(reader, condition.assertion, onProgress ?? (() => {}))
      if (outcome.kind === 'violated') failures.push({ condition: condition.text, ...outcome })
      else if (outcome.kind === 'unknown') unknown ??= `${condition.text}: ${outcome.message}`
      else if (outcome.arrivals === 0) notes.push(`${condition.text}: never came there`)
    }
  } finally {
    reader.close()
  }
  return { failures, notes, unknown }
}
