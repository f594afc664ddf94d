/** The measurement itself: rounds over all guests in all modes, every run checked. */
import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { TraceReader } from '../trace/reader.js'
import { type Guest, wrongOutput } from './guests.js'
import { type Cost, measure } from './measure.js'
import { type Mode, modeName } from './systems.js'

/** All runs of a guest in a mode. */
export interface Series {
  readonly guest: Guest
  readonly mode: Mode
  readonly costs: Cost[]
  /** Size of what was recorded; undefined for a mode that records nothing. */
  traceBytes?: number
}

/** What to measure, and where. */
export interface Plan {
  readonly guests: readonly Guest[]
  readonly modes: readonly Mode[]
  readonly images: ReadonlyMap<string, string>
  readonly rounds: number
  /** A folder for traces and outputs, of its own. */
  readonly folder: string
  readonly onProgress?: (what: string) => void
}

/** A run that takes longer, in seconds, hangs: QEMU's does when its replay runs out of events. */
const LONGEST_RUN = 600

/**
 * Measures in rounds: each runs every guest in every mode once, so that whatever else the host does meets all of them alike.
 *
 * @throws {Error} naming the guest, the mode and what is wrong, if a run fails or its result is not the right one.
 */
export async function runRounds({ guests, modes, images, rounds, folder, onProgress }: Plan): Promise<Series[]> {
  const series = guests.flatMap((guest) => modes.map((mode): Series => ({ guest, mode, costs: [] })))
  const outputs = new Map<string, Buffer>()
  const known: Known = { digests: new Map(), totals: new Map() }
  for (let round = 1; round <= rounds; round++) {
    for (const one of series) {
      const { guest, mode } = one
      const who = `${guest.name}, ${modeName(mode)}`
      onProgress?.(`round ${round} of ${rounds}: ${who}`)
      const trace = join(folder, `${guest.name}${mode.engine ?? ''}.${mode.system === 'kaal' ? 'kaal' : 'rr'}`)
      const output = join(folder, 'output')
      try {
        const { messages, ...cost } = await measure(mode.command(imageOf(images, guest), trace), output, LONGEST_RUN)
        one.costs.push(cost)
        const bytes = readFileSync(output)
        const wrong = wrongOutput(guest, bytes.toString('latin1'), mode.counting) ?? differs(outputs, one, bytes)
        if (wrong !== undefined) throw new Error(wrong)
        if (mode.name === 'record') one.traceBytes = statSync(trace).size
        if (mode.instructions) checkTotal(mode.instructions(messages), guest, known)
        if (mode.system === 'kaal' && mode.name === 'record') checkTrace(trace, guest, known)
      } catch (error) {
        throw new Error(`${who}: ${(error as Error).message}`, { cause: error })
      }
    }
  }
  return series
}

function imageOf(images: ReadonlyMap<string, string>, { name }: Guest): string {
  const image = images.get(name)
  if (image === undefined) throw new Error('there is no image')
  return image
}

/** With time counted in instructions, all systems and modes have to print the very same bytes. */
function differs(outputs: Map<string, Buffer>, { guest, mode }: Series, bytes: Buffer): string | undefined {
  if (!mode.counting) return undefined
  const first = outputs.get(guest.name)
  if (!first) outputs.set(guest.name, bytes)
  else if (!first.equals(bytes)) return `its ${bytes.length} bytes of output differ from those of the runs before`
  return undefined
}

/** What the runs before have found, by guest. */
interface Known {
  readonly digests: Map<string, string>
  readonly totals: Map<string, number>
}

/** A recording has the guest's number of instructions, and all recordings of a guest have the same final digest, whatever the engine. */
function checkTrace(path: string, guest: Guest, known: Known): void {
  const reader = TraceReader.open(path)
  const { instructions, finalDigest } = reader.meta
  reader.close()
  checkTotal(instructions, guest, known)
  const first = known.digests.get(guest.name) ?? finalDigest
  if (finalDigest === undefined || finalDigest !== first)
    throw new Error(`final digest ${finalDigest}, and ${first} in the runs before`)
  known.digests.set(guest.name, finalDigest)
}

function checkTotal(total: number, guest: Guest, { totals }: Known): void {
  const right = guest.instructions ?? totals.get(guest.name) ?? total
  if (!(total > 0) || total !== right) throw new Error(`${total} instructions, and should be ${right}`)
  totals.set(guest.name, total)
}
