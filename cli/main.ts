/** The `kaal` command: parses, calls a verb, exits. */
import { CommanderError } from 'commander'
import { Exit, explain } from './errors.js'
import { say } from './output.js'
import { program } from './program.js'

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
