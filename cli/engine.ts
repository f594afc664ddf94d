/** `--engine`: which of the processor's engines executes. Nothing that is recorded or shown depends on it. */
import { Option } from 'commander'
import { ENGINES, type Engine } from '../cpu/translator/translator.js'

/** The option, for every verb that executes guest code; its value is an {@link Engine}, and `hybrid` if it is not given. */
export function engineOption(): Option {
  return new Option('--engine <engine>', 'how guest code is executed; the result is the same with each')
    .choices([...ENGINES])
    .default('hybrid' satisfies Engine)
}
