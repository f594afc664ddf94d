/** `kaal verify`: whether a trace is undamaged. */
import type { Command } from 'commander'
import { Replayer } from '../../replay/replayer.js'
import { TraceReader } from '../../trace/reader.js'
import { verifyTrace } from '../../trace/verify.js'
import { Exit } from '../errors.js'
import { json, print } from '../output.js'
import { formatPosition } from '../positions.js'

/** Adds the verb. */
export function addVerify(program: Command, exit: (code: number) => void): void {
  program
    .command('verify')
    .description('check that a trace is undamaged; exit 1 if it is not')
    .argument('<trace>')
    .option('--json', 'as JSON')
    .action(async (path: string, options: { json?: boolean }) => exit(await verify(path, options.json === true)))
}

async function verify(path: string, asJson: boolean): Promise<number> {
  const report = verifyTrace(path)
  const problems = [...report.problems]
  // Without a seal, only a replay can tell whether what was recorded is what happened.
  if (problems.length === 0 && !report.finished) {
    const reader = TraceReader.open(path)
    const result = await new Replayer(reader).run().finally(() => reader.close())
    if (result.kind === 'diverged') problems.push({ where: 'replay', message: result.divergence.message })
  }
  const good = problems.length === 0
  if (asJson) print(json({ good, ...report, problems }))
  else {
    for (const line of report.checked) print(line)
    for (const { where, message } of problems) print(`${where}: ${message}`)
    if (good && !report.finished) print('unfinished, and so without a seal: a replay agrees with every batch')
    const length = report.instructions === undefined ? '' : `, ${formatPosition(report.instructions)} instructions`
    print(`${path}: ${good ? 'undamaged' : 'damaged'}${length}`)
  }
  return good ? Exit.GOOD : Exit.BAD
}
