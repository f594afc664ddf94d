/** Units of `.debug_info` and their trees (DWARF 5, 7.5): compilation directories, functions, and what is inlined into them. */
import { Allowance, Cursor, type DwarfSection, type Strings } from './cursor.js'
import { type Encoding, type FormValue, Form, readForm } from './forms.js'
import { type AddressRange, readRanges } from './ranges.js'

/** The sections that describe units. A file without one has it empty. */
export interface InfoSections {
  readonly info: DwarfSection
  readonly abbrev: DwarfSection
  readonly str: Strings
  readonly lineStr: Strings
  readonly strOffsets: DwarfSection
  readonly addr: DwarfSection
  readonly ranges: DwarfSection
  readonly rnglists: DwarfSection
}

/** A function, or one that is inlined into it. */
export interface Scope {
  readonly name: string | undefined
  readonly ranges: readonly AddressRange[]
  readonly inlined: boolean
  /** For an inlined function: where the call would stand. The file is a number of the unit's line program. */
  readonly callFile: number
  readonly callLine: number
  readonly callColumn: number
  readonly children: readonly Scope[]
  /** Offset in `.debug_info`, which tells scopes apart. */
  readonly offset: number
}

const Tag = { COMPILE_UNIT: 0x11, SUBPROGRAM: 0x2e, INLINED_SUBROUTINE: 0x1d, SKELETON_UNIT: 0x4a } as const
const Attribute = {
  NAME: 0x03,
  STMT_LIST: 0x10,
  LOW_PC: 0x11,
  HIGH_PC: 0x12,
  COMP_DIR: 0x1b,
  ABSTRACT_ORIGIN: 0x31,
  SPECIFICATION: 0x47,
  RANGES: 0x55,
  CALL_COLUMN: 0x57,
  CALL_FILE: 0x58,
  CALL_LINE: 0x59,
  LINKAGE_NAME: 0x6e,
  STR_OFFSETS_BASE: 0x72,
  ADDR_BASE: 0x73,
  RNGLISTS_BASE: 0x74,
} as const

/** Attributes that are kept; the others are only passed over. */
const KEPT: ReadonlySet<number> = new Set(Object.values(Attribute))
/** Origins of origins are followed so far: real ones need three. */
const LONGEST_CHAIN = 8
/** Attributes of an entry; compilers stay far below. */
const MOST_ATTRIBUTES = 256
/** Scopes within scopes; compilers stay far below. */
const DEEPEST = 1000

interface Abbreviation {
  readonly tag: number
  readonly children: boolean
  readonly attributes: readonly { readonly name: number; readonly form: number; readonly implicit?: number }[]
}

interface Attributes extends ReadonlyMap<number, { readonly form: number; readonly value: FormValue }> {}

/** Reads all unit headers and the first entry of each. */
export class DebugInfo {
  readonly units: readonly Unit[]
  readonly sections: InfoSections
  /** Bytes of entries that names come from, which many may share. */
  readonly origins: Allowance
  /** Entries of range lists: of each list once or twice, not of one list for every function. */
  readonly ranges: Allowance
  private readonly abbreviations = new Map<number, ReadonlyMap<number, Abbreviation>>()

  /** @throws {DwarfError} saying what is malformed. */
  constructor(sections: InfoSections) {
    this.sections = sections
    this.origins = new Allowance(64 * sections.info.data.length + 65536, 'origins of functions')
    this.ranges = new Allowance(
      sections.ranges.data.length + sections.rnglists.data.length + 65536,
      'shared range lists',
    )
    const units: Unit[] = []
    const cursor = new Cursor(sections.info)
    while (!cursor.done) {
      const offset = cursor.at
      const { length, wide } = cursor.unitLength()
      const body = cursor.slice(length)
      const unit = length > 0 ? Unit.open(this, offset, body, wide) : undefined
      if (unit) units.push(unit)
    }
    this.units = units
  }

  /** The unit whose code an address is. */
  unitAt(address: bigint): Unit | undefined {
    return this.units.find((unit) => unit.ranges.some(({ low, high }) => address >= low && address < high))
  }

  /** The unit that an offset of `.debug_info` lies in. */
  unitOf(offset: number): Unit | undefined {
    let low = 0
    let high = this.units.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.units[middle].offset <= offset) low = middle + 1
      else high = middle
    }
    const unit = this.units[low - 1] as Unit | undefined
    return unit && offset < unit.end ? unit : undefined
  }

  /** The table of abbreviations at an offset of `.debug_abbrev`. */
  abbreviationsAt(offset: number): ReadonlyMap<number, Abbreviation> {
    let table = this.abbreviations.get(offset)
    if (!table) {
      table = readAbbreviations(new Cursor(this.sections.abbrev, offset))
      this.abbreviations.set(offset, table)
    }
    return table
  }
}

