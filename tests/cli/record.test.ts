/** Recording, replaying and inspecting from the command line. */
import { readFileSync, writeFileSync } from 'node:fs'
import Database from 'better-sqlite3'
import { beforeAll, describe, expect, it } from 'vitest'
import { testFolder } from '../trace/folder.js'
import { KERNEL, build, guest, kaal, shell } from './kaal.js'

const folder = testFolder()
const boot = folder('boot.kaal')
let bootOutput = ''

beforeAll(async () => {
  build()
  const { code, stdout, stderr } = await kaal(['record', '-o', boot, '--append', 'suite=none'])
  expect({ code, stderr }).toMatchObject({ code: 0, stderr: expect.stringMatching(/instructions in /) })
  bootOutput = stdout
})

const sum = (bytes: Uint8Array): string => bytes.reduce((total, byte) => total + byte, 0).toString(16)

/** Input for the echo guests: 4,096 bytes, ^D last. */
function lines(): Uint8Array {
  return Uint8Array.from({ length: 4096 }, (_, n) => (n === 4095 ? 4 : 32 + ((n * 7919) % 95)))
}

describe('kaal record and replay', () => {
  it('boots the bundled kernel by default, and replays it with the same output', async () => {
    expect(bootOutput).toContain('Hello from KaaL Kernel!')
    expect(bootOutput).toMatch(/\d+ passed, 0 failed/)
    const { code, stdout, stderr } = await kaal(['replay', boot])
    expect({ code, stdout }).toEqual({ code: 0, stdout: bootOutput })
    expect(stderr).toMatch(/bit for bit the same up to [\d_]+, final digest [0-9a-f]{64}/)
  })

  it('names the trace after the kernel', async () => {
    const { code, stderr } = await kaal(['record', guest('null')], { cwd: folder('.') })
    expect(code).toBe(0)
    expect(stderr).toContain('null.kaal')
    expect((await kaal(['info', folder('null.kaal')])).stdout).toMatch(/instructions\s+690, ended: power-off\n/)
  })

  it('stops where it is told to', async () => {
    const path = folder('short.kaal')
    const recorded = await kaal(['record', '-o', path, '--max-instructions', '1_000_000', KERNEL])
    expect(recorded).toMatchObject({ code: 0, stderr: expect.stringContaining('1_000_000 instructions') })
    expect(await kaal(['replay', path, '--to', 'end', '--quiet'])).toMatchObject({ code: 0, stdout: '' })
    const partly = await kaal(['replay', boot, '--to', '1_000_000', '--json'])
    expect(JSON.parse(partly.stdout)).toMatchObject({ kind: 'same', instructions: 1_048_576 })
  })

  it('reports a divergence with its batch, and exits 1', async () => {
    const path = folder('diverged.kaal')
    writeFileSync(path, readFileSync(boot))
    const database = new Database(path)
    database.exec(
      "UPDATE batches SET pc = pc + 4 WHERE n = 3; DELETE FROM meta WHERE key = 'seal'; UPDATE meta SET value = 0 WHERE key = 'finished'; DELETE FROM meta WHERE key IN ('instructions', 'final_digest')",
    )
    database.close()
    const { code, stderr } = await kaal(['replay', '--quiet', path])
    expect(stderr).toMatch(/diverged.*batch 3, which begins at [\d_]+.*pc 0x[0-9a-f]+/)
    expect(code).toBe(1)
  })

  it('exits 1 for a guest that waits for ever', async () => {
    const { code, stderr } = await kaal(['record', '-o', folder('asleep.kaal'), guest('echo')])
    expect({ code, stderr }).toMatchObject({ code: 1, stderr: expect.stringMatching(/nothing to wake it at [\d_]+/) })
  })
})

describe('input', () => {
  for (const name of ['echo', 'echo-spin']) {
    it(`of 4 KiB from a file and from a pipe reaches ${name}, and replays`, async () => {
      const bytes = lines()
      const file = folder('input.txt')
      writeFileSync(file, bytes)
      for (const [from, options] of [
        [file, {}],
        ['-', { input: bytes }],
      ] as const) {
        const path = folder(`${name}-${from === '-' ? 'pipe' : 'file'}.kaal`)
        const { code, stdout } = await kaal(['record', '-o', path, '--input', from, guest(name)], options)
        expect(stdout).toMatch(new RegExp(`result=0*${sum(bytes)}\\b`))
        expect(code).toBe(0)
        const replayed = await kaal(['replay', path])
        expect(replayed).toMatchObject({ code: 0, stdout })
      }
    })
  }
})

describe('ending early', () => {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    it(`by ${signal} leaves a whole, sealed trace`, async () => {
      const path = folder(`${signal}.kaal`)
      let sent = false
      const { code, stderr } = await kaal(['record', '-o', path, guest('echo-spin'), '--input', '/dev/zero'], {
        onOutput: (text, kill) => {
          if (sent || !text.includes('>')) return
          sent = true
          kill(signal)
        },
      })
      expect({ code, stderr }).toMatchObject({ code: 0, stderr: expect.stringContaining('stopped at') })
      expect(await kaal(['verify', path])).toMatchObject({
        code: 0,
        stdout: expect.stringContaining('the seal matches'),
      })
    })
  }

  it('of the reader of standard output is quiet', async () => {
    const { stdout, stderr } = await shell(
      `kaal dump '${boot}' --json | head -n 1; echo "codes \${PIPESTATUS[*]}"; kaal info '${boot}' | true`,
      folder('.'),
    )
    expect(stdout).toMatch(/^\{.*\}\ncodes 0 0\n$/)
    expect(stderr).toBe('')
  })
})

describe('inspecting', () => {
  it('gives JSON', async () => {
    const info = JSON.parse((await kaal(['info', '--json', boot])).stdout)
    expect(info).toMatchObject({ finished: true, format: 2, ended: 'power-off', machine: { memoryBytes: 2 ** 29 } })
    expect(info.rows.batches).toBeGreaterThan(10)
    const verified = JSON.parse((await kaal(['verify', '--json', boot])).stdout)
    expect(verified).toMatchObject({ good: true, problems: [] })
    const { stdout } = await kaal(['dump', '--json', '--table', 'uart', boot])
    const rows = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
    expect(String.fromCharCode(...rows.map(({ byte }) => byte))).toBe(bootOutput)
    expect(rows[0]).toMatchObject({ table: 'uart', direction: 0 })
  })

  it('shows rows in order, with symbols and lines of text', async () => {
    const { stdout } = await kaal(['dump', boot, '--from', '1_000_000', '--to', '2_100_000'])
    expect(stdout).toMatch(/uart +out "Boot parameters:/)
    expect(stdout).toMatch(/pc 0x[0-9a-f]{16} <[^>]+>/)
    const positions = [...stdout.matchAll(/^ *([\d_]+) {2}/gm)].map(([, text]) => Number(text.replaceAll('_', '')))
    expect(positions.length).toBeGreaterThan(10)
    expect(positions).toEqual(positions.toSorted((a, b) => a - b))
    expect(positions.every((position) => position >= 1_000_000 && position <= 2_100_000)).toBe(true)
  })
})
