/**
 * The interrupt controller: a GICv2 distributor and its CPU interfaces (Arm IHI 0048B), without the Security Extensions.
 *
 * 288 INTIDs as on `virt`: 16 SGIs and 16 PPIs for each CPU, 256 SPIs. Where the manual leaves a choice, or where QEMU 7.2 takes
 * its own way, the choice is QEMU's; such places say so.
 */
import type { MachineMemory } from '../cpu/machine-memory.js'
import { type BlockView, stateBlock, u32, u32s } from '../cpu/state-block.js'
import type { Line, MmioDevice } from './device.js'

/** Number of INTIDs: SGIs, PPIs and SPIs. */
export const INTIDS = 288
/** First SPI; INTIDs below are banked, one set for each CPU. */
export const FIRST_SPI = 32
/** What IAR and HPPIR give when nothing is pending (Arm IHI 0048B, 3.2.5). */
export const SPURIOUS = 1023
/** What IAR and HPPIR give for a Group 1 interrupt while GICC_CTLR.AckCtl is 0 (Arm IHI 0048B, 3.2.5). */
export const GROUP1_PENDING = 1022

const SGIS = 16
const SPIS = INTIDS - FIRST_SPI
const WORDS = INTIDS / 32
/** The running priority with no active interrupt: lower than any of the 256 priorities. */
const IDLE = 0x100
const APRS = 4
const IIDR = 0x0002_043b

/** GICC_CTLR (Arm IHI 0048B, 4.4.1). */
const ACK_CTL = 1 << 2
const FIQ_EN = 1 << 3
const CBPR = 1 << 4
const EOI_MODE = 1 << 9
const GICC_CTLR_BITS = 0b11 | ACK_CTL | FIQ_EN | CBPR | EOI_MODE

/** GICD_PIDR4-7, PIDR0-3 and CIDR0-3, from offset 0xfd0. */
const IDENTIFICATION = [0x04, 0, 0, 0, 0x90, 0xb4, 0x2b, 0x00, 0x0d, 0xf0, 0x05, 0xb1]

/**
 * Everything a guest can change. A bit map has a word for each CPU (INTIDs 0-31, banked), then one for each 32 SPIs; `priority` holds
 * bytes in the same order; `sgiSource` has for each CPU and SGI a byte with a bit for each requesting CPU.
 */
const fields = (cpus: number) => ({
  ctlr: u32,
  enabled: u32s(cpus + WORDS - 1),
  latched: u32s(cpus + WORDS - 1),
  active: u32s(cpus + WORDS - 1),
  activeByWrite: u32s(cpus + WORDS - 1),
  level: u32s(cpus + WORDS - 1),
  edge: u32s(cpus + WORDS - 1),
  group1: u32s(cpus + WORDS - 1),
  priority: u32s((cpus * FIRST_SPI + SPIS) / 4),
  targets: u32s(SPIS / 4),
  sgiSource: u32s((cpus * SGIS) / 4),
  cpuCtlr: u32s(cpus),
  pmr: u32s(cpus),
  bpr: u32s(cpus),
  abpr: u32s(cpus),
  running: u32s(cpus),
  apr: u32s(cpus * APRS),
  nsapr: u32s(cpus * APRS),
})

/** Where the controller's outputs go, by CPU. */
export interface GicOutputs {
  readonly irq: readonly Line[]
  readonly fiq: readonly Line[]
}

type Scanned = 'latched' | 'level' | 'edge' | 'enabled' | 'active' | 'cpuCtlr' | 'pmr' | 'running'

const bytesOf = (words: Uint32Array): Uint8Array => new Uint8Array(words.buffer, words.byteOffset, words.byteLength)

/** A GICv2 for `cpus` processors. */
export class GicV2 {
  /** The distributor's registers (4 KiB). */
  readonly distributor: MmioDevice
  /** The CPU interface's registers (8 KiB: GICC_DIR stands at 0x1000). */
  readonly cpuInterface: MmioDevice
  /** The CPU whose banked registers the next access sees; the machine sets it when it switches CPUs. */
  currentCpu = 0

