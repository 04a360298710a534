// Global setup after `fixtures`, for engines in guests: the base image of this machine's engine as a tar.
import { createWriteStream } from 'node:fs'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import Docker from 'dockerode'

const tar = join(import.meta.dirname, '../../.testkernels/base.tar')

export default async function setup(): Promise<void> {
  const image = new Docker().getImage(process.env['TESTKERNELS_E2E_BASE'] ?? '')
  await pipeline(await image.get(), createWriteStream(tar))
  process.env['TESTKERNELS_E2E_BASE_TAR'] = tar
}
