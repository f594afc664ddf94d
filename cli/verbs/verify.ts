/** `kaal verify`: whether a trace is undamaged. */
import type { Command } from 'commander'
import { Replayer } from '../../replay/replayer.js'
import { isPack } from '../../trace/pack/container.js'
import { PackedTrace } from '../../trace/pack/packed-trace.js'
import { TraceReader } from '../../trace/reader.js'
import { verifyTrace } from '../../trace/verify.js'
import { TraceError } from '../../trace/errors.js'
import { Exit } from '../errors.js'
import { json, print } from '../output.js'
import { formatPosition } from '../positions.js'

/** Adds the verb. */
export function addVerify(program: Command, exit: (code: number) => void): void {
  program
    .command('verify')
    .description('check that a trace, or a packed one, is undamaged; exit 1 if it is not')
    .argument('<trace>')
    .option('--json', 'as JSON')
    .action(async (path: string, options: { json?: boolean }) => exit(await verify(path, options.json === true)))
}

/** A packed trace is checked as far as that goes without running it: its checksum, its manifest, and the images and inputs in it. */
function verifyPack(path: string, asJson: boolean): number {
  const problems: { where: string; message: string }[] = []
  const checked: string[] = []
  try {
    const pack = new PackedTrace(path)
    checked.push('the checksum matches: not a bit has changed since it was packed', 'the manifest is complete')
    const missing = pack.missing().length
    if (missing === 0) checked.push(`images: ${pack.images().length}, each with its sha256`)
    else checked.push(`images: ${missing} by hash only`)
    checked.push(`inputs: ${[...pack.inputsAfter(0)].length} readable`)
  } catch (error) {
    if (!(error instanceof TraceError) || error.kind === 'access') throw error
    problems.push({ where: 'pack', message: error.reason })
  }
  const good = problems.length === 0
  const unchecked = ['that a replay reaches the expected digest: kaal replay']
  if (asJson) print(json({ good, path, checked, unchecked, problems }))
  else {
    for (const line of checked) print(line)
    for (const { where, message } of problems) print(`${where}: ${message}`)
    print(`${path}: ${good ? 'undamaged; whether a replay reaches its digest, kaal replay can tell' : 'damaged'}`)
  }
  return good ? Exit.GOOD : Exit.BAD
}

async function verify(path: string, asJson: boolean): Promise<number> {
  if (isPack(path)) return verifyPack(path, asJson)
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
