/** Builds once before the tests, so that those that start `kaal` as a process test the sources as they stand. */
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'

export default function build(): void {
  const root = join(import.meta.dirname, '../..')
  execFileSync(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-b'], { cwd: root, stdio: 'inherit' })
}
