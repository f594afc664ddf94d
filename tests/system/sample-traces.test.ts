/**
 * The sample traces replay to their last digest. They were recorded by an earlier kaal: a change of what any instruction or device means
 * shows here first. If the change is right, `traces/record.sh` records them anew.
 */
import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { Replayer } from '../../replay/replayer.js'
import { TraceReader } from '../../trace/reader.js'
import { verifyTrace } from '../../trace/verify.js'
import { ROOT } from '../support/kaal.js'

interface Sample {
  readonly instructions: number
  readonly finalDigest: string
  readonly rows: Readonly<Record<string, number>>
}

const samples = JSON.parse(readFileSync(join(ROOT, 'traces/samples.json'), 'utf8')) as Record<string, Sample>
const LIMIT = 300_000
const TABLES = ['batches', 'interrupts', 'exceptions', 'uart', 'inputs', 'snapshots'] as const

/** Lines of the guest's output that say that it got where it should. */
const LINES: Readonly<Record<string, readonly RegExp[]>> = {
  'kaal-boot': [
    /^Hello from KaaL Kernel!$/m,
    /^KaaL Rust Microkernel v0\.1\.0$/m,
    /^Self tests: \d+ passed, 0 failed$/m,
    /^System powering off\.$/m,
  ],
  'kaal-fault': [
    /^Self tests: \d+ passed, 0 failed$/m,
    /^KERNEL PANIC: fault in the kernel: data abort from EL1, read, translation fault, level 0$/m,
    /^ {2}esr 0x96000004 {2}far 0x0000000000000000/m,
    /^System powering off\.$/m,
  ],
  'kaal-bootimage': [/^Hello from user-space!$/m, /^12 passed, 0 failed$/m],
  'kaal-user-fault': [/^ {2}ok {5}fault: memory is supplied, and the thread goes on$/m, /^37 passed, 0 failed$/m],
  'kaal-preempted-ipc': [/^ {2}ok {5}ipc: messages of every length, there and back$/m, /^\d+ passed, 0 failed$/m],
  'kaal-slow-tick': [
    /^ {2}FAILED scheduling: .* a thread of the same priority had no turn$/m,
    /^\d+ passed, 1 failed$/m,
  ],
}

test('there are the samples that are looked at here', () => {
  expect(Object.keys(samples)).toEqual(Object.keys(LINES))
})

describe.each(Object.entries(samples))('traces/%s.kaal', (name, sample) => {
  const path = join(ROOT, 'traces', `${name}.kaal`)

  test('is small and undamaged', () => {
    expect(statSync(path).size).toBeLessThan(LIMIT)
    expect(verifyTrace(path).problems).toEqual([])
  })

  test('replays completely', async () => {
    const reader = TraceReader.open(path)
    const bytes: number[] = []
    const replayer = new Replayer(reader, { onTransmit: (byte) => bytes.push(byte) })
    const result = await replayer.run()
    expect(result).toEqual({ kind: 'same', instructions: sample.instructions, finalDigest: sample.finalDigest })
    expect(reader.meta.finalDigest).toBe(sample.finalDigest)
    expect(Object.fromEntries(TABLES.map((table) => [table, reader.count(table)]))).toEqual(
      Object.fromEntries(TABLES.map((table) => [table, sample.rows[table]])),
    )
    const text = Buffer.from(bytes).toString('latin1').replaceAll('\r', '')
    for (const line of LINES[name]) expect(text).toMatch(line)
    expect(bytes).toEqual([...reader.uart()].filter(({ direction }) => direction === 0).map(({ byte }) => byte))
    reader.close()
  })
})
