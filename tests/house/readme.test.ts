/** What README.md and CONTRIBUTING.md say is true: sessions print what stands there, commands, options, scripts and links exist. */
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { KAAL, ROOT, kaal, scratchFolder } from '../support/kaal.js'

const readme = readFileSync(join(ROOT, 'README.md'), 'utf8')
const documents = [
  'README.md',
  'CONTRIBUTING.md',
  'CHANGELOG.md',
  'traces/README.md',
  'docs/architecture.md',
  'docs/bisect.md',
  'docs/debugger.md',
  'docs/diff.md',
  'docs/differences.md',
  'docs/divergence.md',
  'docs/packing.md',
  'docs/time.md',
  'docs/tutorial.md',
  'docs/vscode.md',
]
const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { scripts: Record<string, string> }

/** The text of all fenced blocks of one language. */
const fenced = (language: string): string[] =>
  [...readme.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\`$`, 'gms'))].map(([, text]) => text)

/** Commands of a session, each with what it printed. */
function steps(session: string): { command: string; output: string }[] {
  return session
    .split(/^\$ /m)
    .slice(1)
    .map((text) => {
      const end = text.indexOf('\n')
      return { command: text.slice(0, end), output: text.slice(end + 1) }
    })
}

/** What may change from day to day is one character: numbers, addresses, digests, and symbols with their hashes. */
const shape = (output: string): string =>
  output
    .replaceAll(/\b[0-9a-f]{16,}\b/g, '#')
    .replaceAll(/\b0x[0-9a-f]+\b/g, '#')
    .replaceAll(/\b\d[\d_.]*\b/g, '#')
    .replaceAll(/ +/g, ' ')

/** Documents with sessions. */
const WITH_SESSIONS = ['README.md', 'docs/tutorial.md']
const sessionsOf = (text: string): { command: string; output: string }[] =>
  [...text.matchAll(/^```console\n(.*?)^```$/gms)].flatMap(([, session]) => steps(session))
const sessions = WITH_SESSIONS.flatMap((name) => sessionsOf(readFileSync(join(ROOT, name), 'utf8')))

test('there are sessions, and each prints something', () => {
  expect(sessions.length).toBeGreaterThanOrEqual(6)
  // A command may have nothing to say; most have.
  expect(sessions.filter(({ output }) => output.trim() === '').length).toBeLessThan(3)
})

/** Runs commands of sessions in a folder of their own, where `npx kaal` is kaal without npm's start-up; .ci/run runs the real one. */
function sessionShell(): (command: string) => string {
  const folder = scratchFolder()
  mkdirSync(join(folder, 'bin'))
  writeFileSync(join(folder, 'bin/npx'), `#!/bin/sh\nshift\nexec "${process.execPath}" "${KAAL}" "$@"\n`, {
    mode: 0o755,
  })
  for (const name of ['traces', 'kernel']) symlinkSync(join(ROOT, name), join(folder, name))
  const env = { ...process.env, PATH: `${join(folder, 'bin')}:${process.env['PATH']}` }
  return (command) =>
    execFileSync('bash', ['-o', 'pipefail', '-c', `exec 2>&1; ${command}`], {
      cwd: folder,
      env,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    }).replaceAll('\r', '')
}

/** A document with today's output in its sessions. */
function rewritten(text: string): string {
  const run = sessionShell()
  return text.replaceAll(
    /^(```console\n)(.*?)(^```$)/gms,
    (_all, open: string, session: string, close: string) =>
      `${open}${steps(session)
        .map(({ command }) => `$ ${command}\n${run(command)}`)
        .join('')}${close}`,
  )
}

test('sessions print what stands there', () => {
  // `README=write npx vitest run tests/house/readme` puts today's output there.
  if (process.env['README'] === 'write')
    for (const name of WITH_SESSIONS) writeFileSync(join(ROOT, name), rewritten(readFileSync(join(ROOT, name), 'utf8')))
  const run = sessionShell()
  const hasSqlite = spawnSync('sqlite3', ['--version']).status === 0
  for (const { command, output } of sessions) {
    if (command.startsWith('sqlite3') && !hasSqlite) continue
    expect(shape(run(command)), command).toBe(shape(output))
  }
})

test('the two commands of a fresh machine, and scripts, exist', () => {
  expect(fenced('sh')[0].trim()).toBe('npm ci && npx kaal record')
  expect(fenced('sh')[1].trim()).toBe('npm ci && npm test')
  const named = documents.flatMap((name) => [...readFileSync(join(ROOT, name), 'utf8').matchAll(/\bnpm run ([a-z]+)/g)])
  expect(named.length).toBeGreaterThan(5)
  for (const [, script] of named) expect(Object.keys(scripts)).toContain(script)
})

describe('verbs', () => {
  const rows = [...readme.matchAll(/^\| `kaal ([a-z]+)([^`]*)`/gm)].map(([, verb, rest]) => ({ verb, rest }))
  const help = kaal(ROOT, '--help').stdout.toString()

  test('are those of kaal --help', () => {
    const verbs = [...help.matchAll(/^ {2}([a-z]+) .*[<[]/gm)].map(([, verb]) => verb).filter((verb) => verb !== 'help')
    expect(rows.map(({ verb }) => verb)).toEqual(verbs)
  })

  test.each(rows)('kaal $verb has the options named', ({ verb, rest }) => {
    const options = kaal(ROOT, verb, '--help').stdout.toString()
    for (const [option] of rest.matchAll(/(?<![\w-])-{1,2}[a-z][a-z-]*/g)) expect(options).toContain(option)
  })

  test('kaal record has the machine options named', () => {
    const line = /The machine's options have QEMU's names: (.*);/.exec(readme)?.[1] ?? ''
    const options = kaal(ROOT, 'record', '--help').stdout.toString()
    const named = [...line.matchAll(/`(-[^`]+)`/g)]
    expect(named.length).toBeGreaterThan(5)
    for (const [, option] of named) expect(options).toMatch(new RegExp(`(^|[ ,])${option}[ ,]`, 'm'))
  })
})

test.each(documents)('links of %s lead somewhere', (name) => {
  const text = readFileSync(join(ROOT, name), 'utf8')
  for (const [, target] of text.matchAll(/\]\((?!https?:)([^)#]+)[^)]*\)/g))
    expect(existsSync(join(ROOT, name, '..', target)), target).toBe(true)
})
