import { createHash } from 'node:crypto'
import { llb } from '../../../buildkit/graph.ts'
import { imageLabels } from '../../../engine/index.ts'
import type { DockerfileReference } from '../../../options/index.ts'
import { buildDockerfile, type DockerfileContext } from '../dockerfile-image.ts'
import type { Ingredient } from '../ingredient.ts'

/** Builds a Dockerfile. Its result cannot be part of our graph, so it is an image of its own first. */
export async function dockerfileRootfs(rootfs: DockerfileReference, context: DockerfileContext): Promise<Ingredient> {
  const ref = tagOf(rootfs)
  const contentKey = await buildDockerfile(rootfs, { ...context, ref, labels: imageLabels('rootfs') })
  return { state: llb.image(ref, { name: `[rootfs] ${rootfs.dockerfile}` }), contentKey }
}

/** One tag for each Dockerfile, because a graph can only name an image by a tag; it moves when the context changes. */
function tagOf(rootfs: DockerfileReference): string {
  const digest = createHash('sha256').update(JSON.stringify(rootfs)).digest('hex')
  return `testkernels/rootfs:${digest.slice(0, 16)}`
}
