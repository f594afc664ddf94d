/** What is wrong with a request of the Debug Adapter Protocol. */

/** A request that cannot be carried out: the message says what was wrong, with which value, and what to do. */
export class RequestError extends Error {
  override readonly name = 'RequestError'
}
