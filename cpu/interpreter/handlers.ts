/** The interpreter's handlers: one for each combination of a row's modes, and how a decoded word is laid out for it. */
import { Semantics, type OperandReader, type Statement, operandsOf } from '../ir/semantics.js'
import type { AnyRaw, Instruction } from '../isa/instruction.js'
import { type Decoded, instructions } from '../isa/table.js'
import { Record as Layout } from '../layout.js'

/** Where a handler finds one register operand: the record's slot, and whether number 31 is the stack pointer. */
export interface RegisterSlot {
  readonly name: string
  readonly sp: boolean
  readonly write: boolean
  /** Byte offset in the record. */
  readonly offset: number
}

/** Where a handler finds one immediate. */
export interface OperandSlot {
  readonly reader: OperandReader<AnyRaw>
  readonly offset: number
}

/** The meaning of a row for one combination of modes, with registers and immediates open. */
export interface Handler {
  readonly instruction: Instruction
  readonly statements: readonly Statement[]
  readonly registers: readonly RegisterSlot[]
  readonly operands: readonly OperandSlot[]
  /** Ends in a branch by an immediate, which has a variant for targets in the same page. */
  readonly branches: boolean
  /** Interpreted by the second function. */
  readonly rare: boolean
  /** Equal for handlers that need the same code: modes that make no difference, or forms of an instruction that differ in encoding only. */
  readonly shape: string
}

/** Handlers of all rows, and the way from a decoded word to its handler. */
export class HandlerTable {
  readonly handlers: Handler[] = []
  private readonly byModes = new Map<Instruction, (Handler | undefined)[]>()

  constructor() {
    for (const instruction of instructions) {
      const row: (Handler | undefined)[] = []
      for (let modes = 0; modes < combinations(instruction); modes++) {
        const handler = makeHandler(instruction, modes)
        row.push(handler)
        if (handler) this.handlers.push(handler)
      }
      this.byModes.set(instruction, row)
    }
  }

  /** The handler of a decoded word. */
  find({ instruction, raw }: Decoded): Handler {
    let index = 0
    for (const field of instruction.modes) index = (index << field.width) | raw[field.name]
    const handler = this.byModes.get(instruction)?.[index * instruction.splits + instruction.splitOf(raw)]
    if (!handler) throw new Error(`${instruction.name}: an allocated word has modes that its meaning calls UNDEFINED`)
    return handler
  }
}

function combinations({ modes, splits }: Instruction): number {
  return (1 << modes.reduce((bits, field) => bits + field.width, 0)) * splits
}

function makeHandler(instruction: Instruction, combination: number): Handler | undefined {
  const modes: Record<string, number> = { split: combination % instruction.splits }
  let rest = Math.floor(combination / instruction.splits)
  for (const field of [...instruction.modes].toReversed()) {
    modes[field.name] = rest & ((1 << field.width) - 1)
    rest >>>= field.width
  }
  const semantics = new Semantics<AnyRaw>()
  instruction.exec(semantics, operandsOf(instruction.fields, modes) as never)
  if (semantics.undefined) return undefined
  const { statements } = semantics
  const last = statements.at(-1)
  const slots = registerSlots(instruction, statements)
  return {
    instruction,
    statements,
    registers: slots,
    operands: operandSlots(instruction, semantics.operands),
    branches: last?.kind === 'branch',
    rare: instruction.rare(modes),
    shape: shapeOf(statements, slots, instruction.rare(modes)),
  }
}

/** Gives each (register, role) pair of the statements a slot in the record. X30 as the link register needs none. */
function registerSlots(instruction: Instruction, statements: readonly Statement[]): RegisterSlot[] {
  const slots: RegisterSlot[] = []
  const need = (name: string, sp: boolean, write: boolean): void => {
    if (name === 'LR' || slots.some((slot) => slot.name === name && slot.sp === sp && (sp || slot.write === write)))
      return
    if (slots.length === Layout.MAX_REGISTERS)
      throw new Error(`${instruction.name} needs more than ${Layout.MAX_REGISTERS} registers`)
    slots.push({ name, sp, write, offset: Layout.REGISTERS + 2 * slots.length })
  }
  walk(statements, need)
  return slots
}

/** Calls `need` for every register read or written. */
function walk(statements: readonly Statement[], need: (name: string, sp: boolean, write: boolean) => void): void {
  const seen = new Set<unknown>()
  const visit = (part: unknown): void => {
    if (typeof part !== 'object' || part === null || seen.has(part)) return
    seen.add(part)
    const { kind } = part as { kind?: string }
    if (kind === 'register') {
      const { name, sp, value } = part as { name: string; sp: boolean; value?: unknown }
      need(name, sp, value !== undefined)
    }
    for (const child of Array.isArray(part) ? part : Object.values(part)) visit(child)
  }
  visit(statements)
}

function operandSlots(instruction: Instruction, readers: readonly OperandReader<AnyRaw>[]): OperandSlot[] {
  let narrow = Layout.OPERANDS
  const end = Layout.OPERANDS + Layout.MAX_OPERAND_BYTES
  let wide = end
  const slots = readers.map((reader) => {
    if (reader.width === 'i64') {
      wide -= 8
      return { reader, offset: wide }
    }
    narrow += 4
    return { reader, offset: narrow - 4 }
  })
  if (narrow > wide)
    throw new Error(`${instruction.name} needs more than ${Layout.MAX_OPERAND_BYTES} bytes of operands`)
  return slots
}

/** Writes statements out such that equal texts mean equal code: shared values by number, registers by their slot in the record. */
function shapeOf(statements: readonly Statement[], slots: readonly RegisterSlot[], rare: boolean): string {
  const numbers = new Map<object, number>()
  const operations = (value: unknown): unknown => (typeof value === 'function' ? functionNumber(value) : value)
  const slotOf = (name: string, sp: boolean, write: boolean): string =>
    name === 'LR'
      ? name
      : String(slots.find((slot) => slot.name === name && slot.sp === sp && (sp || slot.write === write))?.offset)
  const write = (part: unknown): unknown => {
    if (typeof part !== 'object' || part === null) return operations(part)
    if (Array.isArray(part)) return part.map(write)
    const known = numbers.get(part)
    if (known !== undefined) return `#${known}`
    numbers.set(part, numbers.size)
    const { kind, name, sp, value } = part as { kind?: string; name?: string; sp?: boolean; value?: unknown }
    // What a branch is for makes no difference to how it is done.
    const entries = Object.entries(part).flatMap(([key, child]) => (key === 'type' ? [] : [[key, write(child)]]))
    if (kind === 'register' && name !== undefined)
      entries.push(['name', slotOf(name, sp === true, value !== undefined)])
    return entries
  }
  return JSON.stringify([rare, write(statements)])
}

const functionNumbers = new Map<object, number>()
/** A number for a function, the same each time. */
function functionNumber(value: object): number {
  const known = functionNumbers.get(value)
  if (known !== undefined) return known
  functionNumbers.set(value, functionNumbers.size)
  return functionNumbers.size - 1
}
