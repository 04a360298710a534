import { llb } from '../../../buildkit/index.ts'
import { type Engine, imageId, pullImage } from '../../../engine/index.ts'
import type { Logger } from '../../../log/index.ts'
import type { ImageRootfs } from '../../../options/index.ts'
import type { Ingredient } from '../ingredient.ts'

/** The file system of an image: from the engine's store, else pulled. The tag may move, so its id is what counts. */
export async function imageRootfs(
  { ref }: ImageRootfs,
  { engine, log, signal }: { engine: Engine; log: Logger; signal: AbortSignal },
): Promise<Ingredient> {
  const contentKey = (await imageId(engine, ref)) ?? (await pullImage(engine, ref, { log, signal }))
  return { state: llb.image(ref, { name: `[rootfs] ${ref}` }), contentKey }
}
