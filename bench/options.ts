/** The command line of the benchmark. */
import { parseArgs } from 'node:util'
import { ENGINES } from '../cpu/translator/translator.js'
import { GUESTS, type Guest, START_UP } from './guests.js'

/** What was asked for. */
export interface Options {
  readonly rounds: number
  /** With the one that measures start-up, first. */
  readonly guests: readonly Guest[]
  /** kaal's engines to measure besides the one it chooses itself. */
  readonly engines: readonly string[]
  /** Tell where the time goes rather than compare. */
  readonly profile: boolean
  /** File to write the results to. */
  readonly json: string | undefined
  /** Print Markdown tables instead of the report for a terminal. */
  readonly markdown: boolean
  /** File to draw the ratios into. */
  readonly svg: string | undefined
  /** The script that is kaal. */
  readonly kaal: string | undefined
  /** The program that is QEMU. */
  readonly qemu: string
}

/** For `--help`. */
export const USAGE = `usage: npm run bench -- [options]

  --rounds N      runs of every guest in every mode; medians are reported (default 3)
  --guests A,B    of ${GUESTS.map(({ name }) => name).join(', ')} (default all);
                  ${START_UP} is always measured: it is the start-up that is taken off
  --engines A,B   measure kaal with these engines too: ${ENGINES.join(', ')}
  --profile       tell instead where kaal's time goes while it records each guest
  --json FILE     write the results to a file
  --markdown      print the table of the README instead
  --svg FILE      draw the ratios
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
      guests: { type: 'string', default: GUESTS.map(({ name }) => name).join(',') },
      engines: { type: 'string', default: '' },
      profile: { type: 'boolean', default: false },
      json: { type: 'string' },
      markdown: { type: 'boolean', default: false },
      svg: { type: 'string' },
      kaal: { type: 'string' },
      qemu: { type: 'string', default: 'qemu-system-aarch64' },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) return undefined
  const rounds = Number(values.rounds)
  if (!/^\d+$/.test(values.rounds) || rounds < 1) throw new Error(`--rounds ${values.rounds}: not a number from 1`)
  const { profile, json, markdown, svg, kaal, qemu } = values
  const engines = values.engines.split(',').filter((name) => name !== '')
  const unknown = engines.find((engine) => !ENGINES.some((name) => name === engine))
  if (unknown !== undefined) throw new Error(`--engines ${unknown}: there are ${ENGINES.join(', ')}`)
  const guests = guestsNamed(`${START_UP},${values.guests}`)
  return { rounds, guests, engines: [...new Set(engines)], profile, json, markdown, svg, kaal, qemu }
}

/**
 * The guests of a list of names, each once.
 *
 * @throws {Error} naming one that does not exist.
 */
export function guestsNamed(list: string): Guest[] {
  const names = list.split(',').filter((name) => name !== '')
  return [...new Set(names)].map((name) => {
    const guest = GUESTS.find((one) => one.name === name)
    if (!guest) throw new Error(`--guests ${name}: there are ${GUESTS.map((one) => one.name).join(', ')}`)
    return guest
  })
}