  private readonly cpus: number
  private readonly outputs: GicOutputs
  private readonly state: BlockView<ReturnType<typeof fields>>
  /** What {@link refreshCpu} reads of the state: objects of one shape for all controllers, which compilers like. */
  private readonly arrays: Readonly<Record<Scanned, Uint32Array>>
  private readonly priority: Uint8Array
  private readonly targets: Uint8Array
  private readonly sgiSource: Uint8Array
  /** Derived from the state by {@link refresh}: the pending interrupt of highest priority by CPU, and the outputs' levels. */
  private readonly best: Uint32Array
  private readonly irqLevel: Uint8Array
  private readonly fiqLevel: Uint8Array

  /** @param cpus 1 to 8. */
  constructor(memory: MachineMemory, cpus: number, outputs: GicOutputs) {
    this.cpus = cpus
    this.outputs = outputs
    this.state = memory.place(stateBlock('gicv2', fields(cpus)))
    const { latched, level, edge, enabled, active, cpuCtlr, pmr, running } = this.state
    this.arrays = { latched, level, edge, enabled, active, cpuCtlr, pmr, running }
    this.priority = bytesOf(this.state.priority)
    this.targets = bytesOf(this.state.targets)
    this.sgiSource = bytesOf(this.state.sgiSource)
    this.best = new Uint32Array(cpus).fill(SPURIOUS)
    this.irqLevel = new Uint8Array(cpus)
    this.fiqLevel = new Uint8Array(cpus)
    this.distributor = {
      name: 'gicv2-distributor',
      minAccess: 1,
      maxAccess: 8,
      read: (offset, size) => this.readDistributor(offset, size),
      write: (offset, size, value) => this.writeDistributor(offset, size, value),
      reset: () => this.reset(),
    }
    this.cpuInterface = {
      name: 'gicv2-cpu-interface',
      minAccess: 1,
      maxAccess: 8,
      read: (offset) => this.readCpuInterface(offset),
      write: (offset, _size, value) => this.writeCpuInterface(offset, value),
      reset: () => this.reset(),
    }
    this.reset()
  }

  /** Power-on state: all disabled, SGIs enabled and edge-triggered, input levels low (Arm IHI 0048B, 4.1.2). */
  reset(): void {
    const { state, cpus } = this
    state.ctlr = 0
    for (const map of [
      state.enabled,
      state.latched,
      state.active,
      state.activeByWrite,
      state.level,
      state.edge,
      state.group1,
    ])
      map.fill(0)
    state.enabled.fill(0xffff, 0, cpus)
    state.edge.fill(0xffff, 0, cpus)
    this.priority.fill(0)
    // A uniprocessor's GICD_ITARGETSR reads as zero; this keeps the one CPU the target of all.
    this.targets.fill(cpus === 1 ? 1 : 0)
    this.sgiSource.fill(0)
    state.cpuCtlr.fill(0)
    state.pmr.fill(0)
    state.bpr.fill(0)
    state.abpr.fill(1)
    state.running.fill(IDLE)
    state.apr.fill(0)
    state.nsapr.fill(0)
    this.refresh()
  }

  /** To be called after a snapshot was loaded: works out what is derived, and drives every output. */
  restored(): void {
    this.irqLevel.fill(2)
    this.fiqLevel.fill(2)
    this.refresh()
  }

  /** The input wire of an interrupt: an SPI, or with `cpu` a PPI of that CPU. */
  line(intid: number, cpu = 0): Line {
    if (intid < SGIS || intid >= INTIDS) throw new RangeError(`INTID ${intid} has no input: give 16 to ${INTIDS - 1}`)
    const word = this.word(intid >> 5, cpu)
    const bit = (1 << (intid & 31)) >>> 0
    const { level: levels, latched, edge } = this.state
    return (level) => {
      if (((levels[word] & bit) !== 0) === level) return
      if (level) {
        levels[word] |= bit
        if (edge[word] & bit) latched[word] |= bit
      } else levels[word] &= ~bit
      if (intid < FIRST_SPI) this.refreshCpu(cpu)
      else this.refresh()
    }
  }

  /** The INTID that an acknowledge on `cpu` would take, whatever its group; {@link SPURIOUS} if none is pending. */
  highestPending(cpu: number): number {
    return this.best[cpu]
  }

