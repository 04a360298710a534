import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest'
import { type Engine, inspectImage, removeImage, runAttached } from '../../src/engine/index.ts'
import { dockerHost, type Host } from '../../src/host/index.ts'
import { type BaseImage, baseImageRefs, ensureBaseImage } from '../../src/image/base/base-image.ts'
import { parseMirror } from '../../src/image/base/debian-mirror.ts'
import { createLogger } from '../../src/log/index.ts'
import { readSettings } from '../../src/options/index.ts'
import { containersOf, engineUnderTest, ownRun } from './support.ts'

/** A name of a suite that nothing else here uses. Pulled where there is a registry, made where there is none. */
const SUITE = 'stable'

let engine: Engine
let host: Host
beforeAll(async () => {
  engine = await engineUnderTest()
  host = dockerHost(engine, readSettings({}))
})

describe('two processes that need a base image at once', () => {
  let images: BaseImage[]
  const lines: string[] = []
  beforeAll(async () => {
    // What a run that was killed left here would be found, and nothing made.
    await removeImage(engine, baseImageRefs(SUITE)[1])
    const log = createLogger({ write: (line) => lines.push(line) })
    images = await Promise.all([1, 2].map(() => ensureBaseImage({ host, suite: SUITE, log })))
  })
  afterAll(async () => {
    for (const { ref, origin } of images) if (origin !== 'engine') await removeImage(engine, ref)
  })

  test('get the same one, made once', () => {
    const [first, second] = images
    expect(second?.id).toBe(first?.id)
    expect(lines.filter((line) => line.startsWith('pulling'))).toHaveLength(1)
    expect(lines.join('\n')).toContain('another process is making the base image')
  })

  test('and apt-get update works in it', async () => {
    const run = ownRun()
    await using container = await runAttached(engine, {
      ...run,
      image: images[0]?.ref ?? '',
      command: ['sh', '-c', 'apt-get update >&2 && apt-cache policy bash | head -1'],
      capabilities: ['SETUID', 'SETGID', 'CHOWN', 'DAC_OVERRIDE', 'FOWNER'],
      rootFilesystem: 'writable',
    })
    const { exitCode } = await container.exited
    expect({ exitCode, stdout: container.stdout.kept, stderr: container.stderr.tail(1) }).toMatchObject({
      exitCode: 0,
      stdout: ['bash:'],
    })
    await container.stop()
    expect(await containersOf(engine, run)).toEqual([])
  })

  test('one that was made is labelled as ours', async () => {
    const made = images.find(({ origin }) => origin === 'bootstrapped')
    if (made !== undefined) {
      expect((await inspectImage(engine, made.ref))?.labels).toMatchObject({ 'testkernels.image': 'base' })
    }
  })
})

test('an image that cannot be had is explained with all three ways, and leaves nothing', async () => {
  // A directory of its own: whoever else makes an image on this machine has such files for a moment, too.
  const directory = await mkdtemp(join(tmpdir(), 'testkernels-base-'))
  onTestFinished(() => rm(directory, { recursive: true }))
  vi.stubEnv('TMPDIR', directory)
  onTestFinished(() => void vi.unstubAllEnvs())
  // Port 9 is nobody's: the mirror refuses.
  const ensuring = ensureBaseImage({
    host,
    suite: 'no-such-suite',
    mirror: parseMirror('http://127.0.0.1:9/debian'),
  })
  await expect(ensuring).rejects.toMatchObject({
    code: 'BASE_IMAGE_UNAVAILABLE',
    message: expect.stringMatching(/engine's store: .*debian:no-such-suite-slim.*pull: .*bootstrap: /s),
    remedy: expect.stringMatching(/docker load.*mmdebstrap.*TESTKERNELS_DEBIAN_MIRROR/),
  })
  expect(await inspectImage(engine, 'testkernels/base:no-such-suite')).toBeUndefined()
  expect(await readdir(directory)).toEqual([])
})

test('an abort while the image is made ends the program and leaves nothing', async () => {
  const controller = new AbortController()
  const log = createLogger({
    write: (line) => {
      if (line.startsWith('making')) controller.abort(new Error('stopped by the user'))
    },
  })
  const ensuring = ensureBaseImage({
    host,
    suite: 'no-such-suite',
    mirror: parseMirror('http://127.0.0.1:9/debian'),
    log,
    signal: controller.signal,
  })
  await expect(ensuring).rejects.toThrow('stopped by the user')
})
