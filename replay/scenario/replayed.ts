/** What only a replay tells of a recorded run: how long inputs came after what they answer, whom exceptions were taken from, whether it slept in the end. */
import { UnsupportedFeature } from '../../cpu/processor.js'
import type { Machine } from '../../devices/machine.js'
import type { TraceReader } from '../../trace/reader.js'
import { readDescription } from '../description.js'
import { type MachineFactory, kindOf } from '../execution.js'
import { yieldToHost } from '../platform.js'
import { TimelineInputs } from '../timeline/inputs.js'
import { ExceptionTally } from './exceptions.js'

/** The facts. */
export interface Replayed {
  /** For each input, virtual nanoseconds since the last byte printed or input before it, or since reset. */
  readonly delays: readonly number[]
  /** Whether the guest waits in the end, and nothing would ever wake it. */
  readonly asleep: boolean
  readonly exceptions: ExceptionTally
}

/** The host's event loop gets its turn after so many instructions. */
const TURN = 2 ** 23

/** Replays a trace, without comparing digests. */
export async function replayedFacts(
  reader: TraceReader,
  make: MachineFactory,
  onProgress: (icount: number) => void,
): Promise<Replayed> {
  const { config, files } = readDescription(reader)
  const exceptions = new ExceptionTally()
  let last = 0
  const machine: Machine = make(config, files, {
    interrupt: () => {},
    exception: (_icount, _vcpu, esr) => {
      const { el, spsr_el: spsr } = machine.cpu.state
      exceptions.add(kindOf(esr), esr, Number((spsr[el] >> 2n) & 3n))
    },
    transmit: () => {
      last = machine.now()
    },
  })
  const inputs = new TimelineInputs(reader, machine)
  const delays: number[] = []
  machine.door = {
    get next() {
      return inputs.next
    },
    deliver: (icount) => {
      const before = inputs.given
      inputs.deliver(icount)
      for (let n = before; n < inputs.given; n++) {
        delays.push(machine.now() - last)
        last = machine.now()
      }
    },
  }
  const { instructions } = reader.meta
  try {
    for (let next = 0; ;) {
      const end = machine.run(next)
      if (end === 'idle') machine.skipIdle()
      else if (end === 'reset') machine.restart()
      else if (end === 'power-off' || end === 'asleep') return { delays, asleep: end === 'asleep', exceptions }
      else if (end === 'limit' && next >= instructions) {
        // A processor that waits executes nothing more.
        const asleep = machine.cpu.waiting && machine.run(instructions + 1) === 'asleep'
        return { delays, asleep, exceptions }
      } else if (end === 'limit') {
        next = Math.min(next + TURN, instructions)
        onProgress(machine.icount)
        await yieldToHost()
      }
    }
  } catch (error) {
    // Its recording ended there too.
    if (error instanceof UnsupportedFeature) return { delays, asleep: false, exceptions }
    throw error
  }
}
