/** Range lists: `.debug_ranges` of DWARF 2 to 4, `.debug_rnglists` of DWARF 5 (DWARF 5, 2.17.3). */
import { type Allowance, Cursor, type DwarfSection } from './cursor.js'
import type { Encoding } from './forms.js'

/** Addresses from `low` up to, but not including, `high`. */
export interface AddressRange {
  readonly low: bigint
  readonly high: bigint
}

/** Where a list stands, and what its entries are relative to. */
export interface RangeList {
  /** An offset, or an index if `indexed`. */
  readonly value: number
  readonly indexed: boolean
  /** DW_AT_rnglists_base. */
  readonly listsBase: number
  /** The unit's lowest address. */
  readonly base: bigint
  /** An address of `.debug_addr`. */
  readonly addressAt: (index: number) => bigint
  /** Entries of lists. */
  readonly allowance: Allowance
}

/**
 * Reads a list; empty ranges are left out.
 *
 * @throws {DwarfError} saying what is malformed.
 */
export function readRanges(
  { ranges, rnglists }: { readonly ranges: DwarfSection; readonly rnglists: DwarfSection },
  encoding: Encoding,
  list: RangeList,
): AddressRange[] {
  return encoding.version >= 5 ? rangeList5(rnglists, encoding, list) : rangeList4(ranges, encoding, list)
}

function rangeList4(section: DwarfSection, { addressSize }: Encoding, list: RangeList): AddressRange[] {
  const cursor = new Cursor(section, list.value)
  const largest = 2n ** BigInt(8 * addressSize) - 1n
  const found: AddressRange[] = []
  let { base } = list
  for (;;) {
    list.allowance.spend(1, cursor)
    const low = cursor.address(addressSize)
    const high = cursor.address(addressSize)
    if (low === 0n && high === 0n) return found
    if (low === largest) base = high
    else add(found, base + low, base + high)
  }
}

function rangeList5(section: DwarfSection, { addressSize, wide }: Encoding, list: RangeList): AddressRange[] {
  let offset = list.value
  if (list.indexed) {
    const entry = new Cursor(section, list.listsBase + list.value * (wide ? 8 : 4))
    offset = list.listsBase + entry.offset(wide)
  }
  const cursor = new Cursor(section, offset)
  const found: AddressRange[] = []
  let { base } = list
  for (;;) {
    list.allowance.spend(1, cursor)
    const kind = cursor.u8()
    switch (kind) {
      case 0:
        return found
      case 1:
        base = list.addressAt(cursor.uleb())
        break
      case 2:
        add(found, list.addressAt(cursor.uleb()), list.addressAt(cursor.uleb()))
        break
      case 3: {
        const low = list.addressAt(cursor.uleb())
        add(found, low, low + count(cursor))
        break
      }
      case 4:
        add(found, base + count(cursor), base + count(cursor))
        break
      case 5:
        base = cursor.address(addressSize)
        break
      case 6:
        add(found, cursor.address(addressSize), cursor.address(addressSize))
        break
      case 7: {
        const low = cursor.address(addressSize)
        add(found, low, low + count(cursor))
        break
      }
      default:
        throw cursor.error(`a range of the unknown kind ${kind}`)
    }
  }
}

function count(cursor: Cursor): bigint {
  const value = cursor.uleb()
  if (!Number.isSafeInteger(value)) throw cursor.error('a length beyond 2^53')
  return BigInt(value)
}

function add(found: AddressRange[], low: bigint, high: bigint): void {
  if (high > low) found.push({ low, high })
}
