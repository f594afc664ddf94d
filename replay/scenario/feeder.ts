/** Gives a scenario's inputs to a guest: each when the guest reaches the point that matches the recorded one. */
import { bytesText } from '../divergence/recent.js'
import type { Feeder } from '../recorder.js'
import type { ScenarioInput } from './scenario.js'

/** Feeds a recorder. */
export class ScenarioFeeder implements Feeder {
  /** How many inputs the guest has been given. */
  given = 0
  /** The position of the last one. */
  lastGiven = 0
  private readonly inputs: readonly ScenarioInput[]
  /** Virtual nanoseconds at which the next one's delay began; Infinity while its prompt has not been printed. */
  private since = 0
  /** The end of what was printed since the last one, as long as the prompt is. */
  private printed = ''
  private occurrences = 0

  constructor(inputs: readonly ScenarioInput[]) {
    this.inputs = inputs
    this.await(0)
  }

  /** Inputs that have not been given. */
  get left(): number {
    return this.inputs.length - this.given
  }

  /** The guest has sent a byte through its UART, at virtual time `now`. */
  see(byte: number, now: number): void {
    const prompt = this.inputs[this.given]?.prompt
    if (!prompt || this.since < Infinity) return
    this.printed = (this.printed + String.fromCharCode(byte)).slice(-prompt.text.length)
    if (this.printed === prompt.text && ++this.occurrences === prompt.occurrence) this.since = now
  }

  take(now: number): Uint8Array | undefined {
    return now >= this.deadline ? this.inputs[this.given].payload : undefined
  }

  get deadline(): number {
    return this.since + (this.inputs[this.given]?.delay ?? Infinity)
  }

  delivered(icount: number, now: number): void {
    this.given++
    this.lastGiven = icount
    this.await(now)
  }

  wake(): Uint8Array | undefined {
    return Number.isFinite(this.deadline) ? this.inputs[this.given].payload : undefined
  }

  /** What the next input waits for, for people; undefined if all have been given. */
  waiting(): string | undefined {
    const input = this.inputs[this.given]
    if (!input) return undefined
    const { prompt, payload } = input
    const what = `input ${this.given + 1} of ${this.inputs.length}, ${bytesText(payload.subarray(0, 40))}`
    if (!prompt) return `${what}, was not read`
    const times = prompt.occurrence === 1 ? '' : ` ${prompt.occurrence} times`
    const state = this.since < Infinity ? 'was not read' : `waits for ${JSON.stringify(prompt.text)}${times}`
    return `${what}, ${state}`
  }

  /** The next input's turn has come. */
  private await(now: number): void {
    this.since = this.inputs[this.given]?.prompt ? Infinity : now
    this.printed = ''
    this.occurrences = 0
  }
}
