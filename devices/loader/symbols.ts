/** Names for addresses: `symbol+offset` from an executable's symbol table (System V ABI, chapter 4, Symbol Table). */

/** One entry of a symbol table. */
export interface ElfSymbol {
  readonly name: string
  readonly address: bigint
  /** Bytes; 0 for labels of assembly code. */
  readonly size: bigint
  /** st_info: binding in bits 7:4, type in bits 3:0. */
  readonly info: number
  /** st_shndx; 0 means undefined. */
  readonly section: number
}

const STT_FUNC = 2
const STT_SECTION = 3
const STT_FILE = 4
const STB_GLOBAL = 1
const SHN_ABS = 0xfff1

/** Preference among symbols at one address: functions before data before labels, then global before local. */
const rank = (symbol: ElfSymbol): number =>
  ((symbol.info & 15) === STT_FUNC ? 4 : symbol.size > 0n ? 2 : 0) + (symbol.info >> 4 >= STB_GLOBAL ? 1 : 0)

/** An executable's symbols. */
export class SymbolTable {
  /** All that name a place, several for some addresses. */
  readonly all: readonly ElfSymbol[]
  /** In ascending order of address, one for each address. */
  readonly symbols: readonly ElfSymbol[]
  private readonly byName = new Map<string, ElfSymbol>()

  constructor(all: readonly ElfSymbol[]) {
    // Mapping symbols ($x, $d) mark instruction sets and data, Arm IHI 0056, 4.5.4; absolute ones are numbers, not places.
    const places = all.filter(
      ({ name, info, section }) =>
        section !== 0 &&
        section !== SHN_ABS &&
        (info & 15) !== STT_SECTION &&
        (info & 15) !== STT_FILE &&
        !/^\$[xd](\.|$)/.test(name),
    )
    this.all = places
    const best = new Map<bigint, ElfSymbol>()
    for (const symbol of places) {
      const other = best.get(symbol.address)
      if (!other || rank(symbol) > rank(other)) best.set(symbol.address, symbol)
      const namesake = this.byName.get(symbol.name)
      if (!namesake || rank(symbol) > rank(namesake)) this.byName.set(symbol.name, symbol)
    }
    this.symbols = [...best.values()].toSorted((a, b) => (a.address < b.address ? -1 : 1))
  }

  /** The address of a symbol, if there is one of that name. */
  addressOf(name: string): bigint | undefined {
    return this.byName.get(name)?.address
  }

  /** Names that begin with `prefix`, in alphabetical order. */
  namesFrom(prefix: string): string[] {
    return [...this.byName.keys()].filter((name) => name.startsWith(prefix)).toSorted()
  }

  /** The symbol that holds an address: the nearest at or below it, unless its size says that it ends before. */
  find(address: bigint): ElfSymbol | undefined {
    let low = 0
    let high = this.symbols.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.symbols[middle].address <= address) low = middle + 1
      else high = middle
    }
    const symbol = this.symbols[low - 1]
    if (!symbol || (symbol.size > 0n && address >= symbol.address + symbol.size)) return undefined
    return symbol
  }

  /** `symbol` or `symbol+0x10`, or undefined if no symbol holds the address. */
  describe(address: bigint): string | undefined {
    const symbol = this.find(address)
    if (!symbol) return undefined
    const offset = address - symbol.address
    return offset === 0n ? symbol.name : `${symbol.name}+0x${offset.toString(16)}`
  }
}
