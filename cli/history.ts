/** The debugger's history of commands, kept from one session to the next (XDG Base Directory Specification: state). */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { dirname, isAbsolute, join } from 'node:path'

/** Lines that are kept. */
export const HISTORY_SIZE = 1000

/** Where it is kept: `$XDG_STATE_HOME/kaal/debug_history`, by default below `~/.local/state`. */
export function historyFile(): string {
  const base = process.env['XDG_STATE_HOME']
  return join(base !== undefined && isAbsolute(base) ? base : join(homedir(), '.local/state'), 'kaal/debug_history')
}

/** The lines of earlier sessions, the latest first, as readline wants them. None if they cannot be read. */
export function readHistory(path: string): string[] {
  try {
    return readFileSync(path, 'utf8')
      .split('\n')
      .filter((line) => line !== '')
      .slice(-HISTORY_SIZE)
      .toReversed()
  } catch {
    return []
  }
}

/** Keeps the lines, the latest first; a history that cannot be kept is no reason to complain. */
export function writeHistory(path: string, lines: readonly string[]): void {
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
    writeFileSync(
      path,
      lines
        .toReversed()
        .map((line) => `${line}\n`)
        .join(''),
      { mode: 0o600 },
    )
  } catch {
    // A read-only home, say.
  }
}
