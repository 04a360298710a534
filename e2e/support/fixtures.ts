// Global setup of each e2e project: the image that tests run in their guests, made once for all.
import { FIXTURE_IMAGE, FIXTURE_TAR, makeFixtureImage } from '../../scripts/fixture-image.mjs'

const KEY = Symbol.for('testkernels.e2e.fixtures')

export default async function setup(): Promise<void> {
  const holder = globalThis as { [KEY]?: Promise<{ base: string }> }
  holder[KEY] ??= makeFixtureImage()
  const { base } = (await holder[KEY]) as { base: string }
  process.env['TESTKERNELS_E2E_BASE'] = base
  process.env['TESTKERNELS_E2E_IMAGE'] = FIXTURE_IMAGE
  process.env['TESTKERNELS_E2E_TAR'] = FIXTURE_TAR
}
