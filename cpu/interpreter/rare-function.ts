/** The interpreter's second function: rare instructions, one call each, which neither branch nor touch the flags. */
import { Cell, Record } from '../layout.js'
import { FunctionBuilder, I32, I64, Label, mem } from '../wasm/assembler.js'
import { type Context, HandlerFunction } from './handler-function.js'
import type { Handler } from './handlers.js'

/** What the function returns. */
export const RareOutcome = { DONE: 0, FAULT: 1, UNDEFINED: 2 } as const

/** Builds `rare(record, pc, remaining)`, which does the instruction of a record and returns a {@link RareOutcome}. */
export class RareFunction extends HandlerFunction {
  protected readonly record = 0
  private readonly handlers: readonly Handler[]

  constructor(context: Context, handlers: readonly Handler[]) {
    super(context, new FunctionBuilder([I32, I64, I32], [I32]))
    this.handlers = handlers
  }

  build(): FunctionBuilder {
    const { f, handlers } = this
    const labels = handlers.map(() => new Label())
    for (const label of labels.toReversed()) f.block(label)
    f.get(this.record).memory(mem.i32_load16_u, Record.RARE).brTable(labels, labels[0])
    for (const handler of handlers) {
      f.end()
      this.body(handler)
      f.i32(RareOutcome.DONE).return()
    }
    return f.i32(RareOutcome.DONE)
  }

  protected pushPc(): void {
    this.f.get(1)
  }

  protected pushRemaining(): void {
    this.f.get(2)
  }

  protected pushRegime(): void {
    this.f.i32(0).memory(mem.i32_load, Cell.REGIME)
  }

  protected fault(): void {
    this.f.i32(RareOutcome.FAULT).return()
  }

  protected undefinedInstruction(): void {
    this.f.i32(RareOutcome.UNDEFINED).return()
  }

  protected afterCall(): void {
    // The caller looks whether the run must end.
  }

  protected condition(): void {
    throw new Error('an instruction marked rare tests a condition')
  }

  protected nzcv(): void {
    throw new Error('an instruction marked rare reads the flags')
  }

  protected setFlags(): void {
    throw new Error('an instruction marked rare sets the flags')
  }

  protected terminate(): void {
    throw new Error('an instruction marked rare branches')
  }
}
