/** Moving about in a recording with QEMU: its own record and replay, with the one snapshot at the start that it makes itself. */
import { spawn, spawnSync } from 'node:child_process'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { MEMORY } from '../guests.js'
import { type Journey, STEPS, type Times, WRITTEN_ONCE, timed } from './journey.js'

/** Records the image, serves the replay to gdb, and has it make the journey. */
export async function measureQemu(qemu: string, image: string, folder: string, journey: Journey): Promise<Times> {
  const [log, disk] = [join(folder, 'replay.bin'), join(folder, 'snapshots.qcow2')]
  run('qemu-img', ['create', '-q', '-f', 'qcow2', disk, '64M'])
  const machine = ['-M', 'virt,gic-version=2', '-cpu', 'cortex-a53', '-m', MEMORY, '-net', 'none', '-display', 'none']
  const drive = ['-drive', `file=${disk},if=none,id=snapshots`, '-serial', 'null', '-monitor', 'none', '-kernel', image]
  const mode = (name: string): string[] => ['-icount', `shift=1,rr=${name},rrfile=${log},rrsnapshot=init`]
  run(qemu, [...machine, ...drive, ...mode('record')])
  const port = await freePort()
  const serve = ['-S', '-gdb', `tcp:127.0.0.1:${port}`]
  const server = spawn(qemu, [...machine, ...drive, ...mode('replay'), ...serve], { stdio: 'ignore' })
  try {
    // Forwards it runs there; backwards it takes up its snapshot first, as it does for every step back.
    const goto = (position: number): string => `python move("goto", "monitor replay_break ${position}", "continue")`
    const sorted = journey.positions.toSorted((a, b) => a - b)
    const moves = sorted.flatMap((position) => [goto(position), ...STEPS])
    const watch = [
      `monitor replay_break ${journey.length - 1000}`,
      'continue',
      `watch -location ${WRITTEN_ONCE}`,
      'python move("watch", "reverse-continue")',
    ]
    return await timed(folder, port, [...moves, ...watch], journey.positions.length * (1 + STEPS.length) + 1)
  } finally {
    server.kill()
  }
}

function run(program: string, args: readonly string[]): void {
  const { status, stderr, error } = spawnSync(program, args, { encoding: 'utf8', timeout: 120_000 })
  if (status !== 0)
    throw new Error(`${program}: ${error?.message ?? stderr.trim()} (Debian: apt-get install qemu-utils)`)
}

/** A port that nobody listens on now. */
function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.on('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0))
    })
  })
}
