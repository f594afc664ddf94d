/** The `kaal` command with all its verbs. */
import { Command } from 'commander'
import { addDebug } from './verbs/debug.js'
import { addDiff } from './verbs/diff.js'
import { addDump } from './verbs/dump.js'
import { addInfo } from './verbs/info.js'
import { addRecord } from './verbs/record.js'
import { addReplay } from './verbs/replay.js'
import { addVerify } from './verbs/verify.js'
import { addCompletion } from './verbs/completion.js'
import { VERSION } from './version.js'

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
  for (const add of [addRecord, addReplay, addDebug, addInfo, addDump, addVerify, addDiff, addCompletion])
    add(kaal, exit)
  for (const verb of kaal.commands) verb.exitOverride().configureOutput({ writeErr: () => {} })
  return kaal
}
