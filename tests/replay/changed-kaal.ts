/** Kaals that are wrong in one bit: the real thing with a row of the instruction table changed, or with a part of its board that says something else. */
import { vi } from 'vitest'
import type { Semantics } from '../../cpu/ir/semantics.js'
import type { AnyRaw, Instruction } from '../../cpu/isa/instruction.js'
import type { TableWalker } from '../../cpu/mmu/walk.js'
import { Machine } from '../../devices/machine.js'
import type { MachineFactory } from '../../replay/execution.js'

type Meaning = Semantics<AnyRaw>

/** What a meaning does instead of some of what it says. */
export type Change = (original: Meaning) => Partial<Meaning>

/** A kaal whose instructions of one row have another meaning: all of its modules are loaded anew, with that row changed. */
export async function withChangedRow(name: string, change: Change): Promise<MachineFactory> {
  vi.resetModules()
  vi.doMock('../../cpu/isa/dp-register.js', async (original) => {
    const { dpRegister } = await original<{ dpRegister: Instruction[] }>()
    if (!dpRegister.some((row) => row.name === name)) throw new Error(`no row ${name}`)
    return { dpRegister: dpRegister.map((row) => (row.name === name ? changed(row, change) : row)) }
  })
  try {
    const { Machine: Changed } = await import('../../devices/machine.js')
    return (config, files, events) => new Changed(config, files, events)
  } finally {
    vi.doUnmock('../../cpu/isa/dp-register.js')
    vi.resetModules()
  }
}

function changed(row: Instruction, change: Change): Instruction {
  return {
    ...row,
    exec: (c, f) => {
      const instead = change(c) as Record<string | symbol, unknown>
      const wrapped = new Proxy(c, {
        get: (target, property) => {
          const value: unknown = instead[property] ?? Reflect.get(target, property, target)
          return typeof value === 'function' ? (value as () => void).bind(target) : value
        },
      })
      row.exec(wrapped, f)
    },
  }
}

/** A kaal with a machine that something is done to. */
export const withChangedMachine = (change: (machine: Machine) => void): MachineFactory => {
  return (config, files, events) => {
    const machine = new Machine(config, files, events)
    change(machine)
    return machine
  }
}

/** Calls `told` for every table walk of a machine, with the virtual page in halves; it may change the result. */
export function onWalk(machine: Machine, told: (lo: number, hi: number, result: TableWalker['result']) => void): void {
  const { walker } = machine.cpu.mmu as unknown as { walker: TableWalker }
  const walk = walker.walk.bind(walker)
  walker.walk = (regime, lo, hi) => {
    const result = walk(regime, lo, hi)
    told(lo & ~0xfff, hi, result)
    return result
  }
}

/** Calls `told` for every write to a device; it gives what is written instead. */
export function onDeviceWrite(machine: Machine, told: (physical: number, value: number) => number): void {
  const { bus } = machine.board
  const write = bus.write.bind(bus)
  bus.write = (physical, size, lo, hi) => write(physical, size, told(physical, lo), hi)
}

/** Does something to a machine when it comes to a position, if it is run so many instructions at least at once. */
export function atPosition(machine: Machine, at: number, action: () => void, longest = 0): void {
  const run = machine.run.bind(machine)
  machine.run = (limit) => {
    if (machine.icount >= at || limit < at || limit - machine.icount < longest) return run(limit)
    const end = run(at)
    if (machine.icount !== at) return end
    action()
    return end === 'limit' && limit > at ? run(limit) : end
  }
}
