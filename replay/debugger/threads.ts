/** `threads`: the processors as they stand, and what can be said of the kernel's own threads. */
import type { Report } from './command.js'
import type { Debugger } from './debugger.js'
import { demangle } from './demangle.js'

/** Names by which kernels keep the thread that runs, or all of them, at the end of a symbol's path. */
const CANDIDATES = [
  'CURRENT_THREAD',
  'current_thread',
  'CURRENT',
  'current',
  'THREADS',
  'threads',
  'SCHEDULER',
  'runqueues',
]

/** What runs. */
export function threads(debug: Debugger): Report {
  const { names, timeline } = debug
  const { state } = timeline.machine.cpu
  // TCR_EL1.A1 says which of the two bases has the ASID.
  const asid = Number((((state.tcr_el[1] >> 22n) & 1n) === 1n ? state.ttbr1_el1 : state.ttbr0_el[1]) >> 48n)
  const waits = state.halted ? ', waiting for an interrupt' : ''
  const lines = [`vCPU 0  EL${state.el}${waits}  ASID ${asid}  ${debug.place(state.pc)}`]
  const found = CANDIDATES.flatMap((name) =>
    names.like(name).filter((full) => full === name || full.endsWith(`::${name}`)),
  )
  if (found.length === 0) {
    lines.push(`the kernel's own threads: no symbol tells of them (none of ${CANDIDATES.join(', ')})`)
  } else {
    for (const name of new Set(found)) {
      const address = names.addressOf(name)
      if (address === undefined) continue
      const symbol = names.find(address)
      lines.push(`the kernel's own threads: ${debug.place(address)}, ${symbol?.size ?? 0} bytes`)
    }
    lines.push('  what they hold is not shown: the symbols give places and sizes, and line tables no types')
  }
  const kernel = [...new Set(found)].map((name) => ({ symbol: demangle(name), address: names.addressOf(name) }))
  return { lines, data: { vcpus: [{ vcpu: 0, el: state.el, asid, halted: state.halted !== 0, pc: state.pc }], kernel } }
}
