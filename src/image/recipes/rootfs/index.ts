import type { State } from '../../../buildkit/graph.ts'
import type { RootfsReference } from '../../../options/index.ts'
import type { DockerfileContext } from '../dockerfile-image.ts'
import type { Ingredient } from '../ingredient.ts'
import { type StoredImageContext, storedImage } from '../stored-image.ts'
import { debianRootfs } from './debian.ts'
import { localRootfs } from './local.ts'

export interface RootfsContext extends DockerfileContext, StoredImageContext {
  readonly tools: State
  readonly mirror: string | undefined
  /** The base image of a Debian suite, made if need be. */
  readonly base: (suite: string) => Promise<string>
}

/** The guest's root file system. Each kind of reference has a file of its own here. */
export async function rootfs(reference: RootfsReference, context: RootfsContext): Promise<Ingredient> {
  switch (reference.kind) {
    case 'debian': {
      const { suite } = reference
      return {
        state: debianRootfs(await context.base(suite), { suite, mirror: context.mirror, arch: context.host.arch }),
      }
    }
    case 'image':
      return await storedImage(reference.ref, { ...context, name: `[rootfs] ${reference.ref}` })
    case 'dockerfile': {
      // The one that has to be solved to be known.
      const { dockerfileRootfs } = await import('./dockerfile.ts')
      return await dockerfileRootfs(reference, context)
    }
    case 'directory':
    case 'tar':
      return await localRootfs(reference, { tools: context.tools, arch: context.host.arch })
  }
}
