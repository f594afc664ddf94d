/** What is looked for in a guest's output, and where images come from. */
import { existsSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { DEFAULT_GUESTS, GUESTS, images, parseLastLine, wrongOutput } from '../../bench/guests.js'

const guest = (name: string) => {
  const found = GUESTS.find((one) => one.name === name)
  if (!found) throw new Error(`no guest ${name}`)
  return found
}
const CPU = 'cpu insns=1000000000 result=b6353158a487ceec ticks=0000000007735940\n'

describe('the last line', () => {
  test('its values lose their leading zeros', () => {
    expect(parseLastLine(CPU)).toEqual({ result: 'b6353158a487ceec', ticks: '7735940' })
    expect(parseLastLine('null result=0000000000000000 ticks=0000000000000000\n')).toEqual({ result: '0', ticks: '0' })
  })
  test('what comes before does not matter', () => {
    expect(parseLastLine(`result=1 ticks=2\nabc\n${CPU}`)?.ticks).toBe('7735940')
  })
  test('a line cut short is none', () => {
    expect(parseLastLine('cpu insns=1000000000 result=b63531')).toBeUndefined()
    expect(parseLastLine('')).toBeUndefined()
  })
})

describe('the check of an output', () => {
  test('the right one passes', () => {
    expect(wrongOutput(guest('cpu'), CPU, true)).toBeUndefined()
  })
  test('another result does not, whether or not time is counted', () => {
    const other = CPU.replace('result=b', 'result=c')
    expect(wrongOutput(guest('cpu'), other, true)).toContain('result=c6353158a487ceec')
    expect(wrongOutput(guest('cpu'), other, false)).toContain('should be b6353158a487ceec')
  })
  test('another time passes only where it is not counted', () => {
    const other = CPU.replace('7735940', '7735941')
    expect(wrongOutput(guest('cpu'), other, true)).toContain('ticks=7735941')
    expect(wrongOutput(guest('cpu'), other, false)).toBeUndefined()
  })
  test('a result that depends on the clock is checked where the clock is the instruction count', () => {
    const other = 'spin timer_irqs=1000 result=0000000035e726c2 ticks=0000000003b9cdbc\n'
    expect(wrongOutput(guest('spin'), other, false)).toBeUndefined()
    expect(wrongOutput(guest('spin'), other, true)).toContain('result=35e726c2')
  })
  test('silence is wrong', () => {
    expect(wrongOutput(guest('cpu'), '', true)).toContain('no last line')
  })
})

test('every guest has an image', () => {
  const paths = images('bench/guests', GUESTS)
  for (const { name } of GUESTS) expect(existsSync(paths.get(name) ?? ''), name).toBe(true)
})

test('the guests measured by default exist', () => {
  for (const name of DEFAULT_GUESTS) expect(guest(name).instructions).toBeGreaterThan(1_000_000)
})
