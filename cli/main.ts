/** The command line: `kaal VERB …`. */
import { Command, CommanderError } from 'commander'
import { type ExitCode, Exit, explainError } from './errors.js'
import { version } from './files.js'
import { out, say } from './output.js'
import { addDebug } from './verbs/debug.js'
import { addDump } from './verbs/dump.js'
import { addInfo } from './verbs/info.js'
import { addRecord } from './verbs/record.js'
import { addReplay } from './verbs/replay.js'
import { addVerify } from './verbs/verify.js'

/** Runs a command line; errors become one line on stderr. */
async function run(args: readonly string[]): Promise<ExitCode> {
  let code: ExitCode = Exit.GOOD
  const program = new Command('kaal')
    .description('A time machine for kernels: record an AArch64 kernel once, replay it bit for bit, forwards and backwards.')
    .version(version(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'explain a command')
    .configureOutput({ writeOut: (text) => out.write(text), writeErr: () => {} })
    .exitOverride()
    .showSuggestionAfterError()
  const done = (result: ExitCode) => {
    code = result
  }
  for (const add of [addRecord, addReplay, addDebug, addInfo, addDump, addVerify]) add(program, done)
  try {
    if (args.length === 0) program.error(`give a command: ${names(program)}; kaal --help explains them`)
    await program.parseAsync(args, { from: 'user' })
    return code
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return Exit.GOOD
    say(explainError(error))
    return Exit.FAULT
  }
}

const names = (program: Command): string => program.commands.map((command) => command.name()).join(', ')

process.on('uncaughtException', (error) => {
  say(explainError(error))
  process.exit(Exit.FAULT)
})

const code = await run(process.argv.slice(2))
await out.drain()
process.exit(code)
