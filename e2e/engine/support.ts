import { connectEngine, type Engine, newRun, resolveEngineAddress, runLabels } from '../../src/engine/index.ts'

/** The promise: nothing of ours is left this long after its owner's end, however that came. */
export const GONE_WITHIN_MS = 5_000
/** For what has no promise, on a machine that does much else. */
export const EVENT_DEADLINE_MS = 60_000

export async function engineUnderTest(): Promise<Engine> {
  return await connectEngine(await resolveEngineAddress(process.env))
}

/** Labels of one test's own run. */
export function ownRun(): { readonly labels: Record<string, string>; readonly filter: string } {
  const labels = runLabels(newRun())
  return { labels, filter: `testkernels.run=${labels['testkernels.run']}` }
}

/** The containers of a run, dead ones included. */
export async function containersOf(
  { docker }: Engine,
  { filter }: { readonly filter: string },
): Promise<readonly string[]> {
  return (await docker.listContainers({ all: true, filters: { label: [filter] } })).map(({ Id }) => Id)
}
