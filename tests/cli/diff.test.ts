/** `kaal diff`, and where `kaal replay` narrows a divergence, through the real command line. */
import { cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { beforeAll, describe, expect, it } from 'vitest'
import { disassemble } from '../../cpu/isa/disassembler.js'
import { TraceReader } from '../../trace/reader.js'
import { altered } from '../replay/altered-trace.js'
import { testFolder } from '../trace/folder.js'
import { KERNEL, ROOT, build, guest, kaal } from './kaal.js'

const folder = testFolder()
const boot = folder('boot.kaal')

beforeAll(async () => {
  build()
  await record(boot, KERNEL)
})

async function record(path: string, ...options: string[]): Promise<string> {
  const { code, stderr } = await kaal(['record', '-o', path, '-m', '64M', ...options])
  expect([0, 1], stderr).toContain(code)
  return path
}

async function echoed(name: string, input: string): Promise<string> {
  const path = folder(name)
  writeFileSync(`${path}.txt`, input)
  return record(path, '--input', `${path}.txt`, guest('echo'))
}

/** A kernel with some bytes of another. */
function patched(name: string, at: number, bytes: Uint8Array): string {
  const image = readFileSync(KERNEL)
  image.set(bytes, at)
  writeFileSync(folder(name), image)
  return folder(name)
}

async function lines(...args: string[]): Promise<string[]> {
  const { code, stdout, stderr } = await kaal(['diff', ...args])
  expect({ code, stderr }).toEqual({ code: 1, stderr: '' })
  return stdout.trimEnd().split('\n')
}

describe('two traces of one kernel', () => {
  it('that are the same exit 0, and print nothing', async () => {
    const again = await record(folder('again.kaal'), KERNEL)
    expect(await kaal(['diff', boot, again])).toMatchObject({
      code: 0,
      stdout: '',
      stderr: expect.stringContaining('are the same run') as string,
    })
    const { code, stdout } = await kaal(['diff', boot, again, '--json', '--events', 'uart,syscalls,threads'])
    expect(code).toBe(0)
    expect(JSON.parse(stdout)).toEqual({
      same: true,
      sameKernel: true,
      options: [],
      images: [],
      events: { hunks: [], complete: true },
    })
  })

  it('with other input differ by it, at the instruction behind which it came', async () => {
    const [a, b] = [await echoed('abc.kaal', 'abc'), await echoed('abd.kaal', 'abd')]
    const text = (await lines(a, b)).join('\n')
    const reader = TraceReader.open(a)
    const { icount } = [...reader.inputs()][2]
    reader.close()
    expect(text).toContain(`\n-input 3: at ${icount}, uart "c"\n+input 3: at ${icount}, uart "d"\n`)
    expect(text).toContain(`\n@@ first instruction whose effect differs: ${icount - 1} @@\n`)
    expect(text).toMatch(/\n device pl011\.fifo\[2\] {2}- 0x63 {2}\+ 0x64\n/)
    expect(text).toMatch(/\ncause: input$/)
    const { stdout } = await kaal(['diff', a, b, '--json'])
    expect(JSON.parse(stdout)).toMatchObject({
      same: false,
      difference: {
        causes: ['input'],
        parting: { position: icount - 1, items: [{ kind: 'device', name: 'pl011.fifo[2]', a: '0x63', b: '0x64' }] },
      },
    })
  })

  it('with another time differ where the guest reads it', async () => {
    const slow = await record(folder('slow.kaal'), '--icount-shift', '2', KERNEL)
    const text = (await lines(boot, slow, '--symbols', KERNEL)).join('\n')
    expect(text).toContain('\n-machine option --icount-shift 1\n+machine option --icount-shift 2\n')
    expect(text).toMatch(/\n [\d_]+ {2}0x[0-9a-f]{16} <kaal::arch::\S+\+0x[0-9a-f]+> {2}mrs x\d+, cntvct_el0\n/)
    expect(text).toMatch(/\n kernel\/src\/arch\/aarch64\/timer\.rs:\d+ /)
    expect(text).toMatch(/\n register x\d+ {2}- 0x[0-9a-f]+ {2}\+ 0x[0-9a-f]+\n/)
    expect(text).toMatch(/\ncause: machine option$/)
  })

  it.each([
    ['--seed', '7', '0', '7'],
    ['--rtc-base', '2020-01-01', '1767225600', '1577836800'],
  ])('with another %s that nobody looks at differ by that alone', async (option, value, one, other) => {
    const path = await record(folder(`unseen${option}.kaal`), option, value, KERNEL)
    const text = (await lines(boot, path)).join('\n')
    expect(text).toContain(`\n-machine option ${option} ${one}\n+machine option ${option} ${other}\n`)
    expect(text).toMatch(/\ncause: machine option\nnote: both do the same all the way$/)
  })

  it('of which one was stopped earlier say so', async () => {
    const short = await record(folder('short.kaal'), '--max-instructions', '1_500_000', KERNEL)
    const text = (await lines(boot, short)).join('\n')
    expect(text).toMatch(/\n\+batch 2: from 1_048_576, 451_424 instructions, stopped, /)
    expect(text).toMatch(
      /\ncause: end of the recording\nnote: the shorter one does what the longer one does, as far as it goes$/,
    )
  })
})

describe('traces of two kernels', () => {
  it('differ in a line that they print', async () => {
    const image = readFileSync(KERNEL)
    const other = patched('howdy.elf', image.indexOf('Hello from KaaL'), Buffer.from('Howdy'))
    const path = await record(folder('howdy.kaal'), other)
    const all = await lines(boot, path, '--context', '1')
    expect(all.slice(0, 4).map((line) => line.slice(0, 12))).toEqual([
      `--- ${boot}`.slice(0, 12),
      `+++ ${path}`.slice(0, 12),
      '-kernel kaal',
      '+kernel howd',
    ])
    expect(all[4]).toBe('@@ event -1,2 +1,2 @@')
    expect(all[5]).toMatch(/^- +[\d_]+ +uart +Hello from KaaL Kernel!$/)
    expect(all[6]).toMatch(/^\+ +[\d_]+ +uart +Howdy from KaaL Kernel!$/)
    expect(all[7]).toMatch(/^ +[\d_]+ +[\d_]+ +uart +KaaL Rust Microkernel v0\.1\.0$/)
    expect(all).toHaveLength(8)
    // Nothing but the text is another.
    expect(await kaal(['diff', boot, path, '--events', 'exceptions,syscalls,threads,functions'])).toMatchObject({
      code: 0,
      stderr: expect.stringContaining('no exceptions, syscalls, threads, functions do') as string,
    })
  })

  it('differ in a system call that a program makes otherwise', async () => {
    // In a program: `mov x7, #-7` (Yield) becomes `mov x7, #-33` (GetTime).
    const image = readFileSync(KERNEL)
    const view = new DataView(image.buffer, image.byteOffset, image.length)
    const [from, to] = [0x928000c7, 0x92800407]
    expect([from, to].map((word) => disassemble(word, 0n))).toEqual([
      'mov x7, #0xfffffffffffffff9',
      'mov x7, #0xffffffffffffffdf',
    ])
    const places: number[] = []
    for (let at = 0; at + 4 <= image.length; at += 4) if (view.getUint32(at, true) === from) places.push(at)
    expect(places.length).toBeGreaterThan(0)
    const other = patched('usage.elf', places[0], Uint8Array.from([to & 0xff, (to >>> 8) & 0xff, 0x80, 0x92]))
    const path = await record(folder('usage.kaal'), other)
    const text = (await lines(boot, path, '--events', 'syscalls,threads')).join('\n')
    expect(text).toMatch(/\n- +[\d_]+ +syscalls +svc #0, x7 -7, x0 0x0, label 0, 0 words {2}\(x0 0x0 .* pc 0x[0-9a-f]+/)
    expect(text).toMatch(/\n\+ +[\d_]+ +syscalls +svc #0, x7 -33, x0 0x0, label 0, 0 words /)
  })

  it('of two guests go different ways', async () => {
    const [a, b] = [await record(folder('uart.kaal'), guest('uart')), await record(folder('svc.kaal'), guest('svc'))]
    const { code, stdout } = await kaal(['diff', a, b, '--json', '--events', 'uart'])
    expect(code).toBe(1)
    const { events } = JSON.parse(stdout) as { events: { hunks: unknown[] } }
    expect(events.hunks).toHaveLength(1)
  })
})

describe('a replay that diverges', () => {
  /** Another version of kaal: this one, but for an instruction. */
  function otherKaal(): string {
    const other = folder('other-kaal')
    mkdirSync(other)
    for (const part of ['dist', 'cli', 'trace', 'package.json'])
      cpSync(join(ROOT, part), join(other, part), { recursive: true })
    symlinkSync(join(ROOT, 'node_modules'), join(other, 'node_modules'))
    const file = join(other, 'dist/cpu/isa/dp-register.js')
    const text = readFileSync(file, 'utf8')
    const meaning = 'c.setX(f.Rd, f.negate ? addend.sub(product) : addend.add(product))'
    expect(text.split(meaning).length).toBeGreaterThan(1)
    writeFileSync(file, text.replace(meaning, 'c.setX(f.Rd, addend.sub(product))'))
    return other
  }

  it('from another kaal is narrowed to the instruction, with that one or without', async () => {
    const other = otherKaal()
    const path = folder('of-other.kaal')
    const { execFileSync } = await import('node:child_process')
    execFileSync(
      process.execPath,
      [join(other, 'cli/bin.js'), 'record', '-o', path, '-m', '64M', KERNEL, '--max-instructions', '500_000'],
      { stdio: 'ignore' },
    )

    const alone = await kaal(['replay', '--quiet', path])
    expect(alone.code).toBe(1)
    expect(alone.stdout).toMatch(/^first difference: between 0 and [\d_]+\n/)
    expect(alone.stdout).toMatch(/\nnote: asked and found to disagree with the trace too: .*interpreter.*translator/)

    const { code, stdout, stderr } = await kaal(['replay', '--quiet', path, '--reference', other])
    expect(code).toBe(1)
    expect(stderr).toContain('replay differs in batch 1')
    expect(stdout).toMatch(/^first instruction whose effect differs: 155_909 .*kaal 0\.1\.0 in /)
    expect(stdout).toMatch(
      /\n {2}155_909 {2}0x[0-9a-f]{16} <core::slice::memchr::\S+\+0x[0-9a-f]+> {2}m\w+ x13, x9, x8\n/,
    )
    expect(stdout).toMatch(/\n {2}register x13 {2}recorded 0x[0-9a-f]+ {2}replayed 0x4040404040404040\n/)
    expect(stdout).toMatch(/\nlast events before:\n.*uart "Hello from KaaL Kernel!"\n/)

    const asJson = await kaal(['replay', '--json', path, '--reference', other])
    expect(asJson.code).toBe(1)
    expect(JSON.parse(asJson.stdout)).toMatchObject({
      kind: 'diverged',
      narrowing: {
        kind: 'instruction',
        from: 155_909,
        items: [{ kind: 'register', name: 'x13', replayed: '0x4040404040404040' }],
      },
    })
  })

  it('because a row was changed names the row', async () => {
    const copy = altered(boot, 'row', (database) => database.exec('UPDATE interrupts SET intid = 30 WHERE rowid = 2'))
    const { code, stdout, stderr } = await kaal(['replay', '--quiet', copy])
    expect(code).toBe(1)
    expect(stdout).toContain('row 2 of interrupts: intid is 30 in the trace, 27 in the replay')
    expect(stderr).not.toContain('bug')
  })
})

describe('what is no trace', () => {
  const traces: [string, () => string, RegExp][] = [
    ['a missing file', () => folder('none.kaal'), /none\.kaal: no such file/],
    ['a text', () => write('text.kaal', Buffer.from('not a trace at all')), /text\.kaal: not a kaal trace/],
    ['a kernel', () => KERNEL, /kaal-chapter-3\.elf: not a kaal trace/],
    ['half a trace', () => write('half.kaal', readFileSync(boot).subarray(0, 20_000)), /half\.kaal: cut short/],
    ['a trace of a newer format', newer, /newer\.kaal: made by kaal .* with format 99/],
  ]
  function write(name: string, bytes: Uint8Array): string {
    writeFileSync(folder(name), bytes)
    return folder(name)
  }
  function newer(): string {
    const path = write('newer.kaal', readFileSync(boot))
    const database = new Database(path)
    database.pragma('user_version = 99')
    database.close()
    return path
  }

  it.each(traces)('%s is refused in one line, on either side', async (_name, make, message) => {
    const path = make()
    for (const args of [
      ['diff', path, boot],
      ['diff', boot, path],
      ['replay', path],
    ]) {
      const { code, stdout, stderr } = await kaal(args)
      expect({ code, stdout }).toEqual({ code: 255, stdout: '' })
      expect(stderr).toMatch(message)
      expect(stderr.trimEnd().split('\n')).toHaveLength(1)
    }
  })

  it('is not an unfinished trace: that is compared as far as it goes', async () => {
    const path = write('unfinished.kaal', readFileSync(boot))
    const database = new Database(path)
    database.exec(
      "DELETE FROM batches WHERE n > 4; DELETE FROM meta WHERE key IN ('seal', 'instructions', 'final_digest'); UPDATE meta SET value = 0 WHERE key = 'finished'",
    )
    database.close()
    const text = (await lines(boot, path)).join('\n')
    expect(text).toMatch(/\n\+batch 5: none\ncause: end of the recording\n/)
  })

  it.each([
    [['--events', 'uart,nonsense'], /nonsense: give some of uart, exceptions/],
    [['--context', 'x'], /give a number/],
    [['--symbols', 'nowhere.elf'], /nowhere\.elf: there is no such file/],
  ])('options %j are refused', async (options, message) => {
    const { code, stderr } = await kaal(['diff', boot, boot, ...options])
    expect(code).toBe(255)
    expect(stderr).toMatch(message)
  })

  it('a reference without a kaal in it is refused', async () => {
    const { code, stderr } = await kaal(['replay', boot, '--reference', folder('.')])
    expect({ code, stderr }).toEqual({
      code: 255,
      stderr: expect.stringMatching(/there is no dist\/devices\/machine\.js/) as string,
    })
  })
})
