/**
 * Versions of guest RAM: what each page held at a checkpoint, with pages that did not change shared between versions.
 *
 * Pages not in a version are as they were when the machine was built. Going from one version to another touches only
 * pages that were written since, or that the two versions hold differently.
 */
import { PAGE_SIZE, RAM_PHYSICAL } from '../cpu/machine-memory.js'
import type { Machine } from '../devices/machine.js'

/** The pages of a version, by page number in RAM. Equal contents are, as far as known, the same object. */
export type MemoryVersion = ReadonlyMap<number, Uint8Array>

const ZEROS = new Uint8Array(PAGE_SIZE)

/** The RAM of a machine, and the version that it was last known to hold. */
export class GuestMemory {
  private readonly machine: Machine
  /** Pages that were not zero when the machine was built. */
  private readonly initial = new Map<number, Uint8Array>()
  private current: MemoryVersion = new Map()

  /** @param machine must not have executed anything yet. */
  constructor(machine: Machine) {
    this.machine = machine
    const { dirty } = machine.cpu.mmu
    for (let page = dirty.indexOf(1); page >= 0; page = dirty.indexOf(1, page + 1))
      this.initial.set(page, this.copy(page))
    machine.cpu.mmu.watchWrites()
  }

  /** The version that RAM holds now. */
  capture(): MemoryVersion {
    const written = this.written()
    if (written.length === 0) return this.current
    const version = new Map(this.current)
    for (const page of written) version.set(page, this.copy(page))
    this.machine.cpu.mmu.watchWrites()
    this.current = version
    return version
  }

  /** Puts a version back into RAM. */
  restore(version: MemoryVersion): void {
    const { current } = this
    const suspects = new Set(this.written())
    for (const [page, bytes] of current) if (version.get(page) !== bytes) suspects.add(page)
    for (const [page, bytes] of version) if (current.get(page) !== bytes) suspects.add(page)
    const { mmu } = this.machine.cpu
    for (const page of suspects) {
      this.machine.memory.ram.set(version.get(page) ?? this.initial.get(page) ?? ZEROS, page * PAGE_SIZE)
      mmu.changedFromOutside(RAM_PHYSICAL + page * PAGE_SIZE, PAGE_SIZE)
    }
    mmu.watchWrites()
    this.current = version
  }

  private written(): number[] {
    const { dirty } = this.machine.cpu.mmu
    const pages: number[] = []
    for (let page = dirty.indexOf(1); page >= 0; page = dirty.indexOf(1, page + 1)) pages.push(page)
    return pages
  }

  private copy(page: number): Uint8Array {
    return this.machine.memory.ram.slice(page * PAGE_SIZE, (page + 1) * PAGE_SIZE)
  }
}
