/** What this process waits for at the moment, in other programs' hands. */
const current = new Set<{ readonly what: string }>()

/**
 * Names a wait for as long as it is not disposed, so that who asks us to end hears what keeps us.
 * @param what ends the sentence "waiting for": `the Docker engine to answer GET /info`
 */
export function waitingFor(what: string): Disposable {
  const wait = { what }
  current.add(wait)
  return { [Symbol.dispose]: () => void current.delete(wait) }
}

/** The names of all waits, the oldest first. */
export function waits(): readonly string[] {
  return [...new Set([...current].map(({ what }) => what))]
}
