/** What a recorder leaves behind that is killed, or whose disk is full. */
import { existsSync } from 'node:fs'
import { text } from 'node:stream/consumers'
import { describe, expect, test } from 'vitest'
import { TraceReader } from '../../trace/reader.js'
import { verifyTrace } from '../../trace/verify.js'
import { startModule } from './child.js'
import { testFolder } from './folder.js'

/** More by hand: `KAAL_KILLS=50 npx vitest run tests/trace/kill.test.ts`. */
const KILLS = Number(process.env['KAAL_KILLS'] ?? 8)
const folder = testFolder()
const endless = new URL('./endless.ts', import.meta.url)

/** Kills a recorder so many milliseconds after it began. @returns how many batches it had said were committed. */
async function record(path: string, milliseconds: number): Promise<number> {
  const child = startModule(endless, [path])
  let out = ''
  const errors = text(child.stderr)
  const ended = new Promise<NodeJS.Signals | null>((resolve) => child.on('exit', (_, signal) => resolve(signal)))
  child.stdout.setEncoding('utf8').on('data', (piece: string) => {
    if (out === '') setTimeout(() => child.kill('SIGKILL'), milliseconds)
    out += piece
  })
  expect(await ended, await errors).toBe('SIGKILL')
  return Number(out.match(/committed (\d+)\n(?![^]*committed \d+\n)/)?.[1] ?? 0)
}

describe('a recorder that is killed', () => {
  for (let n = 0; n < KILLS; n++) {
    // The first kills hit the creation of the file, the later ones the recording.
    const milliseconds = n < KILLS / 4 ? Math.random() * 8 : Math.random() * 150
    test(`leaves whole batches after ${milliseconds.toFixed(1)} ms`, async () => {
      const path = folder(`killed-${n}.kaal`)
      const committed = await record(path, milliseconds)
      if (!existsSync(path)) {
        expect(committed).toBe(0)
        return
      }
      const report = verifyTrace(path)
      expect(report.problems).toEqual([])
      expect(report.finished).toBe(false)
      expect(report.unchecked[0]).toContain('unfinished trace has no seal')
      const reader = TraceReader.open(path)
      try {
        expect(reader.batchCount).toBeGreaterThanOrEqual(committed)
        expect(reader.meta.instructions).toBe(reader.batchCount * 1000)
        for (const table of ['interrupts', 'exceptions', 'inputs'] as const) {
          expect(reader.count(table)).toBe(reader.batchCount)
        }
        expect(reader.count('uart')).toBe(reader.batchCount * 5)
        expect(reader.count('snapshots')).toBe(Math.floor(reader.batchCount / 4))
      } finally {
        reader.close()
      }
    })
  }
})

describe('a recorder without room', () => {
  test('says so once and keeps what was committed', async () => {
    const path = folder('full.kaal')
    const child = startModule(endless, [path], { fileLimit: 2048 })
    const [out, errors] = await Promise.all([text(child.stdout), text(child.stderr)])
    const last = out.trimEnd().split('\n').at(-1) as string
    expect(last, errors).toMatch(
      /^(full|write) \d+: .*full\.kaal: .*instructions recorded before remain a valid trace$/,
    )
    const committed = Number(last.split(' ')[1].replace(':', ''))
    expect(committed).toBeGreaterThan(0)
    expect(verifyTrace(path)).toMatchObject({ finished: false, instructions: committed, problems: [] })
  })

  test('leaves nothing behind if there is none for the start', async () => {
    const path = folder('never.kaal')
    const child = startModule(endless, [path], { fileLimit: 16 })
    const errors = await text(child.stderr)
    expect(errors).toMatch(/TraceError: .*never\.kaal: cannot create the trace: /)
    expect(existsSync(path)).toBe(false)
  })
})
