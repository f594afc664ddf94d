/** `kaal verify T`: is every bit of a trace as it was recorded? */
import { TraceError } from '../../trace/errors.js'
import { TraceReader } from '../../trace/reader.js'
import { verifyTrace } from '../../trace/verify.js'
import { Exit } from '../errors.js'
import { bold, out } from '../output.js'
import type { AddVerb } from './verb.js'

export const addVerify: AddVerb = (program, done) => {
  program
    .command('verify <trace>')
    .description('check all of a trace that can be checked without running it')
    .option('--json', 'print the report as JSON')
    .action((path: string, { json }: { json?: true }) => {
      refuseUnreadable(path)
      const report = verifyTrace(path)
      const good = report.problems.length === 0
      done(good ? Exit.GOOD : Exit.BAD)
      if (json) return out.json({ ...report, good })
      for (const checked of report.checked) out.line(`  good  ${checked}`)
      for (const { where, message } of report.problems) out.line(`  ${bold('BAD')}   ${where}: ${message}`)
      for (const unchecked of report.unchecked) out.line(`  not checked: ${unchecked}`)
      out.line(`${path}: ${good ? 'good' : bold(`damaged, ${report.problems.length} found`)}`)
    })
}

/** A file that is not there or cannot be read says nothing about a trace. */
function refuseUnreadable(path: string): void {
  try {
    TraceReader.open(path, { seal: false }).close()
  } catch (error) {
    if (!(error instanceof TraceError)) throw error
    if (error.kind === 'missing' || error.kind === 'access') throw error
  }
}
