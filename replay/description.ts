/** A machine's description in a trace: its configuration and images, both ways. */
import { type MachineConfig, DEFAULT_CONFIG, checkConfig } from '../devices/config.js'
import type { BootFiles } from '../devices/loader/boot.js'
import { TraceError } from '../trace/errors.js'
import type { ImageFile, ImageRow, MachineRecord } from '../trace/rows.js'
import type { SnapshotPolicy } from './snapshot-policy.js'

/** All that determines a run, but for its inputs. */
export interface MachineDescription {
  readonly config: MachineConfig
  readonly files: BootFiles
  /** When snapshots are taken. */
  readonly snapshots: SnapshotPolicy
}

/** What `meta.machine` holds. */
export function machineRecord({ config, snapshots }: MachineDescription): MachineRecord {
  return { ...config, snapshotInterval: snapshots.interval, snapshotPageInstructions: snapshots.pageInstructions }
}

/** What `images` holds. */
export function imageFiles({ kernel, initrd, dtb }: BootFiles): ImageFile[] {
  const images: ImageFile[] = [{ role: 'kernel', ...kernel }]
  if (initrd) images.push({ role: 'initrd', ...initrd })
  if (dtb) images.push({ role: 'dtb', ...dtb })
  return images
}

/** Where a description stands: a trace, or a packed one. */
export interface DescriptionSource {
  readonly path: string
  readonly meta: { readonly machine: MachineRecord }
  images(): Iterable<ImageRow>
}

/**
 * The description in a trace.
 *
 * @throws {TraceError} `damaged` naming the field that is missing, of another type or not possible.
 */
export function readDescription(reader: DescriptionSource): MachineDescription {
  const { machine } = reader.meta
  const damaged = (what: string): TraceError => new TraceError(reader.path, 'damaged', `meta.machine: ${what}`)
  for (const [field, value] of Object.entries({ ...DEFAULT_CONFIG, snapshotInterval: 0 })) {
    if (typeof machine[field] !== typeof value)
      throw damaged(`${field} is a ${typeof machine[field]}, not a ${typeof value}`)
  }
  // Traces of format 1 do not know the cost of a page.
  const { snapshotInterval, snapshotPageInstructions = 0, ...rest } = machine
  const config = rest as unknown as MachineConfig
  try {
    checkConfig(config)
  } catch (error) {
    throw damaged((error as Error).message)
  }
  const interval = Number(snapshotInterval)
  if (!Number.isInteger(interval) || interval < 1) throw damaged(`snapshotInterval is ${interval}`)
  const pageInstructions = Number(snapshotPageInstructions)
  if (!Number.isInteger(pageInstructions) || pageInstructions < 0)
    throw damaged(`snapshotPageInstructions is ${pageInstructions}`)
  const images = new Map([...reader.images()].map((image) => [image.role, { name: image.name, bytes: image.bytes }]))
  const kernel = images.get('kernel')
  if (!kernel) throw new TraceError(reader.path, 'damaged', 'images: there is no kernel')
  const initrd = images.get('initrd')
  const dtb = images.get('dtb')
  const files = { kernel, ...(initrd && { initrd }), ...(dtb && { dtb }) }
  return { config, files, snapshots: { interval, pageInstructions } }
}
