/**
 * Versions of guest RAM: what each page held at a checkpoint, with pages that did not change shared between versions.
 *
 * Pages not in a version are as they were when the machine was built. Going from one version to another touches only
 * pages that were written since, or that the two versions hold differently. Pages stand in groups, which are shared too, so that a
 * version costs what changed and little more, whatever the size of RAM.
 */
import { PAGE_SIZE, RAM_PHYSICAL } from '../cpu/machine-memory.js'
import type { Machine } from '../devices/machine.js'

/** Pages in a group. */
const GROUP = 64

/** Some neighbouring pages; undefined where RAM is as it was built. */
export type PageGroup = readonly (Uint8Array | undefined)[]

/** The pages of a version, in groups of neighbours. Equal contents are, as far as known, the same object. */
export type MemoryVersion = readonly (PageGroup | undefined)[]

const ZEROS = new Uint8Array(PAGE_SIZE)

/** Bytes that a version takes beyond what `counted` holds already; what it holds is added there. */
export function versionBytes(version: MemoryVersion, counted: Set<object>): number {
  let bytes = version.length * 8
  for (const group of version) {
    if (group === undefined || counted.has(group)) continue
    counted.add(group)
    bytes += GROUP * 8
    for (const page of group) {
      if (page === undefined || counted.has(page)) continue
      counted.add(page)
      bytes += PAGE_SIZE
    }
  }
  return bytes
}

/** The RAM of a machine, and the version that it was last known to hold. */
export class GuestMemory {
  private readonly machine: Machine
  /** Pages that were not zero when the machine was built. */
  private readonly initial = new Map<number, Uint8Array>()
  private current: MemoryVersion = []
  /** Bytes that the last {@link capture} has copied. */
  captured = 0

  /** @param machine must not have executed anything yet. */
  constructor(machine: Machine) {
    this.machine = machine
    for (const page of this.written()) this.initial.set(page, this.copy(page))
    machine.cpu.mmu.watchWrites()
  }

  /** The version that RAM holds now. */
  capture(): MemoryVersion {
    const written = this.written()
    this.captured = written.length * PAGE_SIZE
    if (written.length === 0) return this.current
    this.current = changed(
      this.current,
      written.map((page) => [page, this.copy(page)]),
    )
    this.machine.cpu.mmu.watchWrites()
    return this.current
  }

  /** A version of these pages; the others are as they were when the machine was built. */
  version(pages: Iterable<readonly [page: number, bytes: Uint8Array]>): MemoryVersion {
    return changed([], pages)
  }

  /** Puts a version back into RAM. */
  restore(version: MemoryVersion): void {
    const { current } = this
    const suspects = new Set(this.written())
    const groups = Math.max(current.length, version.length)
    for (let n = 0; n < groups; n++) {
      const [old, next] = [current[n], version[n]]
      if (old === next) continue
      for (let i = 0; i < GROUP; i++) if (old?.[i] !== next?.[i]) suspects.add(n * GROUP + i)
    }
    const { mmu } = this.machine.cpu
    for (const page of suspects) {
      const bytes = version[Math.floor(page / GROUP)]?.[page % GROUP] ?? this.initial.get(page) ?? ZEROS
      this.machine.memory.ram.set(bytes, page * PAGE_SIZE)
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

function changed(version: MemoryVersion, pages: Iterable<readonly [number, Uint8Array]>): MemoryVersion {
  const groups = [...version]
  const own = new Map<number, (Uint8Array | undefined)[]>()
  for (const [page, bytes] of pages) {
    const n = Math.floor(page / GROUP)
    let group = own.get(n)
    if (group === undefined) {
      while (groups.length <= n) groups.push(undefined)
      const old = groups[n]
      group = old ? [...old] : Array.from({ length: GROUP })
      own.set(n, group)
      groups[n] = group
    }
    group[page % GROUP] = bytes
  }
  return groups
}