function readAbbreviations(cursor: Cursor): Map<number, Abbreviation> {
  const table = new Map<number, Abbreviation>()
  for (;;) {
    if (cursor.done) return table
    const code = cursor.uleb()
    if (code === 0) return table
    const tag = cursor.uleb()
    const children = cursor.u8() !== 0
    const attributes: { name: number; form: number; implicit?: number }[] = []
    for (;;) {
      const name = cursor.uleb()
      const form = cursor.uleb()
      if (form === Form.IMPLICIT_CONST) attributes.push({ name, form, implicit: cursor.sleb() })
      else if (name !== 0 || form !== 0) attributes.push({ name, form })
      else break
      // Attributes may take no bytes at all: without a limit, an entry of one byte could have a million.
      if (attributes.length > MOST_ATTRIBUTES) throw cursor.error(`more than ${MOST_ATTRIBUTES} attributes`)
    }
    table.set(code, { tag, children, attributes })
  }
}

/** A compilation unit. */
export class Unit {
  /** Where it begins and ends in `.debug_info`. */
  readonly offset: number
  readonly end: number
  readonly encoding: Encoding
  private readonly info: DebugInfo
  private readonly table: ReadonlyMap<number, Abbreviation>
  /** Offset of the first entry. */
  private readonly first: number
  private readonly root: Attributes
  private knownRanges: readonly AddressRange[] | undefined
  private knownScopes: readonly Scope[] | undefined

  private constructor(
    info: DebugInfo,
    extent: { offset: number; first: number; end: number },
    encoding: Encoding,
    table: ReadonlyMap<number, Abbreviation>,
    root: Attributes,
  ) {
    this.info = info
    this.offset = extent.offset
    this.first = extent.first
    this.end = extent.end
    this.encoding = encoding
    this.table = table
    this.root = root
  }

  /** Reads a unit's header and first entry; undefined for a unit that holds no code, such as one of types. */
  static open(info: DebugInfo, offset: number, cursor: Cursor, wide: boolean): Unit | undefined {
    const version = cursor.u16()
    if (version < 2 || version > 5) throw cursor.error(`version ${version}: 2 to 5 can be read`)
    let type = 1
    let addressSize: number
    let abbreviations: number
    if (version >= 5) {
      type = cursor.u8()
      addressSize = cursor.u8()
      abbreviations = cursor.offset(wide)
      // Skeleton and split units have an identification.
      if (type === 4 || type === 5) cursor.skip(8)
    } else {
      abbreviations = cursor.offset(wide)
      addressSize = cursor.u8()
    }
    if (type !== 1 && type !== 3 && type !== 4) return undefined
    const encoding = { version, wide, addressSize }
    const table = info.abbreviationsAt(abbreviations)
    const first = cursor.at
    const entry = readEntry(cursor, table, encoding)
    if (!entry || (entry.tag !== Tag.COMPILE_UNIT && entry.tag !== Tag.SKELETON_UNIT)) return undefined
    return new Unit(info, { offset, first, end: cursor.end }, encoding, table, entry.attributes)
  }

  /** DW_AT_comp_dir. */
  get directory(): string {
    return this.string(this.root, Attribute.COMP_DIR) ?? ''
  }

  /** Offset of the unit's line program in `.debug_line`. */
  get lineProgram(): number | undefined {
    const offset = this.root.get(Attribute.STMT_LIST)?.value
    return offset === undefined ? undefined : Number(offset)
  }

  /** The addresses of the unit's code. */
  get ranges(): readonly AddressRange[] {
    this.knownRanges ??= this.rangesOf(this.root)
    return this.knownRanges
  }

  /** The unit's functions, with what is inlined into them. */
  get scopes(): readonly Scope[] {
    this.knownScopes ??= this.readScopes()
    return this.knownScopes
  }

  private readScopes(): Scope[] {
    const cursor = new Cursor(this.info.sections.info, this.first, this.end)
    const top: Scope[] = []
    // Where the children of each open entry go; those of entries that are no scopes go where these went.
    const open: Scope[][] = []
    let children = top
    while (!cursor.done) {
      const offset = cursor.at
      const entry = readEntry(cursor, this.table, this.encoding)
      if (!entry) {
        const outer = open.pop()
        if (!outer) break
        children = outer
        continue
      }
      let within = children
      if (entry.tag === Tag.SUBPROGRAM || entry.tag === Tag.INLINED_SUBROUTINE) {
        const { attributes } = entry
        const ranges = this.rangesOf(attributes)
        if (ranges.length > 0) {
          within = []
          const inlined = entry.tag === Tag.INLINED_SUBROUTINE
          const number = (name: number) => Number(attributes.get(name)?.value ?? 0)
          children.push({
            name: this.nameOf(attributes, 0),
            ranges,
            inlined,
            callFile: number(Attribute.CALL_FILE),
            callLine: number(Attribute.CALL_LINE),
            callColumn: number(Attribute.CALL_COLUMN),
            children: within,
            offset,
          })
        }
      }
      if (entry.children) {
        if (open.length >= DEEPEST) throw cursor.error(`entries nested more than ${DEEPEST} deep`)
        open.push(children)
        children = within
      }
    }
    return top
  }

