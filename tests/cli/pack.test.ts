/** Packing, unpacking, exporting and reporting from the command line: the whole way, and what is said when something is wrong. */
import { createHash } from 'node:crypto'
import { chmodSync, existsSync, mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as wait } from 'node:timers/promises'
import { beforeAll, describe, expect, it } from 'vitest'
import { encode } from '../../trace/msgpack.js'
import { joinContainer, splitContainer } from '../../trace/pack/container.js'
import { decodeManifest } from '../../trace/pack/manifest.js'
import { squeeze } from '../../trace/platform.js'
import type { Portable } from '../../trace/rows.js'
import { testFolder } from '../trace/folder.js'
import { tables, unsealed } from '../trace/tables.js'
import { ROOT, build, guest, kaal } from './kaal.js'

const folder = testFolder()
const boot = folder('boot.kaal')
const packed = folder('boot.kaalpack')
const bare = folder('bare.kaalpack')
const KERNEL = 'tests/guests/kaal-chapter-3.elf'
const FAULT = 'traces/kaal-fault.kaal'

beforeAll(async () => {
  build()
  await kaal(['record', '-o', boot, KERNEL])
  expect(await kaal(['pack', boot])).toMatchObject({ code: 0 })
  expect(await kaal(['pack', boot, '--no-images', '-o', bare])).toMatchObject({ code: 0 })
})

/** Everything in the folder. */
const listing = (): string[] => readdirSync(folder('.')).toSorted()

/** Runs `kaal` where it must fail: one line on standard error, no stack trace, and no file that was not there before. */
async function expectFailure(args: readonly string[], code: number, line: RegExp): Promise<void> {
  const before = listing()
  const outcome = await kaal(args)
  expect(outcome.stderr).toMatch(line)
  expect(outcome.stderr.trimEnd()).not.toContain('\n')
  expect(outcome.stderr).not.toContain('bug in kaal')
  expect(outcome.code).toBe(code)
  expect(listing()).toEqual(before)
}

describe('the boot of the bundled kernel', () => {
  it('packs to 2 KiB without its images, and to less than its trace with them', () => {
    expect(statSync(bare).size).toBeLessThanOrEqual(2048)
    expect(statSync(packed).size).toBeLessThan(statSync(boot).size * 0.7)
  })

  it('comes back byte for byte, also without the images if they are given', async () => {
    const again = folder('again.kaal')
    const { code, stdout, stderr } = await kaal(['unpack', packed, '-o', again])
    expect({ code, stdout }).toEqual({ code: 0, stdout: '' })
    expect(stderr).toMatch(
      /again\.kaal, \d+ bytes: restored, [\d_]+ instructions, final digest [0-9a-f]{64}; byte for byte the file that was packed\n$/,
    )
    expect(readFileSync(again).equals(readFileSync(boot))).toBe(true)
    const engine = ['--engine', 'interpreter']
    expect(await kaal(['unpack', bare, '--image', KERNEL, '-o', again, '--force', ...engine])).toMatchObject({
      code: 0,
    })
    expect(tables(again)).toEqual(tables(boot))
  })

  it('replays from the pack', async () => {
    const whole = await kaal(['replay', boot])
    const replay = await kaal(['replay', packed])
    expect({ code: replay.code, stdout: replay.stdout }).toEqual({ code: 0, stdout: whole.stdout })
    expect(replay.stderr).toBe(whole.stderr.replace(boot, packed))
    const partly = await kaal(['replay', bare, '--image', KERNEL, '--to', '1_000_000', '--json'])
    expect(JSON.parse(partly.stdout)).toEqual({ kind: 'same', instructions: 1_048_576 })
    expect(partly.stderr).toMatch(/replayed up to 1_048_576; only a replay to the end checks a packed trace/)
  })

  it('is listed by info, with what may be private', async () => {
    const { stdout } = await kaal(['info', packed])
    expect(stdout).toMatch(/^pack +\S+boot\.kaalpack, \d+ bytes, made by kaal \d/m)
    expect(stdout).toMatch(/^image +kernel kaal-chapter-3\.elf, \d+ bytes, sha256 [0-9a-f]{64}$/m)
    expect(stdout).toMatch(/^part +kernel kaal-chapter-3\.elf: \d+ bytes$/m)
    expect(stdout).toContain('images, inputs and the command line (append) may hold private data')
    expect((await kaal(['info', bare])).stdout).toMatch(/sha256 [0-9a-f]{64}, not in the pack: give it with --image$/m)
    const { stdout: text } = await kaal(['info', bare, '--json'])
    const json = JSON.parse(text) as { bytes: number; parts: { packed: number }[]; images: { packed: null }[] }
    expect(json.bytes).toBe(statSync(bare).size)
    expect(json.parts.reduce((sum, part) => sum + part.packed, 0)).toBe(json.bytes)
    expect(json.images[0].packed).toBe(null)
  })

  it('is verified', async () => {
    expect(await kaal(['verify', packed])).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/checksum matches[^]*images: 1, each with its sha256[^]*: undamaged/),
    })
    expect(await kaal(['verify', bare])).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('images: 1 by hash only'),
    })
  })
})

