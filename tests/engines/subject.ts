/** A bare processor under test with memory, one device and a record of all that it tells, for comparisons of engines. */
import type { AccessSize, Board } from '../../cpu/board.js'
import { MachineMemory, PAGE_SIZE, RAM_BASE, RAM_MIN, RAM_PHYSICAL, STATE_BASE } from '../../cpu/machine-memory.js'
import type { Watchpoint } from '../../cpu/mmu/watchpoints.js'
import { Processor } from '../../cpu/processor.js'
import { CPU_STATE } from '../../cpu/state.js'

/** Physical address of the page of registers that the device has; nothing else answers. Some accesses make it raise an interrupt. */
export const DEVICE = 0x0900_0000

/** Where the processor is, and what it has told: an event is its position, a name and numbers. */
export class Subject implements Board {
  lo = 0
  hi = 0
  readonly memory = new MachineMemory(RAM_MIN)
  readonly cpu: Processor
  readonly events: string[] = []
  /** Faults by exception class. */
  readonly faults = new Map<number, number>()
  private readonly state: Uint8Array
  private executed = 0
  private limit = 0
  private accesses = 0
  /** Whether a breakpoint stands in front of the next instruction and has been told. */
  private atBreakpoint = false
  private saved: { state: Uint8Array; tlb: Uint32Array; ram: Uint8Array; atBreakpoint: boolean } | undefined

  constructor() {
    const events = {
      fault: (syndrome: number, target: number) => {
        this.faults.set(syndrome >>> 26, (this.faults.get(syndrome >>> 26) ?? 0) + 1)
        this.note('fault', syndrome, target)
      },
      timeless: () => this.note('timeless'),
    }
    this.cpu = new Processor(this.memory, this, events, false)
    this.state = this.memory.u8.subarray(STATE_BASE, STATE_BASE + CPU_STATE.size)
  }

  /** Instructions executed, as of the one that is executing. */
  private get position(): number {
    return this.limit - this.cpu.remaining
  }

  private note(what: string, ...numbers: number[]): void {
    if (this.cpu.remaining >= 2 ** 31) throw new Error(`the budget has been overdrawn: ${this.cpu.remaining | 0} left`)
    this.events.push(`${this.position} ${what} ${numbers.map((n) => n.toString(16)).join(' ')}`)
  }

  // The board

  read(physical: number, size: AccessSize): boolean {
    if (physical < DEVICE || physical >= DEVICE + PAGE_SIZE) return false
    this.accesses++
    this.note('read', physical, size)
    this.lo = (this.accesses * 0x1234567 + physical) >>> (32 - Math.min(size, 4) * 8)
    this.hi = size === 8 ? this.position : 0
    if (this.accesses % 5 === 0) this.cpu.setInterruptLine('irq', true)
    return true
  }

  write(physical: number, size: AccessSize, lo: number, hi: number): boolean {
    if (physical < DEVICE || physical >= DEVICE + PAGE_SIZE) return false
    this.note('write', physical, size, lo, hi)
    if (lo & 1) this.cpu.setInterruptLine('fiq', true)
    return true
  }

  readCounter(): void {
    this.lo = this.position
    this.hi = 0
  }

  timersChanged(): void {
    this.note('timers')
  }

  firmwareCall(): boolean {
    return false
  }

  // What a test does with it

  /** Everything anew: RAM begins with `image`, the rest is zero; registers are as after reset, but for what `prepare` does to them. */
  load(image: Uint8Array, prepare: (cpu: Processor) => void): void {
    const { cpu, memory } = this
    cpu.setBreakpoints([])
    cpu.setWatchpoints([])
    cpu.mmu.writtenPages = undefined
    cpu.takeBreakpointHit()
    cpu.mmu.dirty.forEach((dirty, page) => {
      if (dirty) memory.ram.fill(0, page * PAGE_SIZE, (page + 1) * PAGE_SIZE)
    })
    memory.ram.set(image)
    cpu.reset()
    prepare(cpu)
    cpu.restored()
    cpu.mmu.watchWrites()
    this.events.length = 0
    this.executed = 0
    this.accesses = 0
    this.atBreakpoint = false
    this.saved = undefined
  }

  /** Executes exactly so many instructions, and takes what interrupts there are. */
  run(count: number): void {
    const { cpu } = this
    this.limit = this.executed + count
    for (let left = count; left > 0;) {
      this.wake()
      left = cpu.run(left, this.atBreakpoint)
      this.atBreakpoint = cpu.takeBreakpointHit()
      this.executed = this.limit - left
      if (this.atBreakpoint) this.events.push(`${this.executed} breakpoint ${cpu.state.pc.toString(16)}`)
      this.takeInterrupt()
    }
  }

