/** A run of N instructions is the same whether it is made in one go or in pieces of any size: over the boot of KaaL. */
import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { DEFAULT_CONFIG } from '../../devices/config.js'
import { Machine } from '../../devices/machine.js'

/** Where the pieces begin and end: after the console's first lines, around page faults, system calls, timer interrupts and idle skips. */
const FROM = 1_825_000
const TO = 2_185_000
const bytes = readFileSync(new URL('../../kernel/prebuilt/kaal.elf', import.meta.url))

interface Trace {
  readonly events: string[]
  readonly hashes: Map<number, string>
}

/** Runs to TO, stopping at each of `stops`; gives what happened, and the state's hash wherever `hashAt` asks for it. */
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
  for (const stop of [...stops, TO]) {
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

const checkpoints = [300_000, FROM, 1_900_000, 2_000_000, TO]
const whole = boot(checkpoints, checkpoints)

test('the boot is far enough to mean something', () => {
  const count = (kind: string) => whole.events.filter((event) => event.includes(kind)).length
  expect(count('exception')).toBeGreaterThan(5)
  expect(count('interrupt')).toBeGreaterThan(5)
  expect(new Set(whole.hashes.values()).size).toBe(checkpoints.length)
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
        let at = FROM
        for (const size of sizes) if ((at += size) < TO) stops.push(at)
        expect(
          boot(
            [...new Set(stops)].toSorted((a, b) => a - b),
            checkpoints,
          ),
        ).toEqual(whole)
      },
    ),
    { numRuns: 12 },
  )
})

test('one instruction at a time, for a while', () => {
  const singly = Array.from({ length: 8000 }, (_, i) => 1_898_000 + i)
  expect(
    boot(
      [...new Set([...checkpoints, ...singly])].toSorted((a, b) => a - b),
      checkpoints,
    ),
  ).toEqual(whole)
})
