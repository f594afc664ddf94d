/** KaaL as it is now, through the command: the same twice, the same when replayed, the same as on QEMU, and safe against SIGKILL. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { TraceReader } from '../../trace/reader.js'
import { KAAL, ROOT, kaal, scratchFolder } from '../support/kaal.js'

/** The kernel without a root task. */
const ALONE = join(ROOT, 'kernel/prebuilt/kaal.elf')

/** What QEMU prints, as kaal-boot.uart.sh has written it down. */
const onQemu = (file: string): Buffer => readFileSync(join(import.meta.dirname, file))

/** Records in a folder what must print `expected`, and gives the final digest. */
function recorded(folder: string, name: string, expected: Buffer, ...options: string[]): string | undefined {
  const { stdout, stderr, status } = kaal(folder, 'record', '-o', `${name}.kaal`, ...options)
  expect(stdout.equals(expected), stdout.toString()).toBe(true)
  expect(status, stderr.toString()).toBe(0)
  return /^kaal: final digest ([0-9a-f]{64})$/m.exec(stderr.toString())?.[1]
}

/** Replays what was recorded, which must print the same. */
function replays(folder: string, name: string, expected: Buffer): void {
  const replay = kaal(folder, 'replay', `${name}.kaal`)
  expect(replay.stdout.equals(expected)).toBe(true)
  expect(replay.status, replay.stderr.toString()).toBe(0)
}

describe.each([
  ['EL1', [], 'kaal-boot.uart.txt'],
  ['EL2', ['--virtualization'], 'kaal-boot-el2.uart.txt'],
])('the kernel alone, from %s', (_level, options, file) => {
  test('prints what it prints on QEMU, to the same digest each time, and replays', () => {
    const expected = onQemu(file)
    const folder = scratchFolder()
    const [a, b] = ['a', 'b'].map((name) => recorded(folder, name, expected, ...options, ALONE))
    expect(a).toBeDefined()
    expect(b).toBe(a)
    replays(folder, 'a', expected)
  })
})

describe('the bundled image: loader, kernel, root task and test suite', () => {
  test('every test passes, with the output of QEMU, and replays', () => {
    const expected = onQemu('kaal-suite.uart.txt')
    expect(expected.toString()).toMatch(/\n[1-9]\d* passed, 0 failed\r?\n/)
    const folder = scratchFolder()
    recorded(folder, 'suite', expected)
    replays(folder, 'suite', expected)
  })

  test('from EL2, and a part of the suite, the same', () => {
    const expected = onQemu('kaal-suite-el2.uart.txt')
    const folder = scratchFolder()
    recorded(folder, 'part', expected, '--virtualization', '--append', 'suite=ipc:')
    replays(folder, 'part', expected)
  })
})

describe('a recorder that is killed', () => {
  test('leaves a trace that replays up to its last batch', async () => {
    const folder = scratchFolder()
    let replayed = 0
    for (let attempt = 0; attempt < 4; attempt++) {
      const name = `killed-${attempt}.kaal`
      const recorder = spawn(process.execPath, [KAAL, 'record', '-o', name, '--append', 'spin=20000', ALONE], {
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
