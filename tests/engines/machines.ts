/** Runs of a guest with an engine, stopped at given positions, and the state found there. */
import { readFileSync } from 'node:fs'
import type { Engine } from '../../cpu/translator/translator.js'
import { DEFAULT_CONFIG } from '../../devices/config.js'
import { Machine } from '../../devices/machine.js'

/** What an engine is asked to do: `flushEvery` stops, all translations are forgotten. */
export interface EngineSetting {
  readonly engine: Engine
  readonly threshold?: number
  readonly flushEvery?: number
}

/** Where a guest stopped, and its state there. */
export interface Stop {
  readonly icount: number
  readonly pc: string
  readonly hash: string
}

/** An image of the repository, by its path. */
export function image(path: string): { name: string; bytes: Uint8Array } {
  return { name: path, bytes: readFileSync(new URL(`../../${path}`, import.meta.url)) }
}

/** A machine with that image, and what it has told. */
export class EngineRun {
  readonly machine: Machine
  readonly events: string[] = []
  private readonly setting: EngineSetting
  private stops = 0

  constructor(path: string, setting: EngineSetting, memoryMiB: number) {
    this.setting = setting
    this.machine = new Machine(
      { ...DEFAULT_CONFIG, memoryBytes: memoryMiB * 2 ** 20 },
      { kernel: image(path) },
      {
        interrupt: (icount, _vcpu, intid, pc) => this.events.push(`${icount} interrupt ${intid} ${pc.toString(16)}`),
        exception: (icount, _vcpu, esr) => this.events.push(`${icount} exception ${esr.toString(16)}`),
        transmit: (icount, byte) => this.events.push(`${icount} uart ${byte}`),
      },
    )
    this.machine.cpu.setEngine(setting.engine, setting.threshold)
  }

  /** Runs to a position. Returns undefined if the guest has ended before. */
  stopAt(position: number): Stop | undefined {
    const { machine, setting } = this
    for (;;) {
      const end = machine.run(position)
      if (end === 'limit') break
      if (end === 'idle') machine.skipIdle()
      else if (end !== 'interrupt') return undefined
    }
    this.stops++
    if (setting.flushEvery !== undefined && this.stops % setting.flushEvery === 0) machine.cpu.flushTranslations()
    machine.hash.compute()
    const { hash, icount } = machine
    return { icount, pc: machine.cpu.state.pc.toString(16), hash: `${hash.hi.toString(16)}:${hash.lo.toString(16)}` }
  }

  /** A digest of RAM: what the state's hash does not cover. */
  ramDigest(): number {
    const { ram } = this.machine.memory
    const words = new Int32Array(ram.buffer, ram.byteOffset, ram.length / 4)
    let sum = 0
    for (let i = 0; i < words.length; i++) sum = (Math.imul(sum, 31) + words[i]) | 0
    return sum
  }
}