  /** The name of an entry, its own or that of the entry it comes from. */
  private nameOf(attributes: Attributes, depth: number): string | undefined {
    const own = this.string(attributes, Attribute.LINKAGE_NAME) ?? this.string(attributes, Attribute.NAME)
    if (own !== undefined || depth >= LONGEST_CHAIN) return own
    const origin = attributes.get(Attribute.ABSTRACT_ORIGIN) ?? attributes.get(Attribute.SPECIFICATION)
    if (!origin) return undefined
    const { form } = origin
    const value = Number(origin.value)
    const offset = form === Form.REF_ADDR ? value : this.offset + value
    const unit = form === Form.REF_ADDR ? this.info.unitOf(offset) : this
    if (!unit || offset < unit.first || offset >= unit.end) return undefined
    const cursor = new Cursor(this.info.sections.info, offset, unit.end)
    const entry = readEntry(cursor, unit.table, unit.encoding)
    this.info.origins.spend(cursor.at - offset, cursor)
    return entry && unit.nameOf(entry.attributes, depth + 1)
  }

  private rangesOf(attributes: Attributes): AddressRange[] {
    const ranges = attributes.get(Attribute.RANGES)
    const low = this.address(attributes.get(Attribute.LOW_PC))
    if (ranges) {
      const { info } = this
      const base = this.address(this.root.get(Attribute.LOW_PC)) ?? 0n
      const found = readRanges(info.sections, this.encoding, {
        value: Number(ranges.value),
        indexed: ranges.form === Form.RNGLISTX,
        listsBase: this.base(Attribute.RNGLISTS_BASE),
        base,
        addressAt: (index) => this.indexedAddress(index),
        allowance: info.ranges,
      })
      return found
    }
    const high = attributes.get(Attribute.HIGH_PC)
    if (low === undefined || high?.value === undefined) return []
    const end =
      high.form === Form.ADDR || isAddressIndex(high.form)
        ? this.address(high)
        : low + BigInt(Math.max(Number(high.value), 0))
    return end !== undefined && end > low ? [{ low, high: end }] : []
  }

  private address(attribute: { form: number; value: FormValue } | undefined): bigint | undefined {
    if (attribute === undefined) return undefined
    const { form, value } = attribute
    if (typeof value === 'number' && isAddressIndex(form)) return this.indexedAddress(value)
    return typeof value === 'bigint' ? value : undefined
  }

  private indexedAddress(index: number): bigint {
    const { addressSize } = this.encoding
    return new Cursor(this.info.sections.addr, this.base(Attribute.ADDR_BASE) + index * addressSize).address(
      addressSize,
    )
  }

  private base(name: number): number {
    return Number(this.root.get(name)?.value ?? 0)
  }

  private string(attributes: Attributes, name: number): string | undefined {
    const attribute = attributes.get(name)
    if (!attribute) return undefined
    const { form, value } = attribute
    if (typeof value === 'string') return value
    if (typeof value !== 'number') return undefined
    const { str, lineStr, strOffsets } = this.info.sections
    if (form === Form.STRP) return str.at(value)
    if (form === Form.LINE_STRP) return lineStr.at(value)
    if (form !== Form.STRX && !(form >= Form.STRX1 && form <= Form.STRX4)) return undefined
    const { wide } = this.encoding
    // A unit that does not say where its string offsets begin has the only ones; the header before them has 8 or 16 bytes.
    const start = Number(this.root.get(Attribute.STR_OFFSETS_BASE)?.value ?? (wide ? 16 : 8))
    return str.at(new Cursor(strOffsets, start + value * (wide ? 8 : 4)).offset(wide))
  }
}

const isAddressIndex = (form: number): boolean =>
  form === Form.ADDRX || form === Form.GNU_ADDR_INDEX || (form >= Form.ADDRX1 && form <= Form.ADDRX4)

/** Reads an entry; undefined for the one that ends a list of children. */
function readEntry(
  cursor: Cursor,
  table: ReadonlyMap<number, Abbreviation>,
  encoding: Encoding,
): { tag: number; children: boolean; attributes: Attributes } | undefined {
  const code = cursor.uleb()
  if (code === 0) return undefined
  const abbreviation = table.get(code)
  if (!abbreviation) throw cursor.error(`the abbreviation ${code}, which there is not`)
  const attributes = new Map<number, { form: number; value: FormValue }>()
  for (const { name, form, implicit } of abbreviation.attributes) {
    const value = readForm(cursor, form, encoding, implicit)
    if (KEPT.has(name)) attributes.set(name, { form, value })
  }
  return { tag: abbreviation.tag, children: abbreviation.children, attributes }
}