describe('other traces come back with every table', () => {
  it('with input, an initial RAM disk and options', async () => {
    const [input, initrd, trace, pack, again] = ['input.txt', 'initrd', 'in.kaal', 'in.kaalpack', 'in2.kaal'].map(
      folder,
    )
    writeFileSync(input, `${'keys '.repeat(500)}\u0004`)
    writeFileSync(initrd, 'a disk '.repeat(5000))
    const options = ['-m', '64M', '--append', 'secret=1', '--initrd', initrd, '--input', input]
    await kaal(['record', '-o', trace, ...options, guest('echo')])
    expect(tables(trace)['inputs'].length).toBeGreaterThan(10)
    expect(await kaal(['pack', trace])).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^inputs +\d+, 2501 bytes$/m),
    })
    expect(await kaal(['unpack', pack, '-o', again])).toMatchObject({ code: 0 })
    expect(tables(again)).toEqual(tables(trace))
    expect(await kaal(['info', pack, '--json'])).toMatchObject({ stdout: expect.stringContaining('"secret=1"') })
  })

  it('of format 1, as format 1', async () => {
    const [pack, again] = ['fault.kaalpack', 'fault.kaal'].map(folder)
    await kaal(['pack', FAULT, '-o', pack])
    const { code, stderr } = await kaal(['unpack', pack])
    expect({ code, stderr }).toMatchObject({
      code: 0,
      stderr: expect.stringContaining('the same trace, but not the same file'),
    })
    expect(unsealed(again)).toEqual(unsealed(FAULT))
    expect(await kaal(['verify', again])).toMatchObject({ code: 0 })
    expect(await kaal(['replay', '--quiet', again])).toMatchObject({ code: 0 })
  })

  it('whose recorder was killed', async () => {
    const trace = folder('killed.kaal')
    const recorder = spawn(
      process.execPath,
      [`${ROOT}cli/bin.js`, 'record', '-o', trace, '--append', 'spin=20000', KERNEL],
      {
        stdio: ['ignore', 'pipe', 'ignore'],
      },
    )
    await once(recorder.stdout, 'data')
    await wait(400)
    recorder.kill('SIGKILL')
    await once(recorder, 'exit')
    const [pack, again] = ['killed.kaalpack', 'killed2.kaal'].map(folder)
    expect(await kaal(['pack', trace])).toMatchObject({ code: 0, stdout: expect.stringContaining('unfinished') })
    const { code, stderr } = await kaal(['unpack', pack, '-o', again])
    expect({ code, stderr }).toMatchObject({ code: 0, stderr: expect.stringContaining('unfinished, as it was') })
    expect(tables(again)).toEqual(tables(trace))
    expect(await kaal(['replay', '--quiet', pack])).toMatchObject({
      code: 0,
      stderr: expect.stringContaining('the trace is unfinished'),
    })
  })
})

