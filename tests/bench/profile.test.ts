/** Where the time goes: frames to kinds of work, profiles to seconds, and a real run. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { GUESTS, images } from '../../bench/guests.js'
import { type CpuProfile, attribute } from '../../bench/profile/attribution.js'
import { fileOf, kindOf } from '../../bench/profile/classification.js'
import { exportNames, moduleName, named } from '../../bench/profile/naming.js'
import { profileReport } from '../../bench/profile/report.js'
import { type GuestProfile, profileGuests } from '../../bench/profile/run.js'
import { FunctionBuilder, ModuleBuilder } from '../../cpu/wasm/assembler.js'

const folder = mkdtempSync(join(tmpdir(), 'kaal-profile-test-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

describe('frames', () => {
  const dist = (path: string) => `file:///somewhere/kaal/dist/${path}.js`
  test.each([
    ['wasm-function[14]', 'wasm://wasm/interpreter-0003753e', 'interpreter'],
    ['wasm-function[7]', 'wasm://wasm/regions-62e464fa', 'regions'],
    ['wasm-function[3]', 'wasm://wasm/hub-62e464fa', 'engine switch'],
    ['wasm-function[0]', 'wasm://wasm/hash-62e464fa', 'digests'],
    ['findRegion', dist('cpu/translator/region'), 'translation'],
    ['walk', dist('cpu/mmu/walk'), 'TLB refill'],
    ['add', dist('cpu/mmu/code-pages'), 'decoding'],
    ['decode', dist('cpu/processor'), 'decoding'],
    ['write', dist('devices/pl011'), 'MMIO, devices'],
    ['run', dist('devices/machine'), 'run loop'],
    ['Machine', dist('devices/machine'), 'start-up'],
    ['writeSystemRegister', dist('cpu/sysregs/access'), 'system, exceptions'],
    ['endBatch', dist('replay/execution'), 'digests'],
    ['update', dist('replay/page-hashes'), 'snapshots'],
    ['knowLoaded', dist('replay/page-hashes'), 'start-up'],
    ['snapshot', dist('trace/writer'), 'snapshots'],
    ['uart', dist('trace/writer'), 'trace, SQLite'],
    ['run', dist('trace/platform'), 'trace, SQLite'],
    ['exec', 'file:///kaal/node_modules/better-sqlite3/lib/methods/wrappers.js', 'trace, SQLite'],
    ['(garbage collector)', '', 'garbage collection'],
    ['compileSourceTextModule', 'node:internal/modules/esm/utils', 'start-up'],
  ])('%s of %s is %s', (functionName, url, kind) => {
    expect(kindOf({ functionName, url })).toBe(kind)
  })
  test.each([
    ['processChunkSync', 'node:zlib'],
    ['deflate', dist('trace/platform')],
    ['', dist('trace/writer')],
    ['guard', dist('trace/writer')],
    ['refresh', dist('replay/page-hashes')],
    ['i32', dist('cpu/wasm/assembler')],
    ['Module', ''],
    ['(program)', ''],
  ])('%s of %s counts for its caller', (functionName, url) => {
    expect(kindOf({ functionName, url })).toBeUndefined()
  })
  test('a module without a name has none', () => {
    expect(fileOf('wasm://wasm/0003753e')).toBe('wasm:')
    expect(fileOf('wasm://wasm/two-words-0003753e')).toBe('wasm:two-words')
  })
})

describe('modules', () => {
  const module = (...exports: string[]): Uint8Array<ArrayBuffer> => {
    const builder = new ModuleBuilder(1)
    for (const name of exports) builder.add(new FunctionBuilder([], []), name)
    return Uint8Array.from(builder.bytes())
  }
  test('are told by what they export', () => {
    expect(exportNames(module('region0', 'region1'))).toEqual(['region0', 'region1'])
    expect(moduleName(module('region0', 'region1'))).toBe('regions')
    expect(moduleName(module('nzcv', 'run'))).toBe('interpreter')
    expect(moduleName(module('run'))).toBe('hub')
    expect(moduleName(module('anything'))).toBe('other')
    expect(moduleName(module())).toBe('other')
  })
  test('stay valid with a name, and V8 shows it', () => {
    const builder = new ModuleBuilder(1)
    const f = new FunctionBuilder([], [])
    f.op(0)
    builder.add(f, 'trap')
    const bytes = named(Uint8Array.from(builder.bytes()), 'regions')
    const memory = new WebAssembly.Memory({ initial: 1 })
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes), { env: { memory } })
    let stack = ''
    try {
      ;(exports['trap'] as () => void)()
    } catch (error) {
      stack = (error as Error).stack ?? ''
    }
    expect(stack).toMatch(/wasm:\/\/wasm\/regions-[0-9a-f]+:/)
  })
})

describe('a profile', () => {
  const frame = (functionName: string, url = '') => ({ functionName, url })
  const profile: CpuProfile = {
    nodes: [
      { id: 1, callFrame: frame('(root)'), children: [2, 5, 6] },
      { id: 2, callFrame: frame('finish', 'file:///k/dist/cpu/translator/translator.js'), children: [3] },
      { id: 3, callFrame: frame('Module'), children: [4] },
      { id: 4, callFrame: frame('walk', 'file:///k/dist/cpu/mmu/walk.js') },
      { id: 5, callFrame: frame('(idle)') },
      { id: 6, callFrame: frame('(program)') },
    ],
    startTime: 1000,
    endTime: 8000,
    samples: [3, 4, 5, 6, 2],
    timeDeltas: [500, 1000, 2000, 3000, 100],
  }
  const seconds = attribute(profile)
  test('a sample counts until the next, for its nearest known frame', () => {
    // 1000 µs in Module below finish, and 400 in finish from the last sample to the end
    expect(seconds.translation).toBeCloseTo(0.0014)
    expect(seconds['TLB refill']).toBeCloseTo(0.002)
    expect(seconds.rest).toBeCloseTo(0.0001)
  })
  test('waiting counts for nothing', () => {
    expect(Object.values(seconds).reduce((sum, part) => sum + part)).toBeCloseTo(0.0035)
  })
})

describe('a real run', () => {
  const guests = GUESTS.filter(({ name }) => name === 'cold')
  test('is mostly explained, and each engine shows as itself', { timeout: 120_000 }, async () => {
    const engines = ['interpreter', 'hybrid']
    const preload = resolve('dist/bench/profile/preload.js')
    const plan = { entry: 'cli/bin.js', preload, guests, engines, images: images('.', guests), folder }
    const [interpreter, hybrid] = await profileGuests(plan)
    expect([interpreter.engine, hybrid.engine]).toEqual(engines)
    expect(interpreter.seconds.regions).toBe(0)
    for (const { seconds } of [interpreter, hybrid]) {
      expect(seconds.interpreter).toBeGreaterThan(0)
      expect(seconds.decoding).toBeGreaterThan(0)
      expect(seconds.digests).toBeGreaterThan(0)
      expect(seconds['start-up']).toBeGreaterThan(0)
      const total = Object.values(seconds).reduce((sum, part) => sum + part, 0)
      expect(seconds.rest / total).toBeLessThan(0.15)
    }
    expect(hybrid.seconds.regions).toBeGreaterThan(0)
  })
  test('is shown in percent and seconds', () => {
    const seconds = attribute({ nodes: [], samples: [], timeDeltas: [], startTime: 0, endTime: 0 })
    const one: GuestProfile = {
      guest: 'cpu',
      engine: 'hybrid',
      seconds: { ...seconds, regions: 3, 'trace, SQLite': 1 },
      mainThread: 3.5,
      cpu: 4.25,
      wall: 4,
    }
    const lines = profileReport([one], false).split('\n')
    expect(lines[0]).toMatch(/^ +cpu, hybrid +s$/)
    expect(lines[1]).toMatch(/^regions +75\.0% +3\.000$/)
    expect(lines[2]).toMatch(/^trace, SQLite +25\.0% +1\.000$/)
    expect(lines[3]).toMatch(/^total +100\.0% +4\.000$/)
    expect(lines[4]).toMatch(/^CPU, main thread +3\.500$/)
    expect(lines[5]).toMatch(/^CPU, other threads +0\.750$/)
  })
})
