/** The rows of a trace: what `schema.sql` stores, as TypeScript sees it. */
import type { BlockImage } from '../cpu/state-block.js'

/** The format this library writes, and the newest that it reads. */
export const FORMAT = 2
/** SQLite's application_id of a trace: 'kaal' in ASCII. */
export const APPLICATION_ID = 0x6b61616c
/** What a packed trace begins with. */
export const PACK_MAGIC = 'kaalpack'
/** Bytes in a page of guest RAM. */
export const PAGE_BYTES = 4096

/** Why a batch ended. A name's place in the list is its code in the digest: append only. */
export const BATCH_ENDS = [
  'interrupt',
  'input',
  'idle',
  'switch',
  'snapshot',
  /** 2^20 instructions. */
  'limit',
  'power-off',
  'reset',
  /** The recording was ended from outside. */
  'stopped',
] as const
export type BatchEnd = (typeof BATCH_ENDS)[number]

/**
 * What a logged exception was, by its ESR_ELx.EC (Arm ARM DDI 0487, D17.2.37). A name's place in the list is its code in the
 * digest: append only.
 */
export const EXCEPTION_KINDS = [
  /** EC 0x00: UNDEFINED instruction, unallocated encodings. */
  'undefined',
  /** EC 0x0e: PSTATE.IL. */
  'illegal-state',
  /** EC 0x20, 0x21. */
  'instruction-abort',
  /** EC 0x22. */
  'pc-alignment',
  /** EC 0x24, 0x25. */
  'data-abort',
  /** EC 0x26. */
  'sp-alignment',
  /** EC 0x2f. */
  'serror',
  /** EC 0x01, 0x07, 0x18 and others: an instruction trapped by a control register. */
  'trap',
  /** EC 0x30 to 0x3c: debug exceptions and BRK. */
  'debug',
] as const
export type ExceptionKind = (typeof EXCEPTION_KINDS)[number]

/** Direction of a UART byte: 0 written by the guest, 1 received from the host. */
export type UartDirection = 0 | 1

/** A value that any msgpack reader can read. */
export type Portable =
  null | boolean | number | bigint | string | Uint8Array | readonly Portable[] | { readonly [key: string]: Portable }

/** A machine's configuration, as the recorder chose to write it down. */
export type MachineRecord = { readonly [key: string]: Portable }

/** Processor and device state by block and field, as `MachineMemory.saveState` gives it. */
export type StateImage = Record<string, BlockImage>

export const IMAGE_ROLES = ['kernel', 'initrd', 'dtb', 'firmware', 'disk'] as const
export type ImageRole = (typeof IMAGE_ROLES)[number]

/** An image to put into a trace. */
export interface ImageFile {
  readonly role: ImageRole
  /** File name, for people. */
  readonly name: string
  readonly bytes: Uint8Array
}

/** An image in a trace. */
export interface ImageRow extends ImageFile {
  readonly sha256: Uint8Array
}

/** What `meta` holds. */
export interface TraceMeta {
  readonly format: number
  /** Version of kaal that recorded the trace. */
  readonly kaal: string
  readonly uuid: string
  readonly machine: MachineRecord
  /** False for a trace that is still being recorded or whose recorder was killed. */
  readonly finished: boolean
  /** The last position; for an unfinished trace, the end of its last whole batch. */
  readonly instructions: number
  /** 64 hexadecimal digits; absent from an unfinished trace. */
  readonly finalDigest: string | undefined
}

export interface BatchRow {
  /** From 1. */
  readonly n: number
  /** First position. */
  readonly icount: number
  /** Instructions retired, 0 to 2^20. */
  readonly count: number
  readonly vcpu: number
  readonly pc: bigint
  readonly ended: BatchEnd
  /** The chained digest d[n], low and high 32 bits, unsigned. */
  readonly digestLo: number
  readonly digestHi: number
}

export interface InterruptRow {
  readonly icount: number
  readonly vcpu: number
  readonly intid: number
  readonly pc: bigint
  readonly el: number
}

export interface ExceptionRow {
  readonly icount: number
  readonly vcpu: number
  readonly kind: ExceptionKind
  /** 32 bits: the upper half is RES0 on a Cortex-A53. */
  readonly esr: number
  readonly far: bigint
  readonly elr: bigint
}

export interface UartRow {
  readonly icount: number
  readonly direction: UartDirection
  readonly byte: number
}

export interface InputRow {
  readonly icount: number
  readonly source: string
  readonly payload: Uint8Array
}

/** A page of guest RAM to put into a snapshot. */
export interface PageImage {
  /** Page number in guest RAM: 0 is the page at the start of RAM. */
  readonly page: number
  readonly sha256: Uint8Array
  /** The {@link PAGE_BYTES} bytes; read before the next item is asked for, so a view of guest RAM will do. */
  readonly bytes: Uint8Array
}

/** A page that a snapshot names: equal ids are equal contents. */
export interface PageRef {
  readonly page: number
  readonly id: number
}
