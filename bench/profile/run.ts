/** `npm run bench -- --profile`: records each guest once under V8's sampling profiler. */
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { type Guest, wrongOutput } from '../guests.js'
import { measure } from '../measure.js'
import { type Mode, kaalModes, modeName } from '../systems.js'
import { type CpuProfile, type Seconds, attribute, nothing } from './attribution.js'

/** Between two samples, in microseconds. */
const INTERVAL = 500
const LONGEST_RUN = 600

/** Where the time of a run went. */
export interface GuestProfile {
  readonly guest: string
  /** undefined for the engine that kaal chooses itself. */
  readonly engine: string | undefined
  /** Of JavaScript threads (the main one, and workers), by kind. */
  readonly seconds: Seconds
  /** CPU time of the main thread, as the system counts it; undefined where it does not. */
  readonly mainThread: number | undefined
  /** CPU time of all threads: V8's compilers and helpers of its garbage collector are among them. */
  readonly cpu: number
  readonly wall: number
}

/** What to profile. */
export interface ProfilePlan {
  readonly entry: string
  /** `preload.js`, built. */
  readonly preload: string
  readonly guests: readonly Guest[]
  /** Engines to profile; none for the one that kaal chooses. */
  readonly engines: readonly string[]
  readonly images: ReadonlyMap<string, string>
  readonly folder: string
  readonly onProgress?: (what: string) => void
}

/**
 * Profiles recordings.
 *
 * @throws {Error} naming the guest and what is wrong, if a run fails or its result is not the right one.
 */
export async function profileGuests(plan: ProfilePlan): Promise<GuestProfile[]> {
  const { entry, guests, engines, onProgress } = plan
  const modes = kaalModes(entry, engines).filter(
    ({ name, engine }) => name === 'record' && (engines.length === 0 || engine !== undefined),
  )
  const profiles: GuestProfile[] = []
  for (const guest of guests)
    for (const mode of modes) {
      onProgress?.(`${guest.name}, ${modeName(mode)}`)
      profiles.push(await profileRun(plan, guest, mode))
    }
  return profiles
}

async function profileRun({ images, folder, preload }: ProfilePlan, guest: Guest, mode: Mode): Promise<GuestProfile> {
  const [node, ...rest] = mode.command(images.get(guest.name) ?? guest.name, join(folder, 'profiled.kaal'))
  const profiles = join(folder, 'profiles')
  rmSync(profiles, { recursive: true, force: true })
  mkdirSync(profiles)
  const profiler = ['--cpu-prof', '--cpu-prof-dir', profiles, '--cpu-prof-interval', String(INTERVAL)]
  const output = join(folder, 'output')
  const mainThread = join(folder, 'main-thread')
  const command = ['env', `KAAL_BENCH_MAIN_THREAD=${mainThread}`, node, ...profiler, '--import', preload, ...rest]
  try {
    rmSync(mainThread, { force: true })
    const { cpu, wall } = await measure(command, output, LONGEST_RUN)
    const wrong = wrongOutput(guest, readFileSync(output, 'latin1'), mode.counting)
    if (wrong !== undefined) throw new Error(wrong)
    const seconds = nothing()
    // A file for each thread.
    for (const name of readdirSync(profiles))
      attribute(JSON.parse(readFileSync(join(profiles, name), 'utf8')) as CpuProfile, seconds)
    const main = existsSync(mainThread) ? Number(readFileSync(mainThread, 'utf8')) : undefined
    return { guest: guest.name, engine: mode.engine, seconds, mainThread: main, cpu, wall }
  } catch (error) {
    throw new Error(`${guest.name}, ${modeName(mode)}: ${(error as Error).message}`, { cause: error })
  }
}
