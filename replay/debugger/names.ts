/** Names for addresses as people read and type them: a kernel's symbols, those of Rust demangled. */
import type { ElfSymbol, SymbolTable } from '../../devices/loader/symbols.js'
import { demangle } from './demangle.js'

/** A label without a size names what follows it, but not for ever. */
const REACH = 0x1_0000n

/** A symbol table with readable names; either form of a name is understood. */
export class Names {
  private readonly table: SymbolTable | undefined
  private byName: Map<string, bigint> | undefined

  constructor(table?: SymbolTable) {
    this.table = table
  }

  /** How many there are. */
  get count(): number {
    return this.table?.symbols.length ?? 0
  }

  /** `symbol`, `symbol+0x10`, or undefined if no symbol holds the address. */
  describe(address: bigint): string | undefined {
    const symbol = this.find(address)
    if (!symbol) return undefined
    const offset = address - symbol.address
    return offset === 0n ? demangle(symbol.name) : `${demangle(symbol.name)}+0x${offset.toString(16)}`
  }

  /** ` <symbol+0x10>`, or nothing. */
  suffix(address: bigint): string {
    const name = this.describe(address)
    return name === undefined ? '' : ` <${name}>`
  }

  /** The symbol that holds an address. */
  find(address: bigint): ElfSymbol | undefined {
    const symbol = this.table?.find(address)
    return symbol && symbol.size === 0n && address - symbol.address >= REACH ? undefined : symbol
  }

  /** The address of a symbol, by its name in either form. */
  addressOf(name: string): bigint | undefined {
    return this.table?.addressOf(name) ?? this.readable().get(name)
  }

  /** The readable names that begin so, in alphabetical order. */
  startingWith(prefix: string): string[] {
    return [...this.readable().keys()].filter((name) => name.startsWith(prefix)).toSorted()
  }

  /** The readable names that end with the same last word, or hold the text: what somebody may have meant. */
  like(text: string): string[] {
    const names = [...this.readable().keys()]
    const last = names.filter((name) => name === text || name.endsWith(`::${text}`))
    return last.length > 0 ? last : names.filter((name) => name.toLowerCase().includes(text.toLowerCase()))
  }

  private readable(): Map<string, bigint> {
    if (!this.byName) {
      this.byName = new Map()
      for (const { name, address } of this.table?.all ?? []) this.byName.set(demangle(name), address)
    }
    return this.byName
  }
}
