/** All that a trace's tables hold, for comparing two traces. */
import Database from 'better-sqlite3'

/** Every row of every table, by table, schema included; blobs as Buffers. */
export function tables(path: string): Record<string, unknown[]> {
  const database = new Database(path, { readonly: true })
  try {
    const schema = database.prepare('SELECT type, name, sql FROM sqlite_master ORDER BY name').all() as {
      type: string
      name: string
    }[]
    const names = schema.filter(({ type }) => type === 'table').map(({ name }) => name)
    const rows = names.map((name) => {
      const order = name === 'meta' ? 'key' : 'rowid'
      return [name, database.prepare(`SELECT * FROM ${name} ORDER BY ${order}`).safeIntegers().all()]
    })
    return { schema, ...(Object.fromEntries(rows) as Record<string, unknown[]>) }
  } finally {
    database.close()
  }
}

/** The same without the seal, which depends on how rows lie in the file. */
export function unsealed(path: string): Record<string, unknown[]> {
  const all = tables(path)
  return { ...all, meta: all['meta'].filter((row) => (row as { key: string }).key !== 'seal') }
}
