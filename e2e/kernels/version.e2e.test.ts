// version:X.Y.Z from a mirror of ours, laid out like kernel.org's.
import { execFile } from 'node:child_process'
import { createHash, randomInt } from 'node:crypto'
import { once } from 'node:events'
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import Docker from 'dockerode'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { testkernels } from '../support/run.ts'

const run = promisify(execFile)
const docker = new Docker()
const fixture = join(import.meta.dirname, '../../fixtures/kernel-source')
/** No other run has it in the build cache. */
const version = `1.${randomInt(1_000_000)}.3`
const tarballPath = `/v1.x/linux-${version}.tar.xz`
let directory: string
let tarball: Buffer
let server: Server
let mirror: string
let checksum: string
let requests: string[]

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tk-version-'))
  await cp(fixture, join(directory, `linux-${version}`), { recursive: true })
  await writeFile(join(directory, `linux-${version}`, 'README'), version)
  const path = join(directory, 'linux.tar.xz')
  await run('tar', ['-C', directory, '-cJf', path, `linux-${version}`])
  tarball = await readFile(path)
  server = createServer((request, response) => {
    requests.push(`${request.method} ${request.url}`)
    if (request.url === tarballPath) response.end(tarball)
    else if (request.url === '/v1.x/sha256sums.asc') response.end(`${checksum}  linux-${version}.tar.xz\n`)
    else response.writeHead(404).end()
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  // BuildKit downloads in the network of its engine, which is this machine's.
  mirror = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})

beforeEach(() => {
  requests = []
  checksum = createHash('sha256').update(tarball).digest('hex')
})

afterAll(async () => {
  for (const { Id } of await images()) await docker.getImage(Id).remove({ force: true })
  server.close()
  await rm(directory, { recursive: true })
})

function images() {
  return docker.listImages({ filters: { reference: [`testkernels/vm:${version}-*`] } })
}

/** Remembers nothing of other builds, unless it is given the same `cache`. */
async function build(kernel: string, { cache = `${kernel}-${requests.length}`, url = mirror } = {}) {
  const env = { TESTKERNELS_KERNEL_MIRROR: url, TESTKERNELS_CACHE_DIR: join(directory, cache) }
  await using built = await testkernels(['build', '--kernel', kernel], { env })
  const { code } = await built.program.exit
  return { code, stdout: built.program.stdout, stderr: built.program.stderr }
}

test('a tarball that is not what its published checksum says is refused', async () => {
  checksum = '0'.repeat(64)
  const { code, stderr } = await build(`version:${version}`, { cache: 'wrong' })
  expect(code).toBe(125)
  expect(stderr).toMatch(new RegExp(`error \\[SOLVE_FAILED\\]: .*download ${mirror}${tarballPath}`))
  expect(stderr).toContain('digest mismatch')
  expect(await images()).toEqual([])
})

test('a version is built once, and then found without network', async () => {
  const first = await build(`version:${version}`, { cache: 'right' })
  expect(first).toMatchObject({ code: 0, stdout: expect.stringMatching(/^sha256:/) })
  expect(requests).toContain(`GET ${tarballPath}`)
  requests.length = 0
  expect(await build(`version:${version}`, { cache: 'right' })).toEqual({ ...first, stderr: '' })
  expect(requests).toEqual([])
})

test('with a checksum of the user nobody is asked for one', async () => {
  expect((await build(`version:${version}#sha256=${checksum}`)).code).toBe(0)
  expect(requests).not.toContain('GET /v1.x/sha256sums.asc')
})

test('a version that does not exist, and a mirror that cannot be reached', async () => {
  expect((await build('version:1.0.1')).stderr).toMatch(
    /error \[KERNEL_SOURCE_UNAVAILABLE\]: there is no linux-1.0.1.tar.xz in http/,
  )
  expect((await build('version:1.0.1', { url: 'http://127.0.0.1:9' })).stderr).toMatch(
    /error \[KERNEL_SOURCE_UNAVAILABLE\]: cannot learn the checksum[\s\S]*TESTKERNELS_KERNEL_MIRROR/,
  )
  expect(requests).toEqual(['GET /v1.x/sha256sums.asc'])
})
