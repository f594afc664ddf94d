/** One guest of a soak: run on a fresh machine, with translations thrown away again and again, and checked. */
import type { Engine } from '../../cpu/translator/translator.js'
import type { Machine } from '../../devices/machine.js'
import { type Guest, wrongOutput } from '../guests.js'
import { bareMachine, runToPowerOff } from '../machine.js'

/** Translations are thrown away after 1 to this many slices of 2^20 instructions. */
const LONGEST_KEPT = 32

/** A seeded schedule of flushes, which goes on from guest to guest. */
export class FlushSchedule {
  flushes = 0
  private seed: number
  private left: number

  /** @param seed not 0. */
  constructor(seed: number) {
    this.seed = seed
    this.left = this.draw()
  }

  /** To be called after each slice: says whether to flush now. */
  due(): boolean {
    if (--this.left > 0) return false
    this.left = this.draw()
    this.flushes++
    return true
  }

  /** xorshift32 */
  private draw(): number {
    this.seed ^= this.seed << 13
    this.seed ^= this.seed >>> 17
    this.seed ^= this.seed << 5
    return 1 + ((this.seed >>> 0) % LONGEST_KEPT)
  }
}

/** The one place where translations are thrown away. */
const flush = (machine: Machine): void => machine.cpu.flushTranslations()

/** What a run has left, while its machine still exists. */
export interface SoakRun {
  readonly instructions: number
  readonly regions: number
}

/** Runs guests, and remembers the state each has ended in. */
export class Soak {
  private readonly ends = new Map<string, string>()
  private readonly engine: Engine
  readonly schedule: FlushSchedule

  constructor(engine: Engine, seed: number) {
    this.engine = engine
    this.schedule = new FlushSchedule(seed)
  }

  /**
   * Runs a guest to its end.
   *
   * @param whileHeld called before the machine is given up.
   * @throws {Error} saying what is wrong: output, number of instructions, or a state unlike that of the runs before.
   */
  async run(guest: Guest, image: string, whileHeld: () => void): Promise<SoakRun> {
    const output: number[] = []
    const machine = bareMachine(image, this.engine, (byte) => output.push(byte))
    await runToPowerOff(machine, () => {
      if (this.schedule.due()) flush(machine)
    })
    machine.hash.compute()
    const end = `${machine.icount} instructions, state ${machine.hash.hi >>> 0}:${machine.hash.lo >>> 0}`
    const before = this.ends.get(guest.name) ?? end
    this.ends.set(guest.name, before)
    const wrong =
      wrongOutput(guest, Buffer.from(output).toString('latin1'), true) ??
      (machine.icount === (guest.instructions ?? machine.icount)
        ? undefined
        : `${machine.icount} instructions, and should be ${guest.instructions}`) ??
      (end === before ? undefined : `ends with ${end}, and before with ${before}`)
    if (wrong !== undefined) throw new Error(`${guest.name}: ${wrong}`)
    whileHeld()
    return { instructions: machine.icount, regions: machine.cpu.translations.regions }
  }
}
