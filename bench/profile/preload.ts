/** `node --import preload.js`: names modules (`naming.ts`), and says at the end how much CPU time the main thread has had. */
import { readFileSync, writeFileSync } from 'node:fs'
import { isMainThread } from 'node:worker_threads'
import { nameModules } from './naming.js'

nameModules()
const file = process.env['KAAL_BENCH_MAIN_THREAD']
if (isMainThread && file !== undefined)
  process.on('exit', () => {
    try {
      // Nanoseconds on a processor, time in a queue, turns (Linux, Documentation/scheduler/sched-stats.rst).
      const schedule = readFileSync(`/proc/self/task/${process.pid}/schedstat`, 'utf8')
      writeFileSync(file, String(Number(schedule.split(' ')[0]) / 1e9))
    } catch {
      // Another system: the report goes without.
    }
  })