  /** Index in a bit map of the word with INTIDs 32w to 32w+31 as `cpu` sees them. */
  private word(w: number, cpu: number): number {
    return w === 0 ? cpu : this.cpus - 1 + w
  }

  /** Index of an INTID's priority byte. */
  private priorityAt(intid: number, cpu: number): number {
    return intid < FIRST_SPI ? cpu * FIRST_SPI + intid : (this.cpus - 1) * FIRST_SPI + intid
  }

  /** Whether the INTID is in Group 1 for `cpu`: 1 or 0. */
  private group(intid: number, cpu: number): number {
    return (this.state.group1[this.word(intid >> 5, cpu)] >>> (intid & 31)) & 1
  }

  private refresh(): void {
    for (let cpu = 0; cpu < this.cpus; cpu++) this.refreshCpu(cpu)
  }

  /** Finds the pending interrupt of highest priority for `cpu` and drives its outputs (Arm IHI 0048B, 3.3 and 4.4). */
  private refreshCpu(cpu: number): void {
    const { latched, level, edge, enabled, active, cpuCtlr: controls, pmr, running } = this.arrays
    const { ctlr } = this.state
    const cpuCtlr = controls[cpu]
    let best = SPURIOUS
    let bestPriority = IDLE
    if (ctlr !== 0 && (cpuCtlr & 0b11) !== 0) {
      for (let w = 0; w < WORDS; w++) {
        const i = w === 0 ? cpu : this.cpus - 1 + w
        let ready = (latched[i] | (level[i] & ~edge[i])) & enabled[i] & ~active[i]
        while (ready !== 0) {
          const bit = 31 - Math.clz32(ready & -ready)
          ready &= ready - 1
          const intid = w * 32 + bit
          if (w > 0 && ((this.targets[intid - FIRST_SPI] >> cpu) & 1) === 0) continue
          const priority = this.priority[this.priorityAt(intid, cpu)]
          if (priority < bestPriority) {
            best = intid
            bestPriority = priority
          }
        }
      }
    }
    let irq = 0
    let fiq = 0
    if (bestPriority >= pmr[cpu]) best = SPURIOUS
    else if (bestPriority < running[cpu]) {
      const group = this.group(best, cpu)
      if ((ctlr >> group) & (cpuCtlr >> group) & 1) {
        if (group === 0 && cpuCtlr & FIQ_EN) fiq = 1
        else irq = 1
      }
    }
    this.best[cpu] = best
    if (this.irqLevel[cpu] !== irq) {
      this.irqLevel[cpu] = irq
      this.outputs.irq[cpu](irq === 1)
    }
    if (this.fiqLevel[cpu] !== fiq) {
      this.fiqLevel[cpu] = fiq
      this.outputs.fiq[cpu](fiq === 1)
    }
  }

  // Distributor, Arm IHI 0048B, 4.3.

  private readDistributor(offset: number, size: 1 | 2 | 4): number {
    const cpu = this.currentCpu
    const { state } = this
    const lane = (offset & 3) * 8
    const word = this.wordAt(offset, cpu)
    switch (offset >>> 7) {
      case 0: // GICD_CTLR, TYPER, IIDR
        if (offset < 4) return state.ctlr >>> lane
        if (offset < 8) return (WORDS - 1 + ((this.cpus - 1) << 5)) >>> lane
        return offset < 12 ? (IIDR & 0xffff) >>> lane : 0
      case 1: // GICD_IGROUPR
        return word < 0 ? 0 : state.group1[word] >>> lane
      case 2: // GICD_ISENABLER
      case 3: // GICD_ICENABLER
        return word < 0 ? 0 : state.enabled[word] >>> lane
      case 4: // GICD_ISPENDR
      case 5: // GICD_ICPENDR
        return word < 0 ? 0 : (state.latched[word] | (state.level[word] & ~state.edge[word])) >>> lane
      case 6: // GICD_ISACTIVER
      case 7: // GICD_ICACTIVER
        return word < 0 ? 0 : (state.active[word] | state.activeByWrite[word]) >>> lane
    }
    let value = 0
    for (let i = 0; i < size; i++) value |= this.readDistributorByte(offset + i, cpu) << (i * 8)
    return value >>> 0
  }

