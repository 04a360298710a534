import { createHash } from 'node:crypto'
import { llb } from '../../../buildkit/graph.ts'
import { imageLabels } from '../../../host/index.ts'
import type { DockerfileReference } from '../../../options/index.ts'
import { BuilderUnsuitableError } from '../../errors.ts'
import { buildDockerfile, type DockerfileContext } from '../dockerfile-image.ts'
import type { Ingredient } from '../ingredient.ts'

/**
 * Builds a Dockerfile. Its result cannot be part of our graph, so it is an image of its own first.
 * @throws BuilderUnsuitableError for a buildkitd, which would have to find that image in a registry; SolveError; LocalDirError
 */
export async function dockerfileRootfs(rootfs: DockerfileReference, context: DockerfileContext): Promise<Ingredient> {
  if (context.builder.kind === 'buildkitd') {
    throw new BuilderUnsuitableError({
      what: `the rootfs ${rootfs.dockerfile} cannot be built with the buildkitd of BUILDKIT_HOST: its image would be in no registry`,
      remedy: 'push the image yourself and name it as docker-image://REF, or unset BUILDKIT_HOST',
    })
  }
  const ref = tagOf(rootfs)
  const contentKey = await buildDockerfile(rootfs, { ...context, ref, labels: imageLabels('rootfs') })
  return {
    state: llb.image(ref, { platform: context.host.arch.platform, name: `[rootfs] ${rootfs.dockerfile}` }),
    contentKey,
  }
}

/** One tag for each Dockerfile, because a graph can only name an image by a tag; it moves when the context changes. */
function tagOf(rootfs: DockerfileReference): string {
  const digest = createHash('sha256').update(JSON.stringify(rootfs)).digest('hex')
  return `testkernels/rootfs:${digest.slice(0, 16)}`
}