describe('what goes wrong with a pack is said in one line, and leaves no file', () => {
  const changed = folder('changed.kaalpack')
  const out = folder('never.kaal')

  it.each([
    ['cut short', (bytes: Uint8Array) => bytes.subarray(0, 300), /cut short: 300 bytes of \d+/],
    ['a flipped bit', (bytes: Uint8Array) => bytes.with(100, bytes[100] ^ 4), /its checksum does not match/],
    ['empty', () => new Uint8Array(), /empty: no packed trace/],
    ['another file', () => Buffer.from('#!/bin/sh'), /not a packed trace/],
  ])('%s', async (_, change, line) => {
    writeFileSync(changed, change(readFileSync(bare)))
    await expectFailure(['unpack', changed, '-o', out], 255, line)
  })

  it('a newer format', async () => {
    const bytes = readFileSync(bare)
    bytes.writeUInt32BE(2, 8)
    createHash('sha256')
      .update(bytes.subarray(0, -32))
      .digest()
      .copy(bytes, bytes.length - 32)
    writeFileSync(changed, bytes)
    for (const verb of ['unpack', 'replay', 'info'])
      await expectFailure([verb, changed], 255, /a pack of format 2; this kaal reads up to 1/)
    expect(await kaal(['verify', changed])).toMatchObject({
      code: 1,
      stdout: expect.stringContaining('a pack of format 2'),
    })
  })

  async function withManifest(change: (manifest: Record<string, unknown>) => void): Promise<void> {
    const { manifest, parts } = splitContainer('bare', readFileSync(bare))
    const fields = { ...decodeManifest('bare', manifest) } as Record<string, unknown>
    change(fields)
    writeFileSync(changed, joinContainer(await squeeze(encode(fields as Portable)), [parts]))
  }

  it('an unknown field', async () => {
    await withManifest((fields) => (fields['colour'] = 'red'))
    await expectFailure(
      ['unpack', changed, '-o', out],
      255,
      /the manifest has a field "colour", which this kaal does not know/,
    )
  })

  it('a replay that does not reach the digest: exit 1', async () => {
    await withManifest((fields) => (fields['finalDigest'] = new Uint8Array(32)))
    const image = ['--image', KERNEL]
    const line =
      /does not reach the expected digest: at [\d_]+: final digest [0-9a-f]{64}, not 0{64}.*; nothing was written/
    await expectFailure(['unpack', changed, '-o', out, ...image], 1, line)
    await expectFailure(['replay', '--quiet', changed, ...image], 1, /does not reach the expected digest/)
    await withManifest((fields) => (fields['instructions'] = 3_000_000))
    await expectFailure(['unpack', changed, '-o', out, ...image], 1, /it goes on past 3_000_000, the end of the trace/)
  })

  it('an image that is missing, or another', async () => {
    const missing = /packed without kernel kaal-chapter-3\.elf \(sha256 [0-9a-f]{64}\): give the file with --image/
    await expectFailure(['unpack', bare, '-o', out], 255, missing)
    await expectFailure(['replay', bare], 255, missing)
    await expectFailure(
      ['unpack', bare, '-o', out, '--image', guest('null')],
      255,
      /null\.elf \(sha256 [0-9a-f]{64}\) is none of its images: kernel kaal-chapter-3\.elf/,
    )
    await expectFailure(
      ['unpack', bare, '-o', out, '--image', folder('nowhere')],
      255,
      /nowhere: there is no such file/,
    )
    await expectFailure(['unpack', bare, '-o', out, '--image', folder('.')], 255, /is a directory/)
  })

  it('files that are there, are not, or cannot be', async () => {
    await expectFailure(
      ['unpack', packed],
      255,
      /boot\.kaal: exists already: give another name, or --force to replace it/,
    )
    await expectFailure(['pack', boot], 255, /boot\.kaalpack: exists already/)
    await expectFailure(['unpack', folder('nowhere.kaalpack')], 255, /nowhere\.kaalpack: no such file/)
    await expectFailure(['pack', folder('nowhere.kaal')], 255, /nowhere\.kaal: no such file/)
    await expectFailure(
      ['pack', boot, '-o', folder('none/x.kaalpack')],
      255,
      /x\.kaalpack: cannot write: its folder does not exist/,
    )
    await expectFailure(
      ['unpack', bare, '--image', KERNEL, '-o', folder('none/x.kaal')],
      255,
      /x\.kaal: cannot create the trace: its folder does not exist/,
    )
    await expectFailure(
      ['unpack', bare, '--image', KERNEL, '-o', folder('.')],
      255,
      /is a directory: give the name of a file/,
    )
    await expectFailure(['unpack', boot, '-o', out], 255, /boot\.kaal: a trace, not a packed one/)
    await expectFailure(
      ['pack', packed, '-o', out],
      255,
      /boot\.kaalpack: a packed trace: restore it with kaal unpack first/,
    )
    await expectFailure(['dump', packed], 255, /a packed trace: restore it with kaal unpack first/)
    await expectFailure(['replay', boot, '--image', KERNEL], 255, /--image is for packed traces/)
    await expectFailure(['replay', packed, '--to', '9_999_999'], 255, /--to 9_999_999: \S+ ends at [\d_]+/)
  })

  it('a damaged trace, which is not packed', async () => {
    const damaged = folder('damaged.kaal')
    writeFileSync(damaged, readFileSync(boot).with(200_000, readFileSync(boot)[200_000] ^ 1))
    await expectFailure(['pack', damaged], 255, /damaged\.kaal: .*(seal|damaged|sha256)/)
  })

  it('an interrupted unpack', async () => {
    const trace = folder('long.kaal')
    await kaal(['record', '-o', trace, '--append', 'spin=3000', '--max-instructions', '2_500_000_000', KERNEL])
    await kaal(['pack', trace, '--no-images'])
    const before = listing()
    const child = spawn(
      process.execPath,
      [`${ROOT}cli/bin.js`, 'unpack', folder('long.kaalpack'), '--engine', 'interpreter', '--image', KERNEL, '-o', out],
      { cwd: ROOT },
    )
    let stderr = ''
    child.stderr.on('data', (piece: Buffer) => (stderr += piece.toString()))
    // The draft is there as soon as the machine runs.
    for (let tries = 0; tries < 200 && listing().length === before.length; tries++) await wait(50)
    expect(listing().length).toBeGreaterThan(before.length)
    child.kill('SIGINT')
    const [code] = (await once(child, 'close')) as [number]
    expect(stderr).toMatch(/^kaal: \S+: interrupted at [\d_]+; nothing was written\n$/)
    expect(code).toBe(255)
    expect(listing()).toEqual(before)
  })
})

