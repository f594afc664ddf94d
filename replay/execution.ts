/**
 * Execution in batches: what recording and replaying have in common.
 *
 * A batch ends where something happens that is not an instruction, after 2^20 instructions, or where a snapshot is due; its digest covers
 * what happened in it and the state at its end. Both sides run this same code, so that their digests can only differ if the
 * machines do.
 */
import type { MachineConfig } from '../devices/config.js'
import type { BootFiles } from '../devices/loader/boot.js'
import { type InputDoor, Machine, type MachineEvents, type RunEnd } from '../devices/machine.js'
import { DigestChain, finalDigest } from '../trace/digest.js'
import type { BatchEnd, ExceptionKind, PageImage } from '../trace/rows.js'
import { PageHashes } from './page-hashes.js'
import { type SnapshotPolicy, SnapshotSchedule } from './snapshot-policy.js'
import { registerAddress } from '../cpu/state.js'

/** Builds a machine: this kaal's, or another kaal's to compare with. */
export type MachineFactory = (config: MachineConfig, files: BootFiles, events: MachineEvents) => Machine

const newMachine: MachineFactory = (config, files, events) => new Machine(config, files, events)

/** The most instructions in a batch. */
export const BATCH_LIMIT = 2 ** 20

const PC = registerAddress('pc') >>> 2
/** The first word of a snapshot's events in the digest; the others are `EVENT`'s. */
const SNAPSHOT_EVENT = 6

/** What an execution tells while it runs: the events of a trace, in order. */
export interface ExecutionListener {
  transmit(icount: number, byte: number): void
  interrupt(icount: number, vcpu: number, intid: number, pcLo: number, pcHi: number, el: number): void
  exception(
    icount: number,
    vcpu: number,
    kind: ExceptionKind,
    esr: number,
    farLo: number,
    farHi: number,
    elrLo: number,
    elrHi: number,
  ): void
}

/** A finished batch. */
export interface Batch {
  readonly icount: number
  readonly count: number
  readonly pcLo: number
  readonly pcHi: number
  readonly ended: BatchEnd
  readonly digestLo: number
  readonly digestHi: number
  /** For a batch that ended for a snapshot, the pages that have changed since the one before. */
  readonly pages: readonly PageImage[] | undefined
}

/** A machine that runs in batches. */
export class Execution {
  readonly machine: Machine
  readonly chain = new DigestChain()
  readonly pages: PageHashes
  private start = 0
  private readonly schedule: SnapshotSchedule
  /** Whether the run has come to a snapshot. */
  private snapshotDue = false
  /** Whether the final digest has pages by a hash of 64 bits. */
  private readonly shortHashes: boolean

  /**
   * @param policy when snapshots are taken; part of the machine's definition, since batches end there.
   * @param make builds the machine.
   * @throws what `new Machine` throws.
   */
  constructor(
    config: MachineConfig,
    files: BootFiles,
    policy: SnapshotPolicy,
    listener: ExecutionListener,
    make: MachineFactory = newMachine,
  ) {
    const { chain } = this
    this.schedule = new SnapshotSchedule(policy)
    this.machine = make(config, files, {
      interrupt(icount, vcpu, intid, pcLo, pcHi, el) {
        chain.interrupt(icount, vcpu, intid, pcLo, pcHi, el)
        listener.interrupt(icount, vcpu, intid, pcLo, pcHi, el)
      },
      exception(icount, vcpu, esr, farLo, farHi, elrLo, elrHi) {
        const kind = kindOf(esr)
        chain.exception(icount, vcpu, kind, esr, farLo, farHi, elrLo, elrHi)
        listener.exception(icount, vcpu, kind, esr, farLo, farHi, elrLo, elrHi)
      },
      transmit(icount, byte) {
        chain.uart(icount, 0, byte)
        listener.transmit(icount, byte)
      },
    })
    this.pages = new PageHashes(this.machine)
    this.shortHashes = policy.pageInstructions > 0
    if (this.shortHashes) this.pages.knowLoaded()
  }

  /** Where input comes from. */
  set door(door: InputDoor) {
    this.machine.door = door
  }

  /** The position at which the current batch began. */
  get batchStart(): number {
    return this.start
  }

  /** The position, at most `limit`, at which the current batch ends if nothing happens before. */
  batchLimit(limit: number): number {
    return Math.min(this.start + BATCH_LIMIT, this.schedule.next, limit)
  }

