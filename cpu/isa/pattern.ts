/**
 * Bit patterns of instructions: `sf:1 op:1 S:1 100010 sh:1 imm12:12 Rn:5 Rd:5`, most significant bit first.
 *
 * A token is either fixed bits (`0`, `1`, `x` for a bit that the processor ignores) or a field, `name:width`, with the Arm ARM's
 * name. What a field is follows from its name, in the types too, so that a misspelt or misused operand does not compile:
 * a *register* (`Rd`, `Rn`, `Rt2` …), an *operand* (`imm…`, `nzcv`, the numbers of a system register) or a *mode*
 * (`sf`, `opc`, `size`, `cond` …), which is a constant whenever the meaning runs.
 */

/** Field names that are operands although they do not start with `imm`. */
type OperandName = `imm${string}` | 'nzcv' | 'CRn' | 'CRm' | 'op1' | 'op2' | 'o0' | 'b40'
type FieldName<Token> = Token extends `${infer Name}:${string}` ? Name : never
/** The names of a pattern's fields. */
export type FieldNames<P extends string> = P extends `${infer Head} ${infer Rest}`
  ? FieldName<Head> | FieldNames<Rest>
  : FieldName<P>

/** A register operand, by field; opaque to the meaning, which reads and writes it through the vocabulary. */
export interface RegisterOperand {
  readonly name: string
}

/** An immediate operand, by field; its number is known only where a word is decoded. */
export interface ImmediateOperand {
  readonly operand: string
}

type FieldKind<Name> = Name extends `R${string}`
  ? RegisterOperand
  : Name extends OperandName
    ? ImmediateOperand
    : number
/** What the meaning of an instruction is given: registers and immediates to name, modes as numbers. */
export type Operands<P extends string> = { readonly [Name in FieldNames<P>]: FieldKind<Name> }
/** All fields of one concrete word, as numbers. */
export type RawFields<P extends string> = { readonly [Name in FieldNames<P>]: number }

/** The kinds of field. */
export type FieldRole = 'register' | 'operand' | 'mode'

/** One field of a pattern. */
export interface Field {
  readonly name: string
  /** Bit number of the field's least significant bit. */
  readonly lsb: number
  readonly width: number
  readonly role: FieldRole
}

/** A parsed pattern: a word matches if `(word & mask) === value`. */
export interface Pattern {
  readonly mask: number
  readonly value: number
  readonly fields: readonly Field[]
}

const OPERAND = /^(imm.*|nzcv|CR[nm]|op[12]|o0|b40)$/

/** The role that a field's name gives it. */
export function roleOf(name: string): FieldRole {
  if (name.startsWith('R')) return 'register'
  return OPERAND.test(name) ? 'operand' : 'mode'
}

/**
 * Parses a pattern.
 *
 * @throws {Error} if a token is malformed, a name occurs twice or the widths do not add up to 32 bits.
 */
export function parsePattern(text: string): Pattern {
  let mask = 0
  let value = 0
  let top = 32
  const fields: Field[] = []
  for (const token of text.split(' ')) {
    const field = /^([A-Za-z]\w*):(\d+)$/.exec(token)
    if (field) {
      const width = Number(field[2])
      top -= width
      if (fields.some((other) => other.name === field[1]))
        throw new Error(`pattern '${text}': field ${field[1]} occurs twice`)
      fields.push({ name: field[1], lsb: top, width, role: roleOf(field[1]) })
    } else if (/^[01x]+$/.test(token)) {
      for (const bit of token) {
        top--
        if (bit === 'x') continue
        mask |= 1 << top
        if (bit === '1') value |= 1 << top
      }
    } else {
      throw new Error(`pattern '${text}': token '${token}' is neither bits nor name:width`)
    }
  }
  if (top !== 0) throw new Error(`pattern '${text}' covers ${32 - top} bits, not 32`)
  return { mask: mask >>> 0, value: value >>> 0, fields }
}

/** Extracts a field from a word; unsigned. */
export function extract(word: number, field: Field): number {
  return ((word >>> field.lsb) & (field.width === 32 ? -1 : (1 << field.width) - 1)) >>> 0
}
