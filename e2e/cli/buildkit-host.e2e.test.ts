// Images built with a buildkitd that stands alone. Ours speaks its protocol and builds nothing: what is sent back is made here.
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ServerCredentials } from '@grpc/grpc-js'
import Docker from 'dockerode'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { Buildkitd, type Made } from '../../src/buildkit/testing/buildkitd.ts'
import { createAuthority } from '../../src/buildkit/testing/certificates.ts'
import { archiveOf, dockerArchive } from '../support/docker-archive.ts'
import { baseImage } from '../support/env.ts'
import { testkernels } from '../support/run.ts'

const docker = new Docker()
const RELEASE = '6.1.0-of-buildkitd'

let buildkitd: Buildkitd
let directory: string
let made: Made[]
beforeEach(async () => {
  made = []
  buildkitd = new Buildkitd({ make })
  directory = await mkdtemp(join(tmpdir(), 'tk-bkd-'))
})
afterEach(async () => {
  await buildkitd[Symbol.asyncDispose]()
  await rm(directory, { recursive: true })
  for (const { attrs } of made) if (attrs['name']) await docker.getImage(attrs['name']).remove({ force: true })
})

/** The facts of a kernel as a tar, and an image with the configuration that it is given. */
async function make(asked: Made): Promise<Buffer> {
  made.push(asked)
  if (asked.exporter === 'tar') return await archiveOf({ release: `${RELEASE}\n`, modules: 'present\n' })
  return await dockerArchive(asked.attrs['name'] ?? '', asked.imageConfig ?? {}, { hello: 'from buildkitd' })
}

/** Builds an image that no engine has. */
async function build(env: Readonly<Record<string, string>>, args: readonly string[] = []) {
  const init = ['--init', `sleep ${randomBytes(6).toString('hex')}`]
  await using run = await testkernels(['build', '--kernel', 'debian:bookworm', ...init, ...args], { env })
  const { code } = await run.program.exit
  return { code, stdout: run.program.stdout, stderr: run.program.stderr }
}

async function expectBuilt(env: Readonly<Record<string, string>>): Promise<void> {
  const { code, stdout } = await build(env)
  expect(code).toBe(0)
  expect(made.map(({ exporter }) => exporter)).toEqual(['tar', 'docker'])
  const image = await docker.getImage(made[1]?.attrs['name'] ?? '').inspect()
  expect(stdout).toBe(`${image.Id}\n`)
  expect(image.Config.Labels['testkernels.kernel.facts']).toContain(RELEASE)
}

test('over a unix socket: the image is loaded into the engine, with the configuration of ours', async () => {
  const socketPath = join(directory, 'buildkitd.sock')
  await buildkitd.listen(`unix:${socketPath}`)
  await expectBuilt({ BUILDKIT_HOST: `unix://${socketPath}` })
})

test('over TCP with mutual TLS', async () => {
  const authority = createAuthority('an authority')
  const server = authority.issue('buildkitd', ['localhost'])
  const keys = { cert_chain: Buffer.from(server.cert), private_key: Buffer.from(server.key) }
  const secure = ServerCredentials.createSsl(Buffer.from(authority.cert), [keys], true)
  const port = await buildkitd.listen('127.0.0.1:0', secure)
  const me = authority.issue('me')
  for (const [name, text] of Object.entries({ ca: authority.cert, cert: me.cert, key: me.key }))
    await writeFile(join(directory, `${name}.pem`), text)
  const host = { BUILDKIT_HOST: `tcp://localhost:${port}` }
  await expectBuilt({ ...host, TESTKERNELS_BUILDKIT_TLS_DIR: directory })
  expect((await build(host)).stderr).toMatch(/error \[BUILDKIT_UNREACHABLE\]/)
})

test('in a container', async () => {
  const socketPath = join(directory, 'buildkitd.sock')
  await buildkitd.listen(`unix:${socketPath}`)
  const container = await docker.createContainer({
    Image: baseImage,
    Cmd: ['sleep', '1000'],
    HostConfig: {
      AutoRemove: true,
      NetworkMode: 'none',
      Binds: [
        `${directory}:/run/buildkit`,
        `${join(import.meta.dirname, '../../fixtures/buildkitd/buildctl')}:/usr/bin/buildctl:ro`,
      ],
    },
  })
  try {
    await container.start()
    await expectBuilt({ BUILDKIT_HOST: `docker-container://${container.id.slice(0, 12)}` })
  } finally {
    await container.remove({ force: true })
  }
})

test.each([
  {
    what: 'a socket where nobody listens',
    host: 'unix:///nonexistent/buildkitd.sock',
    says: /BUILDKIT_UNREACHABLE.*ENOENT/s,
  },
  {
    what: 'a container that is not there',
    host: 'docker-container://no-such-one',
    says: /BUILDKIT_UNREACHABLE.*no-such-one/s,
  },
  { what: 'an address that is none', host: 'buildkitd', says: /BUILDKIT_UNREACHABLE.*not understood/s },
])('$what is one error', async ({ host, says }) => {
  const { code, stdout, stderr } = await build({ BUILDKIT_HOST: host })
  expect(stderr).toMatch(says)
  expect({ code, stdout }).toEqual({ code: 125, stdout: '' })
})

test('a Dockerfile is refused, because a buildkitd would find its image nowhere', async () => {
  const socketPath = join(directory, 'buildkitd.sock')
  await buildkitd.listen(`unix:${socketPath}`)
  const rootfs = ['--rootfs', `dockerfile:${join(import.meta.dirname, '../../fixtures/rootfs-failing/Dockerfile')}`]
  const { code, stderr } = await build({ BUILDKIT_HOST: `unix://${socketPath}` }, rootfs)
  expect(stderr).toMatch(/error \[BUILDER_UNSUITABLE\]/)
  expect(code).toBe(125)
})
