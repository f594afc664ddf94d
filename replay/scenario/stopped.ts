/** The one error of a run that somebody ends. */

/** A run was stopped from outside. */
export class Stopped extends Error {
  override readonly name = 'Stopped'
}
