/** Commands that find things in time. */
import type { Command } from '../command.js'

export const eventCommands: readonly Command[] = []
