// Root file systems that are not ours. Boots VMs by hand, one after another.
import { execFile } from 'node:child_process'
import { createReadStream } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import Docker from 'dockerode'
import { KernelVm } from 'testkernels'
import { expect, test } from 'vitest'
import { baseImage, fixtureImage, fixtureTar } from '../support/env.ts'

const run = promisify(execFile)
const fixtures = join(import.meta.dirname, '../../fixtures/rootfs')
const kernel = 'debian:bookworm'

test('a Dockerfile with build arguments, a secret and an ignore file becomes a guest with dockerd', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'tk-rootfs-'))
  try {
    await writeFile(join(directory, 'token'), 'a secret')
    const rootfs = {
      dockerfile: join(fixtures, 'Dockerfile'),
      buildArgs: { BASE: baseImage, GREETING: 'hello' },
      secretFiles: { token: join(directory, 'token') },
    }
    await using vm = await new KernelVm({ kernel, rootfs, cgroup: 1 }).start()
    expect((await vm.exec(['cat', '/greeting', '/secret-length'])).stdout).toBe('hello\n8\n')
    expect((await vm.exec(['ls', '/context'])).stdout).toBe('sent.txt\n')
    expect((await vm.exec(['ls', '/run/secrets'])).exitCode).not.toBe(0)
    // No kmod in there: bridge, veth and the rest came by our own modprobe, and so does a module now.
    expect((await vm.exec(['/.testkernels/bin/modprobe', 'dummy'])).exitCode).toBe(0)
    const docker = new Docker({ socketPath: vm.dockerHost.slice('unix://'.length) })
    const progress = await docker.loadImage(createReadStream(fixtureTar))
    await new Promise((resolve) => progress.on('end', resolve).resume())
    const { stdout } = await run('docker', ['run', '--rm', fixtureImage, 'echo', 'from the guest'], {
      env: { ...process.env, ...vm.environment },
    })
    expect(stdout).toBe('from the guest\n')
  } finally {
    await rm(directory, { recursive: true })
  }
})

test('any image is a guest for a command of its own, and has our ssh', async () => {
  const host = new Docker()
  await new Promise((resolve, reject) =>
    host
      .loadImage(createReadStream(fixtureTar))
      .then((stream) => stream.on('end', resolve).on('error', reject).resume(), reject),
  )
  try {
    const rootfs = `docker-image://${fixtureImage}`
    await using vm = await new KernelVm({ kernel, rootfs, init: ['sleep', '100000'] }).start()
    const { stdout } = await vm.exec(['sh', '-c', 'cat /proc/1/comm; uname -r; ps | grep -c "sleep 10000[0]"'])
    expect(stdout).toMatch(/^agent\n6\.1\..*\n1\n$/)
  } finally {
    await host.getImage(fixtureImage).remove()
  }
})

test('a tar is a guest too', async () => {
  const rootfs = `file://${fixtureTar.replace('.tar', '-rootfs.tar')}`
  const host = new Docker()
  const container = await host.createContainer({ Image: baseImage, Cmd: ['true'] })
  try {
    const { exec } = await import('node:child_process')
    await promisify(exec)(`docker export ${container.id} >${rootfs.slice('file://'.length)}`)
    await using vm = await new KernelVm({ kernel, rootfs, init: ['sleep', '100000'] }).start()
    expect((await vm.exec(['cat', '/etc/os-release'])).stdout).toContain('ID=debian')
  } finally {
    await container.remove()
    await rm(rootfs.slice('file://'.length), { force: true })
  }
})

/** Every name in the engine's store. */
async function names(): Promise<string[]> {
  return (await new Docker().listImages()).flatMap(({ RepoTags }) => RepoTags ?? []).toSorted()
}

test.each([
  ['a Dockerfile that fails', { dockerfile: join(fixtures, 'Dockerfile.fails') }, 'about to fail'],
  ['an image without dockerd', `docker-image://${baseImage}`, 'the rootfs has no dockerd in it'],
  ['a file that is no tar', `file://${join(fixtures, 'Dockerfile')}`, 'This does not look like a tar archive'],
])('%s is one error that says so, and leaves no name in the store', async (_, given, reason) => {
  const rootfs = typeof given === 'string' ? given : { ...given, buildArgs: { BASE: baseImage } }
  const before = await names()
  await expect(new KernelVm({ kernel, rootfs }).start()).rejects.toMatchObject({
    code: 'SOLVE_FAILED',
    message: expect.stringContaining(reason),
  })
  expect(await names()).toEqual(before)
})

test.each(['file:///nonexistent/rootfs.tar', 'dockerfile:/nonexistent/Dockerfile'])(
  '%s is not there, and that is told before anything starts',
  (rootfs) => {
    expect(() => new KernelVm({ kernel, rootfs })).toThrow(
      expect.objectContaining({ code: 'INVALID_OPTION', message: expect.stringContaining('/nonexistent/') }),
    )
  },
)