  /** An input has been given to the machine; folds it into the digest. */
  noteInput(icount: number, source: string, payload: Uint8Array): void {
    this.chain.input(icount, source, payload)
    for (const byte of payload) this.chain.uart(icount, 1, byte)
  }

  /**
   * Goes on after a snapshot's state has been put back, RAM included: the batch that follows begins here.
   *
   * @param digestLo @param digestHi the digest of the batch at whose end the snapshot was taken.
   */
  resume(icount: number, digestLo: number, digestHi: number): void {
    this.start = icount
    this.schedule.taken(icount)
    this.machine.cpu.mmu.watchWrites()
    this.chain.restart(digestLo, digestHi)
  }

  /**
   * Runs until the batch ends, or until position `limit` if that comes first.
   *
   * @returns what the machine stopped for. Of these, 'asleep' and 'limit' at `limit` leave the batch open; {@link endBatch} ends it.
   */
  run(limit: number): RunEnd {
    const { machine, schedule } = this
    for (;;) {
      const end = machine.run(this.batchLimit(limit))
      if (end !== 'limit') return end
      // A processor that waits at the limit goes on waiting: its batch ends with what wakes it, so that input can still come at this boundary.
      if (machine.icount < limit && machine.cpu.waiting) return machine.run(machine.icount + 1)
      if (machine.icount !== schedule.next) return end
      this.snapshotDue = schedule.due(() => this.pages.written())
      if (this.snapshotDue || machine.icount >= this.batchLimit(limit)) return end
    }
  }

  /** Why the batch ends for what {@link run} returned; undefined if it does not. */
  endFor(end: RunEnd): BatchEnd | undefined {
    if (end === 'asleep' || end === 'paused' || end === 'breakpoint') return undefined
    if (end !== 'limit') return end
    if (this.snapshotDue) return 'snapshot'
    return this.machine.icount - this.start === BATCH_LIMIT ? 'limit' : undefined
  }

  /** Ends the batch. An idle machine's time skips and a reset machine restarts, as part of it. */
  endBatch(ended: BatchEnd): Batch {
    const { machine, chain, start } = this
    if (ended === 'idle') machine.skipIdle()
    if (ended === 'reset') machine.restart()
    machine.closeBoundary()
    let pages: PageImage[] | undefined
    if (ended === 'snapshot') {
      pages = this.pages.update()
      this.foldPages(pages)
      this.schedule.taken(machine.icount)
      this.snapshotDue = false
    }
    machine.hash.compute()
    const { u32 } = machine.memory
    const count = machine.icount - start
    const pcLo = u32[PC]
    const pcHi = u32[PC + 1]
    chain.endBatch(start, count, 0, pcLo, pcHi, ended, machine.hash.lo, machine.hash.hi)
    this.start = machine.icount
    return { icount: start, count, pcLo, pcHi, ended, digestLo: chain.lo, digestHi: chain.hi, pages }
  }

  /** The digest of the whole run so far: 64 hexadecimal digits. Only at the end of a batch. */
  finalDigest(): string {
    const { lo: digestLo, hi: digestHi } = this.chain
    const state = { digestLo, digestHi, instructions: this.machine.icount }
    // Format 1 has a sha256 of every page.
    if (this.shortHashes) return finalDigest({ ...state, pages: this.pages.current() })
    this.pages.refresh()
    return finalDigest({ ...state, pages: this.pages.sorted() })
  }

  private foldPages(pages: readonly PageImage[]): void {
    const { icount } = this.machine
    this.chain.event(SNAPSHOT_EVENT, icount | 0, Math.floor(icount / 2 ** 32), pages.length, 0, 0, 0)
    for (const { page, sha256 } of pages) {
      this.chain.event(SNAPSHOT_EVENT, icount | 0, Math.floor(icount / 2 ** 32), page, 0, 0, 0)
      this.chain.bytes(sha256)
    }
  }
}

/** The kind of a logged exception, from ESR_ELx.EC (Arm ARM DDI 0487, D17.2.37). */
export function kindOf(esr: number): ExceptionKind {
  switch (esr >>> 26) {
    case 0x00:
      return 'undefined'
    case 0x0e:
      return 'illegal-state'
    case 0x20:
    case 0x21:
      return 'instruction-abort'
    case 0x22:
      return 'pc-alignment'
    case 0x24:
    case 0x25:
      return 'data-abort'
    case 0x26:
      return 'sp-alignment'
    case 0x2f:
      return 'serror'
    default:
      return esr >>> 26 >= 0x30 ? 'debug' : 'trap'
  }
}
