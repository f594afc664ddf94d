/** What is looked for in a guest's output, and where images come from. */
import { existsSync, readFileSync, readdirSync, statSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { GROUPS, GUESTS, images, parseLastLine, wrongOutput } from '../../bench/guests.js'

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
  test('a kernel says what it says, and no test of it fails where time is counted', () => {
    const boot = 'Self tests: 36 passed, 0 failed\r\nNo root task to run.\r\nSystem powering off.\r\n'
    expect(wrongOutput(guest('kaal-boot'), boot, true)).toBeUndefined()
    const failed = boot.replace('0 failed', '1 failed')
    expect(wrongOutput(guest('kaal-boot'), failed, true)).toContain('1 failed')
    expect(wrongOutput(guest('kaal-boot'), failed, false)).toBeUndefined()
  })
})

describe('the list of guests', () => {
  const prebuilt = readdirSync('bench/guests/prebuilt').map((name) => name.replace(/\.elf$/, ''))
  /** These want input: only the comparison with QEMU runs them. */
  const WITH_INPUT = ['echo', 'echo-spin']

  test('every guest has an image, and every image is a guest', () => {
    const paths = images('.', GUESTS)
    for (const { name } of GUESTS) expect(existsSync(paths.get(name) ?? ''), name).toBe(true)
    const built = GUESTS.filter(({ image }) => image === undefined).map(({ name }) => name)
    expect([...built, ...WITH_INPUT].toSorted()).toEqual(prebuilt.toSorted())
  })
  test('images are small', () => {
    for (const name of prebuilt) expect(statSync(`bench/guests/prebuilt/${name}.elf`).size, name).toBeLessThan(200_000)
  })
  test("every group has guests, and every guest's name is its own", () => {
    expect(new Set(GUESTS.map(({ group }) => group))).toEqual(new Set(GROUPS.map(({ name }) => name)))
    expect(new Set(GUESTS.map(({ name }) => name)).size).toBe(GUESTS.length)
  })
  test('their README has the same results and totals', () => {
    const rows = readFileSync('bench/guests/README.md', 'utf8')
      .split('\n')
      .filter((line) => line.startsWith('| '))
      .map((line) => line.split(' | '))
    for (const { name, instructions, says } of GUESTS) {
      if (instructions === undefined || !('result' in says)) continue
      const row = rows.find((cells) => cells[0].replace('| ', '').split(', ').includes(name))
      expect(row, name).toBeDefined()
      const [, , , result, totals] = row ?? []
      expect(totals.replaceAll(',', ''), name).toContain(String(instructions))
      if (/^[0-9a-f]+$/.test(result)) expect(says.result, name).toBe(result)
    }
  })
})
