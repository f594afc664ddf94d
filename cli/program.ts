/** The `kaal` command with all its verbs. */
import { Command } from 'commander'
import { addBisect } from './verbs/bisect.js'
import { addCompletion } from './verbs/completion.js'
import { addDap } from './verbs/dap.js'
import { addDebug } from './verbs/debug.js'
import { addDiff } from './verbs/diff.js'
import { addDump } from './verbs/dump.js'
import { addExport } from './verbs/export.js'
import { addInfo } from './verbs/info.js'
import { addPack } from './verbs/pack.js'
import { addRecord } from './verbs/record.js'
import { addReplay } from './verbs/replay.js'
import { addReport } from './verbs/report.js'
import { addRerun } from './verbs/rerun.js'
import { addUnpack } from './verbs/unpack.js'
import { addVerify } from './verbs/verify.js'
import { VERSION } from './version.js'

/** In the order of the help. */
const VERBS = [
  addRecord,
  addReplay,
  addDebug,
  addDap,
  addInfo,
  addDump,
  addVerify,
  addDiff,
  addRerun,
  addBisect,
  addPack,
  addUnpack,
  addExport,
  addReport,
  addCompletion,
]

/** Builds the command; `exit` gets the exit code of the verb that was carried out. */
export function program(exit: (code: number) => void): Command {
  const kaal = new Command('kaal')
    .description(
      'A time machine for kernels: record an AArch64 kernel once, replay it bit for bit, forwards and backwards.',
    )
    .version(VERSION)
    .exitOverride()
    .configureOutput({ writeErr: () => {} })
    .showSuggestionAfterError()
  for (const add of VERBS) add(kaal, exit)
  for (const verb of kaal.commands) verb.exitOverride().configureOutput({ writeErr: () => {} })
  return kaal
}
