// Setup file of the projects with a VM: the guest has the fixture image before the first test. It is loaded from a tar, as
// somebody without a registry would do it.
import { createReadStream } from 'node:fs'
import Docker from 'dockerode'
import { fixtureImage, fixtureTar } from './env.ts'

const docker = new Docker()
const present = await docker
  .getImage(fixtureImage)
  .inspect()
  .then(
    () => true,
    () => false,
  )
if (!present) {
  const progress = await docker.loadImage(createReadStream(fixtureTar))
  await new Promise((resolve, reject) => progress.on('end', resolve).on('error', reject).resume())
}
