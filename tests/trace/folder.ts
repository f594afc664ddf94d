/** A temporary folder per test file. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll } from 'vitest'

/** Makes a folder that goes away after the file's tests; returns a function that names files in it. */
export function testFolder(): (name: string) => string {
  const folder = mkdtempSync(join(tmpdir(), 'kaal-test-'))
  afterAll(() => rmSync(folder, { recursive: true, force: true }))
  return (name) => join(folder, name)
}
