// The image that demo and e2e tests run in their guests: busybox, made from the base image, because no registry is needed
// for it. Saved as a tar, as a user without a registry would bring theirs.
import { createWriteStream } from 'node:fs'
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { fileURLToPath } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')

export const FIXTURE_IMAGE = 'testkernels-fixture/busybox:latest'
export const FIXTURE_TAR = join(root, '.testkernels/busybox.tar')

/** Makes the tar, and returns the reference of the base image it came from. Needs `npm run build`. */
export async function makeFixtureImage() {
  const { llb, exporters } = await import('../dist/buildkit/index.js')
  const { openDockerHost } = await import('../dist/host/index.js')
  const { debianMirror, ensureBaseImage } = await import('../dist/image/index.js')
  const { silentLogger } = await import('../dist/log/index.js')
  const { readSettings } = await import('../dist/options/index.js')

  const signal = AbortSignal.timeout(15 * 60_000)
  const settings = readSettings()
  const host = await openDockerHost({ settings, log: silentLogger, signal })
  const { platform } = host.arch
  const mirror = await debianMirror(settings.debianMirror)
  const base = await ensureBaseImage({ host, suite: 'trixie', mirror, signal, log: silentLogger })

  const busybox = llb
    .image(base.ref, { platform })
    .run({
      script: `apt-get update && apt-get install -y --no-install-recommends busybox-static
mkdir -p /out/bin /out/etc /out/tmp
cp /bin/busybox /out/bin/busybox
for applet in $(busybox --list | grep -vx busybox); do ln -s busybox "/out/bin/$applet"; done
echo 'root:x:0:0:root:/root:/bin/sh' >/out/etc/passwd`,
      mounts: [llb.output('/out')],
      name: '[fixture] busybox',
    })
    .mountOutput('/out')

  const definition = busybox.definition()
  const stamp = `${FIXTURE_TAR}.digest`
  if ((await readFile(stamp, 'utf8').catch(() => '')) === definition.digest) return { base: base.ref }

  const buildkit = await host.ownBuilder({ signal, log: silentLogger }).connect()
  const part = `${FIXTURE_TAR}.${process.pid}`
  try {
    await buildkit.solve({
      definition,
      imageConfig: { platform, cmd: ['sh'], env: { PATH: '/bin' } },
      exporter: exporters.moby({ names: [FIXTURE_IMAGE] }),
      signal,
    })
    await mkdir(dirname(FIXTURE_TAR), { recursive: true })
    await pipeline(await host.images.save([FIXTURE_IMAGE], { signal }), createWriteStream(part))
    await rename(part, FIXTURE_TAR)
    await writeFile(stamp, definition.digest)
  } finally {
    await buildkit[Symbol.asyncDispose]()
    // The tar is what is used; the engine's store stays as it was.
    await host.images.remove(FIXTURE_IMAGE)
  }
  return { base: base.ref }
}
