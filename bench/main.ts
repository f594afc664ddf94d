/** `npm run bench`: kaal and QEMU side by side, in one interleaved run. */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { images } from './guests.js'
import { describeHost, hostLine } from './host.js'
import { type Options, USAGE, parseOptions } from './options.js'
import { markdownReport } from './report/markdown.js'
import { LEGEND, textReport } from './report/text.js'
import { meanRatio, ratios, summarize } from './results.js'
import { runRounds } from './rounds.js'
import { kaalModes, qemuModes } from './systems.js'

/** The project's folder, seen from dist/bench/. */
const PROJECT = fileURLToPath(new URL('../../', import.meta.url))

async function bench({ rounds, guests, json, markdown, kaal, qemu }: Options): Promise<void> {
  const entry = kaal ?? join(PROJECT, 'cli/bin.js')
  if (!existsSync(entry)) throw new Error(`${entry} does not exist: there is no kaal to measure`)
  const host = describeHost(qemu)
  const modes = [...kaalModes(entry), ...(host.qemu === undefined ? [] : qemuModes(qemu))]
  const paths = images(join(PROJECT, 'bench/guests'), guests)
  const begun = new Date().toISOString()
  const folder = mkdtempSync(join(tmpdir(), 'kaal-bench-'))
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
  const series = await runRounds({ guests, modes, images: paths, rounds, folder, onProgress: progress })
  progress('')
  const results = summarize(series)
  const compared = ratios(results)
  if (json !== undefined) {
    const report = { begun, rounds, host, results, ratios: [...compared, meanRatio(compared)] }
    writeFileSync(json, `${JSON.stringify(report, undefined, 2)}\n`)
  }
  const what = `${hostLine(host)}. Medians of ${rounds} interleaved ${rounds === 1 ? 'round' : 'rounds'}.`
  const unmeasured = `${qemu} is not here, so that kaal is measured alone (Debian: apt-get install qemu-system-arm).`
  const notes = host.qemu === undefined ? `${what}\n${unmeasured}` : what
  if (markdown) console.log(`${markdownReport(results)}\n\n${notes}`)
  else
    console.log(
      `${notes}\n\n${textReport(results)}\n\n${LEGEND}\nAll results, instruction counts and outputs are right.`,
    )
}

/** A line on a terminal that is written over by the next. */
function progress(what: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${what}`)
}

try {
  const options = parseOptions(process.argv.slice(2))
  if (options) await bench(options)
  else console.log(USAGE)
} catch (error) {
  progress('')
  console.error(`bench: ${(error as Error).message}`)
  process.exitCode = 255
}
