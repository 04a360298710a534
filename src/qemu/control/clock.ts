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
