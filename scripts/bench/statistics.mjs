/** The value below which a share of all lies (nearest rank). */
export function percentile(values, share) {
  const sorted = values.toSorted((one, other) => one - other)
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)]
}

export const median = (values) => percentile(values, 0.5)

/** Milliseconds that the work takes. */
export async function timed(work) {
  const from = performance.now()
  await work()
  return performance.now() - from
}

/** Milliseconds of each of so many runs, one after another. */
export async function repeated(times, work) {
  const all = []
  for (let run = 0; run < times; run++) all.push(await work(run))
  return all
}

/** `await using`, which Node 20 does not have. */
export async function during(starting, work) {
  const resource = await starting
  try {
    return await work(resource)
  } finally {
    await resource[Symbol.asyncDispose]()
  }
}
