/** `npm run man`: writes the manual pages to `man/`, or to the folder that is named. */
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { catalogue } from './catalogue.js'
import { manPages } from './man-pages.js'
import { program } from './program.js'
import { VERSION } from './version.js'

/** `man/`, seen from dist/cli/. */
const folder = process.argv[2] ?? fileURLToPath(new URL('../../man/', import.meta.url))

mkdirSync(folder, { recursive: true })
for (const name of readdirSync(folder)) if (name.endsWith('.1')) rmSync(join(folder, name))
for (const { file, text } of manPages(catalogue(program(() => {})), VERSION)) writeFileSync(join(folder, file), text)
