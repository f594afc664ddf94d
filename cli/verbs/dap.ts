/** `kaal dap`: a debug adapter on standard input and output, for editors. */
import type { Command } from 'commander'
import type { Engine } from '../../cpu/translator/translator.js'
import { engineOption } from '../engine.js'
import { Exit } from '../errors.js'

/** Adds the verb. */
export function addDap(program: Command, exit: (code: number) => void): void {
  program
    .command('dap')
    .description('a debug adapter for editors (DAP), on standard input and output')
    .addOption(engineOption())
    .action(async ({ engine }: { engine: Engine }) => {
      // Loaded here, and not by the other verbs.
      const { serveDap } = await import('../dap.js')
      await serveDap(engine)
      exit(Exit.GOOD)
    })
}
