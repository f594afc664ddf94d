/** The soak: what it judges, how it flushes, and that it notices what is wrong. */
import { spawnSync } from 'node:child_process'
import { describe, expect, test } from 'vitest'
import { GUESTS, images } from '../../bench/guests.js'
import { FlushSchedule, Soak } from '../../bench/soak/loop.js'
import { judgeMemory } from '../../bench/soak/memory.js'

describe('memory', () => {
  test('the last third is held against the middle one', () => {
    expect(judgeMemory([900, 100, 100])).toEqual({ middle: 100, last: 100, constant: true })
    expect(judgeMemory([1, 1, 100, 110, 104, 116])).toEqual({ middle: 105, last: 110, constant: true })
    expect(judgeMemory([100, 100, 111])).toMatchObject({ constant: false })
  })
  test('thirds are of the same length: loops left over count as warming up', () => {
    expect(judgeMemory([7, 7, 100, 100, 200])).toEqual({ middle: 100, last: 200, constant: false })
  })
  test('steady growth is found, whatever its start', () => {
    expect(judgeMemory(Array.from({ length: 30 }, (_, i) => 500 + 20 * i))?.constant).toBe(false)
  })
  test('two loops tell nothing', () => {
    expect(judgeMemory([1, 2])).toBeUndefined()
  })
})

describe('the schedule of flushes', () => {
  const drawn = (seed: number): number[] => {
    const schedule = new FlushSchedule(seed)
    return Array.from({ length: 2000 }, () => schedule.due()).flatMap((due, i) => (due ? [i] : []))
  }
  test('is the same for the same seed', () => {
    expect(drawn(7)).toEqual(drawn(7))
    expect(drawn(7)).not.toEqual(drawn(8))
  })
  test('flushes after 1 to 32 slices', () => {
    const gaps = drawn(1).map((at, i, all) => at - (i === 0 ? -1 : all[i - 1]))
    expect(Math.min(...gaps)).toBe(1)
    expect(Math.max(...gaps)).toBe(32)
  })
})

describe('a run', { timeout: 120_000 }, () => {
  const uart = GUESTS.find(({ name }) => name === 'uart')
  if (!uart) throw new Error('no guest uart')
  const image = images('.', [uart]).get('uart') ?? ''

  test('ends the same each time, however translations are flushed', async () => {
    const soak = new Soak('hybrid', 5)
    const held: string[] = []
    for (const time of ['first', 'second']) {
      const { instructions } = await soak.run(uart, image, () => held.push(time))
      expect(instructions).toBe(uart.instructions)
    }
    expect(held).toEqual(['first', 'second'])
  })
  test('with another result is noticed', async () => {
    const soak = new Soak('interpreter', 1)
    const wrong = { ...uart, says: { result: 'bad', ticks: '140000' } }
    await expect(soak.run(wrong, image, () => {})).rejects.toThrow('uart: result=100000, and should be bad')
  })
  test('with another number of instructions is noticed', async () => {
    const soak = new Soak('interpreter', 1)
    await expect(soak.run({ ...uart, instructions: 5 }, image, () => {})).rejects.toThrow('10486717 instructions')
  })
  test('that ends in another state than before is noticed', async () => {
    const soak = new Soak('hybrid', 1)
    const boot = GUESTS.find(({ name }) => name === 'kaal-boot')
    const empty = GUESTS.find(({ name }) => name === 'null')
    if (!boot || !empty) throw new Error('guests are missing')
    await soak.run({ ...empty, name: 'same' }, images('.', [empty]).get('null') ?? '', () => {})
    await expect(soak.run({ ...boot, name: 'same' }, boot.image ?? '', () => {})).rejects.toThrow(
      /^same: ends with \d+ instructions, state .*, and before with 690 instructions/,
    )
  })
})

describe('the command', { timeout: 120_000 }, () => {
  const soak = (...args: string[]) =>
    spawnSync(process.execPath, ['--expose-gc', 'dist/bench/soak/main.js', ...args], { encoding: 'utf8' })

  test('loops, and judges', () => {
    const { status, stdout } = soak('--minutes', '0.03', '--guests', 'null')
    expect(stdout).toMatch(/^\d+ loops of 1 guests, [\d,]+ instructions, \d+ flushes: all results right\.$/m)
    expect(stdout).toMatch(/(constant|GROWING)\.$|Too few loops/m)
    expect(status).toBe(/constant\.$/m.test(stdout) ? 0 : 1)
  })
  test.each([
    [['--minutes', '0'], '--minutes 0'],
    [['--guests', 'nobody'], '--guests nobody'],
    [['--engine', 'jit'], '--engine jit'],
    [['--seed', '0'], '--seed 0'],
    [['--fast'], '--fast'],
  ])('%j is refused', (args, message) => {
    const { status, stderr } = soak(...args)
    expect(status).toBe(255)
    expect(stderr).toContain(message)
  })
})