  /** The registers that have a byte or two bits for each INTID, and identification. */
  private readDistributorByte(offset: number, cpu: number): number {
    if (offset < 0x800) {
      const intid = offset - 0x400 // GICD_IPRIORITYR
      return intid < INTIDS ? this.priority[this.priorityAt(intid, cpu)] : 0
    }
    if (offset < 0xc00) {
      const intid = offset - 0x800 // GICD_ITARGETSR: zero on a uniprocessor, Arm IHI 0048B, 4.3.12
      if (this.cpus === 1 || intid >= INTIDS) return 0
      return intid < FIRST_SPI ? 1 << cpu : this.targets[intid - FIRST_SPI]
    }
    if (offset < 0xf00) {
      const intid = (offset - 0xc00) * 4 // GICD_ICFGR
      if (intid >= INTIDS) return 0
      const edge = this.state.edge[this.word(intid >> 5, cpu)] >>> (intid & 31)
      return ((edge & 1) << 1) | ((edge & 2) << 2) | ((edge & 4) << 3) | ((edge & 8) << 4)
    }
    if (offset >= 0xf10 && offset < 0xf30) return this.sgiSource[cpu * SGIS + (offset & 15)]
    if (offset >= 0xfd0 && (offset & 3) === 0) return IDENTIFICATION[(offset - 0xfd0) >> 2]
    return 0
  }

  /** Bit map word of a register with one bit for each INTID, or -1 beyond the last INTID. */
  private wordAt(offset: number, cpu: number): number {
    const w = (offset & 0x7f) >> 2
    return w < WORDS ? this.word(w, cpu) : -1
  }

  private writeDistributor(offset: number, size: 1 | 2 | 4, value: number): void {
    const cpu = this.currentCpu
    if (offset === 0xf00) {
      // GICD_SGIR takes whole words only, Arm IHI 0048B, 4.3.15.
      if (size === 4) this.sendSgi(value, cpu)
    } else if (offset >= 0x80 && offset < 0x400) {
      const word = this.wordAt(offset, cpu)
      const lane = (offset & 3) * 8
      if (word >= 0)
        this.writeBitMap(
          offset >>> 7,
          word,
          value << lane,
          (0xffff_ffff >>> (32 - size * 8)) << lane,
          word === cpu && offset % 0x80 < 4,
        )
    } else {
      for (let i = 0; i < size; i++) this.writeDistributorByte(offset + i, (value >>> (i * 8)) & 0xff, cpu)
    }
    this.refresh()
  }

  /**
   * A write to a register with one bit for each INTID.
   *
   * @param register the offset's bits 11:7: 1 IGROUPR, 2-3 ISENABLER and ICENABLER, 4-5 ISPENDR and ICPENDR, 6-7 ISACTIVER and ICACTIVER.
   * @param lanes the bits that the access covers.
   * @param banked whether the word holds the SGIs, which can be neither disabled nor made pending here.
   */
  private writeBitMap(register: number, word: number, bits: number, lanes: number, banked: boolean): void {
    const { enabled, latched, active, activeByWrite, group1 } = this.state
    const sgis = banked ? 0xffff : 0
    switch (register) {
      case 1:
        group1[word] = (group1[word] & ~lanes) | bits
        break
      case 2:
        enabled[word] |= bits | (sgis & lanes)
        break
      case 3:
        enabled[word] &= ~(bits & ~sgis)
        break
      case 4:
        latched[word] |= bits & ~sgis
        break
      case 5:
        latched[word] &= ~(bits & ~sgis)
        break
      case 6:
        active[word] |= bits
        // As QEMU, where an SPI made active here reads as active until it is cleared here, whatever EOIR and DIR do.
        if (word >= this.cpus) activeByWrite[word] |= bits
        break
      case 7:
        active[word] &= ~bits
        activeByWrite[word] &= ~bits
        break
    }
  }

