/** What the sample traces of the kernel's chapters 4 to 7 are there to show is in them. */
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { observe } from '../../replay/export/observe.js'
import { Timeline } from '../../replay/timeline.js'
import { TraceReader } from '../../trace/reader.js'
import { ROOT } from '../support/kaal.js'

/** System calls, by x7; the label of a memory fault's message; the tick's interrupt. */
const CALL = -1n
const MEMORY_FAULT = 5n
const TICK = 27

async function opened<T>(name: string, look: (reader: TraceReader, timeline: Timeline) => T | Promise<T>): Promise<T> {
  const reader = TraceReader.open(join(ROOT, 'traces', name))
  try {
    return await look(reader, new Timeline(reader))
  } finally {
    reader.close()
  }
}

describe('kaal-user-fault.kaal', () => {
  test('has a fault of a program that its handler receives as a message, the address in its second word', () =>
    opened('kaal-user-fault.kaal', (reader, timeline) => {
      const { cpu } = timeline.machine
      const delivered = [...reader.exceptions()]
        .filter(({ kind }) => kind === 'data-abort')
        .some(({ icount, far }) => {
          timeline.seek(icount + 1)
          if (((cpu.state.spsr_el[1] >> 2n) & 3n) !== 0n) return false
          // Its handler may ask for it only later.
          for (let n = 0; n < 20_000; n++) {
            timeline.step()
            const { el, x } = cpu.state
            if (el === 0 && x[1] >> 12n === MEMORY_FAULT && x[3] === far) return true
          }
          return false
        })
      expect(delivered).toBe(true)
    }))
})

describe('kaal-preempted-ipc.kaal', () => {
  test('has a tick between a call and its reply, while the one that was called runs', () =>
    opened('kaal-preempted-ipc.kaal', async (reader, timeline) => {
      const { cpu } = timeline.machine
      const ticks = [...reader.interrupts()].filter(({ intid }) => intid === TICK)
      const { happenings } = await observe(reader, { calls: true })
      const found = happenings.filter((each) => {
        if (each.kind !== 'syscall' || !each.returned) return false
        const tick = ticks.find(({ icount }) => icount > each.position && icount < (each.returned?.position ?? 0))
        if (!tick) return false
        timeline.seek(each.position)
        if (cpu.state.el !== 0 || BigInt.asIntN(64, cpu.state.x[7]) !== CALL) return false
        const caller = cpu.state.sp
        timeline.seek(tick.icount)
        // The interrupt has just been taken, from a program with another stack.
        const fromProgram = ((cpu.state.spsr_el[1] >> 2n) & 3n) === 0n
        return fromProgram && cpu.state.sp_el[0] !== caller
      })
      expect(found.length).toBeGreaterThan(0)
    }))
})
