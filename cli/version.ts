/** The version of kaal, from its package. */
import { readFileSync } from 'node:fs'

/** As `package.json` has it. */
export const VERSION: string = (
  JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string }
).version
