/** Who called whom: the chain of frame records (AAPCS64, 6.2.3), with what has no record yet, and across exceptions. */
import { EXCEPTION_CLASSES } from '../../cpu/sysregs/fields/syndrome.js'
import { MODES } from '../../cpu/sysregs/fields/status.js'
import type { CpuState } from '../../cpu/state.js'
import type { ReadMemory } from './examine.js'
import { ExceptionEntry } from './exception-entry.js'
import { frameState, instructionAt, isCall, isSupervisorCall } from './frame-state.js'
import { hex64 } from './numbers.js'

/** A frame, from the inside out: code that runs or waits for a return, an exception between two, or the reason there are no more. */
export type Frame =
  | {
      readonly kind: 'code'
      readonly pc: bigint
      /** The instruction to blame: the call before a return address, otherwise the pc itself. */
      readonly at: bigint
      /** Where the function's frame record is, if it has one. */
      readonly record: bigint | undefined
    }
  | { readonly kind: 'exception'; readonly what: string }
  /** A frame that is there, but nothing says where its code goes on. */
  | { readonly kind: 'gap'; readonly why: string }
  | { readonly kind: 'end'; readonly why: string }

/** What a backtrace needs to know. */
export interface BacktraceView {
  readonly state: CpuState
  readonly read: ReadMemory
  /** Where the function of an address begins. */
  readonly startOf: (address: bigint) => bigint | undefined
  /** What exception the trace knows at that return address, the last one before the position. */
  readonly recorded: (elr: bigint) => string | undefined
}

/** Frames are counted this far. */
export const MOST_FRAMES = 200

/** The frames at the state of a machine. The last one says why there are no more. */
export function backtrace(view: BacktraceView): Frame[] {
  const { state, read } = view
  const frames: Frame[] = []
  const elr = state.elr_el[state.el]
  const entry = new ExceptionEntry(state.el > 0 ? state.vbar_el[state.el] : 0n, read, view.startOf)
  const hasRecord = (pc: bigint): boolean => frameState(read, view.startOf, pc) === 'record'
  let pc: bigint = state.pc
  let fp: bigint = state.x[29]
  /** X29 and X30 are as the processor has them: a function may be without its record. */
  let live = true
  /** `pc` is a return address. */
  let called = false
  /** ELR_ELx belongs to the innermost exception, which has been passed; at EL0 there is none. */
  let crossed = state.el === 0
  const seen = new Set<bigint>()

  while (frames.length < MOST_FRAMES) {
    const at: bigint = called ? pc - 4n : pc
    const entering: boolean = !crossed && entry.has(at)
    const framed: boolean = !entry.inTable(at) && (!live || called || hasRecord(pc))
    const own: bigint | undefined = framed ? fp : undefined
    frames.push({ kind: 'code', pc, at, record: own })

    if (entering && (own === undefined || own === 0n)) {
      frames.push({ kind: 'exception', what: describeException(view) })
      crossed = true
      pc = elr
      called = false
      // Without a record X29 and X30 are still those of the code that was interrupted.
      if (own === undefined) continue
      frames.push({ kind: 'code', pc, at: pc, record: undefined })
      return ended(frames, 'X29 of the interrupted code is no longer in a register')
    }
    if (own === undefined) {
      const link = state.x[30]
      if (!live || link === 0n) return ended(frames, 'the outermost frame: it has no return address')
      if (link === pc) return ended(frames, `X30 leads back to ${hex64(pc)} itself`)
      pc = link
      live = false
      called = true
      continue
    }
    if (seen.has(own)) return ended(frames, `the frame record at ${hex64(own)} comes round again`)
    seen.add(own)
    let next = readRecord(read, own)
    if (typeof next === 'string') {
      // Code without frame records has at least told its caller by X30.
      const link = state.x[30]
      if (live && own !== 0n && isCall(instructionAt(read, link - 4n) ?? 0))
        frames.push({ kind: 'code', pc: link, at: link - 4n, record: undefined })
      return ended(frames, next)
    }
    live = false
    const before = instructionAt(read, next.lr - 4n)
    const interrupted: boolean = entering && next.lr === elr
    called = before !== undefined && isCall(before) && !interrupted
    if (called) {
      // Stacks grow down: an older record is higher, unless an exception has changed stacks.
      if (next.fp !== 0n && next.fp <= own) {
        frames.push({ kind: 'code', pc: next.lr, at: next.lr - 4n, record: next.fp })
        const which = next.fp === own ? 'itself' : `${hex64(next.fp)}, which is no older one`
        return ended(frames, `the frame record at ${hex64(own)} points to ${which}`)
      }
    } else {
      if (instructionAt(read, next.lr) === undefined)
        return ended(
          frames,
          `the frame record at ${hex64(own)} has the return address ${hex64(next.lr)}, which is no code`,
        )
      const what = interrupted
        ? describeException(view)
        : (view.recorded(next.lr) ?? supervisorCall(before) ?? 'exception')
      frames.push({ kind: 'exception', what })
      crossed = true
      if (view.startOf(next.lr) !== undefined && !hasRecord(next.lr)) {
        // The record that X29 pointed to is the caller's own; where in the caller is known to X30 alone, which is saved who knows where.
        frames.push({ kind: 'code', pc: next.lr, at: next.lr, record: undefined })
        frames.push({ kind: 'gap', why: 'its return address was in X30 when the exception came' })
        next = readRecord(read, next.fp)
        if (typeof next === 'string') return ended(frames, next)
        called = true
      }
    }
    pc = next.lr
    fp = next.fp
  }
  return ended(frames, `more than ${MOST_FRAMES} frames`)
}

function ended(frames: Frame[], why: string): Frame[] {
  frames.push({ kind: 'end', why })
  return frames
}

function readRecord(read: ReadMemory, at: bigint): { fp: bigint; lr: bigint } | string {
  if (at === 0n) return 'the outermost frame: its frame pointer is 0'
  if (at % 8n !== 0n) return `the frame pointer ${hex64(at)} is no multiple of 8`
  const bytes = read(at, 16)
  if (!bytes) return `there is no memory at the frame pointer ${hex64(at)}`
  const view = new DataView(bytes.buffer, bytes.byteOffset)
  const lr = view.getBigUint64(8, true)
  return lr === 0n ? 'the outermost frame: its return address is 0' : { fp: view.getBigUint64(0, true), lr }
}

const supervisorCall = (before: number | undefined): string | undefined =>
  before !== undefined && isSupervisorCall(before) ? `SVC #${(before >>> 5) & 0xffff}` : undefined

/** The exception that was taken last to the current level, in words. */
function describeException({ state, read, recorded }: BacktraceView): string {
  const elr = state.elr_el[state.el]
  const from = MODES[Number(state.spsr_el[state.el] & 15n)] ?? 'an unknown mode'
  const syndrome = Number(state.esr_el[state.el] & 0xffff_ffffn)
  const exceptionClass = syndrome >>> 26
  const supervisor = exceptionClass === 0x15 ? supervisorCall(instructionAt(read, elr - 4n)) : undefined
  const what = recorded(elr) ?? supervisor ?? EXCEPTION_CLASSES[exceptionClass] ?? 'unknown'
  return `${what.replace(/ from (a lower|the current) Exception level$/, '')} from ${from}`
}
