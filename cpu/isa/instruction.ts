/** One row of the instruction table: a bit pattern, the Arm ARM's name, and the meaning, written once. */
import type { Semantics } from '../ir/semantics.js'
import type { Place } from './assembly.js'
import { type Field, type Operands, type Pattern, type RawFields, extract, parsePattern } from './pattern.js'

/** Fields of a word by name, for code that walks the table without knowing the row. */
export type AnyRaw = Readonly<Record<string, number>>

/** What a row is made of, beside its pattern and name. */
export interface InstructionOptions<P extends string> {
  /**
   * The meaning, run once for each combination of modes with operands left open (interpreter) or with everything known
   * (translator). Calling `c.UNDEFINED()` makes the combination unallocated.
   */
  readonly exec: (c: Semantics<RawFields<P>>, f: Operands<P> & { readonly split: number }) => void
  /** The text of an allocated word, in the alias that the Arm ARM prefers (see `assembly.ts`). */
  readonly asm: (raw: RawFields<P>, at: Place) => string
  /** Whether a word is allocated; without it, every word that matches is. */
  readonly allocated?: (raw: RawFields<P>) => boolean
  /**
   * A further mode, computed from operands where one meaning would be slower than two (a shift by zero, an insert or an extract):
   * `of` returns 0 … count-1, which the meaning sees as `f.split`.
   */
  readonly split?: { readonly count: number; readonly of: (raw: RawFields<P>) => number }
  /** Rare instructions are interpreted by a second function, so that the hot one stays small. */
  readonly rare?: boolean | ((modes: Readonly<Record<string, number>>) => boolean)
}

/** A row of the table. */
export interface Instruction {
  readonly name: string
  readonly text: string
  readonly mask: number
  readonly value: number
  readonly fields: readonly Field[]
  /** Whether a combination of modes is interpreted by the second function. */
  rare(modes: Readonly<Record<string, number>>): boolean
  readonly splits: number
  /** The mode fields, most significant first: the interpreter has a handler for each combination. */
  readonly modes: readonly Field[]
  splitOf(raw: AnyRaw): number
  allocated(raw: AnyRaw): boolean
  exec(c: Semantics<AnyRaw>, f: Operands<string> & { readonly split: number }): void
  /** The text of a word whose fields are `raw`. */
  asm(raw: AnyRaw, at: Place): string
  /** All fields of `word`, which must match the row. */
  raw(word: number): AnyRaw
}

/**
 * Makes a row.
 *
 * @param text the bit pattern (see `pattern.ts`).
 * @param name the Arm ARM's name of the encoding (`ADD/SUB (immediate)`).
 * @throws {Error} if the pattern is malformed.
 */
export function insn<const P extends string>(text: P, name: string, options: InstructionOptions<P>): Instruction {
  const pattern: Pattern = parsePattern(text)
  const { fields } = pattern
  return {
    name,
    text,
    mask: pattern.mask,
    value: pattern.value,
    fields,
    rare: (modes) => (typeof options.rare === 'function' ? options.rare(modes) : (options.rare ?? false)),
    splits: options.split?.count ?? 1,
    modes: fields.filter((field) => field.role === 'mode'),
    splitOf: (raw) => options.split?.of(raw as RawFields<P>) ?? 0,
    allocated: (raw) => options.allocated?.(raw as RawFields<P>) ?? true,
    exec: options.exec as unknown as Instruction['exec'],
    asm: (raw, at) => options.asm(raw as RawFields<P>, at),
    raw(word) {
      const raw: Record<string, number> = {}
      for (const field of fields) raw[field.name] = extract(word, field)
      return raw
    },
  }
}