  private writeDistributorByte(offset: number, value: number, cpu: number): void {
    const { state } = this
    if (offset === 0) state.ctlr = value & 0b11
    else if (offset < 0x400) return
    else if (offset < 0x800) {
      const intid = offset - 0x400
      if (intid < INTIDS) this.priority[this.priorityAt(intid, cpu)] = value
    } else if (offset < 0xc00) {
      const intid = offset - 0x800
      if (this.cpus > 1 && intid >= FIRST_SPI && intid < INTIDS) {
        this.targets[intid - FIRST_SPI] = value & ((1 << this.cpus) - 1)
      }
    } else if (offset < 0xf00) {
      const intid = (offset - 0xc00) * 4
      if (intid < SGIS || intid >= INTIDS) return
      const word = this.word(intid >> 5, cpu)
      const shift = intid & 31
      const edges = ((value >> 1) & 1) | ((value >> 2) & 2) | ((value >> 3) & 4) | ((value >> 4) & 8)
      state.edge[word] = (state.edge[word] & ~(0xf << shift)) | (edges << shift)
    } else if (offset >= 0xf10 && offset < 0xf30) {
      const sgi = offset & 15
      const at = cpu * SGIS + sgi
      if (offset < 0xf20) this.sgiSource[at] &= ~value
      else this.sgiSource[at] |= value
      this.latchSgi(cpu, sgi)
    }
  }

  /** An SGI is pending while any CPU's request is. */
  private latchSgi(cpu: number, sgi: number): void {
    if (this.sgiSource[cpu * SGIS + sgi]) this.state.latched[cpu] |= 1 << sgi
    else this.state.latched[cpu] &= ~(1 << sgi)
  }

  /** GICD_SGIR, Arm IHI 0048B, 4.3.15. The reserved target filter reaches all CPUs, as in QEMU. */
  private sendSgi(value: number, cpu: number): void {
    const all = (1 << this.cpus) - 1
    const filter = (value >>> 24) & 3
    const chosen = filter === 0 ? (value >> 16) & all : filter === 1 ? all & ~(1 << cpu) : filter === 2 ? 1 << cpu : all
    const sgi = value & 15
    for (let target = 0; target < this.cpus; target++) {
      if (((chosen >> target) & 1) === 0) continue
      this.sgiSource[target * SGIS + sgi] |= 1 << cpu
      this.latchSgi(target, sgi)
    }
  }

  // CPU interface, Arm IHI 0048B, 4.4.

  private readCpuInterface(offset: number): number {
    const cpu = this.currentCpu
    const { state } = this
    switch (offset) {
      case 0x00: // GICC_CTLR
        return state.cpuCtlr[cpu]
      case 0x04: // GICC_PMR
        return state.pmr[cpu]
      case 0x08: // GICC_BPR
        return state.bpr[cpu]
      case 0x0c: // GICC_IAR
        return this.acknowledge(cpu)
      case 0x14: // GICC_RPR
        return Math.min(state.running[cpu], 0xff)
      case 0x18: // GICC_HPPIR
        return this.visiblePending(cpu)
      case 0x1c: // GICC_ABPR
        return state.abpr[cpu]
      case 0xd0:
      case 0xd4:
      case 0xd8:
      case 0xdc: // GICC_APR
        return state.apr[cpu * APRS + ((offset - 0xd0) >> 2)]
      case 0xe0:
      case 0xe4:
      case 0xe8:
      case 0xec: // GICC_NSAPR
        return state.nsapr[cpu * APRS + ((offset - 0xe0) >> 2)]
      case 0xfc: // GICC_IIDR
        return IIDR
      default: // among them GICC_AIAR and AHPPIR, which QEMU leaves out
        return 0
    }
  }

  private writeCpuInterface(offset: number, value: number): void {
    const cpu = this.currentCpu
    const { state } = this
    switch (offset) {
      case 0x00:
        state.cpuCtlr[cpu] = value & GICC_CTLR_BITS
        break
      case 0x04:
        state.pmr[cpu] = value & 0xff
        break
      case 0x08:
        state.bpr[cpu] = value & 7
        break
      case 0x10: // GICC_EOIR
        this.endOfInterrupt(value & 0x3ff, cpu)
        break
      case 0x1c:
        state.abpr[cpu] = Math.max(value & 7, 1)
        break
      case 0xd0:
      case 0xd4:
      case 0xd8:
      case 0xdc:
        state.apr[cpu * APRS + ((offset - 0xd0) >> 2)] = value
        state.running[cpu] = this.priorityOfActives(cpu)
        break
      case 0xe0:
      case 0xe4:
      case 0xe8:
      case 0xec:
        state.nsapr[cpu * APRS + ((offset - 0xe0) >> 2)] = value
        state.running[cpu] = this.priorityOfActives(cpu)
        break
      case 0x1000: // GICC_DIR
        this.deactivate(value & 0x3ff, cpu)
        break
      default:
        return
    }
    this.refresh()
  }

