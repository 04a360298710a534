/** A clock that is known to within this is right. */
const CLOCK_UNCERTAINTY_MS = 20
const CLOCK_READINGS = 10

/** Finer than Date.now(). */
export function unixTimeMs(): number {
  return performance.timeOrigin + performance.now()
}

/** One answer to "what time is it there". */
export interface ClockReading {
  /** When the question was sent and when the answer came, by our clock, in milliseconds since 1970. */
  readonly askedMs: number
  readonly answeredMs: number
  /** What the other clock said. */
  readonly theirMs: number
}

export interface ClockOffset {
  /** How far the other clock is ahead of ours, in milliseconds. */
  readonly aheadMs: number
  /** It is that to within this. */
  readonly uncertaintyMs: number
}

/** The other clock was read at some time between question and answer, as in the network time protocol (RFC 5905). */
export function offsetOf({ askedMs, answeredMs, theirMs }: ClockReading): ClockOffset {
  return { aheadMs: theirMs - (askedMs + answeredMs) / 2, uncertaintyMs: (answeredMs - askedMs) / 2 }
}

/**
 * Asks until an answer is sharp enough, or two say the same: on a long way none is sharp, and each takes a round trip. Gives the sharpest of
 * at most ten.
 */
export async function measureClock(read: () => Promise<ClockReading>): Promise<ClockOffset> {
  let best = offsetOf(await read())
  for (let reading = 1; reading < CLOCK_READINGS && best.uncertaintyMs > CLOCK_UNCERTAINTY_MS; reading++) {
    const offset = offsetOf(await read())
    const agree = Math.abs(offset.aheadMs - best.aheadMs) <= CLOCK_UNCERTAINTY_MS
    if (offset.uncertaintyMs < best.uncertaintyMs) best = offset
    if (agree) break
  }
  return best
}
