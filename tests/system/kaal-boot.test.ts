/** The bundled KaaL image, through the command: the same twice, the same when replayed, the same as on QEMU, and safe against SIGKILL. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { TraceReader } from '../../trace/reader.js'
import { KAAL, kaal, scratchFolder } from '../support/kaal.js'

describe.each([
  ['EL1', [], 'kaal-boot.uart.txt'],
  ['EL2', ['--virtualization'], 'kaal-boot-el2.uart.txt'],
])('from %s', (_level, options, file) => {
  test('prints what it prints on QEMU, to the same digest each time, and replays', () => {
    // Written by kaal-boot.uart.sh.
    const expected = readFileSync(join(import.meta.dirname, file))
    const folder = scratchFolder()
    const digests = ['a', 'b'].map((name) => {
      const { stdout, stderr, status } = kaal(folder, 'record', '-o', `${name}.kaal`, ...options)
      expect(stdout.equals(expected), stdout.toString()).toBe(true)
      expect(status, stderr.toString()).toBe(0)
      return /^kaal: final digest ([0-9a-f]{64})$/m.exec(stderr.toString())?.[1]
    })
    expect(digests[0]).toBeDefined()
    expect(digests[1]).toBe(digests[0])
    const replay = kaal(folder, 'replay', 'a.kaal')
    expect(replay.stdout.equals(expected)).toBe(true)
    expect(replay.status, replay.stderr.toString()).toBe(0)
  })
})

describe('a recorder that is killed', () => {
  test('leaves a trace that replays up to its last batch', async () => {
    const folder = scratchFolder()
    let replayed = 0
    for (let attempt = 0; attempt < 4; attempt++) {
      const name = `killed-${attempt}.kaal`
      const recorder = spawn(process.execPath, [KAAL, 'record', '-o', name, '--append', 'spin=20000'], {
        cwd: folder,
        stdio: ['ignore', 'pipe', 'ignore'],
      })
      // Start-up takes its time on a busy machine: wait for the guest's first word.
      await once(recorder.stdout, 'data')
      await wait(Math.random() * 600)
      recorder.kill('SIGKILL')
      const [status, signal] = (await once(recorder, 'exit')) as [number | null, string | null]
      expect([status, signal]).toEqual([null, 'SIGKILL'])

      const { status: outcome, stderr } = kaal(folder, 'replay', '--quiet', name)
      expect(outcome, stderr.toString()).toBe(0)
      expect(stderr.toString()).toMatch(/bit for bit the same up to [\d_]+; the trace is unfinished/)
      const reader = TraceReader.open(join(folder, name))
      expect(reader.meta.finished).toBe(false)
      if (reader.batchCount > 0) replayed++
      reader.close()
    }
    expect(replayed).toBeGreaterThan(0)
  })
})
