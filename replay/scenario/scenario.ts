/** A scenario: what a trace demands of another build of its kernel: the same machine, and the same inputs at the matching points. */
import type { TraceReader } from '../../trace/reader.js'
import { ExceptionTally, ambiguous } from './exceptions.js'
import { type MachineDescription, readDescription } from '../description.js'
import type { MachineFactory } from '../execution.js'
import { type Replayed, replayedFacts } from './replayed.js'

/** What the guest has printed when an input is given. */
export interface Prompt {
  /** Each byte is a character (Latin-1). */
  readonly text: string
  /** How often it has been printed since the input before this one, from 1. */
  readonly occurrence: number
}

/** An input, and when it is given. */
export interface ScenarioInput {
  readonly payload: Uint8Array
  /** Undefined if nothing was printed since the input before it, or since reset. */
  readonly prompt: Prompt | undefined
  /** Virtual nanoseconds between the prompt, or without one the input before it, and this input. */
  readonly delay: number
}

/** What a trace demands, and what its own kernel did. */
export interface Scenario {
  readonly description: MachineDescription
  readonly inputs: readonly ScenarioInput[]
  /** Instructions of the recorded run. */
  readonly instructions: number
  /** Those of them that came after the last input. */
  readonly tail: number
  /** Whether the recorded run ended with the guest powering off. */
  readonly poweredOff: boolean
  /** Whether it ended with the guest asleep for ever. */
  readonly asleep: boolean
  /** Exceptions that the recorded kernel took from itself, by kind and status. */
  readonly exceptions: ExceptionTally
}

/** A prompt is at most so long: its end will do. */
const LONGEST = 256

/**
 * Reads a scenario off a trace. The trace is replayed if its rows do not tell all that is asked.
 *
 * @param make builds the machine of such a replay.
 * @param exceptions whether {@link Scenario.exceptions} are asked for.
 * @throws {TraceError} if the trace is damaged, or holds what this kaal cannot honour.
 */
export async function readScenario(
  reader: TraceReader,
  make: MachineFactory,
  exceptions: boolean,
  onProgress: (icount: number) => void = () => {},
): Promise<Scenario> {
  const description = readDescription(reader)
  const { instructions } = reader.meta
  const poweredOff = reader.batch(reader.batchCount)?.ended === 'power-off'
  const rows = [...reader.inputs()]
  const prompts = promptsOf(reader, rows)
  const needed = rows.length > 0 || !poweredOff || (exceptions && ambiguous(reader.exceptions()))
  const replayed: Replayed = needed
    ? await replayedFacts(reader, make, onProgress)
    : { delays: [], asleep: false, exceptions: ExceptionTally.ofRows(reader.exceptions()) }
  const inputs = rows.map(({ payload }, n) => ({ payload, prompt: prompts[n], delay: replayed.delays[n] }))
  const tail = instructions - (rows.at(-1)?.icount ?? 0)
  return {
    description,
    inputs,
    instructions,
    tail,
    poweredOff,
    asleep: replayed.asleep,
    exceptions: replayed.exceptions,
  }
}

/** For each input the prompt it follows; undefined where nothing was printed since the input before. */
function promptsOf(reader: TraceReader, inputs: readonly { readonly icount: number }[]): (Prompt | undefined)[] {
  const spans = inputs.map((): string[] => [])
  let n = 0
  for (const { icount, direction, byte } of reader.uart()) {
    if (direction !== 0) continue
    // An input comes in front of the instruction at its position.
    while (n < inputs.length && inputs[n].icount <= icount) n++
    if (n === inputs.length) break
    spans[n].push(String.fromCharCode(byte))
  }
  return spans.map((span) => (span.length === 0 ? undefined : promptOf(span.join(''))))
}

/** The text since the last line break, or the last line if there is none, and which of its occurrences it is. */
function promptOf(span: string): Prompt {
  const last = span.slice(span.lastIndexOf('\n') + 1)
  const whole = last === '' ? span.slice(span.slice(0, -1).lastIndexOf('\n') + 1) : last
  const text = whole.slice(-LONGEST)
  let occurrence = 0
  for (let at = span.indexOf(text); at !== -1; at = span.indexOf(text, at + 1)) occurrence++
  return { text, occurrence }
}
