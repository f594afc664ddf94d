/** `kaal completion SHELL`: a script that lets a shell complete kaal's command lines. */
import { Argument, type Command } from 'commander'
import { type Catalogue, catalogue } from '../catalogue.js'
import { bashCompletion } from '../completion/bash.js'
import { fishCompletion } from '../completion/fish.js'
import { zshCompletion } from '../completion/zsh.js'
import { Exit } from '../errors.js'
import { print } from '../output.js'

const SCRIPTS: Readonly<Record<string, (entries: Catalogue) => string>> = {
  bash: bashCompletion,
  zsh: zshCompletion,
  fish: fishCompletion,
}

/** Adds the verb. */
export function addCompletion(program: Command, exit: (code: number) => void): void {
  program
    .command('completion')
    .description('print a script that completes command lines, for a shell to source')
    .addArgument(new Argument('<shell>', 'whose script').choices(Object.keys(SCRIPTS)))
    .action((shell: string) => {
      print(SCRIPTS[shell](catalogue(program)).trimEnd())
      exit(Exit.GOOD)
    })
}
