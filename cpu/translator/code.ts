/** Guest code as the translator sees it: instructions with everything known, and what each does to registers, flags and control. */
import type { FlagKind } from '../ir/flags.js'
import { Semantics, type Statement, operandsOf } from '../ir/semantics.js'
import { type Value, partsOf } from '../ir/value.js'
import type { AnyRaw } from '../isa/instruction.js'
import { decode } from '../isa/table.js'

/** The number that stands for the stack pointer among register numbers. */
export const SP = 31

/** What is known of an instruction word, wherever it stands. */
export interface Code {
  readonly raw: AnyRaw
  readonly statements: readonly Statement[]
  /** Register numbers read and written, {@link SP} for the stack pointer; the zero register is none. */
  readonly reads: ReadonlySet<number>
  readonly writes: ReadonlySet<number>
  /** The kind of the flags it sets; undefined if it sets none. */
  readonly flags: FlagKind | undefined
  /** The statement that branches, if one does. */
  readonly branch: Extract<Statement, { kind: 'branch' | 'jump' }> | undefined
}

/** Words met so far: `undefined` for those that only the interpreter executes. Their meaning does not depend on the address. */
const known = new Map<number, Code | undefined>()
/** Distinct words are few; a guest that makes them up must not fill the host's memory. */
const MAX_KNOWN = 2 ** 14

/** What a word means, or undefined if it is for the interpreter: unallocated, of the system kind, or not repeatable. */
export function codeOf(word: number): Code | undefined {
  const found = known.get(word)
  if (found || known.has(word)) return found
  if (known.size >= MAX_KNOWN) known.clear()
  const code = analyse(word)
  known.set(word, code)
  return code
}

/** The number of the register that a statement or value calls `name`. */
export function registerNumber(raw: AnyRaw, name: string): number {
  return name === 'LR' ? 30 : raw[name]
}

function analyse(word: number): Code | undefined {
  const decoded = decode(word)
  if (!decoded) return undefined
  const { instruction, raw } = decoded
  const semantics = new Semantics<AnyRaw>(raw)
  const modes: Record<string, number> = { split: instruction.splitOf(raw) }
  for (const field of instruction.modes) modes[field.name] = raw[field.name]
  instruction.exec(semantics, operandsOf(instruction.fields, modes) as never)
  const { statements } = semantics
  const summary = new Summary(raw)
  if (semantics.undefined || !summary.repeatable(statements)) return undefined
  const last = statements.at(-1)
  return {
    raw,
    statements,
    reads: summary.reads,
    writes: summary.writes,
    flags: summary.flags,
    branch: last?.kind === 'branch' || last?.kind === 'jump' ? last : undefined,
  }
}

/** Collects what statements touch. */
class Summary {
  readonly reads = new Set<number>()
  readonly writes = new Set<number>()
  flags: FlagKind | undefined
  private readonly raw: AnyRaw
  private readonly seen = new Set<Value>()
  /** Whether memory or machine state has been written: from then on the instruction cannot be begun again. */
  private written = false

  constructor(raw: AnyRaw) {
    this.raw = raw
  }

  /**
   * Whether translated code can do these statements: it gives an access that does not go its short way to the interpreter, which does the
   * whole instruction, so nothing may have been written before an access.
   */
  repeatable(statements: readonly Statement[]): boolean {
    return statements.every((statement) => this.one(statement))
  }

  private one(statement: Statement): boolean {
    switch (statement.kind) {
      case 'register':
        this.value(statement.value)
        this.register(this.writes, statement.name, statement.sp)
        return true
      case 'flags':
        this.value(statement.flags.a)
        this.value(statement.flags.b)
        this.flags = statement.flags.kind
        return true
      case 'load':
        this.value(statement.address)
        return !this.written && !statement.access.unprivileged
      case 'store': {
        this.value(statement.address)
        for (const value of statement.values) this.value(value)
        const first = !this.written
        this.written = true
        return first && !statement.access.unprivileged
      }
      case 'cell':
        if (typeof statement.address !== 'number') this.value(statement.address)
        this.value(statement.value)
        this.written = true
        return true
      case 'if': {
        this.value(statement.condition)
        const before = this.written
        const yes = this.repeatable(statement.yes)
        const after = this.written
        this.written = before
        const no = this.repeatable(statement.no)
        this.written ||= after
        // Flags of an instruction that sets them in one arm only have no kind of their own.
        return yes && no && this.flags === undefined
      }
      case 'undefinedIf':
        this.value(statement.condition)
        return !this.written
      case 'branch':
        if (statement.condition) this.value(statement.condition)
        return true
      case 'jump':
        this.value(statement.target)
        return true
      default:
        return false
    }
  }

  private value(value: Value): void {
    if (this.seen.has(value)) return
    this.seen.add(value)
    const { source } = value
    if (source.kind === 'register') this.register(this.reads, source.name, source.sp)
    for (const part of partsOf(value)) this.value(part)
  }

  private register(into: Set<number>, name: string, sp: boolean): void {
    const number = registerNumber(this.raw, name)
    if (number < SP || sp) into.add(number)
  }
}
