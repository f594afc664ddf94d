/** Traces that somebody has changed, with a seal that fits again. */
import { copyFileSync } from 'node:fs'
import Database from 'better-sqlite3'
import { sealPlaceholder, writeSeal } from '../../trace/seal.js'

/** Makes a copy of a trace, changes it, and seals it anew. */
export function altered(path: string, name: string, change: (database: Database.Database) => void): string {
  const copy = path.replace('.kaal', `-${name}.kaal`)
  copyFileSync(path, copy)
  const database = new Database(copy)
  change(database)
  const uuid = database.prepare("SELECT value FROM meta WHERE key = 'uuid'").pluck().get() as string
  const placeholder = sealPlaceholder(uuid)
  database.prepare("UPDATE meta SET value = ? WHERE key = 'seal'").run(Buffer.from(placeholder))
  database.close()
  writeSeal(copy, placeholder)
  return copy
}
