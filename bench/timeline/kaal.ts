/** Moving about in a recording with kaal. */
import { spawn, spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { MEMORY } from '../guests.js'
import { type Journey, STEPS, type Times, WRITTEN_ONCE, timed } from './journey.js'

/** Records the image, serves the trace to gdb, and has it make the journey. */
export async function measureKaal(project: string, image: string, folder: string, journey: Journey): Promise<Times> {
  const kaal = join(project, 'cli/bin.js')
  const trace = join(folder, 'timeline.kaal')
  const recorded = spawnSync(process.execPath, [kaal, 'record', '-m', MEMORY, '-o', trace, image], { encoding: 'utf8' })
  if (recorded.status !== 0) throw new Error(`kaal record: ${recorded.stderr.trim().split('\n').at(-1)}`)
  const server = spawn(process.execPath, [kaal, 'debug', '--gdb', '0', trace], { stdio: ['ignore', 'ignore', 'pipe'] })
  try {
    const port = await new Promise<number>((resolve, reject) => {
      let said = ''
      server.stderr.on('data', (piece: Buffer) => {
        said += piece.toString()
        const found = /127\.0\.0\.1:(\d+)/.exec(said)
        if (found) resolve(Number(found[1]))
      })
      server.on('close', () => reject(new Error(`kaal debug --gdb: ${said.trim()}`)))
    })
    const goto = (position: number | string): string =>
      `python move("goto", "monitor goto ${position}", "maintenance flush register-cache", "info registers pc")`
    const moves = journey.positions.flatMap((position) => [goto(position), ...STEPS])
    const watch = [
      `monitor goto ${journey.length - 1000}`,
      'maintenance flush register-cache',
      `watch -location ${WRITTEN_ONCE}`,
      'python move("watch", "reverse-continue")',
    ]
    return await timed(folder, port, [...moves, ...watch], journey.positions.length * (1 + STEPS.length) + 1)
  } finally {
    server.kill()
  }
}
