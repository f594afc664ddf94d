/** What happens in a trace, each with its position and virtual time. */
import type { ElfSymbol } from '../../devices/loader/symbols.js'
import type { BatchEnd, ExceptionKind } from '../../trace/rows.js'

/** Something that happens at a position; times are virtual nanoseconds since reset. */
export type Happening =
  | {
      readonly kind: 'batch'
      readonly position: number
      readonly time: number
      readonly n: number
      readonly count: number
      readonly pc: bigint
      readonly ended: BatchEnd
      readonly digest: bigint
      /** When its last instruction was done; an idle skip comes after that. */
      readonly end: number
      /** Nanoseconds skipped at its end. */
      readonly idle: number
    }
  | {
      readonly kind: 'interrupt'
      readonly position: number
      readonly time: number
      readonly intid: number
      readonly pc: bigint
      readonly el: number
    }
  | {
      readonly kind: 'exception'
      readonly position: number
      readonly time: number
      readonly what: ExceptionKind
      readonly esr: number
      readonly far: bigint
      readonly elr: bigint
    }
  | {
      readonly kind: 'uart'
      readonly position: number
      readonly time: number
      readonly direction: 0 | 1
      readonly byte: number
    }
  | {
      readonly kind: 'input'
      readonly position: number
      readonly time: number
      readonly source: string
      readonly payload: Uint8Array
    }
  | SyscallHappening

/** A supervisor call. Its position is that of the SVC. */
export interface SyscallHappening {
  readonly kind: 'syscall'
  readonly position: number
  readonly time: number
  /** Which thread called: a number from 1, see {@link Observation.threads}. */
  readonly thread: number
  /** The SVC's own number. */
  readonly immediate: number
  /** Of the SVC. */
  readonly pc: bigint
  /** X8 and X0, by which kernels are told what is wanted. */
  readonly x8: bigint
  readonly x0: bigint
  /** Where its caller goes on, and when; undefined if it never does, or not before the end. */
  returned: { readonly position: number; readonly time: number; readonly x0: bigint } | undefined
}

/** A thread that has made supervisor calls, known by the stack that its exceptions are taken on and its translation tables. */
export interface ObservedThread {
  readonly id: number
  readonly stack: bigint
  readonly ttbr0: bigint
}

/** What has been seen. */
export interface Observation {
  /** In the order of positions. */
  readonly happenings: readonly Happening[]
  readonly threads: readonly ObservedThread[]
  /** Names for addresses. */
  readonly symbols: readonly ElfSymbol[]
  /** The span that was looked at, and when it ends. */
  readonly from: number
  readonly to: number
  readonly endTime: number
}
