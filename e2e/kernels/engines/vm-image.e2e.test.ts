// Our own images on the engine in a guest, which is newer than that of this machine.
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import Docker from 'dockerode'
import { expect, test } from 'vitest'
import { silentLogger } from '../../../src/log/index.ts'
import { parseKernelEntry, readSettings } from '../../../src/options/index.ts'
import { openHost, prepareImage } from '../../../src/vm/index.ts'
import { connect } from '../../buildkit/support.ts'
import { fixtureImage, fixtureTar } from '../../support/env.ts'
import { loadTar } from '../../support/load-tar.ts'

const docker = new Docker()

test('the engine is newer than 20.10, and its BuildKit answers', async ({ annotate }) => {
  const { Version } = await docker.version()
  await using buildkit = await connect()
  await annotate(`engine ${Version}, BuildKit by ${buildkit.transport}`)
  expect(Number.parseInt(Version, 10)).toBeGreaterThanOrEqual(26)
})

test('an image of a VM is built on it, and the second time found', async () => {
  await loadTar(docker, fixtureImage, fixtureTar)
  const host = await openHost({ settings: readSettings(), log: silentLogger })
  const entry = parseKernelEntry('nested', {
    kernel: 'debian:bookworm',
    rootfs: `docker-image://${fixtureImage}`,
    init: ['sleep', 'infinity'],
  })
  const { ref, origin } = await prepareImage({ host, entry })
  expect(origin).toBe('built')
  expect(await prepareImage({ host, entry })).toEqual({ ref, origin: 'store' })

  const { Config } = await docker.getImage(ref).inspect()
  expect(Config).toMatchObject({
    Entrypoint: ['/testkernels/entrypoint'],
    Cmd: expect.arrayContaining(['microvm,acpi=on,rtc=on']),
  })
  const script =
    'cd /testkernels; fsck.erofs rootfs.erofs && fsck.erofs kernel.erofs && qemu-system-x86_64 --version && ls'
  const { stdout } = await promisify(execFile)('docker', ['run', '--rm', '--entrypoint', 'sh', ref, '-ec', script])
  expect(stdout).toMatch(/^QEMU emulator version /m)
  expect(stdout.split('\n')).toEqual(expect.arrayContaining(['entrypoint', 'initrd', 'tsc-khz', 'vmlinuz']))
})
