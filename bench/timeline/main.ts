/** `npm run bench:timeline`: what it costs to move about in a recording, through gdb, on kaal and on QEMU. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { GUESTS, images } from '../guests.js'
import { describeHost, hostLine } from '../host.js'
import { median } from '../statistics.js'
import { type Journey, type Times, randomPositions } from './journey.js'
import { measureKaal } from './kaal.js'
import { measureQemu } from './qemu.js'

const USAGE = `usage: npm run bench:timeline -- [options]

  --guest NAME    whose recording (default cpu-mmu, 10^9 instructions)
  --moves N       random positions on kaal; on QEMU a tenth (default 100)
  --seed N        which positions (default 1)
  --json FILE     write the times to a file
  --markdown      print a table for the README
  --qemu PROGRAM  the QEMU to measure (default qemu-system-aarch64)
  --help`

/** The project's folder, seen from dist/bench/timeline/. */
const PROJECT = fileURLToPath(new URL('../../../', import.meta.url))

/** Whole number of an option, at least 1. */
function count(name: string, text: string): number {
  if (!/^[1-9]\d*$/.test(text)) throw new Error(`--${name} ${text}: not a number from 1`)
  return Number(text)
}

const ROWS = [
  ['goto', 'goto a random position'],
  ['back', 'reverse-stepi there'],
  ['next', 'the next four reverse-stepi, each'],
  ['watch', 'reverse-continue from the end to the write at the start'],
] as const satisfies readonly (readonly [keyof Times, string])[]

const quantile = (times: readonly number[], part: number): number =>
  times.toSorted((a, b) => a - b)[Math.min(times.length - 1, Math.floor(part * times.length))]

const figure = (ms: number): string => (ms >= 100 ? ms.toFixed(0) : ms.toFixed(1))

/** Median and 99th percentile, in milliseconds. */
function cell(times: readonly number[] | undefined): string {
  if (times === undefined || times.length === 0) return '–'
  return times.length < 5 ? figure(median(times)) : `${figure(median(times))} / ${figure(quantile(times, 0.99))}`
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      guest: { type: 'string', default: 'cpu-mmu' },
      moves: { type: 'string', default: '100' },
      seed: { type: 'string', default: '1' },
      json: { type: 'string' },
      markdown: { type: 'boolean', default: false },
      qemu: { type: 'string', default: 'qemu-system-aarch64' },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) return console.log(USAGE)
  const guest = GUESTS.find(({ name }) => name === values.guest)
  if (guest?.instructions === undefined) throw new Error(`--guest ${values.guest}: no guest of known length`)
  const moves = count('moves', values.moves)
  const host = describeHost(values.qemu)
  const image = images(PROJECT, [guest]).get(guest.name) ?? ''
  const folder = mkdtempSync(join(tmpdir(), 'kaal-timeline-'))
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
  const length = guest.instructions
  const journey = (n: number): Journey => ({
    positions: randomPositions(count('seed', values.seed), n, length),
    length,
  })

  const kaal = await measureKaal(PROJECT, image, folder, journey(moves))
  const qemu =
    host.qemu === undefined
      ? undefined
      : await measureQemu(values.qemu, image, folder, journey(Math.max(3, Math.round(moves / 10))))
  if (values.json !== undefined)
    writeFileSync(values.json, `${JSON.stringify({ host, guest: guest.name, kaal, qemu }, undefined, 2)}\n`)

  const table = [
    ['ms, median / p99', 'kaal', 'QEMU'],
    ...ROWS.map(([key, what]) => [what, cell(kaal[key]), cell(qemu?.[key])]),
  ]
  const widths = [0, 1, 2].map((column) => Math.max(...table.map((row) => row[column].length)))
  const [head, ...body] = table.map((row) => row.map((text, column) => text.padEnd(widths[column])))
  const line = (row: readonly string[]): string =>
    values.markdown ? `| ${row.join(' | ')} |` : row.join('  ').trimEnd()
  const rule = values.markdown ? [line(widths.map((width) => '-'.repeat(width)))] : []
  console.log([line(head), ...rule, ...body.map(line)].join('\n'))
  console.log(
    `\n${guest.name}, ${length} instructions; ${hostLine(host)}. Through gdb-multiarch, whose own time counts.`,
  )
}

try {
  await main()
} catch (error) {
  console.error(`bench: ${(error as Error).message}`)
  process.exitCode = 255
}
