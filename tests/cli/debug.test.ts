/** The debugger, by scripts: every command, on the KaaL boot. */
import { writeFileSync } from 'node:fs'
import { beforeAll, describe, expect, it } from 'vitest'
import { testFolder } from '../trace/folder.js'
import { KERNEL, build, kaal } from './kaal.js'

const folder = testFolder()
const trace = folder('boot.kaal')
let end = ''

beforeAll(async () => {
  build()
  await kaal(['record', '-o', trace, KERNEL])
  const { stdout } = await kaal(['info', trace])
  end = /instructions\s+([\d_]+)/.exec(stdout)?.[1] ?? ''
})

/** Runs commands one by one. Gives what each has printed, without the last newline. */
async function debug(...commands: string[]): Promise<string[]> {
  // `when` with a trailing comment cannot be told apart from output, so a mark stands between the commands.
  const args = commands.flatMap((command) => ['-e', command, '-e', 'help when'])
  const { code, stdout, stderr } = await kaal(['debug', trace, ...args])
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  return stdout
    .split('when: the position\n')
    .slice(0, -1)
    .map((text) => text.trimEnd())
}

const positionOf = (line: string): number => Number(/^([\d_]+) {2}0x/m.exec(line)?.[1].replaceAll('_', ''))

describe('moving', () => {
  it('forwards and backwards by steps shows the same instructions', async () => {
    const shown = await debug('goto 2_000_000', 's', 'step 2', 'step', 'rs', 'reverse-step 2', 'rs', 'when')
    const [start, one, three, four] = shown
    expect(shown).toEqual([start, one, three, four, three, one, start, `2_000_000 of ${end}`])
    expect([start, one, three, four].map(positionOf)).toEqual([2_000_000, 2_000_001, 2_000_003, 2_000_004])
    expect(start).toMatch(/^2_000_000 {2}0x[0-9a-f]{16} <[^ ].*> {2}\w+/)
  })

  it('to breakpoints finds each hit, the last one backwards too', async () => {
    const shown = await debug(
      'b probe_read',
      'i b',
      'c',
      'c',
      'c',
      'rc',
      'rc',
      'rc',
      'delete 1',
      'info breakpoints',
      'c',
    )
    const [set, list, first, second, third, back, backAgain, start, , none, atEnd] = shown
    expect(set).toMatch(/^breakpoint 1 at 0x[0-9a-f]{16} <probe_read>$/)
    expect(list).toMatch(/^1 {2}0x[0-9a-f]{16} <probe_read>$/)
    expect(first).toMatch(/^breakpoint 1\n.*<probe_read>/)
    expect(positionOf(first)).toBeLessThan(positionOf(second))
    expect(positionOf(second)).toBeLessThan(positionOf(third))
    expect(back).toBe(second)
    expect(backAgain).toBe(first)
    expect(start).toMatch(/^start of the trace\n0 {2}0x/)
    expect(none).toBe('no breakpoints')
    expect(atEnd).toMatch(new RegExp(`^end of the trace\n${end} `))
  })

  it('backwards from the end finds the last hit', async () => {
    const [, , last, forwards] = await debug('b probe_read', 'goto end', 'rc', 'c')
    expect(last).toMatch(/^breakpoint 1\n.*<probe_read>/)
    expect(forwards).toMatch(/^end of the trace/)
  })
})

describe('looking', () => {
  it('shows registers, memory, instructions and output', async () => {
    const shown = await debug(
      'goto 2_065_201',
      'regs',
      'regs sp x0',
      'x/2xg $sp',
      'x/4xw $sp',
      'x/3i $pc',
      'disas probe_write',
      'x/s __rodata_start',
      'uart 100',
    )
    const [, regs, some, doubles, words, three, listing, string, uart] = shown
    expect(regs).toMatch(/^x0 {2}0x[0-9a-f]{16} {2}x1 /)
    expect(regs).toMatch(/pstate [nN][zZ][cC][vV] DAIF EL1h/)
    expect(some).toMatch(/^sp {2}0x[0-9a-f]{16}.*\nx0 {2}0x[0-9a-f]{16}/)
    const [low, high] = /: 0x([0-9a-f]{8})([0-9a-f]{8}) /.exec(doubles)?.slice(1).toReversed() ?? []
    expect(words).toContain(`: 0x${low} 0x${high} `)
    expect(three.split('\n')).toHaveLength(3)
    expect(listing).toMatch(/^(=> | {3})0x[0-9a-f]{16} <probe_write>: /)
    expect(string).toMatch(/^0x[0-9a-f]{16} <__rodata_start>: ".+"/)
    expect(uart).toMatch(/^Hello from KaaL Kernel!\n/)
  })

  it('understands readable names, parts of them and sums', async () => {
    const [full, part, sum] = await debug('b kaal::boot::describe+4', 'b boot::describe + 8 - 4', 'b $pc+0x10')
    expect(part.replace('breakpoint 2', 'breakpoint 1')).toBe(full)
    expect(sum).toContain('0x0000000040200010')
  })
})

describe('a script', () => {
  it('in a file or on standard input is carried out to quit', async () => {
    const file = folder('script.gdb')
    writeFileSync(file, '# comment\n\ngoto 100\nwhen\nquit\nnonsense\n')
    const fromFile = await kaal(['debug', trace, '-x', file])
    expect(fromFile).toMatchObject({ code: 0, stderr: '', stdout: expect.stringContaining(`\n100 of ${end}\n`) })
    const piped = await kaal(['debug', trace], { input: 'goto 100\nwhen\nquit\nnonsense\n' })
    expect(piped).toEqual(fromFile)
  })

  const failing: [string, string][] = [
    ['re', 'reverse-step or reverse-continue or regs'],
    ['frobnicate', 'no such command'],
    ['b nowhere_at_all', 'no such symbol'],
    ['b describ', 'there are'],
    ['goto 99_999_999', 'give a position'],
    ['step -1', 'at least 1'],
    ['x/3q $sp', 'no format or size q'],
    ['x/xg 0x10', 'no memory there'],
    ['x $x31', 'no such register'],
    ['delete 7', 'there are none'],
    ['info all', 'breakpoints, registers, trace'],
    ['b 0x40200001', 'multiple of 4'],
  ]
  it('stops at the first command that fails, with its line and exit 255', async () => {
    for (const [command, reason] of failing) {
      const { code, stderr, stdout } = await kaal(['debug', trace], { input: `goto 3_000_000\n${command}\nwhen\n` })
      expect(stderr).toMatch(/^kaal: standard input, line 2: [^\n]+\n$/)
      expect(stderr).toContain(reason)
      expect(stdout).toMatch(/^3_000_000 {2}.*\n(\S+:\d+.*\n)?$/)
      expect(code).toBe(255)
    }
  })
})