  /** Raises an interrupt, which is taken as soon as it can be. */
  interrupt(kind: 'irq' | 'fiq'): void {
    this.cpu.setInterruptLine(kind, true)
    this.takeInterrupt()
  }

  watch(watchpoints: readonly Watchpoint[]): void {
    this.cpu.setWatchpoints(watchpoints, ({ address, bytes, write }) =>
      this.note('watched', Number(address & 0xffff_ffffn), bytes, write ? 1 : 0),
    )
  }

  /** Changes a 64-bit word of RAM from outside. */
  poke(physical: number, value: bigint): void {
    this.memory.view.setBigUint64(RAM_BASE + physical - RAM_PHYSICAL, value, true)
    this.cpu.mmu.changedFromOutside(physical, 8)
  }

  /** Keeps state, TLB and the first `bytes` of RAM. */
  save(bytes: number): void {
    this.saved = {
      state: this.state.slice(),
      tlb: this.cpu.mmu.tlb.copy(),
      ram: this.memory.ram.slice(0, bytes),
      atBreakpoint: this.atBreakpoint,
    }
  }

  /** Puts back what was kept last, if anything; time goes on. */
  restore(): void {
    const { saved, cpu } = this
    if (!saved) return
    this.state.set(saved.state)
    this.memory.ram.set(saved.ram)
    cpu.mmu.tlb.paste(saved.tlb)
    cpu.restored()
    this.atBreakpoint = saved.atBreakpoint
  }

  /** The first difference to another subject; undefined if there is none. */
  differsFrom(other: Subject): string | undefined {
    for (let i = 0; i < Math.max(this.events.length, other.events.length); i++) {
      if (this.events[i] !== other.events[i]) return `event ${i}: ${this.events[i]}, not ${other.events[i]}`
    }
    if (Buffer.compare(this.state, other.state) !== 0) return this.differentRegister(other)
    if (Buffer.compare(bytesOf(this.cpu.mmu.tlb.copy()), bytesOf(other.cpu.mmu.tlb.copy())) !== 0) {
      const [mine, its] = [this.cpu.mmu.tlb.save().join(), other.cpu.mmu.tlb.save().join()]
      if (mine !== its) return `translation TLB: ${mine}, not ${its}`
    }
    const [written, expected] = [this.cpu.mmu.writtenPages, other.cpu.mmu.writtenPages]
    if (written && expected && (written.size !== expected.size || [...written].some((page) => !expected.has(page))))
      return `virtual pages written: ${[...written].join()}, not ${[...expected].join()}`
    const { dirty } = this.cpu.mmu
    if (Buffer.compare(dirty, other.cpu.mmu.dirty) !== 0) return `pages written: ${dirty.join('')}`
    for (let page = dirty.indexOf(1); page >= 0; page = dirty.indexOf(1, page + 1)) {
      const [from, to] = [page * PAGE_SIZE, (page + 1) * PAGE_SIZE]
      if (Buffer.compare(this.memory.ram.subarray(from, to), other.memory.ram.subarray(from, to)) !== 0)
        return `page ${page} of RAM`
    }
    return undefined
  }

  private differentRegister(other: Subject): string {
    for (const { name, offset, bits, words } of CPU_STATE.places) {
      for (let i = 0; i < words; i++) {
        const at = offset + (i * bits) / 8
        const [mine, its] = [this.state, other.state].map((state) =>
          Buffer.from(state.slice(at, at + bits / 8).toReversed()).toString('hex'),
        )
        if (mine !== its) return `${name}[${i}] is ${mine}, not ${its}`
      }
    }
    return 'padding between registers'
  }

  private takeInterrupt(): void {
    const { cpu } = this
    const kind = cpu.interruptible
    if (!kind) return
    cpu.interrupt(kind)
    cpu.setInterruptLine(kind, false)
    this.atBreakpoint = false
    this.events.push(`${this.executed} ${kind}`)
  }

  /** Ends a WFI: with an interrupt that goes away again if it is masked. */
  private wake(): void {
    const { cpu } = this
    if (!cpu.waiting) return
    this.events.push(`${this.executed} waits`)
    cpu.setInterruptLine('irq', true)
    if (cpu.waiting) throw new Error('an interrupt does not end a WFI')
    this.takeInterrupt()
    cpu.setInterruptLine('irq', false)
  }
}

const bytesOf = (words: Uint32Array): Uint8Array => new Uint8Array(words.buffer, words.byteOffset, words.byteLength)
