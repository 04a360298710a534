/** The signal of work that nobody calls off. A new one each time: a shared one would collect the listeners of all. */
export function neverAborted(): AbortSignal {
  return new AbortController().signal
}
