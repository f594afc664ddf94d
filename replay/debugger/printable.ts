/** Text from a guest or a file, fit for a terminal. */

/** A line without what a terminal would take as commands. */
export function printable(line: string): string {
  return line.replaceAll(/[^\t\P{Cc}]/gu, (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`)
}
