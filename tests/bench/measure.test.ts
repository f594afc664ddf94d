/** Running a program and measuring it. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { GUESTS } from '../../bench/guests.js'
import { childTime, measure } from '../../bench/measure.js'
import { parseOptions } from '../../bench/options.js'

const folder = mkdtempSync(join(tmpdir(), 'kaal-bench-test-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
const output = join(folder, 'output')

describe('measure', () => {
  test('counts the time of all threads, and keeps the output', async () => {
    const code = `const w = require('worker_threads'); const spin = 'const begin = process.cpuUsage(); while (process.cpuUsage(begin).user < 300_000);'
      new w.Worker(spin, { eval: true }); console.log('out')`
    const cost = await measure([process.execPath, '-e', code], output, 60)
    expect(readFileSync(output, 'utf8')).toBe('out\n')
    expect(cost.messages).toBe('')
    expect(cost.cpu).toBeGreaterThan(0.3)
    expect(cost.wall).toBeGreaterThan(0.1)
  })
  test('sleeping costs no CPU time', async () => {
    const { cpu, wall } = await measure(['sleep', '0.3'], output, 60)
    expect(wall).toBeGreaterThan(0.3)
    expect(cpu).toBeLessThan(0.1)
  })
  test('a program that fails is reported with what it said', async () => {
    await expect(measure(['sh', '-c', 'echo why >&2; exit 3'], output, 60)).rejects.toThrow(/exit code 3:.*\nwhy$/)
  })
  test('a program that hangs is ended', async () => {
    await expect(measure(['sleep', '100'], output, 0.2)).rejects.toThrow('not finished after 0.2 s: sleep 100')
  })
  test('the times of children are in the second line', () => {
    expect(childTime('0m9.000s 0m9.000s\n1m2.500s 0m0.250s\n')).toBe(62.75)
    expect(() => childTime('')).toThrow('printed ""')
  })
})

describe('options', () => {
  test('defaults', () => {
    const options = parseOptions([])
    expect(options?.rounds).toBe(3)
    expect(options?.guests).toEqual(GUESTS)
    expect(options?.engines).toEqual([])
    expect(options?.profile).toBe(false)
  })
  test('each engine is measured once', () => {
    expect(parseOptions(['--engines', 'interpreter,hybrid,interpreter'])?.engines).toEqual(['interpreter', 'hybrid'])
  })
  test('start-up is measured once, and first', () => {
    expect(parseOptions(['--guests', 'irq,null,irq'])?.guests.map(({ name }) => name)).toEqual(['null', 'irq'])
  })
  test.each([
    [['--rounds', '0'], '--rounds 0'],
    [['--rounds', '1.5'], '--rounds 1.5'],
    [['--guests', 'cpu,echo'], '--guests echo'],
    [['--engines', 'hybrid,jit'], '--engines jit'],
    [['--fast'], '--fast'],
  ])('%j is refused', (args, message) => {
    expect(() => parseOptions(args)).toThrow(message)
  })
  test('help', () => {
    expect(parseOptions(['--help'])).toBeUndefined()
  })
})
