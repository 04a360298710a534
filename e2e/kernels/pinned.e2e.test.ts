// debian:SUITE@VERSION, from the machine's own Debian archive, and from an archive of snapshots: ours, laid out like Debian's.
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import Docker from 'dockerode'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { debianMirror } from '../../src/image/base/debian-mirror.ts'
import { readSettings } from '../../src/options/index.ts'
import { type RunOptions, testkernels } from '../support/run.ts'

interface ListedKernel {
  readonly reference: string
  readonly version: string
  readonly package: string
  readonly pocket: string
}

const docker = new Docker()
const mirror = await debianMirror(readSettings())
const TIME = '20260301T000000Z'
let directory: string
let server: Server
let address: string
let requests: string[]
/** Those of bookworm's security updates. */
let listed: readonly ListedKernel[]

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tk-pinned-'))
  // Steps of a build reach this machine at the gateway of the engine's network.
  const { IPAM } = await docker.getNetwork('bridge').inspect()
  server = createServer((request, response) => void answer(request.url ?? '', response))
  server.listen(0, IPAM?.Config?.[0]?.['Gateway'])
  await once(server, 'listening')
  const { address: host, port } = server.address() as AddressInfo
  address = `http://${host}:${port}`
  const { code, stdout } = await outcome(['kernels', '--suite', 'bookworm', '--json'])
  expect(code).toBe(0)
  listed = JSON.parse(stdout).kernels.filter(({ pocket }: ListedKernel) => pocket === 'bookworm-security')
})

beforeEach(() => {
  requests = []
})

afterAll(async () => {
  const reference = ['testkernels/vm:bookworm-6.1.*', 'testkernels/vm:sid-20260401T000000Z-*']
  for (const { Id } of await docker.listImages({ filters: { reference } }))
    await docker.getImage(Id).remove({ force: true })
  server.close()
  await rm(directory, { recursive: true })
})

/** The archives of that time are the mirror's of today; of packages it knows those that are listed. */
async function answer(path: string, response: ServerResponse): Promise<void> {
  requests.push(path)
  const [, archive, file] = /^\/archive\/(debian|debian-security)\/\d{8}T\d{6}Z\/(.*)$/.exec(path) ?? []
  if (archive !== undefined) {
    const upstream = await fetch(`${archive === 'debian' ? mirror?.url : mirror?.securityUrl}/${file}`)
    response.writeHead(upstream.status)
    return void Readable.from(upstream.body ?? []).pipe(response)
  }
  const result = resultOf(decodeURIComponent(path))
  if (result === undefined) response.writeHead(404).end()
  else response.end(JSON.stringify(result))
}

function resultOf(path: string): unknown {
  const signed = (version: string) => version.replace('-', '+')
  if (path === '/mr/package/linux-signed-amd64/')
    return { result: listed.map(({ version }) => ({ version: signed(version) })) }
  const kernel = listed.find(({ version }) => path.includes(`/${version}/`) || path.includes(`/${signed(version)}/`))
  if (kernel === undefined) return undefined
  if (path.endsWith('/binpackages')) return { result: [{ name: kernel.package, version: kernel.version }] }
  return {
    result: [{ architecture: 'amd64', hash: 'aaa' }],
    fileinfo: { aaa: [{ archive_name: 'debian-security', first_seen: TIME }] },
  }
}

async function outcome(args: readonly string[], options: RunOptions = {}) {
  await using run = await testkernels(args, options)
  const { code } = await run.program.exit
  const { stdout, stderr } = run.program
  return { code, stdout, stderr }
}

/** As on a machine that remembers nothing, unless it is given the same `cache`. */
function build(kernel: string, cache: string, env: Readonly<Record<string, string>> = {}) {
  return outcome(['build', '--kernel', kernel], { env: { TESTKERNELS_CACHE_DIR: join(directory, cache), ...env } })
}

test('a version that the archive lists is built, and is found again without it', async () => {
  const [oldest] = listed
  const reference = `debian:bookworm@${oldest?.version}`
  const first = await build(reference, 'mirror')
  expect(first).toMatchObject({ code: 0, stdout: expect.stringMatching(/^sha256:/) })
  expect(first.stderr).toContain(`${reference} is ${oldest?.package} ${oldest?.version}, of bookworm-security`)
  expect(await build(reference, 'mirror')).toEqual({ ...first, stderr: '' })
})

test('it is the kernel that the guest runs', async () => {
  const newest = listed.at(-1)
  const release = newest?.package.replace('linux-image-', '')
  const command = ['docker', 'info', '--format', '{{.KernelVersion}}']
  const args = ['run', '--no-template', '--kernel', `debian:bookworm@${newest?.version}`, '--', ...command]
  expect(await outcome(args)).toMatchObject({ code: 0, stdout: `${release}\n` })
})

test('a version that there is not is refused, with the nearest that there are', async () => {
  const { code, stderr } = await build('debian:bookworm@6.1.1', 'unknown')
  expect(code).toBe(125)
  expect(stderr).toMatch(/error \[UNKNOWN_KERNEL\]: the Debian archive has no kernel debian:bookworm@6\.1\.1$/m)
  expect(stderr).toMatch(/nearest that there are: debian:bookworm@6\.1\.\d+-\d+, debian:bookworm@6\.1\.\d+-\d+;/)
})

test('one that the archive has no more comes from the archive of snapshots', async () => {
  const [oldest] = listed
  const env = {
    TESTKERNELS_DEBIAN_SECURITY_MIRROR: `${address}/nothing`,
    TESTKERNELS_DEBIAN_SNAPSHOTS: address,
  }
  const { code, stderr } = await build(`debian:bookworm@${oldest?.version}`, 'snapshots', env)
  expect({ code, stderr }).toMatchObject({ code: 0, stderr: expect.stringContaining(`is ${oldest?.package} `) })
  expect(requests.slice(-1)[0]).toMatch(new RegExp(`^/archive/debian-security/${TIME}/pool/.*/${oldest?.package}_`))
  expect(requests).toContain(`/mr/package/linux-signed-amd64/`)
})

test('and so does the newest of a time', async () => {
  const env = { TESTKERNELS_DEBIAN_SNAPSHOTS: address }
  const { code, stderr } = await build('debian:sid@20260401T000000Z', 'time', env)
  expect({ code, stderr }).toMatchObject({ code: 0, stderr: expect.stringMatching(/is linux-image-\S+ \S+, of sid$/m) })
  expect(requests.every((path) => path.startsWith('/archive/debian/20260401T000000Z/'))).toBe(true)
})
