import type { TestProject, Vitest } from 'vitest/node'
import { type KernelEntry, parseMatrix } from '../options/index.ts'
import type { KernelRequest } from './provided.ts'

/** What a project asks for; undefined for a project that is not ours. */
export function requestOf(project: TestProject): KernelRequest | undefined {
  return project.config.provide.testkernelsRequest
}

export function entriesOf(project: TestProject): readonly KernelEntry[] {
  const request = requestOf(project)
  return request === undefined ? [] : parseMatrix(request.rows)
}

/**
 * The projects that have tests to run after `--project`, file filters and `--shard`. Vitest runs global setups one after
 * another, so the first one must know what the others will need.
 */
export async function projectsToRun(vitest: Vitest): Promise<ReadonlySet<TestProject>> {
  // The filters of the command line; there in every version, and declared in none.
  const { filenamePattern } = vitest as { filenamePattern?: string[] }
  const specifications = await vitest.globTestSpecifications(filenamePattern)
  const { shard, sequence } = vitest.config
  const selected = shard ? await new sequence.sequencer(vitest).shard(specifications) : specifications
  return new Set(selected.map((specification) => specification.project))
}
