/** The command line of the benchmark. */
import { parseArgs } from 'node:util'
import { DEFAULT_GUESTS, GUESTS, type Guest, START_UP } from './guests.js'

/** What was asked for. */
export interface Options {
  readonly rounds: number
  /** With the one that measures start-up, first. */
  readonly guests: readonly Guest[]
  /** File to write the results to. */
  readonly json: string | undefined
  /** Print the Markdown table instead of the report for a terminal. */
  readonly markdown: boolean
  /** The script that is kaal. */
  readonly kaal: string | undefined
  /** The program that is QEMU. */
  readonly qemu: string
}

/** For `--help`. */
export const USAGE = `usage: npm run bench -- [options]

  --rounds N      runs of every guest in every mode; medians are reported (default 3)
  --guests A,B    of ${GUESTS.map(({ name }) => name).join(', ')} (default ${DEFAULT_GUESTS.join(',')});
                  ${START_UP} is always measured: it is the start-up that is taken off
  --json FILE     write the results to a file
  --markdown      print the table of the README instead
  --kaal SCRIPT   the kaal to measure (default cli/bin.js of this folder)
  --qemu PROGRAM  the QEMU to measure (default qemu-system-aarch64)
  --help`

/**
 * Reads the command line; undefined if it asks for help.
 *
 * @throws {Error} naming the option that is wrong, and its value.
 */
export function parseOptions(args: readonly string[]): Options | undefined {
  const { values } = parseArgs({
    args: [...args],
    options: {
      rounds: { type: 'string', default: '3' },
      guests: { type: 'string', default: DEFAULT_GUESTS.join(',') },
      json: { type: 'string' },
      markdown: { type: 'boolean', default: false },
      kaal: { type: 'string' },
      qemu: { type: 'string', default: 'qemu-system-aarch64' },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) return undefined
  const rounds = Number(values.rounds)
  if (!/^\d+$/.test(values.rounds) || rounds < 1) throw new Error(`--rounds ${values.rounds}: not a number from 1`)
  const { json, markdown, kaal, qemu } = values
  return { rounds, guests: chosen(values.guests), json, markdown, kaal, qemu }
}

function chosen(list: string): Guest[] {
  const names = [START_UP, ...list.split(',').filter((name) => name !== START_UP && name !== '')]
  return [...new Set(names)].map((name) => {
    const guest = GUESTS.find((one) => one.name === name)
    if (!guest) throw new Error(`--guests ${name}: there are ${GUESTS.map((one) => one.name).join(', ')}`)
    return guest
  })
}
