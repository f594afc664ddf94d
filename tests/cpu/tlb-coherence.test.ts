/**
 * The fast TLBs and the translation TLB together, as a guest meets them: loads, stores, changes of the tables and TLBIs in any order.
 * The model: a page's first use caches where it leads; only a TLBI that reaches it makes the tables count again.
 */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Guest, NORMAL, READ_ONLY, START, TABLES, syndrome } from './guest.js'

const VECTORS = START + 0x800n
/** Pages that share entries of the fast TLBs (64 and 320), and others. */
const VIRTUAL = [64, 65, 320, 321, 66]
const PHYSICAL = [0x600, 0x601, 0x602, 0x603]
const LOAD = START
const STORE = START + 4n
const TLBI_PAGE = START + 8n
const TLBI_ALL = START + 12n

type Step =
  | { kind: 'map'; page: number; to: number | undefined; readOnly: boolean }
  | { kind: 'load' | 'store' | 'tlbi'; page: number }
  | { kind: 'tlbi all'; page: number }

const page = fc.constantFrom(...VIRTUAL)
const steps = fc.array(
  fc.oneof(
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('map' as const), page, to: fc.option(fc.constantFrom(...PHYSICAL), { nil: undefined, freq: 4 }), readOnly: fc.boolean() }) }, // prettier-ignore
    { weight: 6, arbitrary: fc.record({ kind: fc.constantFrom('load' as const, 'store' as const), page }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('tlbi' as const), page }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('tlbi all' as const), page }) },
  ) as fc.Arbitrary<Step>,
  { minLength: 10, maxLength: 80, size: 'max' },
)

const guest = new Guest()
guest.program(START, 'f9400040 ldr x0, [x2]\nf9000041 str x1, [x2]\nd5088763 tlbi vaae1, x3\nd508871f tlbi vmalle1')

/** Executes the instruction at `pc`; returns the syndrome of the fault it ends in, or 0. */
function execute(pc: bigint): number {
  guest.cpu.state.pc = pc
  guest.faults.length = 0
  guest.run(1)
  return guest.faults[0] ?? 0
}

test('every access goes where the model says', () => {
  let stale = 0
  fc.assert(
    fc.property(steps, (list) => {
      guest.map({ [String(START)]: [START, NORMAL] })
      const { state } = guest.cpu
      state.vbar_el[1] = VECTORS
      const memory = new Map(PHYSICAL.map((n) => [n, BigInt(n)]))
      for (const n of PHYSICAL) guest.write(START + BigInt(n) * 0x1000n, BigInt(n))
      const tables = new Map<number, { to: number; readOnly: boolean }>()
      const cached = new Map<number, { to: number; readOnly: boolean }>()
      let counter = 0n
      for (const step of list) {
        const address = START + BigInt(step.page) * 0x1000n
        state.x[2] = address
        state.x[3] = address >> 12n
        if (step.kind === 'map') {
          const { to, readOnly } = step
          if (to === undefined) tables.delete(step.page)
          else tables.set(step.page, { to, readOnly })
          const descriptor =
            to === undefined ? 0n : (START + BigInt(to) * 0x1000n) | NORMAL | (readOnly ? READ_ONLY : 0n) | 3n
          guest.write(TABLES + 0x2000n + BigInt(step.page) * 8n, descriptor)
        } else if (step.kind === 'tlbi') {
          cached.delete(step.page)
          expect(execute(TLBI_PAGE)).toBe(0)
        } else if (step.kind === 'tlbi all') {
          cached.clear()
          expect(execute(TLBI_ALL)).toBe(0)
        } else {
          const store = step.kind === 'store'
          const found = cached.get(step.page) ?? tables.get(step.page)
          if (found) cached.set(step.page, found)
          if (found !== tables.get(step.page)) stale++
          state.x[1] = ++counter << 32n
          const esr = execute(store ? STORE : LOAD)
          if (!found) expect(esr).toBe(syndrome(0x25, 7 | (store ? 0x40 : 0)))
          else if (store && found.readOnly) expect(esr).toBe(syndrome(0x25, 0x4f))
          else {
            expect(esr).toBe(0)
            if (store) memory.set(found.to, state.x[1])
            else expect(guest.x(0)).toBe(memory.get(found.to))
          }
          for (const n of PHYSICAL) expect(guest.read(START + BigInt(n) * 0x1000n)).toBe(memory.get(n))
        }
      }
    }),
    { numRuns: 150 },
  )
  // Stale entries, the point of it, have been met.
  expect(stale).toBeGreaterThan(50)
})
