/** `npm run bench`: kaal and QEMU side by side, in one interleaved run; or where kaal's time goes. */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { images } from './guests.js'
import { describeHost, hostLine } from './host.js'
import { type Options, USAGE, parseOptions } from './options.js'
import { profileGuests } from './profile/run.js'
import { profileReport } from './profile/report.js'
import { markdownReport } from './report/markdown.js'
import { svgReport } from './report/svg.js'
import { LEGEND, textReport } from './report/text.js'
import { ratios, summarize } from './results.js'
import { runRounds } from './rounds.js'
import { kaalModes, modeName, qemuModes } from './systems.js'

/** The project's folder, seen from dist/bench/. */
const PROJECT = fileURLToPath(new URL('../../', import.meta.url))

async function bench(options: Options, entry: string, folder: string): Promise<void> {
  const { rounds, guests, engines, json, markdown, svg, qemu } = options
  const host = describeHost(qemu)
  const modes = [...kaalModes(entry, engines), ...(host.qemu === undefined ? [] : qemuModes(qemu))]
  const paths = images(PROJECT, guests)
  const begun = new Date().toISOString()
  const series = await runRounds({ guests, modes, images: paths, rounds, folder, onProgress: progress })
  progress('')
  const results = summarize(series)
  const compared = ratios(series)
  if (json !== undefined) {
    const runs = series.map(({ guest, mode, costs }) => ({ guest: guest.name, mode: modeName(mode), costs }))
    writeJson(json, { begun, rounds, host, results, ratios: compared, runs })
  }
  const what = `${hostLine(host)}. Medians of ${rounds} interleaved ${rounds === 1 ? 'round' : 'rounds'}.`
  const unmeasured = `${qemu} is not here, so that kaal is measured alone (Debian: apt-get install qemu-system-arm).`
  const notes = host.qemu === undefined ? [what, unmeasured] : [what]
  if (svg !== undefined) writeFileSync(svg, svgReport(compared, notes))
  if (markdown) console.log(`${markdownReport(results, compared)}\n\n${notes.join('\n')}`)
  else {
    const report = textReport(results, compared)
    console.log(`${notes.join('\n')}\n\n${report}\n\n${LEGEND}\nAll results, instruction counts and outputs are right.`)
  }
}

async function profile({ guests, engines, json, markdown, qemu }: Options, entry: string, folder: string) {
  const host = describeHost(qemu)
  const paths = images(PROJECT, guests)
  const preload = join(PROJECT, 'dist/bench/profile/preload.js')
  const profiles = await profileGuests({ entry, preload, guests, engines, images: paths, folder, onProgress: progress })
  progress('')
  if (json !== undefined) writeJson(json, { begun: new Date().toISOString(), host, profiles })
  console.log(`${hostLine(host)}\n\n${profileReport(profiles, markdown)}`)
}

const writeJson = (path: string, report: object): void =>
  writeFileSync(path, `${JSON.stringify(report, undefined, 2)}\n`)

/** A line on a terminal that is written over by the next. */
function progress(what: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${what}`)
}

async function main(): Promise<void> {
  const options = parseOptions(process.argv.slice(2))
  if (!options) return console.log(USAGE)
  const entry = options.kaal ?? join(PROJECT, 'cli/bin.js')
  if (!existsSync(entry)) throw new Error(`${entry} does not exist: there is no kaal to measure`)
  const folder = mkdtempSync(join(tmpdir(), 'kaal-bench-'))
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
  await (options.profile ? profile : bench)(options, entry, folder)
}

try {
  await main()
} catch (error) {
  progress('')
  console.error(`bench: ${(error as Error).message}`)
  process.exitCode = 255
}
