/** `kaal rerun` and `kaal bisect`, by themselves and under `git bisect run`. */
import { copyFileSync, existsSync, mkdirSync, readFileSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { beforeAll, describe, expect, it } from 'vitest'
import { GUILTY, INPUT, makeHistory } from '../replay/history.js'
import { ADDER, compile } from '../replay/tiny-guest.js'
import { testFolder } from '../trace/folder.js'
import { KERNEL, ROOT, build, guest, kaal, shell, type Outcome } from './kaal.js'

const folder = testFolder()
const COMPILER = `${ROOT}dist/tests/replay/tiny-guest.js`
const scenario = folder('adder.kaal')
const COUNTED = 'no-uart:^sumBH$'
let commits: string[] = []

/** `kaal` as a command, for git to run. */
const git = (line: string): Promise<Outcome> =>
  shell(`export PATH='${folder('bin')}':"$PATH" COMPILER='${COMPILER}'; unset -f kaal; ${line}`, folder('repository'))

beforeAll(async () => {
  build()
  mkdirSync(folder('bin'))
  writeFileSync(folder('bin/kaal'), `#!/bin/sh\nexec '${process.execPath}' '${ROOT}cli/bin.js' "$@"\n`, { mode: 0o755 })
  symlinkSync(process.execPath, folder('bin/node'))
  commits = makeHistory(folder('repository'))
  writeFileSync(folder('keys.txt'), INPUT)
  mkdirSync(folder('images'))
  const made = await git(
    `for n in $(seq 1 ${commits.length}); do git checkout -q $(git rev-list --reverse main | sed -n "$n p") && rm -f kernel.bin
     ./build.sh 2> /dev/null; i=../images/$(printf %02d $n).bin; cp kernel.bin $i 2> /dev/null || : > $i; done; git checkout -q main`,
  )
  expect(made).toMatchObject({ code: 0, stderr: '' })
  writeFileSync(folder('adder.bin'), compile(ADDER))
  const { code } = await kaal(['record', '-o', scenario, '--input', folder('keys.txt'), folder('adder.bin')])
  expect(code).toBe(0)
})

const rerun = (kernel: string, ...options: string[]): Promise<Outcome> =>
  kaal(['rerun', scenario, '--kernel', kernel, ...options], { cwd: folder('.') })

function tiny(name: string, source: string): string {
  writeFileSync(folder(name), compile(source))
  return folder(name)
}

describe('docs/bisect.md', () => {
  const text = readFileSync(`${ROOT}docs/bisect.md`, 'utf8')
  const blocks = [...text.matchAll(/```console\n([^]*?)```/g)].map(([, block]) => block)
  const steps = blocks.flatMap((block) =>
    block
      .split(/^\$ /m)
      .slice(1)
      .map((step) => step.trimEnd().split('\n')),
  )

  it('has an example, each command of which does what stands there', async () => {
    expect(commits.length).toBeGreaterThanOrEqual(12)
    expect(steps.length).toBeGreaterThanOrEqual(8)
    expect(text).toContain(GUILTY)
    for (const [command, ...lines] of steps) {
      // The recorded trace of the example has the name of this file's own.
      const { code, stdout, stderr } = await git(command.replace('record -o', 'record --force -o'))
      expect([0, command.startsWith('kaal rerun') ? 1 : 0], `${command}\n${stderr}`).toContain(code)
      const said = `${Buffer.from(stdout, 'latin1').toString()}\n${stderr}`.split('\n')
      const short = said.map((line) => line.replaceAll(/\b([0-9a-f]{7})[0-9a-f]{33}\b/g, '$1'))
      for (const line of lines)
        expect(
          short.some((each) => each.startsWith(line)),
          `${command}: ${line}\n${said.join('\n')}`,
        ).toBe(true)
    }
    expect(text).toContain(`${commits[9].slice(0, 7)} is the first bad commit`)
  })
})

describe('kaal rerun', () => {
  it('records a trace that replays, shows the guest on stdout and the verdict on stderr', async () => {
    const { code, stdout, stderr } = await rerun(folder('adder.bin'), '-o', folder('again.kaal'))
    expect({ code, stdout }).toEqual({ code: 0, stdout: 'Adder 1\n>caf\xe9\x04\nsumBH\n' })
    expect(stderr).toMatch(/^kaal: good: none of panic, fault, exit, hang in [\d_]+ instructions; .*\n$/)
    const digest = async (path: string): Promise<string> =>
      (JSON.parse((await kaal(['info', '--json', path])).stdout) as { finalDigest: string }).finalDigest
    expect(await digest(folder('again.kaal'))).toBe(await digest(scenario))
    expect(await kaal(['replay', folder('again.kaal')])).toMatchObject({ code: 0, stdout })
    expect(await rerun(folder('adder.bin'), '-o', folder('again.kaal'))).toMatchObject({
      code: 255,
      stderr: expect.stringContaining('exists already') as string,
    })
    const forced = await rerun(folder('adder.bin'), '-o', folder('again.kaal'), '--force', '--quiet')
    expect(forced).toMatchObject({ code: 0, stdout: '' })
  })

  it('gives the verdict as JSON', async () => {
    const { code, stdout } = await rerun(folder('images/10.bin'), '--json', '--fail-if', COUNTED)
    expect(code).toBe(1)
    expect(JSON.parse(stdout)).toMatchObject({
      verdict: 'bad',
      exitCode: 1,
      failures: [{ condition: COUNTED, message: 'the output does not match' }],
      end: 'power-off',
      inputs: { given: 5, of: 5 },
      trace: null,
    })
  })

  it('exits 125 for what does not build, is not made, does not load or is not modelled', async () => {
    const built = await rerun('made.bin', '--build', 'echo first; echo second >&2; exit 3')
    expect(built).toMatchObject({ code: 125, stdout: '' })
    expect(built.stderr.split('\n').toSorted()).toEqual([
      '',
      'kaal:   first',
      'kaal:   second',
      'kaal: cannot tell: the build fails with exit code 3: echo first; echo second >&2; exit 3',
    ])
    const unmade = await rerun('made.bin', '--build', 'true', '--json')
    expect(unmade.code).toBe(125)
    expect(JSON.parse(unmade.stdout)).toMatchObject({ verdict: 'cannot-tell', end: null })
    expect(await rerun('made.bin', '--build', `cp '${folder('adder.bin')}' made.bin`)).toMatchObject({ code: 0 })
    writeFileSync(folder('cut.elf'), readFileSync(KERNEL).subarray(0, 9000))
    expect(await rerun(folder('cut.elf'), '-o', folder('none.kaal'))).toMatchObject({
      code: 125,
      stderr: expect.stringContaining('cannot tell: the kernel does not load: cut.elf') as string,
    })
    expect(existsSync(folder('none.kaal'))).toBe(false)
    const odd = await rerun(tiny('odd.bin', `return to AArch32\n${ADDER}`))
    expect(odd).toMatchObject({ code: 125, stderr: expect.stringContaining('not modelled') as string })
  })

  it('checks assertions at every arrival', async () => {
    const boot = folder('echo.kaal')
    writeFileSync(folder('echo.txt'), 'abc\x04')
    await kaal(['record', '-o', boot, '--input', folder('echo.txt'), guest('echo')])
    const check = async (...assertions: string[]): Promise<string> => {
      const options = assertions.flatMap((each) => ['--fail-if', `assert:${each}`])
      const { code, stderr } = await kaal(['rerun', boot, '--quiet', '--kernel', guest('echo'), ...options])
      return `${code} ${stderr}`
    }
    // x9 is the PL011 whenever an interrupt comes; x19 is the sum, which is 0 at the first of them.
    const [holds, fails, never, unknown, nowhere] = await Promise.all([
      check('v_irq:$x9 == 0x9000000', 'main:[main] != 0', 'v_irq+4:$x19 < 0x10'),
      check('putc:$w0 != 0x63'),
      check('bad:1 == 2'),
      check('nowhere:1 == 2'),
      check('main:[0xffff_ffff_0000] == 1'),
    ])
    expect(holds).toMatch(/^0 kaal: good: /)
    expect(fails).toMatch(
      /^1 kaal: bad: assert:putc:.*: at arrival \d+ at putc, \$w0 is 0x0{14}63, and 0x63 is 0x0{14}63, at [\d_]+\n$/,
    )
    expect(never).toMatch(/^0 kaal: note: assert:bad:1 == 2: never came there\nkaal: good/)
    expect(unknown).toMatch(/^125 kaal: cannot tell: assert:nowhere:1 == 2: nowhere: no such symbol/)
    expect(nowhere).toMatch(/^1 .*\[0xffff_ffff_0000\] is nothing, since that address leads nowhere/)
  })

  it('finds a real panic of a real kernel', async () => {
    const boot = folder('boot.kaal')
    await kaal(['record', '-o', boot, '-m', '64M', KERNEL])
    const image = readFileSync(KERNEL)
    // `mrs x?, cntfrq_el0` becomes `udf`: an exception that nobody expects.
    const at = [...image.keys()].find(
      (n) => n % 4 === 0 && n + 4 <= image.length && (image.readUInt32LE(n) & 0xffffffe0) >>> 0 === 0xd53be000,
    )
    image.writeUInt32LE(0, at)
    writeFileSync(folder('panics.elf'), image)
    const judged = await kaal(['rerun', boot, '--quiet', '--kernel', folder('panics.elf'), '--json'])
    expect(judged.code).toBe(1)
    const { failures } = JSON.parse(judged.stdout) as { failures: { condition: string; message: string }[] }
    expect(failures[0].message).toMatch(/Unknown reason|undefined/i)
    const panicked = await kaal(['rerun', boot, '--kernel', folder('panics.elf'), '--fail-if', 'panic'])
    expect(panicked.code).toBe(1)
    expect(panicked.stderr).toMatch(/^kaal: bad: panic: the guest panicked: KERNEL PANIC: .*undefined/)
  })

  it('is stopped by a signal with 255, so that git bisect run stops too', async () => {
    let sent = false
    const stopped = await kaal(
      [
        'rerun',
        scenario,
        '--kernel',
        tiny('endless.bin', 'print on\nloop for ever'),
        '--max-instructions',
        '1_000_000_000_000',
        '--fail-if',
        'uart:x',
      ],
      {
        onOutput: (text, kill) => {
          if (!sent && text.includes('on')) kill('SIGINT')
          sent ||= text.includes('on')
        },
      },
    )
    expect(stopped).toMatchObject({
      code: 255,
      stderr: expect.stringContaining('before there was a verdict') as string,
    })
  })
})

describe('kaal bisect', () => {
  const images = (): string[] => readdirSync(folder('images')).map((name) => `images/${name}`)
  const bisect = (...options: string[]): Promise<Outcome> =>
    kaal(['bisect', scenario, ...options], { cwd: folder('.') })

  it('gives JSON, and both traces', async () => {
    mkdirSync(folder('traces'))
    const ends = ['--good', 'images/01.bin', '--bad', 'images/14.bin']
    const { code, stdout } = await bisect(...ends, ...images(), '--fail-if', COUNTED, '--json', '-d', 'traces/new')
    expect(code).toBe(0)
    const found = JSON.parse(stdout) as { runs: unknown[]; difference: { hunks: { lines: unknown[] }[] } }
    expect(found).toMatchObject({
      firstBad: 'images/10.bin',
      lastGood: 'images/09.bin',
      skipped: [],
      failures: [{ condition: COUNTED }],
      traces: { good: 'traces/new/bisect-good.kaal', bad: 'traces/new/bisect-bad.kaal' },
    })
    expect(found.runs.length).toBeLessThanOrEqual(7)
    expect(found.difference.hunks[0].lines).toContainEqual(
      expect.objectContaining({ side: '+', b: expect.objectContaining({ text: 'sumJH' }) }),
    )
    expect(readdirSync(folder('traces/new')).toSorted()).toEqual(['bisect-bad.kaal', 'bisect-good.kaal'])
    for (const name of ['good', 'bad'])
      expect((await kaal(['replay', '--quiet', folder(`traces/new/bisect-${name}.kaal`)])).code).toBe(0)
    const again = await bisect(...ends, '--fail-if', COUNTED, '-d', 'traces/new')
    expect(again).toMatchObject({ code: 255, stderr: expect.stringContaining('exists already') as string })
  })

  it('says between which builds it may be, if those cannot be judged', async () => {
    copyFileSync(folder('images/07.bin'), folder('empty.bin'))
    const options = ['--good', 'images/09.bin', '--bad', 'images/10.bin', '--fail-if', COUNTED, '-d', 'between']
    const { code, stdout } = await bisect(...options, 'empty.bin')
    expect(code).toBe(125)
    expect(stdout).toContain('first bad build: images/10.bin or, since they cannot be judged, empty.bin\n')
  })

  it.concurrent.each([
    ['both good', '01', '09', 'both do well'],
    ['both bad', '10', '14', 'both are bad'],
    ['the wrong way round', '14', '01', 'given as good, but bad'],
    ['not to be judged', '07', '14', 'given as good, but cannot tell'],
  ])('refuses a good and a bad build that are %s', async (_what, good, bad, message) => {
    const refused = await bisect(
      '--good',
      `images/${good}.bin`,
      '--bad',
      `images/${bad}.bin`,
      '--fail-if',
      COUNTED,
      '-d',
      `not-${good}-${bad}/there`,
    )
    expect(refused).toMatchObject({ code: 255, stdout: '', stderr: expect.stringContaining(message) as string })
    expect(existsSync(folder(`not-${good}-${bad}`))).toBe(false)
  })
})

describe('a command line', () => {
  const K = guest('null')
  const cases: [string[], ...string[]][] = [
    [['rerun', scenario], '--kernel'],
    [['rerun', scenario, '--kernel', 'missing.elf'], 'missing.elf', 'no such file'],
    [['rerun', 'missing.kaal', '--kernel', K], 'missing.kaal'],
    [['rerun', K, '--kernel', K], 'null.elf'],
    [['rerun', scenario, '--kernel', K, '--fail-if', 'panics'], '--fail-if panics', 'give uart:REGEX'],
    [['rerun', scenario, '--kernel', K, '--fail-if', 'uart:('], '--fail-if uart:(', 'Unterminated group'],
    [['rerun', scenario, '--kernel', K, '--fail-if', 'assert:main:$x77 == 1'], '$x77'],
    [['rerun', scenario, '--kernel', K, '--max-instructions', '0'], '--max-instructions', '1 or more'],
    [['bisect', scenario, '--good', K], '--bad'],
    [['bisect', scenario, '--good', K, '--bad', 'missing.elf'], 'missing.elf', 'no such file'],
    [['bisect', scenario, '--good', K, '--bad', K], 'named twice'],
    [['bisect', scenario, '--good', K, '--bad', KERNEL, guest('echo'), guest('echo')], 'named twice'],
  ]
  it.concurrent.each(cases)('%j is refused in a line', async (args, ...parts) => {
    const { code, stdout, stderr } = await kaal(args, { cwd: folder('.') })
    expect(stderr).toMatch(/^kaal: [^\n]+\n$/)
    for (const part of parts) expect(stderr).toContain(part)
    expect({ code, stdout }).toEqual({ code: 255, stdout: '' })
  })
})
