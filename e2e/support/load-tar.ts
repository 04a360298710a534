import { createReadStream } from 'node:fs'
import type Docker from 'dockerode'

/** Loads an image from a tar of `docker save`, as somebody without a registry would; one that is there stays as it is. */
export async function loadTar(docker: Docker, ref: string, tar: string): Promise<void> {
  const present = await docker
    .getImage(ref)
    .inspect()
    .then(
      () => true,
      () => false,
    )
  if (present) return
  const progress = await docker.loadImage(createReadStream(tar))
  await new Promise((resolve, reject) => progress.on('end', resolve).on('error', reject).resume())
}