  /** The pending INTID as IAR and HPPIR show it: a Group 1 interrupt is hidden unless AckCtl is set. */
  private visiblePending(cpu: number): number {
    const best = this.best[cpu]
    if (best === SPURIOUS || !this.group(best, cpu) || this.state.cpuCtlr[cpu] & ACK_CTL) return best
    return GROUP1_PENDING
  }

  /** Reading GICC_IAR, Arm IHI 0048B, 4.4.4: the interrupt becomes active and its group priority the running one. */
  private acknowledge(cpu: number): number {
    const intid = this.visiblePending(cpu)
    if (intid >= GROUP1_PENDING) return intid
    const { state } = this
    const priority = this.priority[this.priorityAt(intid, cpu)]
    if (priority >= state.running[cpu]) return SPURIOUS
    const group = this.group(intid, cpu)
    const running = this.groupPriority(priority, group, cpu)
    const level = running >> 1
    const actives = group ? state.nsapr : state.apr
    actives[cpu * APRS + (level >> 5)] |= 1 << (level & 31)
    state.running[cpu] = running
    const word = this.word(intid >> 5, cpu)
    const bit = 1 << (intid & 31)
    state.active[word] |= bit
    let source = 0
    if (intid < SGIS) {
      const at = cpu * SGIS + intid
      source = 31 - Math.clz32(this.sgiSource[at] & -this.sgiSource[at])
      this.sgiSource[at] &= this.sgiSource[at] - 1
      this.latchSgi(cpu, intid)
    } else state.latched[word] &= ~bit
    this.refresh()
    return intid | (source << 10)
  }

  /** The part of a priority that preempts, by the binary point (Arm IHI 0048B, 3.3.3). */
  private groupPriority(priority: number, group: number, cpu: number): number {
    const { bpr, abpr, cpuCtlr } = this.state
    const point = group && !(cpuCtlr[cpu] & CBPR) ? abpr[cpu] - 1 : bpr[cpu]
    return priority & (~0 << (point + 1))
  }

  /** Writing GICC_EOIR: drops the running priority and, unless EOImode splits the two, deactivates (Arm IHI 0048B, 3.2.1). */
  private endOfInterrupt(intid: number, cpu: number): void {
    const { state } = this
    if (intid >= INTIDS || state.running[cpu] === IDLE) return
    const actives = this.group(intid, cpu) ? state.nsapr : state.apr
    for (let i = cpu * APRS; i < (cpu + 1) * APRS; i++) {
      if (actives[i] === 0) continue
      actives[i] &= actives[i] - 1
      break
    }
    state.running[cpu] = this.priorityOfActives(cpu)
    if (!(state.cpuCtlr[cpu] & EOI_MODE)) this.clearActive(intid, cpu)
  }

  /** The running priority that GICC_APR and NSAPR stand for. */
  private priorityOfActives(cpu: number): number {
    const { apr, nsapr } = this.state
    for (let i = 0; i < APRS; i++) {
      const actives = apr[cpu * APRS + i] | nsapr[cpu * APRS + i]
      if (actives !== 0) return (i * 32 + 31 - Math.clz32(actives & -actives)) << 1
    }
    return IDLE
  }

  /** Writing GICC_DIR: without EOImode the write is UNPREDICTABLE and, as in QEMU, ignored. */
  private deactivate(intid: number, cpu: number): void {
    if (intid < INTIDS && this.state.cpuCtlr[cpu] & EOI_MODE) this.clearActive(intid, cpu)
  }

  private clearActive(intid: number, cpu: number): void {
    this.state.active[this.word(intid >> 5, cpu)] &= ~(1 << (intid & 31))
  }
}
