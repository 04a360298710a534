// What `testkernels doctor` says of devices that are not as they should be, found out in containers of an engine that has no others.
import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import Docker from 'dockerode'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { baseImage } from '../../support/env.ts'
import { canIsolate, startIsolatedEngine } from '../../support/isolated-engine.ts'
import { Program } from '../../support/program.ts'
import { testkernels } from '../../support/run.ts'

const main = join(import.meta.dirname, '../../../dist/cli/main.js')
const MOUNT_DEADLINE_MS = 30_000
const GONE_DEADLINE_MS = 60_000
const canMount = canIsolate && spawnSync('unshare', ['--mount', 'test', '-c', '/dev/fuse']).status === 0

let directory = ''

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tk-devices-'))
})

afterEach(async () => {
  await rm(directory, { recursive: true })
})

/** Lives in a mount namespace without tun, and has in it a file that hangs whoever opens it. */
async function startHangingDevice(path: string): Promise<Program> {
  await writeFile(path, '')
  const hang = [process.execPath, join(import.meta.dirname, 'hanging-device.mjs'), path]
  const program = new Program([
    'unshare',
    '--mount',
    'sh',
    '-c',
    'mount -t tmpfs none /dev/net && exec "$@"',
    'sh',
    ...hang,
  ])
  await program.printed('stdout', /^mounted$/m, MOUNT_DEADLINE_MS)
  return program
}

/** An engine that gives its containers that file for a device. */
async function startEngineWith(file: string, { pid }: Program) {
  const runtime = join(directory, 'runtime')
  const swap = [process.execPath, join(import.meta.dirname, 'runtime-with-file.mjs'), '/dev/kvm', file]
  await writeFile(runtime, `#!/bin/sh\nexec ${swap.join(' ')} "$@"\n`)
  await chmod(runtime, 0o755)
  const under = ['nsenter', `--mount=/proc/${pid}/ns/mnt`]
  return await startIsolatedEngine({ storageDriver: 'overlay2', runtime, under })
}

/** What doctor would start is then there: the machine's engine has its image (support/images.ts), and that of the base. */
async function loadImages(docker: Docker): Promise<void> {
  const id = execFileSync(process.execPath, [main, 'build', '--kernel', 'debian:trixie'], { encoding: 'utf8' }).trim()
  const inspect = ['image', 'inspect', '--format', '{{join .RepoTags " "}}', id]
  const tags = execFileSync('docker', inspect, { encoding: 'utf8' }).trim().split(' ')
  const save = spawn('docker', ['save', ...tags, baseImage], { stdio: ['ignore', 'pipe', 'inherit'] })
  await text(await docker.loadImage(save.stdout, { quiet: true }))
}

test.runIf(canMount)('a /dev/kvm that hangs is given up and named, and so is a tun that is not there', async () => {
  const file = join(directory, 'kvm')
  const device = await startHangingDevice(file)
  await using engine = await startEngineWith(file, device)
  const docker = new Docker({ socketPath: engine.dockerHost.replace('unix://', '') })
  try {
    await loadImages(docker)
    const env = {
      DOCKER_HOST: engine.dockerHost,
      TESTKERNELS_CACHE_DIR: join(directory, 'cache'),
      TESTKERNELS_KVM_PROBE_TIMEOUT_MS: '3000',
    }
    await using run = await testkernels(['doctor', '--json'], { env })
    const { code } = await run.program.exit
    const { checks } = JSON.parse(run.program.stdout) as { checks: readonly { id: string }[] }
    const of = (id: string) => checks.find((check) => check.id === id)
    expect(of('kvm')).toMatchObject({
      status: 'warning',
      message: expect.stringContaining('/dev/kvm hangs'),
      remedy: expect.stringContaining('restart the machine'),
    })
    expect(of('tun')).toMatchObject({
      status: 'failure',
      message: expect.stringContaining("the engine's machine has no /dev/net/tun"),
      remedy: expect.stringContaining('modprobe tun'),
    })
    expect(code).toBe(1)
  } finally {
    // What hung comes back, and then goes by itself.
    await device[Symbol.asyncDispose]()
    await expect.poll(() => docker.listContainers({ all: true }), { timeout: GONE_DEADLINE_MS }).toEqual([])
  }
})
