/**
 * The machine: a `virt` board with its processor, its clock, and the loop that runs them.
 *
 * Time is the number of instructions executed; nothing here knows any other. What comes from outside comes through the
 * {@link InputDoor}, at instruction boundaries; what happens is told to {@link MachineEvents}.
 */
import type { AccessSize, Board } from '../cpu/board.js'
import { MachineMemory, STATE_BASE } from '../cpu/machine-memory.js'
import { Processor } from '../cpu/processor.js'
import { type BlockImage, type BlockView, stateBlock, u32, u32s } from '../cpu/state-block.js'
import { registerAddress } from '../cpu/state.js'
import { StateHash } from '../cpu/wasm/state-hash.js'
import type { MachineConfig } from './config.js'
import type { Clock, Line } from './device.js'
import { GenericTimers } from './generic-timer.js'
import { type BootFiles, type BootPlan, loadBoot, planBoot } from './loader/boot.js'
import { type PsciHost, psciCall } from './psci.js'
import { VirtBoard } from './virt.js'

const TWO_32 = 2 ** 32
const X0 = registerAddress('x') >>> 2
const PC = registerAddress('pc') >>> 2
const FAR = [0, registerAddress('far_el', 1) >>> 2, registerAddress('far_el', 2) >>> 2] as const
const ELR = [0, registerAddress('elr_el', 1) >>> 2, registerAddress('elr_el', 2) >>> 2] as const
const CNT_CTL = registerAddress('cnt_ctl') >>> 2
const CNT_CVAL = registerAddress('cnt_cval') >>> 2
const CNTVOFF = registerAddress('cntvoff_el2') >>> 2
/** Keeps a run's budget well within 31 bits. */
const LONGEST_RUN = 2 ** 30

const fields = {
  /** Executed instructions that did not advance time, as halves. */
  timeless: u32s(2),
  /** Virtual nanoseconds skipped while idle, as halves. */
  skipped: u32s(2),
  /** {@link Power}. */
  power: u32,
}
const Power = { ON: 0, OFF: 1, RESET: 2 } as const

/** What a machine tells whoever records it. All positions are those of the instruction, or of the boundary before it. */
export interface MachineEvents {
  interrupt(icount: number, vcpu: number, intid: number, pcLo: number, pcHi: number, el: number): void
  exception(icount: number, vcpu: number, esr: number, farLo: number, farHi: number, elrLo: number, elrHi: number): void
  transmit(icount: number, byte: number): void
}

/** Where the outside comes in. */
export interface InputDoor {
  /** The first position at which there is something to deliver; Infinity if there is nothing. */
  readonly next: number
  /** Delivers what is due at `icount`, at a boundary at which nothing else has happened yet. */
  deliver(icount: number): void
}

/** Why {@link Machine.run} returned. */
export type RunEnd =
  /** At the position asked for, with every interrupt due there taken. */
  | 'limit'
  /** An interrupt has been taken. */
  | 'interrupt'
  /** The door has delivered. */
  | 'input'
  /** The processor waits in WFI for its next timer: {@link Machine.skipIdle} goes on. */
  | 'idle'
  /** The processor waits, and no timer will wake it: only input can. */
  | 'asleep'
  /** In front of an instruction with a breakpoint; the next {@link Machine.run} passes it. */
  | 'breakpoint'
  /** {@link Machine.pause} was called. */
  | 'paused'
  | 'power-off'
  /** The guest has asked for a reset: {@link Machine.restart} goes on. */
  | 'reset'

/** A machine's state but for RAM. */
export interface MachineCheckpoint {
  readonly icount: number
  readonly fresh: boolean
  readonly state: Uint8Array
  readonly tlb: Uint32Array
}

const NO_INPUT: InputDoor = { next: Infinity, deliver: () => {} }

