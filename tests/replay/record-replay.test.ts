/** What is recorded replays bit for bit; what differs is found and named. */
import { copyFileSync } from 'node:fs'
import Database from 'better-sqlite3'
import { describe, expect, it } from 'vitest'
import { Replayer } from '../../replay/replayer.js'
import { TraceReader } from '../../trace/reader.js'
import { KAAL, record, words } from './recording.js'

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes)

async function replay(path: string) {
  const output: number[] = []
  const reader = TraceReader.open(path, { seal: false })
  try {
    const result = await new Replayer(reader, { onTransmit: (byte) => output.push(byte) }).run()
    return { result, output: Uint8Array.from(output) }
  } finally {
    reader.close()
  }
}

describe('a recording', () => {
  it('of the KaaL boot has the same final digest each time, and replays to it', async () => {
    const first = await record({ kernel: KAAL })
    const second = await record({ kernel: KAAL })
    expect(first.result.end).toBe('power-off')
    expect(second.result.finalDigest).toBe(first.result.finalDigest)
    const { result, output } = await replay(first.path)
    expect(result).toEqual({
      kind: 'same',
      instructions: first.result.instructions,
      finalDigest: first.result.finalDigest,
    })
    expect(text(output)).toBe(text(first.output))
    expect(text(output)).toContain('Hello from KaaL Kernel!')
  })

  it('has snapshots where its interval says, and replays with them', async () => {
    const { path, result } = await record({ kernel: KAAL, snapshots: { interval: 300_000, pageInstructions: 0 } })
    const reader = TraceReader.open(path)
    const positions = reader.snapshotPositions()
    reader.close()
    expect(positions).toEqual(
      Array.from({ length: Math.floor(result.instructions / 300_000) }, (_, i) => (i + 1) * 300_000),
    )
    expect((await replay(path)).result.kind).toBe('same')
  })

  it('that stops after so many instructions is a whole trace', async () => {
    const { path, result } = await record({ kernel: KAAL, run: { maxInstructions: 1_234_567 } })
    expect(result).toMatchObject({ end: 'limit', instructions: 1_234_567 })
    expect((await replay(path)).result).toMatchObject({ kind: 'same', instructions: 1_234_567 })
  })

  it('of a guest that enters at EL2 replays too', async () => {
    const { path, result } = await record({ kernel: KAAL, config: { virtualization: true } })
    expect(result.end).toBe('power-off')
    expect((await replay(path)).result.kind).toBe('same')
  })
})

describe('a guest that goes wrong', () => {
  it('by waiting for ever is reported, with the position', async () => {
    // msr daifset, #15; wfi; b .-4
    const { path, result } = await record({ kernel: words(0xd5034fdf, 0xd503207f, 0x17ffffff) })
    expect(result.end).toBe('asleep')
    expect(result.message).toMatch(/guest idle with nothing to wake it at \d+/)
    expect((await replay(path)).result.kind).toBe('same')
  })

  it('by jumping into nothing is reported as a loop of faults', async () => {
    // movz x0, #0x2000, lsl #16; br x0
    const { path, result } = await record({ kernel: words(0xd2a40000, 0xd61f0000) })
    expect(result.end).toBe('fault-loop')
    expect((await replay(path)).result.kind).toBe('same')
  })

  it('by asking for what is not modelled ends at that instruction, unchanged', async () => {
    // movz x0, #0x8000; msr mdscr_el1, x0
    const { path, result } = await record({ kernel: words(0xd2900000, 0xd5100240) })
    expect(result).toMatchObject({ end: 'unsupported', message: expect.stringContaining('MDSCR_EL1 = 0x8000') })
    expect((await replay(path)).result.kind).toBe('same')
  })
})

describe('a replay that differs', () => {
  it('says in which batch, and which event is the first that differs', async () => {
    const { path } = await record({ kernel: KAAL })
    const changed = path.replace('.kaal', '-changed.kaal')
    copyFileSync(path, changed)
    const database = new Database(changed)
    // Another byte on the UART, and so another digest of its batch: what a replay of a changed kaal would meet.
    const { run, i, icount } = database.prepare('SELECT * FROM uart ORDER BY run, i LIMIT 1 OFFSET 999').get() as {
      run: number
      i: number
      icount: number
    }
    const events = database.prepare('SELECT events FROM uart_runs WHERE n = ?').pluck().get(run) as Buffer
    events[4 * i + 3] = 88
    database.prepare('UPDATE uart_runs SET events = ? WHERE n = ?').run(events, run)
    database
      .prepare('UPDATE batches SET digest = digest + 1 WHERE icount <= ? AND icount + count > ?')
      .run(icount, icount)
    database.close()
    const { result } = await replay(changed)
    expect(result.kind).toBe('diverged')
    if (result.kind !== 'diverged') return
    expect(result.divergence.recorded.icount).toBeLessThanOrEqual(icount)
    expect(result.divergence.message).toContain(`byte 0x58 sent at ${icount} in the trace`)
  })
})
