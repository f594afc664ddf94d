/** One of two machines that are compared: a trace's machine at any position, with what it has told on its way. */
import { TRANSLATION_TLB, TRANSLATION_TLB_END } from '../../cpu/layout.js'
import { STATE_BASE } from '../../cpu/machine-memory.js'
import { UnsupportedFeature } from '../../cpu/processor.js'
import type { Engine } from '../../cpu/translator/translator.js'
import { Machine } from '../../devices/machine.js'
import type { TraceReader } from '../../trace/reader.js'
import { readDescription } from '../description.js'
import type { MachineFactory } from '../execution.js'
import { GuestMemory } from '../guest-memory.js'
import type { Checkpoint } from '../timeline/checkpoints.js'
import { TimelineInputs } from '../timeline/inputs.js'

/** This kaal's machine, run by an engine. */
export function machineWith(engine: Engine): MachineFactory {
  return (config, files, events) => {
    const machine = new Machine(config, files, events)
    machine.cpu.setEngine(engine)
    return machine
  }
}

/** Something that a machine has told. */
export interface SideEvent {
  readonly kind: 'interrupt' | 'exception' | 'uart'
  /** The position of the instruction, or of the boundary at which an interrupt is taken. */
  readonly icount: number
  /** What happened, by name, in a fixed order for each kind. */
  readonly values: Readonly<Record<string, bigint>>
}

/** How a machine came to a stop: at the position asked for, or before it, for ever. */
export type Outcome = 'there' | 'asleep' | 'power-off' | { readonly unsupported: string }

/** A machine with its RAM and inputs as they were. */
export interface SideCheckpoint extends Checkpoint {
  readonly outcome: Outcome
}

const wide = (lo: number, hi: number): bigint => (BigInt(hi >>> 0) << 32n) | BigInt(lo >>> 0)

/** A trace's machine under comparison. */
export class Side {
  readonly machine: Machine
  /** What it has told since the last {@link forget}. */
  readonly events: SideEvent[] = []
  /** How the last {@link advance} ended. */
  outcome: Outcome = 'there'
  private readonly memory: GuestMemory
  private readonly inputs: TimelineInputs
  private readonly reader: TraceReader

  /** @throws {TraceError} if the trace holds what this kaal cannot honour. */
  constructor(reader: TraceReader, make: MachineFactory) {
    this.reader = reader
    const { config, files } = readDescription(reader)
    this.machine = make(config, files, {
      interrupt: (icount, _vcpu, intid, pcLo, pcHi, el) =>
        this.tell('interrupt', icount, { INTID: BigInt(intid), pc: wide(pcLo, pcHi), EL: BigInt(el) }),
      exception: (icount, _vcpu, esr, farLo, farHi, elrLo, elrHi) =>
        this.tell('exception', icount, { ESR: BigInt(esr), FAR: wide(farLo, farHi), ELR: wide(elrLo, elrHi) }),
      transmit: (icount, byte) => this.tell('uart', icount, { byte: BigInt(byte) }),
    })
    this.memory = new GuestMemory(this.machine)
    this.inputs = new TimelineInputs(reader, this.machine)
    this.machine.door = this.inputs
  }

  /** The position. */
  get position(): number {
    return this.machine.icount
  }

  /** All state but RAM, the TLB and caches; a live view. */
  get state(): Uint8Array {
    const { memory } = this.machine
    return memory.u8.subarray(STATE_BASE, memory.stateEnd)
  }

  /** The place of the translation TLB; a live view. */
  get tlb(): Uint8Array {
    return this.machine.memory.u8.subarray(TRANSLATION_TLB, TRANSLATION_TLB_END)
  }

  /** 1 for each page of RAM that was written since the last {@link checkpoint} or {@link restore}. */
  get dirty(): Uint8Array {
    return this.machine.cpu.mmu.dirty
  }

  /** Runs to a position, with every interrupt due there taken, or as far as the guest goes. */
  advance(position: number): Outcome {
    const { machine } = this
    for (;;) {
      let end
      try {
        end = machine.run(position)
      } catch (error) {
        // Another kaal's error is of another class, but of the same name.
        if (!(error instanceof UnsupportedFeature) && (error as Error).name !== 'UnsupportedFeature') throw error
        return (this.outcome = { unsupported: (error as Error).message })
      }
      if (end === 'idle') machine.skipIdle()
      else if (end === 'reset') machine.restart()
      else if (end === 'asleep' || end === 'power-off') return (this.outcome = end)
      else if (end === 'limit') return (this.outcome = 'there')
    }
  }

  /** Goes to a snapshot of the trace. */
  load(n: number): void {
    const { icount, state, inputs } = this.reader.snapshot(n)
    const pages = this.reader.snapshotPages(n).map(({ page, id }): [number, Uint8Array] => [page, this.reader.page(id)])
    this.memory.restore(this.memory.version(pages))
    this.machine.loadState(icount, state)
    this.inputs.resume(inputs)
    this.outcome = 'there'
    this.forget()
  }

  /** Forgets what it has told. */
  forget(): void {
    this.events.length = 0
  }

  /** Its state here. */
  checkpoint(): SideCheckpoint {
    return {
      position: this.position,
      machine: this.machine.checkpoint(),
      memory: this.memory.capture(),
      inputs: this.inputs.given,
      outcome: this.outcome,
    }
  }

  /** Puts back a state of this side; forgets what was told. */
  restore({ machine, memory, inputs, outcome }: SideCheckpoint): void {
    this.memory.restore(memory)
    this.machine.restore(machine)
    this.inputs.resume(inputs)
    this.outcome = outcome
    this.forget()
  }

  private tell(kind: SideEvent['kind'], icount: number, values: Readonly<Record<string, bigint>>): void {
    this.events.push({ kind, icount, values })
  }
}
