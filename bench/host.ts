/** What the measurements were made on. */
import { cpus, totalmem, type as systemName, release } from 'node:os'
import { qemuVersion } from './systems.js'

/** The host and the programs on it. */
export interface Host {
  /** Model name of the processor, as the system gives it. */
  readonly processor: string
  readonly cores: number
  readonly memoryGiB: number
  readonly system: string
  readonly node: string
  /** The first line of its `--version`; undefined if there is no QEMU. */
  readonly qemu: string | undefined
}

/** Describes this host. */
export function describeHost(qemu: string): Host {
  const all = cpus()
  return {
    processor: all[0]?.model.trim() ?? 'unknown processor',
    cores: all.length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    system: `${systemName()} ${release()}`,
    node: process.version,
    qemu: qemuVersion(qemu),
  }
}

/** The host in a line. */
export function hostLine({ processor, cores, memoryGiB, system, node, qemu }: Host): string {
  const programs = `Node ${node.replace(/^v/, '')}, ${qemu ?? 'no QEMU'}`
  return `${processor}, ${cores} ${cores === 1 ? 'core' : 'cores'}, ${memoryGiB} GiB, ${system}; ${programs}`
}
