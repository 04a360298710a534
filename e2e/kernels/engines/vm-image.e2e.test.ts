// Our own images on the engine in a guest, which is newer than that of this machine.
import Docker from 'dockerode'
import { expect, test } from 'vitest'
import { silentLogger } from '../../../src/log/index.ts'
import { parseKernelEntry, readSettings } from '../../../src/options/index.ts'
import { newStart, openSession, prepareImage } from '../../../src/vm/index.ts'
import { connect } from '../../buildkit/support.ts'
import { fixtureImage, fixtureTar } from '../../support/env.ts'
import { loadTar } from '../../support/load-tar.ts'
import { Program } from '../../support/program.ts'

const docker = new Docker()
/** Two minutes on an idle machine. */
const NESTED_BOOT_DEADLINE_MS = 900_000

test('the engine is newer than 20.10, and its BuildKit answers', async ({ annotate }) => {
  const { Version } = await docker.version()
  await using buildkit = await connect()
  await annotate(`engine ${Version}, BuildKit by ${buildkit.transport}`)
  expect(Number.parseInt(Version, 10)).toBeGreaterThanOrEqual(26)
})

test('an image of a VM is built on it, found the second time, and boots', async () => {
  await loadTar(docker, fixtureImage, fixtureTar)
  const session = await openSession({ settings: readSettings(), log: silentLogger })
  const entry = parseKernelEntry('nested', {
    kernel: 'debian:bookworm',
    rootfs: `docker-image://${fixtureImage}`,
    init: ['sleep', 'infinity'],
  })
  const start = newStart(session, { hostname: 'nested' })
  const { ref, origin } = await prepareImage({ session, entry }, start)
  expect(origin).toBe('built')
  expect(await prepareImage({ session, entry }, start)).toEqual({ ref, origin: 'store' })

  // Emulation in emulation: its kernel and init come up as they do on any engine, and slower.
  await using vm = new Program(['docker', 'run', '--rm', ref])
  await vm.printed('stdout', /^testkernels: the command runs after \d+ s\r?$/m, NESTED_BOOT_DEADLINE_MS)
  expect(vm.stdout).toMatch(/^\[ +0\.000000\] Linux version 6\.1\./m)
})