/** A `virt` machine. */
export class Machine {
  readonly config: MachineConfig
  readonly memory: MachineMemory
  readonly cpu: Processor
  readonly board: VirtBoard
  readonly timers: GenericTimers
  readonly boot: BootPlan
  readonly hash: StateHash
  /** Where input comes from; a machine without one gets none. */
  door: InputDoor = NO_INPUT
  /** Instructions executed so far: the position. */
  icount = 0
  /** A breakpoint at this position does not stop: execution resumes from it. */
  passBreakpointAt = -1
  /** Whether nothing but instructions has happened since the last one: only then may input be delivered. */
  private fresh = true
  private executing = false
  private pausing = false
  /** The position and budget of the processor's current run. */
  private runStart = 0
  private runBudget = 0
  private readonly state: BlockView<typeof fields>
  private readonly events: MachineEvents
  private readonly nsPerInstruction: number

  /**
   * Builds the machine and loads its images.
   *
   * @throws {LoadError} naming the file that cannot be loaded.
   * @throws {RangeError} if the host has no room for the RAM.
   */
  constructor(config: MachineConfig, files: BootFiles, events: MachineEvents) {
    this.config = config
    this.nsPerInstruction = 2 ** config.icountShift
    this.boot = planBoot(files, {
      ramBytes: config.memoryBytes,
      virtualization: config.virtualization,
      append: config.append,
    })
    this.memory = new MachineMemory(config.memoryBytes)
    const clock: Clock = { now: () => this.now() }
    this.cpu = new Processor(
      this.memory,
      new ProcessorBoard(this),
      {
        fault: (syndrome, target) => {
          const { u32: words } = this.memory
          const far = FAR[target]
          const elr = ELR[target]
          events.exception(this.current, 0, syndrome, words[far], words[far + 1], words[elr], words[elr + 1])
        },
        timeless: () => this.countTimeless(),
      },
      config.virtualization,
    )
    this.state = this.memory.place(stateBlock('machine', fields))
    const irq: Line = (level) => this.cpu.setInterruptLine('irq', level)
    const fiq: Line = (level) => this.cpu.setInterruptLine('fiq', level)
    this.board = new VirtBoard(
      this.memory,
      { cpus: 1, rtcBase: config.rtcBase, flash: this.boot.flash },
      clock,
      { irq: [irq], fiq: [fiq] },
      { onTransmit: (byte) => events.transmit(this.current, byte), onRoom: () => this.cpu.stop() },
    )
    this.timers = new GenericTimers(timerRegisters(this.memory), clock, this.board.timerLines(0))
    this.hash = new StateHash(this.memory)
    this.events = events
    this.powerOn()
  }

  /** Virtual nanoseconds: at the end of the instruction that is executing, or at this boundary (`docs/time.md`). */
  now(): number {
    const { timeless: words, skipped } = this.state
    const instructions = this.executing ? this.current + 1 : this.icount
    const timeless = words[0] + words[1] * TWO_32
    return (instructions - timeless) * this.nsPerInstruction + skipped[0] + skipped[1] * TWO_32
  }

  /** The position of the instruction that is executing; between instructions, that of the next. */
  get current(): number {
    return this.executing ? this.runStart + this.runBudget - this.cpu.remaining : this.icount
  }

  /**
   * Runs until position `limit`, or until something happens that ends a batch.
   *
   * At a boundary, in this order: input is delivered, timers fire, one interrupt is taken, the limit is looked at, an idle processor waits.
   *
   * @throws {UnsupportedFeature} if the guest asks for something that is not modelled.
   */
  run(limit: number): RunEnd {
    const { cpu } = this
    for (;;) {
      if (this.state.power !== Power.ON) return this.state.power === Power.OFF ? 'power-off' : 'reset'
      if (this.door.next <= this.icount && this.fresh) {
        this.fresh = false
        this.door.deliver(this.icount)
        return 'input'
      }
      const now = this.now()
      let deadline = this.nextDeadline()
      if (now >= deadline) {
        this.deadlineReached()
        deadline = this.nextDeadline()
      }
      const pending = cpu.interruptible
      if (pending !== undefined) {
        this.takeInterrupt(pending)
        return 'interrupt'
      }
      if (this.icount >= limit) return 'limit'
      if (this.pausing) {
        this.pausing = false
        return 'paused'
      }
      if (cpu.waiting) return deadline === Infinity ? 'asleep' : 'idle'
      const untilDeadline = Math.ceil((deadline - now) / this.nsPerInstruction)
      const untilInput = Math.max(this.door.next - this.icount, 1)
      this.execute(Math.min(limit - this.icount, untilDeadline, untilInput, LONGEST_RUN))
      if (cpu.takeBreakpointHit()) {
        this.passBreakpointAt = this.icount
        return 'breakpoint'
      }
    }
  }

