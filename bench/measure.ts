/**
 * Running a program and measuring it.
 *
 * CPU time is what `times` of bash says of its children, which is the kernel's account of the finished program: user and system time of
 * all its threads (compiler threads included), in milliseconds. Node has no such call, and polling /proc loses the end.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import { text } from 'node:stream/consumers'
import type { Readable } from 'node:stream'

/** What a finished program has cost. */
export interface Cost {
  /** User and system time of all threads, in seconds. */
  readonly cpu: number
  /** From start to end, in seconds. */
  readonly wall: number
}

const INTERRUPTS = ['SIGINT', 'SIGTERM'] as const
/** Descriptor 3 is ours alone: a program that is left behind must not keep it open. */
const SCRIPT = '"$@" 3>&-; code=$?; times >&3; exit $code'

/** What a run has cost, and what the program has written to its standard error. */
export interface Run extends Cost {
  readonly messages: string
}

/**
 * Runs a program to its end; its standard output goes to a file, so that this process takes no part in the run.
 *
 * @throws {Error} if it cannot be started, fails, or takes longer than `seconds`.
 */
export async function measure(command: readonly string[], output: string, seconds: number): Promise<Run> {
  const file = openSync(output, 'w')
  const begin = performance.now()
  const child = spawn('bash', ['-c', SCRIPT, 'bash', ...command], {
    stdio: ['ignore', file, 'pipe', 'pipe'],
    env: { ...process.env, LC_ALL: 'C' },
    // A process group of its own, so that a program that hangs can be ended with the shell around it.
    detached: true,
  })
  closeSync(file)
  const end = (): void => {
    if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, 'SIGKILL')
  }
  let late = false
  const limit = setTimeout(() => {
    late = true
    end()
  }, seconds * 1000)
  const interrupted = (): void => {
    end()
    process.exit(130)
  }
  for (const signal of INTERRUPTS) process.once(signal, interrupted)
  try {
    const messages = text(child.stdio[2] as Readable)
    const times = text(child.stdio[3] as Readable)
    const [code, signal] = (await once(child, 'exit')) as [number | null, string | null]
    const wall = (performance.now() - begin) / 1000
    if (late) throw new Error(`not finished after ${seconds} s: ${command.join(' ')}`)
    if (signal !== null) throw new Error(`killed by ${signal}: ${command.join(' ')}`)
    if (code !== 0) throw new Error(`exit code ${code}: ${command.join(' ')}\n${(await messages).trim()}`)
    return { cpu: childTime(await times), wall, messages: await messages }
  } finally {
    clearTimeout(limit)
    for (const signal of INTERRUPTS) process.off(signal, interrupted)
  }
}

/**
 * User and system time of the children, in seconds, from what bash's `times` prints: a line for the shell, one for its children.
 *
 * @throws {Error} if that is not what it is.
 */
export function childTime(times: string): number {
  const found = /^(\d+)m(\d+\.\d+)s (\d+)m(\d+\.\d+)s$/.exec(times.trim().split('\n')[1] ?? '')
  if (!found) throw new Error(`bash's times printed ${JSON.stringify(times)}`)
  const [userMinutes, user, systemMinutes, system] = found.slice(1).map(Number)
  return (userMinutes + systemMinutes) * 60 + user + system
}
