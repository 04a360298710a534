// What is said of this machine's directories, settings and archive.
import { readFileSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { readSettings } from '../options/index.ts'
import type { Check, DoctorContext, Finding } from './check.ts'
import { debianArchive } from './images.ts'
import { cacheDirectory, mib, nodeFinding, OLDEST_NODE, runDirectory } from './machine.ts'
import { engineChoice, proxyFinding, testcontainers } from './settings.ts'

let home = ''

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'tk-doctor-'))
})

afterEach(async () => {
  await rm(home, { recursive: true, force: true })
})

/** Of what these checks ask for there is nothing but settings. */
function withSettings(check: Check, environment: Readonly<Record<string, string>>): Promise<Finding> {
  const context = { settings: readSettings({ HOME: home, ...environment }) } as DoctorContext
  return check.examine(context, new AbortController().signal)
}

test("the oldest Node is that of the package's engines", () => {
  const { engines } = JSON.parse(readFileSync(join(import.meta.dirname, '../../package.json'), 'utf8'))
  expect(engines.node).toBe(`>=${OLDEST_NODE}`)
})

test.each([
  ['v20.19.0', 'ok'],
  ['v26.1.0', 'ok'],
  ['v20.18.3', 'failure'],
  ['v18.20.0', 'failure'],
])('Node %s: %s', (version, status) => {
  expect(nodeFinding(version).status).toBe(status)
})

test('directories are made, written and left as they were', async () => {
  const [cache, run] = [join(home, 'cache'), join(home, 'run')]
  expect(await withSettings(cacheDirectory, { TESTKERNELS_CACHE_DIR: cache })).toMatchObject({ status: 'ok' })
  expect(await withSettings(runDirectory, { TESTKERNELS_RUN_DIR: run })).toMatchObject({ status: 'ok' })
  expect([...(await readdir(cache)), ...(await readdir(run))]).toEqual([])
})

test('a directory that cannot be one is a failure that names the variable', async () => {
  await writeFile(join(home, 'file'), '')
  const TESTKERNELS_CACHE_DIR = join(home, 'file/cache')
  expect(await withSettings(cacheDirectory, { TESTKERNELS_CACHE_DIR })).toMatchObject({
    status: 'failure',
    message: expect.stringContaining('ENOTDIR'),
    remedy: expect.stringContaining('TESTKERNELS_CACHE_DIR'),
  })
  await expect(withSettings(runDirectory, { TESTKERNELS_RUN_DIR: join(home, 'file/run') })).rejects.toMatchObject({
    code: 'DIRECTORY_UNUSABLE',
    remedy: expect.stringContaining('TESTKERNELS_RUN_DIR'),
  })
})

test('DOCKER_HOST that goes before a context is a warning that names both', async () => {
  await mkdir(join(home, '.docker'))
  await writeFile(join(home, '.docker/config.json'), JSON.stringify({ currentContext: 'lab' }))
  const DOCKER_HOST = 'unix:///x.sock'
  expect(await withSettings(engineChoice, { DOCKER_HOST })).toMatchObject({
    status: 'warning',
    message: `DOCKER_HOST goes before context "lab" (${join(home, '.docker/config.json')}), which is not heeded`,
  })
  expect(await withSettings(engineChoice, { DOCKER_HOST, DOCKER_CONTEXT: 'default' })).toEqual({
    status: 'ok',
    message: 'by DOCKER_HOST',
  })
})

test('tc.host is a failure: tests would pass by every VM', async () => {
  await writeFile(join(home, '.testcontainers.properties'), 'tc.host=tcp://192.0.2.1:2375\n')
  expect(await withSettings(testcontainers, {})).toEqual({
    status: 'failure',
    message: expect.stringContaining('tc.host=tcp://192.0.2.1:2375'),
    remedy: expect.stringContaining('remove the line'),
  })
})

test('variables of Testcontainers that a VM replaces are a warning', async () => {
  expect(await withSettings(testcontainers, { TESTCONTAINERS_HOST_OVERRIDE: '192.0.2.1' })).toMatchObject({
    status: 'warning',
    message: expect.stringContaining('TESTCONTAINERS_HOST_OVERRIDE is set'),
  })
  expect(await withSettings(testcontainers, {})).toMatchObject({ status: 'ok' })
})

test.each([
  [{}, 'ok'],
  [{ HTTP_PROXY: 'http://proxy.example.org' }, 'warning'],
  [{ https_proxy: 'http://proxy.example.org', NO_PROXY: 'localhost,127.0.0.1' }, 'warning'],
  [{ http_proxy: 'http://proxy.example.org', no_proxy: 'localhost, 172.17.0.0/16' }, 'ok'],
  [{ HTTP_PROXY: 'http://proxy.example.org', NO_PROXY: '172.16.0.0/12' }, 'ok'],
  [{ HTTP_PROXY: 'http://proxy.example.org', NO_PROXY: '172.17.' }, 'ok'],
  [{ HTTP_PROXY: 'http://proxy.example.org', NO_PROXY: '*' }, 'ok'],
  [{ HTTP_PROXY: 'http://proxy.example.org', NO_PROXY: '10.0.0.0/8' }, 'warning'],
] as const)('proxies %j: %s', (environment, status) => {
  expect(proxyFinding(environment).status).toBe(status)
})

async function archive(answer: (server: Server) => void): Promise<{ url: string } & AsyncDisposable> {
  const server = createServer()
  answer(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    url: `http://user:secret@127.0.0.1:${port}/debian`,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

test('the Debian archive is asked for its InRelease, and its password is shown to nobody', async () => {
  const asked: string[] = []
  await using mirror = await archive((server) =>
    server.on('request', (request, response) => {
      asked.push(`${request.method} ${request.url} ${request.headers.authorization}`)
      response.end()
    }),
  )
  const finding = await withSettings(debianArchive, { TESTKERNELS_DEBIAN_MIRROR: mirror.url })
  expect(asked).toEqual([`HEAD /debian/dists/trixie/InRelease Basic ${btoa('user:secret')}`])
  expect(finding.status).toBe('ok')
  expect(JSON.stringify(finding)).not.toContain('secret')
})

test.each([404, 503])('a Debian archive that answers %i is a warning', async (status) => {
  await using mirror = await archive((server) =>
    server.on('request', (_, response) => response.writeHead(status).end()),
  )
  expect(await withSettings(debianArchive, { TESTKERNELS_DEBIAN_MIRROR: mirror.url })).toMatchObject({
    status: 'warning',
    message: expect.stringContaining(String(status)),
  })
})

test('a Debian archive where nobody listens is a warning, with and without a proxy', async () => {
  const nowhere = { TESTKERNELS_DEBIAN_MIRROR: 'http://127.0.0.1:1/debian' }
  expect(await withSettings(debianArchive, nowhere)).toMatchObject({
    status: 'warning',
    message: expect.stringContaining('ECONNREFUSED'),
  })
  expect(await withSettings(debianArchive, { ...nowhere, HTTP_PROXY: 'http://127.0.0.1:1' })).toMatchObject({
    message: expect.stringContaining('asked without the proxy'),
  })
})

test('sizes are told in the unit that reads well', () => {
  expect([mib(512.7), mib(1536)]).toEqual(['512 MiB', '1.5 GiB'])
})