  /** Makes {@link run} return at the next boundary. */
  pause(): void {
    this.pausing = true
    this.cpu.stop()
  }

  /** Something that is not an instruction has happened at this boundary: input waits for the next one. */
  closeBoundary(): void {
    this.fresh = false
  }

  /** How much time {@link skipIdle} would skip, in virtual nanoseconds. */
  idleNanoseconds(): number {
    return this.nextDeadline() - this.now()
  }

  /** Moves time to the next timer's deadline, after {@link run} has returned 'idle'. */
  skipIdle(): void {
    const skip = this.idleNanoseconds()
    const { skipped } = this.state
    const total = skipped[0] + skipped[1] * TWO_32 + skip
    skipped[0] = total % TWO_32
    skipped[1] = Math.floor(total / TWO_32)
    this.fresh = false
    this.deadlineReached()
  }

  /** Virtual nanoseconds at which a timer or device has something to do; Infinity if none ever will. */
  private nextDeadline(): number {
    return Math.min(this.timers.nextDeadline(), this.board.nextDeadline())
  }

  private deadlineReached(): void {
    this.timers.update()
    this.board.update()
  }

  /** Starts anew after a reset that the guest has asked for. What was loaded is loaded again; other RAM and the time stay. */
  restart(): void {
    this.board.systemReset()
    this.cpu.reset()
    this.powerOn()
    this.fresh = false
  }

  /** Processor and device state by name, for a snapshot; RAM is apart. */
  saveState(): Record<string, BlockImage> {
    return { ...this.memory.saveState(), tlb: { entries: this.cpu.mmu.tlb.save() } }
  }

  /**
   * Puts back a state from {@link saveState}; RAM must have been put back before.
   *
   * @throws {Error} naming what does not fit this machine.
   */
  loadState(icount: number, image: Record<string, BlockImage>): void {
    const { tlb, ...blocks } = image
    const entries = tlb?.['entries']
    if (!Array.isArray(entries)) throw new Error('snapshot lacks the entries of the TLB')
    this.memory.loadState(blocks)
    this.cpu.mmu.tlb.load(entries.map(Number))
    this.icount = icount
    this.fresh = false
    this.cpu.restored()
    this.board.restored()
    this.timers.restored()
  }

  /** The same as {@link saveState} in machine form, quick to make and to put back: for checkpoints that never leave this machine. */
  checkpoint(): MachineCheckpoint {
    const { memory, cpu, icount } = this
    return { icount, fresh: this.fresh, state: memory.u8.slice(STATE_BASE, memory.stateEnd), tlb: cpu.mmu.tlb.copy() }
  }

  /** Puts back a {@link checkpoint}; the pages of RAM that differ must have been put back before, with `changedFromOutside`. */
  restore(checkpoint: MachineCheckpoint): void {
    this.memory.u8.set(checkpoint.state, STATE_BASE)
    this.cpu.mmu.tlb.paste(checkpoint.tlb)
    this.icount = checkpoint.icount
    this.fresh = checkpoint.fresh
    this.cpu.stateReplaced()
    this.board.restored()
    this.timers.restored()
  }

