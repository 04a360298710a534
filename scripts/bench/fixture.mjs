import { createReadStream } from 'node:fs'
import Docker from 'dockerode'
import { FIXTURE_IMAGE, FIXTURE_TAR, makeFixtureImage } from '../fixture-image.mjs'

export { FIXTURE_IMAGE, FIXTURE_TAR }

/** The busybox image of the tests in the engine's own store, until it is disposed of. */
export async function loadFixture() {
  await makeFixtureImage()
  const docker = new Docker()
  const answer = await docker.loadImage(createReadStream(FIXTURE_TAR))
  await new Promise((resolve, reject) => answer.on('end', resolve).on('error', reject).resume())
  return { [Symbol.asyncDispose]: () => docker.getImage(FIXTURE_IMAGE).remove({ force: true }) }
}
