/** Runs the real command line in a process of its own. */
import { execFileSync, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

export const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const BIN = `${ROOT}cli/bin.js`

/** A small KaaL, with symbols and line tables: `tests/guests/README.md`. */
export const KERNEL = `${ROOT}tests/guests/kaal-chapter-3.elf`

/** A guest of the benchmark. */
export const guest = (name: string): string => `${ROOT}bench/guests/prebuilt/${name}.elf`

/** What `kaal` has said and how it ended. */
export interface Outcome {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface RunOptions {
  readonly cwd?: string
  readonly input?: string | Uint8Array
  readonly env?: Readonly<Record<string, string>>
  /** Called with what it has written to stdout and stderr so far. */
  readonly onOutput?: (text: string, kill: (signal: NodeJS.Signals) => void) => void
}

/** The command line runs from `dist/`: bring it up to date. */
export function build(): void {
  execFileSync(process.execPath, [`${ROOT}node_modules/typescript/bin/tsc`, '-b'], { cwd: ROOT })
}

/** Runs `kaal` with these arguments to its end. Its standard input is empty if none is given. */
export function kaal(args: readonly string[], options: RunOptions = {}): Promise<Outcome> {
  const child = spawn(process.execPath, [BIN, ...args], {
    cwd: options.cwd ?? ROOT,
    env: { ...process.env, ...options.env },
  })
  let [stdout, stderr] = ['', '']
  const seen = () => options.onOutput?.(stdout + stderr, (signal) => child.kill(signal))
  child.stdout.setEncoding('latin1').on('data', (piece: string) => {
    stdout += piece
    seen()
  })
  child.stderr.setEncoding('utf8').on('data', (piece: string) => {
    stderr += piece
    seen()
  })
  // It may end before it has read all.
  child.stdin.on('error', () => {})
  child.stdin.end(options.input ?? '')
  return new Promise((resolve) => child.on('close', (code) => resolve({ code, stdout, stderr })))
}

/** Runs a line of sh in which `kaal` is the command line. */
export function shell(line: string, cwd: string): Promise<Outcome> {
  const child = spawn('/bin/bash', ['-c', `kaal() { '${process.execPath}' '${BIN}' "$@"; }; ${line}`], { cwd })
  let [stdout, stderr] = ['', '']
  child.stdout.on('data', (piece: Buffer) => (stdout += piece.toString('latin1')))
  child.stderr.on('data', (piece: Buffer) => (stderr += piece.toString()))
  child.stdin.end()
  return new Promise((resolve) => child.on('close', (code) => resolve({ code, stdout, stderr })))
}