  /** A PSCI call has come by HVC or SMC. Returns whether that is the conduit here. */
  firmwareCall(conduit: 'hvc' | 'smc'): boolean {
    if (conduit !== (this.config.virtualization ? 'smc' : 'hvc')) return false
    psciCall(this.psci)
    return true
  }

  private readonly psci: PsciHost = {
    xLo: (n) => this.memory.u32[X0 + 2 * n],
    xHi: (n) => this.memory.u32[X0 + 2 * n + 1],
    setX0: (lo, hi) => {
      this.memory.u32[X0] = lo
      this.memory.u32[X0 + 1] = hi
    },
    powerState: (lo, hi) => (lo === 0 && hi === 0 ? 'on' : undefined),
    cpuOn: () => {
      // There is one processor, and the caller runs on it: PSCI has answered ALREADY_ON.
    },
    cpuOff: () => this.cpu.switchOff(),
    suspend: () => this.cpu.waitForInterrupt(),
    systemOff: () => this.setPower(Power.OFF),
    systemReset: () => this.setPower(Power.RESET),
  }

  private setPower(power: number): void {
    this.state.power = power
    this.cpu.stop()
  }

  private powerOn(): void {
    this.state.power = Power.ON
    loadBoot(this.boot, this.memory)
    for (const { address, bytes } of this.boot.placements) this.cpu.mmu.changedFromOutside(address, bytes.length)
    this.cpu.state.pc = this.boot.entry
    this.timers.restored()
  }

  private execute(budget: number): void {
    this.runStart = this.icount
    this.runBudget = budget
    this.executing = true
    let done = 0
    try {
      done = budget - this.cpu.run(budget, this.passBreakpointAt === this.icount)
    } catch (error) {
      // An instruction that cannot be modelled has changed nothing: the position is the one before it.
      done = this.current - this.icount
      throw error
    } finally {
      this.executing = false
      this.icount += done
      if (done > 0) this.fresh = true
    }
  }

  private takeInterrupt(kind: 'irq' | 'fiq'): void {
    const { cpu, events } = this
    const { u32: words } = this.memory
    events.interrupt(this.icount, 0, this.board.gic.highestPending(0), words[PC], words[PC + 1], cpu.state.el)
    cpu.interrupt(kind)
    this.fresh = false
  }

  private countTimeless(): void {
    const { timeless } = this.state
    timeless[0]++
    if (timeless[0] === 0) timeless[1]++
  }
}

/** The machine as its processor sees it. */
class ProcessorBoard implements Board {
  lo = 0
  hi = 0
  private readonly machine: Machine

  constructor(machine: Machine) {
    this.machine = machine
  }

  read(pa: number, size: AccessSize): boolean {
    const { bus } = this.machine.board
    if (!bus.read(pa, size)) return false
    this.lo = bus.lo
    this.hi = bus.hi
    return true
  }

  write(pa: number, size: AccessSize, lo: number, hi: number): boolean {
    return this.machine.board.bus.write(pa, size, lo, hi)
  }

  readCounter(): void {
    const { timers } = this.machine
    timers.sample()
    this.lo = timers.countLo
    this.hi = timers.countHi
  }

  timersChanged(): void {
    this.machine.timers.update()
    // The deadline that the current run was measured for may have moved nearer.
    this.machine.cpu.stop()
  }

  firmwareCall(conduit: 'hvc' | 'smc'): boolean {
    return this.machine.firmwareCall(conduit)
  }
}

/** The generic timers' registers, in the processor's state. */
function timerRegisters({ u32: words }: MachineMemory) {
  return {
    ctl: (t: number) => words[CNT_CTL + 2 * t],
    setCtl: (t: number, value: number) => {
      words[CNT_CTL + 2 * t] = value
    },
    cvalLo: (t: number) => words[CNT_CVAL + 2 * t],
    cvalHi: (t: number) => words[CNT_CVAL + 2 * t + 1],
    voffLo: () => words[CNTVOFF],
    voffHi: () => words[CNTVOFF + 1],
  }
}
