/** What the command line offers, read off the definitions of the verbs: for completion and for manual pages. */
import type { Argument, Command, Option } from 'commander'

/** What a value is, as far as a shell can help with it. */
export type ValueKind =
  | { readonly kind: 'trace' | 'file' | 'folder' | 'other' }
  | { readonly kind: 'choice'; readonly choices: readonly string[] }

/** An option. */
export interface OptionEntry {
  /** As they are typed: `-o` and `--output`, or one of them. */
  readonly short: string | undefined
  readonly long: string | undefined
  /** Its value's name, as in `<file>`; undefined for a flag. */
  readonly value: string | undefined
  readonly kind: ValueKind
  readonly description: string
}

/** An argument. */
export interface ArgumentEntry {
  readonly name: string
  readonly required: boolean
  readonly variadic: boolean
  readonly kind: ValueKind
  readonly description: string
}

/** A verb. */
export interface VerbEntry {
  readonly name: string
  readonly description: string
  readonly arguments: readonly ArgumentEntry[]
  readonly options: readonly OptionEntry[]
}

/** The command. */
export interface Catalogue {
  readonly description: string
  readonly options: readonly OptionEntry[]
  readonly verbs: readonly VerbEntry[]
}

const HELP: OptionEntry = {
  short: '-h',
  long: '--help',
  value: undefined,
  kind: { kind: 'other' },
  description: 'display help',
}

/** Reads a program's verbs, in the order of its help; hidden ones and options are left out. */
export function catalogue(program: Command): Catalogue {
  return {
    description: program.description(),
    options: optionsOf(program),
    verbs: program.commands.map((verb) => ({
      name: verb.name(),
      description: verb.description(),
      arguments: verb.registeredArguments.map(argumentEntry),
      options: optionsOf(verb),
    })),
  }
}

function optionsOf(command: Command): OptionEntry[] {
  return [...command.options.filter(({ hidden }) => !hidden).map(optionEntry), HELP]
}

function optionEntry({ short, long, flags, description, argChoices }: Option): OptionEntry {
  const value = /[<[]([^>\]]+)[>\]]/.exec(flags)?.[1]
  return { short, long, value, kind: kindOf(value, argChoices), description }
}

function argumentEntry(argument: Argument): ArgumentEntry {
  const { required, variadic, description, argChoices } = argument
  const name = argument.name()
  return { name, required, variadic, kind: kindOf(name, argChoices), description }
}

/** By the name that the definition gives a value. */
function kindOf(name: string | undefined, choices: readonly string[] | undefined): ValueKind {
  if (choices !== undefined) return { kind: 'choice', choices }
  if (name === undefined) return { kind: 'other' }
  if (/^(trace|a|b)$/i.test(name)) return { kind: 'trace' }
  if (/^(folder|directory)$/.test(name)) return { kind: 'folder' }
  if (/^(file|elf|kernel|image|pack|path)s?$/.test(name)) return { kind: 'file' }
  return { kind: 'other' }
}
