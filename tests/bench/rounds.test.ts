/** Runs of kaal as the benchmark makes them, and what it checks in each. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { GUESTS, type Guest, images } from '../../bench/guests.js'
import { runRounds } from '../../bench/rounds.js'
import { kaalModes, modeName, qemuModes } from '../../bench/systems.js'

const folder = mkdtempSync(join(tmpdir(), 'kaal-rounds-test-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
const KAAL = 'cli/bin.js'

const guest = (name: string): Guest => {
  const found = GUESTS.find((one) => one.name === name)
  if (!found) throw new Error(`no guest ${name}`)
  return found
}

describe('modes', () => {
  test('a plain run, recording and replaying, with each engine', () => {
    expect(kaalModes(KAAL, ['interpreter']).map(modeName)).toEqual([
      'kaal plain',
      'kaal record',
      'kaal replay',
      'kaal plain (interpreter)',
      'kaal record (interpreter)',
      'kaal replay (interpreter)',
    ])
    expect(qemuModes('qemu').map(modeName)).toEqual(['QEMU plain', 'QEMU counted', 'QEMU record', 'QEMU replay'])
  })
  test('a kaal without a choice of engines is refused, if some are asked for', () => {
    const old = join(folder, 'old.js')
    writeFileSync(old, `console.log('Usage: kaal record [options] [kernel]')`)
    expect(() => kaalModes(old, ['interpreter'])).toThrow(`${old} record does not know --engine`)
    expect(kaalModes(old).map(modeName)).toEqual(['kaal record', 'kaal replay'])
  })
  test('and so is one without this engine', () => {
    expect(() => kaalModes(KAAL, ['interpreter', 'quantum'])).toThrow('record does not know quantum')
  })
})

describe('rounds', { timeout: 120_000 }, () => {
  const run = (one: Guest, engines: readonly string[] = []) =>
    runRounds({ guests: [one], modes: kaalModes(KAAL, engines), images: images('.', [one]), rounds: 1, folder })

  test('every mode runs once, and only a recording leaves a trace', async () => {
    const series = await run(guest('null'), ['interpreter'])
    expect(series.map(({ costs }) => costs.length)).toEqual([1, 1, 1, 1, 1, 1])
    for (const { mode, costs, traceBytes } of series) {
      expect(costs[0].cpu).toBeGreaterThan(0.01)
      if (mode.name === 'record') expect(traceBytes).toBeGreaterThan(1000)
      else expect(traceBytes).toBeUndefined()
    }
  })
  test('another number of instructions is found', async () => {
    await expect(run({ ...guest('null'), instructions: 691 })).rejects.toThrow(
      'null, kaal plain: 690 instructions, and should be 691',
    )
  })
  test('another result is found', async () => {
    await expect(run({ ...guest('null'), says: { result: '1', ticks: '0' } })).rejects.toThrow(
      'null, kaal plain: result=0, and should be 1',
    )
  })
  test('a guest whose number of instructions is unknown has the same in all modes', async () => {
    const series = await run(guest('kaal-boot'))
    expect(series).toHaveLength(3)
  })
})
