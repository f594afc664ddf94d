/** Judges a run by conditions while it goes on, and when it has ended. */
import type { ExceptionKind } from '../../trace/rows.js'
import { grouped } from '../debugger/numbers.js'
import { printable } from '../debugger/printable.js'
import type { RecordResult } from '../recorder.js'
import { PANIC } from '../report.js'
import { type Condition, silence } from './conditions.js'
import { ExceptionTally } from './exceptions.js'
import type { ScenarioFeeder } from './feeder.js'
import type { Scenario } from './scenario.js'

/** A condition that has come true. */
export interface Failure {
  /** As it was given. */
  readonly condition: string
  readonly message: string
  readonly position: number
}

/** A guest that has said what is wrong may go on for so many instructions: there is more to say. */
const GRACE = 2 ** 20
const NEWLINE = 10
const RETURN = 13

/** Watches one run. */
export class Judge {
  readonly failures: Failure[] = []
  private readonly conditions: readonly Condition[]
  private readonly scenario: Scenario
  private readonly feeder: ScenarioFeeder
  private readonly exceptions = new ExceptionTally()
  private readonly decoder = new TextDecoder()
  private output = ''
  private line: number[] = []
  private lineStart = 0
  /** Position behind the last byte that the guest has sent. */
  private lastOutput = 0
  /** Where the run shall end. */
  private end = Infinity

  constructor(conditions: readonly Condition[], scenario: Scenario, feeder: ScenarioFeeder) {
    this.conditions = conditions
    this.scenario = scenario
    this.feeder = feeder
  }

  /** The guest has sent a byte. */
  transmit(byte: number, icount: number): void {
    this.lastOutput = icount + 1
    if (this.line.length === 0) this.lineStart = icount
    if (byte !== RETURN) this.line.push(byte)
    if (byte === NEWLINE) this.endLine()
  }

  /** An exception was taken from a level. */
  exception(icount: number, kind: ExceptionKind, esr: number, from: number): void {
    const name = this.exceptions.add(kind, esr, from)
    if (name === undefined || this.end < Infinity) return
    const [count, recorded] = [this.exceptions.count(name), this.scenario.exceptions.count(name)]
    const condition = this.conditions.find((each) => each.kind === 'fault')
    if (!condition || count <= recorded) return
    const often = recorded === 0 ? 'which the recorded run never had' : `once more than the recorded run's ${recorded}`
    this.fail(condition, `the kernel took an exception, ${often}: ${name}`, icount, GRACE)
  }

  /** After a batch: whether the run has come to its end. */
  over(icount: number): boolean {
    for (const condition of this.conditions) {
      if (this.end < Infinity) break
      const { kind } = condition
      if (kind === 'hang') {
        const most = condition.instructions ?? silence(this.scenario.instructions)
        if (icount - this.lastOutput > most)
          this.fail(
            condition,
            `no output for ${grouped(icount - this.lastOutput)} instructions${this.wanting()}`,
            icount,
          )
      } else if (kind === 'budget') {
        const most = this.budget(condition)
        if (icount > most) this.fail(condition, `more than ${grouped(most)} instructions`, icount)
      }
    }
    return icount >= this.end
  }

  /** The run has ended: judges what is only known now. */
  finish(result: RecordResult): void {
    if (this.line.length > 0) this.endLine()
    this.over(result.instructions)
    // A run that was cut short need not have come to its end.
    if (this.failures.length > 0) return
    for (const condition of this.conditions) {
      const message = this.inTheEnd(condition, result)
      if (message !== undefined) this.fail(condition, message, result.instructions)
    }
  }

  private inTheEnd(condition: Condition, { end, message, testsFailed }: RecordResult): string | undefined {
    const { scenario, feeder } = this
    switch (condition.kind) {
      case 'uart':
        return condition.pattern.test(this.output) ? 'the output matches' : undefined
      case 'no-uart':
        return condition.pattern.test(this.output) ? undefined : 'the output does not match'
      case 'panic':
        return end === 'fault-loop' ? message : undefined
      case 'hang': {
        const ended = feeder.left === 0 && scenario.asleep
        return end === 'asleep' && !ended ? `${message}${this.wanting()}` : undefined
      }
      case 'exit':
        if (testsFailed > 0) return `the guest reports ${testsFailed} failed`
        if (end === 'power-off') return feeder.left > 0 ? `the guest powered off too early${this.wanting()}` : undefined
        if (!scenario.poweredOff) return undefined
        return `the guest did not power off: ${message}`
      default:
        return undefined
    }
  }

  private budget({ instructions, factor }: Extract<Condition, { kind: 'budget' }>): number {
    return instructions ?? Math.floor((factor ?? 1) * this.scenario.instructions)
  }

  private endLine(): void {
    const text = this.decoder.decode(Uint8Array.from(this.line))
    this.line = []
    this.output += text
    if (this.end < Infinity) return
    const line = text.replace(/\n$/, '')
    for (const condition of this.conditions) {
      if (condition.kind === 'panic' && PANIC.test(line))
        this.fail(condition, `the guest panicked: ${printable(line.trim())}`, this.lineStart, GRACE)
      else if (condition.kind === 'uart' && condition.pattern.test(line))
        this.fail(condition, `the output matches: ${printable(line.trim())}`, this.lineStart, GRACE)
    }
  }

  private fail({ text }: Condition, message: string, position: number, grace = 0): void {
    this.failures.push({ condition: text, message, position })
    this.end = Math.min(this.end, position + grace)
  }

  private wanting(): string {
    const waiting = this.feeder.waiting()
    return waiting === undefined ? '' : `; ${waiting}`
  }
}