describe('kaal export', () => {
  it.each([
    ['perfetto', '.perfetto-trace'],
    ['chrome', '.json'],
    ['asciicast', '.cast'],
    ['csv', '.csv'],
  ])('writes %s beside the trace, and says what is in it', async (format, end) => {
    const { code, stdout, stderr } = await kaal(['export', '--format', format, '--json', boot])
    const file = boot.replace('.kaal', end)
    expect({ code, ...(JSON.parse(stdout) as object) }).toMatchObject({
      code: 0,
      format,
      output: file,
      bytes: statSync(file).size,
    })
    expect(stderr).toMatch(/, [\d_]+ bytes|bytes: 20 batch/)
    await expectFailure(
      ['export', '--format', format, boot],
      255,
      /exists already: give another name, or --force to replace it/,
    )
    // The same again, whichever engine runs.
    const before = readFileSync(file)
    await kaal(['export', '--format', format, '--force', '--engine', 'interpreter', boot])
    expect(readFileSync(file).equals(before)).toBe(true)
  })

  it('writes to standard output, a part, one table', async () => {
    const { stdout } = await kaal([
      'export',
      '--format',
      'csv',
      '--table',
      'interrupts',
      '--from',
      '2_000_000',
      '--to',
      '2_600_000',
      '-o',
      '-',
      boot,
    ])
    const [header, ...rows] = stdout.trimEnd().split('\r\n')
    expect(header).toBe('position,time_ns,vcpu,intid,pc,symbol,el')
    expect(rows.length).toBeGreaterThan(0)
    for (const row of rows) {
      const position = Number(row.split(',')[0])
      expect(position >= 2_000_000 && position <= 2_600_000).toBe(true)
    }
  })

  it('says what is wrong', async () => {
    await expectFailure(['export', boot], 255, /--format/)
    await expectFailure(['export', '--format', 'gif', boot], 255, /gif.*perfetto, chrome, asciicast, csv/)
    await expectFailure(
      ['export', '--format', 'chrome', '--table', 'uart', boot],
      255,
      /--table uart: only for --format csv/,
    )
    await expectFailure(
      ['export', '--format', 'csv', '--table', 'cups', boot],
      255,
      /--table cups: give one of batches, interrupts/,
    )
    await expectFailure(['export', '--format', 'csv', '--from', 'x', boot], 255, /--from x: give a position/)
    await expectFailure(
      ['export', '--format', 'csv', '--from', '20', '--to', '10', boot],
      255,
      /--to 10: lies before --from 20/,
    )
    await expectFailure(['export', '--format', 'csv', '--to', '9_999_999', boot], 255, /ends at [\d_]+/)
    await expectFailure(['export', '--format', 'csv', packed], 255, /a packed trace: restore it/)
    await expectFailure(
      ['export', '--format', 'csv', '-o', folder('none/x.csv'), boot],
      255,
      /its folder does not exist/,
    )
  })
})

