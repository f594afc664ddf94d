/** The one error of everything that reads a file a person gave: kernels, initial RAM disks, device trees. */

/** A file that cannot be loaded. The message is one line for people: the file's name, the field, its value, what to do. */
export class LoadError extends Error {
  override readonly name = 'LoadError'

  /** @param file the file's name as the person gave it. */
  constructor(file: string, what: string) {
    super(`${file}: ${what}`)
  }
}

/** An address or value as messages show it. */
export const hex = (value: number | bigint): string => `0x${value.toString(16)}`
