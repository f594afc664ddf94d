/** The `kaal` command as tests start it. */
import { type SpawnSyncReturns, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'

/** The project's folder. */
export const ROOT = join(import.meta.dirname, '../..')
/** The command, for Node. */
export const KAAL = join(ROOT, 'cli/bin.js')

/** Runs `kaal` to its end in a folder. */
export function kaal(folder: string, ...arguments_: string[]): SpawnSyncReturns<Buffer> {
  return spawnSync(process.execPath, [KAAL, ...arguments_], {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'pipe'],
    maxBuffer: 2 ** 26,
  })
}

/** An empty folder that goes away with the test that asks for it. */
export function scratchFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'kaal-test-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  return folder
}
