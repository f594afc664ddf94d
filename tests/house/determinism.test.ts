/** The lint rules that keep hosts out of the machine refuse what they should: each is fed a file that breaks it. */
import { spawnSync } from 'node:child_process'
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

const root = join(import.meta.dirname, '../..')
const oxlint = join(root, 'node_modules/oxlint/bin/oxlint')
let folder: string

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'kaal-lint-'))
  copyFileSync(join(root, '.oxlintrc.json'), join(folder, '.oxlintrc.json'))
})
afterAll(() => rmSync(folder, { recursive: true }))

/** The rules that oxlint finds broken in `text` as file `path` of the project. */
function broken(path: string, text: string): string[] {
  const file = join(folder, path)
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, text)
  const { stdout } = spawnSync(process.execPath, [oxlint, '--format', 'json', '-c', '.oxlintrc.json', path], {
    cwd: folder,
    encoding: 'utf8',
  })
  rmSync(file)
  const { diagnostics } = JSON.parse(stdout) as { diagnostics: { code: string }[] }
  return diagnostics.map(({ code }) => code)
}

const globals = ['Date.now()', 'new Date()', 'performance.now()', 'process.platform', 'Buffer.alloc(1)', 'globalThis.x']
const GLOBAL = 'eslint(no-restricted-globals)'
const PROPERTY = 'eslint(no-restricted-properties)'
const IMPORT = 'eslint(no-restricted-imports)'

describe.each(['cpu/isa/x.ts', 'devices/x.ts'])('%s', (path) => {
  test.each(globals)('may not say %s', (expression) => {
    expect(broken(path, `export const x = ${expression}\n`)).toContain(GLOBAL)
  })

  test.each(['Math.random()', "Math['random']()"])('may not say %s', (expression) => {
    expect(broken(path, `export const x = ${expression}\n`)).toContain(PROPERTY)
  })

  test('may not draw random out of Math', () => {
    expect(broken(path, 'const { random } = Math\nexport const x = random()\n')).toContain(PROPERTY)
  })

  test.each(['node:fs', 'node:fs/promises', 'fs', 'better-sqlite3'])('may not import %s', (name) => {
    expect(broken(path, `import * as x from '${name}'\nexport const y = x\n`)).toContain(IMPORT)
  })

  test('may use other files and plain arithmetic', () => {
    expect(broken(path, "import { a } from './a.js'\nexport const x = Math.floor(a)\n")).toEqual([])
  })
})

describe.each(['trace', 'replay'])('%s', (name) => {
  const text = "import { readFileSync } from 'node:fs'\nexport const x = readFileSync\n"

  test('may not import node: modules', () => {
    expect(broken(`${name}/x.ts`, text)).toContain(IMPORT)
  })

  test('but may in platform.ts', () => {
    expect(broken(`${name}/platform.ts`, text)).toEqual([])
  })
})

test('the sources themselves keep to these rules', () => {
  const { stdout } = spawnSync(process.execPath, [oxlint, '--format', 'json', 'cpu', 'devices', 'trace', 'replay'], {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 2 ** 26,
  })
  const result = JSON.parse(stdout) as { diagnostics: { code: string }[]; number_of_files: number }
  expect(result.number_of_files).toBeGreaterThan(50)
  expect(result.diagnostics.filter(({ code }) => [GLOBAL, PROPERTY, IMPORT].includes(code))).toEqual([])
})
