import type { TestProject, TestSpecification, Vitest } from 'vitest/node'
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
  const selected = vitest.config.shard ? await inShard(vitest, specifications) : specifications
  return new Set(selected.map(({ project }) => project))
}

/** Whether nothing of this project is in the shard: Vitest shares tests out only after all global setups. */
export async function isInOtherShards(project: TestProject): Promise<boolean> {
  return Boolean(project.vitest.config.shard) && !(await projectsToRun(project.vitest)).has(project)
}

/**
 * Vitest orders by path alone. Where the shard ends between projects that share a file, the order in which their files were found
 * decides which it takes, and that is chance: both may be needed.
 */
async function inShard(vitest: Vitest, specifications: readonly TestSpecification[]): Promise<TestSpecification[]> {
  const sequencer = new vitest.config.sequence.sequencer(vitest)
  const orders = [[...specifications], [...specifications].reverse()]
  return (await Promise.all(orders.map((order) => sequencer.shard(order)))).flat()
}
