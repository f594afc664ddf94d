/** Completion scripts do what people expect in real shells, and the manual pages are those of the verbs as they are. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ROOT, build, kaal } from './kaal.js'

const pages = readdirSync(join(ROOT, 'man')).toSorted()
const verbs = pages.flatMap((file) => /^kaal-(.*)\.1$/.exec(file)?.[1] ?? [])
const folder = mkdtempSync(join(tmpdir(), 'kaal-completion-'))
const script = (shell: string): string => join(folder, shell)
const has = (program: string): boolean => spawnSync(program, ['--version']).status === 0

/** What a shell prints, as words. */
function words(shell: string, args: readonly string[]): string[] {
  const { stdout, stderr, status } = spawnSync(shell, args, { cwd: folder, encoding: 'utf8', timeout: 20_000 })
  expect({ stderr, status }).toEqual({ stderr: '', status: 0 })
  return stdout.split(/\s+/).filter((word) => word !== '')
}

beforeAll(async () => {
  build()
  for (const shell of ['bash', 'zsh', 'fish']) writeFileSync(script(shell), (await kaal(['completion', shell])).stdout)
  writeFileSync(join(folder, 'boot.kaal'), '')
  writeFileSync(join(folder, 'bomb.txt'), '')
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

test('there is a script for each shell, and for no other', async () => {
  const { code, stderr } = await kaal(['completion', 'tcsh'])
  expect([code, stderr]).toEqual([255, expect.stringMatching(/^kaal: .*tcsh.*bash, zsh, fish\.\n$/)])
})

describe('bash', () => {
  const complete = (...line: string[]): string[] => {
    const typed = line.map((word) => `'${word}'`).join(' ')
    const ask = `source ${script('bash')}; COMP_WORDS=(${typed}); COMP_CWORD=${line.length - 1}; _kaal; echo "\${COMPREPLY[@]}"`
    return words('bash', ['-c', ask])
  }
  test('verbs', () => {
    expect(complete('kaal', '')).toEqual(expect.arrayContaining(verbs))
    expect(complete('kaal', 're').toSorted()).toEqual(verbs.filter((verb) => verb.startsWith('re')))
  })
  test('options of the verb', () => {
    expect(complete('kaal', 'replay', '--t')).toEqual(['--to'])
    expect(complete('kaal', 'record', '--max')).toEqual(['--max-instructions'])
  })
  test('values: choices, traces, files', () => {
    expect(complete('kaal', 'replay', '--engine', 'h')).toEqual(['hybrid'])
    expect(complete('kaal', 'replay', 'bo')).toEqual(['boot.kaal'])
    expect(complete('kaal', 'record', 'bo')).toEqual(['bomb.txt', 'boot.kaal'])
  })
})

describe.skipIf(!has('zsh'))('zsh', () => {
  test('the script is one that zsh understands, and defines the completion', () => {
    expect(words('zsh', ['-n', script('zsh')])).toEqual([])
    const ask = `autoload -U compinit; compinit -D; source ${script('zsh')}; echo $_comps[kaal]`
    expect(words('zsh', ['-f', '-c', ask])).toEqual(['_kaal'])
  })
})

describe.skipIf(!has('fish'))('fish', () => {
  const complete = (line: string): string[] =>
    spawnSync('fish', ['--no-config', '-c', `source ${script('fish')}; complete -C '${line}'`], {
      cwd: folder,
      encoding: 'utf8',
    })
      .stdout.split('\n')
      .map((entry) => entry.split('\t')[0])
      .filter((entry) => entry !== '')
  test('verbs, options and values', () => {
    expect(complete('kaal ')).toEqual(expect.arrayContaining(verbs))
    expect(complete('kaal replay --t')).toEqual(['--to'])
    expect(complete('kaal replay --engine h')).toEqual(['hybrid'])
    expect(complete('kaal replay bo')).toEqual(expect.arrayContaining(['boot.kaal']))
  })
})

describe('manual pages', () => {
  test('are those in man/: npm run man writes them', () => {
    const made = join(folder, 'man')
    expect(spawnSync(process.execPath, [join(ROOT, 'dist/cli/man.js'), made]).status).toBe(0)
    expect(readdirSync(made).toSorted()).toEqual(pages)
    for (const file of pages)
      expect(readFileSync(join(made, file), 'utf8'), file).toBe(readFileSync(join(ROOT, 'man', file), 'utf8'))
  })
  test.skipIf(!has('groff'))('groff has nothing to say about them', () => {
    for (const file of pages) {
      const { stdout, stderr } = spawnSync('groff', ['-man', '-Tutf8', '-ww', '-P-cbu', join(ROOT, 'man', file)], {
        encoding: 'utf8',
      })
      expect(stderr).toBe('')
      expect(stdout).toContain('SYNOPSIS')
    }
  })
})
