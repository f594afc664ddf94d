/** A run of N instructions is the same whether it is made in one go or in pieces of any size: over the boot of KaaL. */
import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { DEFAULT_CONFIG } from '../../devices/config.js'
import { Machine } from '../../devices/machine.js'

const LENGTH = 300_000
const bytes = readFileSync(new URL('../../kernel/prebuilt/kaal.elf', import.meta.url))

interface Trace {
  readonly events: string[]
  readonly hashes: Map<number, string>
}

/** Runs to LENGTH, stopping at each of `stops`; gives what happened, and the state's hash wherever `hashAt` asks for it. */
function boot(stops: readonly number[], hashAt: readonly number[]): Trace {
  const events: string[] = []
  const machine = new Machine(
    { ...DEFAULT_CONFIG, memoryBytes: 64 * 2 ** 20 },
    { kernel: { name: 'kaal.elf', bytes } },
    {
      interrupt: (icount, _vcpu, intid, pc) => events.push(`${icount} interrupt ${intid} ${pc.toString(16)}`),
      exception: (icount, _vcpu, esr) => events.push(`${icount} exception ${esr.toString(16)}`),
      transmit: (icount, byte) => events.push(`${icount} uart ${byte}`),
    },
  )
  const hashes = new Map<number, string>()
  for (const stop of [...stops, LENGTH]) {
    for (;;) {
      const end = machine.run(stop)
      if (end === 'limit') break
      if (end === 'idle') machine.skipIdle()
      else if (end !== 'interrupt') throw new Error(`the boot ends at ${machine.icount}: ${end}`)
    }
    if (!hashAt.includes(stop)) continue
    machine.hash.compute()
    hashes.set(
      stop,
      `${machine.hash.hi.toString(16)}:${machine.hash.lo.toString(16)} ${machine.cpu.state.pc.toString(16)}`,
    )
  }
  return { events, hashes }
}

const checkpoints = [100_000, 200_000, LENGTH]
const whole = boot(checkpoints, checkpoints)

test('the boot is far enough to mean something', () => {
  expect(whole.events.length).toBeGreaterThan(50)
  expect(new Set(whole.hashes.values()).size).toBe(3)
})

test('pieces of random sizes', () => {
  fc.assert(
    fc.property(
      fc.array(fc.oneof(fc.integer({ min: 1, max: 20_000 }), fc.integer({ min: 1, max: 50 })), {
        minLength: 20,
        maxLength: 200,
      }),
      (sizes) => {
        const stops = [...checkpoints]
        let at = 0
        for (const size of sizes) if ((at += size) < LENGTH) stops.push(at)
        expect(
          boot(
            [...new Set(stops)].sort((a, b) => a - b),
            checkpoints,
          ),
        ).toEqual(whole)
      },
    ),
    { numRuns: 12 },
  )
})

test('one instruction at a time, for a while', () => {
  const singly = Array.from({ length: 5000 }, (_, i) => 195_000 + i)
  expect(boot([100_000, ...singly, 200_000], checkpoints)).toEqual(whole)
})
