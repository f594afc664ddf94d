/** Runs a TypeScript module of the tests in a process of its own, straight from source. */
import { type ChildProcessByStdio, spawn } from 'node:child_process'
import type { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const LOADER = `
  import { createViteServer } from 'vitest/node'
  const options = { configFile: false, appType: 'custom', logLevel: 'error', optimizeDeps: { noDiscovery: true } }
  const server = await createViteServer({ ...options, server: { middlewareMode: true, watch: null, ws: false } })
  const { main } = await server.ssrLoadModule(process.argv[1])
  await main(...process.argv.slice(2))
  await server.close()
`

export interface ChildOptions {
  /** Largest file it may write, in units of 512 bytes. */
  readonly fileLimit?: number
}

/** Starts `main(...args)` of the module at `module`. */
export function startModule(
  module: URL,
  args: readonly string[],
  options: ChildOptions = {},
): ChildProcessByStdio<null, Readable, Readable> {
  const limit = options.fileLimit === undefined ? '' : `ulimit -f ${options.fileLimit}; `
  const command = [process.execPath, '--input-type=module', '-e', LOADER, fileURLToPath(module), ...args]
  return spawn('/bin/sh', ['-c', `${limit}exec "$@"`, 'sh', ...command], {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
}
