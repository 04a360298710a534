import type { Images } from '../host/index.ts'
import { ImageUnusableError } from './errors.ts'
import { parseVmLabels, type VmImageFacts } from './labels.ts'

/** An image that was built before, here or elsewhere. */
export interface StoredVmImage extends VmImageFacts {
  readonly id: string
}

/**
 * The image that `testkernels build` printed the id of, by that id, a part of it, or a name.
 * @throws ImageUnusableError
 */
export async function storedVmImage(images: Pick<Images, 'inspect'>, ref: string): Promise<StoredVmImage> {
  const image = await images.inspect(ref)
  if (image === undefined) {
    throw new ImageUnusableError({
      what: `the engine has no image ${ref}`,
      remedy: 'give the id that `testkernels build` printed; an image from elsewhere must be pulled or loaded first',
    })
  }
  const facts = parseVmLabels(image.labels)
  if (facts !== undefined) return { id: image.id, ...facts }
  throw new ImageUnusableError({
    what: `${ref} is no image of a VM: it has not the labels that \`testkernels build\` gives one`,
    remedy:
      'give an image that this version of `testkernels build` made; for the kernel in another image, --kernel docker-image://REF',
  })
}
