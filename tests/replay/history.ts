/** A git repository with the history of a small guest, one commit of which breaks it unseen: for tests that bisect. */
import { execFileSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ADDER } from './tiny-guest.js'

/** What was done, oldest first: subjects, and how the source changes. */
const COMMITS: readonly (readonly [subject: string, change: (source: string) => string])[] = [
  ['adder: first version', (source) => source],
  ['adder: say what it wants', (source) => source.replace('print >', 'print Letters, then ^D\\n\nprint >')],
  ['adder: let the console settle', (source) => source.replace('print >', 'delay 1000\nprint >')],
  ['doc: who wrote this', (source) => `# By nobody in particular.${source}`],
  ['adder: version 2', (source) => source.replace('Adder 1', 'Adder 2')],
  ['adder: settle longer', (source) => source.replace('delay 1000', 'delay 3000')],
  ['adder: total, not sum', (source) => source.replace('\nsum\n', '\ntotal\n')],
  ['adder: it is a sum, after all', (source) => source.replace('\ntotal\n', '\nsum\n')],
  ['doc: what get does', (source) => source.replace('get', '# Waits for a byte.\nget')],
  ['adder: letters are ASCII', (source) => source.replace('sum\necho', 'strip bit 7\nsum\necho')],
  ['adder: say that it is done', (source) => source.replace('off', 'print Done\\n\noff')],
  ['adder: version 3', (source) => source.replace('Adder 2', 'Adder 3')],
  ['adder: settle shorter', (source) => source.replace('delay 3000', 'delay 500')],
  ['doc: this is an example', (source) => `${source}# An example.\n`],
]
/** Subject of the commit that breaks it: bytes above 0x7f are added wrong. */
export const GUILTY = 'adder: letters are ASCII'
/** What tells: 0x17, the sum of the bytes of `café` and ^D in Latin-1. */
export const INPUT = Uint8Array.of(0x63, 0x61, 0x66, 0xe9, 4)

/**
 * Makes the repository: `adder.txt` is the source, tag `v1` is the first commit, and `build.sh` makes `kernel.bin`, by the module
 * `tiny-guest.js` that environment variable COMPILER names. The hashes of the commits are always the same.
 *
 * @returns the commits, oldest first.
 */
export function makeHistory(folder: string): string[] {
  mkdirSync(folder)
  const git = (...args: string[]): string =>
    execFileSync('git', args, { cwd: folder, env: { ...process.env, ...IDENTITY }, encoding: 'utf8' })
  git('init', '-q', '-b', 'main')
  const build = `import { readFileSync, writeFileSync } from 'node:fs'
const { compile } = await import(process.env.COMPILER)
writeFileSync('kernel.bin', compile(readFileSync('adder.txt', 'utf8')))
`
  writeFileSync(join(folder, 'build.mjs'), build)
  writeFileSync(join(folder, 'build.sh'), '#!/bin/sh\nexec node build.mjs\n', { mode: 0o755 })
  writeFileSync(join(folder, '.gitignore'), 'kernel.bin\n')
  git('add', '.')
  let source = ADDER
  const commits = COMMITS.map(([subject, change], n) => {
    const changed = change(source)
    if (n > 0 && changed === source) throw new Error(`${subject}: changes nothing`)
    source = changed
    writeFileSync(join(folder, 'adder.txt'), source)
    git('add', 'adder.txt')
    git('commit', '-q', '-m', subject)
    return git('rev-parse', 'HEAD').trim()
  })
  git('tag', 'v1', commits[0])
  return commits
}

const IDENTITY = {
  GIT_AUTHOR_NAME: 'A',
  GIT_AUTHOR_EMAIL: 'a@example.org',
  GIT_COMMITTER_NAME: 'A',
  GIT_COMMITTER_EMAIL: 'a@example.org',
  GIT_AUTHOR_DATE: '2026-01-01T00:00:00Z',
  GIT_COMMITTER_DATE: '2026-01-01T00:00:00Z',
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_CONFIG_NOSYSTEM: '1',
}