describe('an export of more events than fit into memory', () => {
  it('is refused by name, and a part of it is not', async () => {
    const trace = folder('svc.kaal')
    await kaal(['record', '-o', trace, guest('svc')])
    const csv = ['export', '--format', 'csv', '--table', 'syscalls', trace]
    await expectFailure(
      csv,
      255,
      /svc\.kaal: more than 1_200_000 events up to [\d_]+: export a part with --from and --to/,
    )
    const { code, stderr } = await kaal([...csv, '--to', '100_000'])
    expect({ code, stderr }).toMatchObject({ code: 0, stderr: expect.stringMatching(/[\d_]+ syscall$/m) })
  })
})

describe('kaal report', () => {
  // MOV X0, #0; BR X0: from the first instruction on what is there faults, and the vector too.
  beforeAll(() => writeFileSync(folder('loop.bin'), Uint8Array.of(0, 0, 0x80, 0xd2, 0, 0, 0x1f, 0xd6)))

  it('of a fault has everything to find it again', async () => {
    mkdirSync(folder('bug'))
    const report = folder('bug/report.md')
    const { code, stderr } = await kaal(['report', FAULT, '-o', report, '--symbols', KERNEL])
    expect({ code, stderr }).toMatchObject({
      code: 0,
      stderr: expect.stringMatching(
        /the guest panicked: KERNEL PANIC: fault in the kernel.*\n.*report\.kaalpack, \d+ bytes/,
      ),
    })
    const text = readFileSync(report, 'utf8')
    for (const part of [
      /^# the guest panicked: KERNEL PANIC: fault in the kernel: data abort from EL1/,
      /^\| kaal \| \d+\.\d+\.\d+ \(recorded with /m,
      /^\| append \| "fault=null" \|$/m,
      /^\| kernel \| kaal\.elf \| \d+ \| `[0-9a-f]{64}` \|$/m,
      /^kaal unpack report\.kaalpack -o replayed\.kaal$/m,
      /^kaal debug replayed\.kaal -e 'goto 3_788_668' -e backtrace -e regs$/m,
      /bit for bit the same up to 3_825_986/,
      /^System powering off\.$/m,
      /^## The machine at 3_788_668: the exception before the panic \(data-abort\)$/m,
      /^#1 {2}read_null at kernel\/src\/arch\/aarch64\/crash\.rs:\d+ \(inlined\)$/m,
      /^ {2}DFSC +5:0 +0x4 +Translation fault, level 0$/m,
      /^pc {2}0x[0-9a-f]{16} <vectors\+0x200>$/m,
    ])
      expect(text).toMatch(part)
    // The commands in it do what they say.
    const sh = (line: string) => kaal(line.split(' ').slice(1), { cwd: folder('bug') })
    expect(await sh('kaal unpack report.kaalpack -o replayed.kaal')).toMatchObject({ code: 0 })
    expect(await sh('kaal replay --quiet replayed.kaal')).toMatchObject({ code: 0 })
    const debug = await kaal(['debug', folder('bug/replayed.kaal'), '-e', 'goto 3_788_668', '-e', 'backtrace'])
    expect(debug.stdout).toContain('<exception: Data Abort from EL1h>')
    await expectFailure(['report', FAULT, '-o', report], 255, /report\.md: exists already/)
  })

  it('of a trace that ended well says so; --no-pack writes none, --no-images leaves them out', async () => {
    const report = folder('good.md')
    const { stdout, code } = await kaal(['report', boot, '-o', report, '--no-pack', '--json'])
    expect({ code, ...(JSON.parse(stdout) as object) }).toMatchObject({ code: 0, verdict: 'well', pack: null, report })
    expect(readFileSync(report, 'utf8')).toMatch(
      /^# the trace ended well: the guest powered off and reported no failure\n/,
    )
    expect(existsSync(folder('good.kaalpack'))).toBe(false)
    await kaal(['report', boot, '-o', report, '--no-images', '--force'])
    expect(statSync(folder('good.kaalpack')).size).toBeLessThanOrEqual(2048)
    expect(readFileSync(report, 'utf8')).toMatch(
      /^kaal unpack good\.kaalpack -o replayed\.kaal --image kaal-chapter-3\.elf$/m,
    )
  })

  it.each([
    ['panic', ['--append', 'fault=panic', KERNEL], 'panic', /where the panic is printed/],
    ['wait without end', ['--append', 'hang', KERNEL], 'asleep', /the guest waits for an interrupt/],
    ['stop', ['--max-instructions', '1_000_000', KERNEL], 'stopped', /the recording was ended from outside/],
    ['loop of faults', [folder('loop.bin')], 'fault-loop', /the guest loops on faults: undefined at 0x/],
  ])('of a %s names it', async (_, options, verdict, line) => {
    const trace = folder('ended.kaal')
    await kaal(['record', '-o', trace, '--force', ...options])
    const report = folder('ended.md')
    const { code, stdout, stderr } = await kaal(['report', trace, '-o', report, '--no-pack', '--force', '--json'])
    expect({ code, stderr }).toMatchObject({ code: 0 })
    expect(JSON.parse(stdout)).toMatchObject({ verdict })
    expect(readFileSync(report, 'utf8')).toMatch(line)
  })

  it('says what is wrong', async () => {
    const to = folder('r.md')
    await expectFailure(['report', folder('nowhere.kaal'), '-o', to], 255, /no such file/)
    await expectFailure(
      ['report', boot, '-o', to, '--symbols', folder('nowhere.elf')],
      255,
      /nowhere\.elf: there is no such file/,
    )
    await expectFailure(['report', packed, '-o', to], 255, /a packed trace: restore it/)
    await expectFailure(['report', boot, '-o', folder('none/r.md')], 255, /its folder does not exist/)
    await expectFailure(
      ['report', boot, '-o', folder('x.kaalpack')],
      255,
      /x\.kaalpack: that is a name for a packed trace/,
    )
  })
})

describe('a folder that cannot be written', () => {
  it.skipIf(process.getuid?.() === 0)('is named', async () => {
    mkdirSync(folder('locked'))
    chmodSync(folder('locked'), 0o500)
    await expectFailure(
      ['pack', boot, '-o', folder('locked/x.kaalpack')],
      255,
      /x\.kaalpack: cannot write: cannot open: /,
    )
    await expectFailure(
      ['unpack', bare, '--image', KERNEL, '-o', folder('locked/x.kaal')],
      255,
      /x\.kaal: cannot create the trace/,
    )
  })
})
