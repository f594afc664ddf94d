/** Records for ever, or until the disk is full: for the tests that kill a recorder. */
import { writeSync } from 'node:fs'
import { TraceError } from '../../trace/errors.js'
import { createSample, SampleRun } from './sample.js'

/** Says what it does, one line at a time, without a buffer that a kill would lose. */
const say = (line: string) => writeSync(1, `${line}\n`)

export function main(path: string): void {
  say('start')
  const run = new SampleRun(createSample(path))
  try {
    for (;;) {
      // From one row per commit to more than the statements' buffers hold.
      const batches = 1 + ((run.batches * 7) % 40)
      for (let n = 0; n < batches; n++) run.batch()
      run.writer.commit()
      say(`committed ${run.batches}`)
    }
  } catch (error) {
    if (!(error instanceof TraceError)) throw error
    say(`${error.kind} ${run.writer.committed}: ${error.message}`)
  }
}
