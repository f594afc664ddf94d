/** Attribute values of DWARF 2 to 5: how each form is read (DWARF 5, 7.5.6). */
import type { Cursor } from './cursor.js'

/** Forms that somebody here must tell apart. */
export const Form = {
  ADDR: 0x01,
  REF_ADDR: 0x10,
  REF1: 0x11,
  REF_UDATA: 0x15,
  INDIRECT: 0x16,
  STRP: 0x0e,
  STRX: 0x1a,
  ADDRX: 0x1b,
  LINE_STRP: 0x1f,
  IMPLICIT_CONST: 0x21,
  RNGLISTX: 0x23,
  STRX1: 0x25,
  STRX4: 0x28,
  ADDRX1: 0x29,
  ADDRX4: 0x2c,
  GNU_ADDR_INDEX: 0x1f01,
  GNU_STR_INDEX: 0x1f02,
} as const

/** A value as it stands in the section: offsets and indices not yet followed. Blocks have none. */
export type FormValue = number | bigint | string | undefined

/** What the sizes of forms depend on. */
export interface Encoding {
  readonly version: number
  /** The 64-bit format. */
  readonly wide: boolean
  readonly addressSize: number
}

/**
 * Reads a value.
 *
 * @param implicit the value of DW_FORM_implicit_const, from the abbreviation.
 * @throws {DwarfError} for a form that is unknown, or a value that goes on past the end.
 */
export function readForm(cursor: Cursor, form: number, encoding: Encoding, implicit?: number): FormValue {
  switch (form) {
    case Form.ADDR:
      return cursor.address(encoding.addressSize)
    case 0x03:
      return cursor.skip(cursor.u16())
    case 0x04:
      return cursor.skip(cursor.u32())
    case 0x09:
    case 0x18:
      return cursor.skip(cursor.uleb())
    case 0x0a:
      return cursor.skip(cursor.u8())
    case 0x1e:
      return cursor.skip(16)
    case 0x05:
    case 0x12:
    case 0x26:
    case 0x2a:
      return cursor.u16()
    case 0x27:
    case 0x2b:
      return cursor.u24()
    case 0x06:
    case 0x13:
    case 0x1c:
    case Form.STRX4:
    case Form.ADDRX4:
      return cursor.u32()
    case 0x07:
    case 0x14:
    case 0x20:
    case 0x24:
      return cursor.u64()
    case 0x0b:
    case 0x0c:
    case Form.REF1:
    case Form.STRX1:
    case Form.ADDRX1:
      return cursor.u8()
    case 0x08:
      return cursor.string()
    case 0x0d:
      return cursor.sleb()
    case 0x0f:
    case Form.REF_UDATA:
    case Form.STRX:
    case Form.ADDRX:
    case 0x22:
    case Form.RNGLISTX:
    case Form.GNU_ADDR_INDEX:
    case Form.GNU_STR_INDEX:
      return cursor.uleb()
    case Form.STRP:
    case 0x17:
    case 0x1d:
    case Form.LINE_STRP:
    case 0x1f20:
    case 0x1f21:
      return cursor.offset(encoding.wide)
    case Form.REF_ADDR:
      // DWARF 2 gave references between units the size of an address.
      return encoding.version <= 2 ? Number(cursor.address(encoding.addressSize)) : cursor.offset(encoding.wide)
    case 0x19:
      return 1
    case Form.IMPLICIT_CONST:
      return implicit
    case Form.INDIRECT: {
      const actual = cursor.uleb()
      if (actual === Form.INDIRECT || actual === Form.IMPLICIT_CONST)
        throw cursor.error('an indirect form that is none')
      return readForm(cursor, actual, encoding)
    }
    default:
      throw cursor.error(`the unknown form 0x${form.toString(16)}`)
  }
}
