/** The `kaal` command: parses, calls a verb, exits. */
import { Command, CommanderError } from 'commander'
import { Exit, explain } from './errors.js'
import { say } from './output.js'
import { addDebug } from './verbs/debug.js'
import { addDiff } from './verbs/diff.js'
import { addDump } from './verbs/dump.js'
import { addExport } from './verbs/export.js'
import { addInfo } from './verbs/info.js'
import { addPack } from './verbs/pack.js'
import { addRecord } from './verbs/record.js'
import { addReplay } from './verbs/replay.js'
import { addReport } from './verbs/report.js'
import { addUnpack } from './verbs/unpack.js'
import { addVerify } from './verbs/verify.js'
import { VERSION } from './version.js'

function program(exit: (code: number) => void): Command {
  const kaal = new Command('kaal')
    .description(
      'A time machine for kernels: record an AArch64 kernel once, replay it bit for bit, forwards and backwards.',
    )
    .version(VERSION)
    .exitOverride()
    .configureOutput({ writeErr: () => {} })
    .showSuggestionAfterError()
  for (const add of [
    addRecord,
    addReplay,
    addDebug,
    addInfo,
    addDump,
    addVerify,
    addDiff,
    addPack,
    addUnpack,
    addExport,
    addReport,
  ])
    add(kaal, exit)
  for (const verb of kaal.commands) verb.exitOverride().configureOutput({ writeErr: () => {} })
  return kaal
}

/** Runs a command line. Returns its exit code. */
async function main(arguments_: readonly string[]): Promise<number> {
  let code: number = Exit.GOOD
  try {
    await program((result) => {
      code = result
    }).parseAsync(['node', 'kaal', ...(arguments_.length === 0 ? ['--help'] : arguments_)])
    return code
  } catch (error) {
    if (error instanceof CommanderError) {
      // Help and version are errors to commander, with exit code 0.
      if (error.exitCode === 0) return Exit.GOOD
      say(error.message.replace(/^error: /, '').replaceAll(/\s*\n\s*/g, ' '))
      return Exit.TROUBLE
    }
    const { line, bug } = explain(error)
    say(line)
    if (bug && process.env['KAAL_DEBUG']) console.error(error)
    return Exit.TROUBLE
  }
}

process.stdout.on('error', () => process.exit(Exit.GOOD))
process.exitCode = await main(process.argv.slice(2))
