// Other people's clients, each asking the same of a guest's dockerd and of this machine's engine: what they get is to be the same.
// docs/engines.md has a table of what is not.
import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import Docker from 'dockerode'
import { KernelVm, type StartedKernelVm } from 'testkernels'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { fixtureImage, fixtureTar } from '../../support/env.ts'
import { loadTar } from '../../support/load-tar.ts'

const run = promisify(execFile)
const IMAGE = 'testkernels-e2e/clients'
const BUILD_DEADLINE_MS = 400_000
const dockerfile = `FROM testkernels/base:trixie
RUN apt-get update && apt-get install -y --no-install-recommends docker-cli docker-compose python3-docker
`
const entry = new KernelVm({ name: 'clients', kernel: 'debian:bookworm', images: [fixtureTar] })
let directory: string
let vm: StartedKernelVm

/** An engine as a client sees it: its socket, and where the ports of containers are. */
interface Seen {
  readonly socket: string
  readonly address: string
}
const engine = new Docker({ socketPath: '/var/run/docker.sock' })
const local: Seen = { socket: '/var/run/docker.sock', address: '127.0.0.1' }
let guest: Seen

function seenBy({ dockerHost, address }: StartedKernelVm): Seen {
  return { socket: dockerHost.replace('unix://', ''), address }
}

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tk-clients-'))
  await writeFile(join(directory, 'Dockerfile'), dockerfile)
  const env = { ...process.env, DOCKER_BUILDKIT: '0' }
  await run('docker', ['build', '--tag', IMAGE, directory], { env, timeout: BUILD_DEADLINE_MS })
  await loadTar(engine, fixtureImage, fixtureTar)
  vm = await entry.start()
  guest = seenBy(vm)
}, BUILD_DEADLINE_MS)

afterAll(async () => {
  await vm?.stop()
  for (const name of [IMAGE, fixtureImage]) await engine.getImage(name).remove({ force: true }).catch(ifThere)
  await rm(directory, { recursive: true })
})

function ifThere({ statusCode }: { readonly statusCode?: number }): void {
  expect(statusCode).toBe(404)
}

/** What a shell script prints that has the clients, in a container on this machine's network, with this directory's files. */
async function client({ socket, address }: Seen, script: string): Promise<string> {
  const environment = {
    DOCKER_HOST: `unix://${socket}`,
    ADDRESS: address,
    IMAGE: fixtureImage,
    COMPOSE_PROJECT_NAME: 'tk',
  }
  const { stdout } = await run('docker', [
    ...['run', '--rm', '--network', 'host', '--workdir', '/clients'],
    ...Object.entries(environment).flatMap(([name, value]) => ['--env', `${name}=${value}`]),
    ...['--volume', `${socket}:${socket}`, '--volume', `${import.meta.dirname}:/clients:ro`],
    ...[IMAGE, 'sh', '-euc', script],
  ])
  return stdout
}

test('python3-docker', async () => {
  const got = await client(local, 'python3 python.py')
  expect(JSON.parse(got)).toMatchObject({ 'first try': 'page\n', event: 'die', status: 137 })
  expect(JSON.parse(await client(guest, 'python3 python.py'))).toEqual(JSON.parse(got))
})

test('docker compose', async () => {
  const script = `
trap 'docker compose down --volumes --timeout 0 >/dev/null 2>&1' EXIT
docker compose up --detach --wait >/dev/null 2>&1
docker compose ps --services --status running
docker compose run --rm --no-TTY reader 2>/dev/null
port=$(docker compose port web 80); python3 -c "
import sys, urllib.request
print(urllib.request.urlopen('http://' + sys.argv[1] + '/index.html').read())" "$ADDRESS:\${port##*:}"
docker compose exec -T web sh -c 'hostname; exit 4' || echo $?
echo copied >/tmp/file; docker compose cp /tmp/file web:/tmp/file 2>/dev/null; docker compose exec -T web cat /tmp/file
docker compose logs --no-log-prefix --no-color web
docker compose restart --timeout 0 web 2>/dev/null
docker compose logs --no-log-prefix --no-color web | wc -l`
  const got = await client(local, script)
  expect(got.split('\n').slice(0, 5)).toEqual(['web', 'page', "b'page\\n'", 'web', '4'])
  expect(await client(guest, script)).toBe(got)
})

test('dockerode', async () => {
  const ask = async ({ socket }: Seen) => {
    const docker = new Docker({ socketPath: socket })
    const container = await docker.createContainer({
      Image: fixtureImage,
      Cmd: ['cat'],
      OpenStdin: true,
      StdinOnce: true,
    })
    try {
      const stream = await container.attach({ stream: true, stdin: true, stdout: true, hijack: true })
      await container.start()
      stream.end('through cat')
      const { StatusCode } = (await container.wait()) as { StatusCode: number }
      const logs = await container.logs({ stdout: true })
      return { StatusCode, said: logs.subarray(8).toString() }
    } finally {
      await container.remove({ force: true })
    }
  }
  const got = await ask(local)
  expect(got).toEqual({ StatusCode: 0, said: 'through cat' })
  expect(await ask(guest)).toEqual(got)
})

test('Testcontainers', async () => {
  const ask = async ({ socket }: Seen, more: Readonly<Record<string, string>>) => {
    // There is no image of the reaper without a registry, on either.
    const variables = { DOCKER_HOST: `unix://${socket}`, IMAGE: fixtureImage, TESTCONTAINERS_RYUK_DISABLED: 'true' }
    const script = join(import.meta.dirname, 'testcontainers.mjs')
    const { stdout } = await run(process.execPath, [script], { env: { ...process.env, ...variables, ...more } })
    return JSON.parse(stdout)
  }
  const got = await ask(local, {})
  expect(got).toMatchObject({
    page: 'page\n',
    exec: { output: 'hello\nlater\n', exitCode: 3 },
    'logs of one that has ended': expect.stringMatching(/^page\ndone\n/),
    'page after a restart': 'page\n',
    reused: true,
    listed: [1, 0],
  })
  expect(await ask(guest, { TESTCONTAINERS_HOST_OVERRIDE: guest.address })).toEqual(got)
})

test('what differs: a directory of this machine is refused by name, unless the entry has it', async () => {
  const shared = join(directory, 'shared')
  await mkdir(shared)
  await writeFile(join(shared, 'file'), '')
  const script = `docker run --rm --volume ${shared}:/shared "$IMAGE" ls /shared`
  const got = await client(local, script)
  expect(got).toBe('file\n')
  await expect(client(guest, script)).rejects.toThrow(`mounts: [{ host: '${shared}', guest: '${shared}' }]`)
  await using having = await entry.withMounts([{ host: shared, guest: shared }]).start()
  expect(await client(seenBy(having), script)).toBe(got)
})
