/** What a person gets for what cannot be: one line that names it, exit 255, and nothing left behind. */
import { copyFileSync, existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { beforeAll, describe, expect, it } from 'vitest'
import { testFolder } from '../trace/folder.js'
import { build, guest, kaal } from './kaal.js'

const folder = testFolder()
const trace = folder('null.kaal')

beforeAll(async () => {
  build()
  expect((await kaal(['record', '-o', trace, guest('null')])).code).toBe(0)
})

/** Expects exit 255, nothing on stdout and one line on stderr that holds every one of `parts`. */
async function refuses(args: readonly string[], ...parts: string[]): Promise<void> {
  const { code, stdout, stderr } = await kaal(args, { cwd: folder('.') })
  expect(stderr).toMatch(/^kaal: [^\n]+\n$/)
  for (const part of parts) expect(stderr).toContain(part)
  expect({ code, stdout }).toEqual({ code: 255, stdout: '' })
}

describe('a command line', () => {
  const cases: [string[], ...string[]][] = [
    [['recrod'], "unknown command 'recrod'", 'record'],
    [['record', '--memry', '1'], "unknown option '--memry'", '--memory'],
    [['record', '-m'], '-m, --memory'],
    [['record', '-m', '5'], '-m 5', '16M'],
    [['record', '-m', 'lots'], '-m lots'],
    [['record', '--smp', '2'], '--smp 2'],
    [['record', '--cpu', 'cortex-a57'], '--cpu cortex-a57', 'cortex-a53'],
    [['record', '--gic-version', '3'], '--gic-version 3'],
    [['record', '--icount-shift', '11'], '--icount-shift 11'],
    [['record', '--rtc-base', 'now'], '--rtc-base now'],
    [['record', '--seed', '-1'], '--seed -1'],
    [['record', '--max-instructions', '0'], '--max-instructions 0'],
    [['record', '--max-instructions', '1_'], '--max-instructions 1_'],
    [['record', '--kernel', 'a', 'b'], '--kernel a', 'b'],
    [['record', '--input', 'missing.txt'], 'missing.txt', 'no such file'],
    [['record', '--initrd', 'missing.rd'], 'missing.rd'],
    [['record', '--dtb', '/'], '/', 'directory'],
    [['record', 'a', 'b'], 'too many arguments'],
    [['replay'], 'trace'],
    [['replay', trace, '--to', 'there'], '--to there'],
    [['replay', trace, '--to', '1_000_000'], '--to 1_000_000', 'ends at 690'],
    [['dump', trace, '--from', '-5'], '--from -5'],
    [['dump', trace, '--from', '9', '--to', '3'], '--to 3', '9'],
    [['dump', trace, '--table', 'rows'], '--table rows', 'batches'],
    [['debug', trace, '-x', 'missing.gdb'], 'missing.gdb'],
  ]
  for (const [args, ...parts] of cases) {
    it(`kaal ${args.join(' ').replace(trace, 'T')}`, async () => {
      await refuses(args, ...parts)
    })
  }
})

describe('a kernel that is', () => {
  const elf = readFileSync(guest('null'))
  const foreign = Uint8Array.from(elf)
  foreign[18] = 62
  const bad: [string, Uint8Array | undefined][] = [
    ['missing', undefined],
    ['empty', new Uint8Array(0)],
    ['truncated', elf.subarray(0, 100)],
    ['foreign', foreign],
  ]
  for (const [name, bytes] of bad) {
    it(`${name} is refused by its name, and no trace is left`, async () => {
      if (bytes) writeFileSync(folder(`${name}.elf`), bytes)
      await refuses(['record', '-o', 'bad.kaal', `${name}.elf`], `${name}.elf`)
      expect(existsSync(folder('bad.kaal'))).toBe(false)
    })
  }
})

describe('a trace that is', () => {
  const bad: [string, (bytes: Uint8Array) => Uint8Array | undefined][] = [
    ['missing', () => undefined],
    ['empty', () => new Uint8Array(0)],
    ['garbage', () => new Uint8Array(5000).fill(0x41)],
    ['cut', (bytes) => bytes.subarray(0, bytes.length - 2000)],
    [
      'flipped',
      (bytes) => {
        bytes[bytes.length >> 1] ^= 4
        return bytes
      },
    ],
  ]
  for (const [name, make] of bad) {
    it(`${name} is refused by its name`, async () => {
      const path = folder(`${name}.kaal`)
      const bytes = make(Uint8Array.from(readFileSync(trace)))
      if (bytes) writeFileSync(path, bytes)
      for (const verb of ['info', 'dump', 'replay', 'debug']) await refuses([verb, path], path)
      const { code, stderr } = await kaal(['verify', path])
      expect(code).toBe(bytes ? 1 : 255)
      expect(stderr).toMatch(bytes ? /^$/ : /no such file|does not exist|missing/)
    })
  }
})

describe('an output file that exists', () => {
  it('is kept unless --force is given', async () => {
    const path = folder('kept.kaal')
    copyFileSync(trace, path)
    await refuses(['record', '-o', path, guest('null'), '-m', '64M'], path, '--force')
    expect(readFileSync(path).equals(readFileSync(trace))).toBe(true)
    expect((await kaal(['record', '--force', '-o', path, guest('null'), '-m', '64M'])).code).toBe(0)
    expect(readFileSync(path).equals(readFileSync(trace))).toBe(false)
  })

  it('and one in a folder that does not exist leaves nothing behind', async () => {
    const before = readdirSync(folder('.'))
    await refuses(['record', '-o', folder('no/such.kaal'), guest('null')], 'no/such.kaal')
    expect(readdirSync(folder('.'))).toEqual(before)
  })
})

describe('help and version', () => {
  it('are results: on stdout, exit 0', async () => {
    for (const args of [['--help'], ['record', '--help'], ['help', 'debug'], ['--version']]) {
      const { code, stdout, stderr } = await kaal(args)
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
      expect(stdout).toMatch(/Usage: kaal|^\d+\.\d+/)
    }
  })
})
