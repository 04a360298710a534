// What gets through the forwarded docker.sock, against the engine's own socket (the same hijacked stream into a container), and against SSH
// into the same guest, without a dockerd in between.
import { request } from 'node:http'
import Docker from 'dockerode'
import { KernelVm } from 'testkernels'
import { FIXTURE_IMAGE, FIXTURE_TAR, loadFixture } from './fixture.mjs'
import { during, median, repeated, timed } from './statistics.mjs'

const BYTES = 64 * 2 ** 20
const ROUNDS = 5

export async function benchForward() {
  const direct = await during(loadFixture(), () => throughput(new Docker()))
  // Only now: its image is a file that the line above makes where there is none.
  const kernel = new KernelVm({ kernel: 'debian:bookworm', images: [FIXTURE_TAR] })
  const { forwarded, door, ssh } = await during(kernel.start(), async (vm) => {
    const docker = new Docker({ socketPath: vm.dockerHost.slice('unix://'.length) })
    const forwarded = await throughput(docker)
    const doorMs = []
    const sshMs = []
    // In turn, so that what the machine does meanwhile hits both.
    for (let round = 0; round < ROUNDS; round++) {
      doorMs.push(await timed(() => upload(docker)))
      sshMs.push(await timed(() => pourOverSsh(vm)))
    }
    return { forwarded, door: BYTES / 1e3 / median(doorMs), ssh: BYTES / 1e3 / median(sshMs) }
  })
  return {
    forwardedMBs: forwarded,
    directMBs: direct,
    forwardedToDirect: forwarded / direct,
    doorMBs: door,
    sshMBs: ssh,
    doorToSsh: door / ssh,
  }
}

/** A body that dockerd reads to its end and finds nothing in: JSON that is all white space. */
async function upload(docker) {
  await new Promise((resolve, reject) => {
    const asked = request(
      {
        socketPath: docker.modem.socketPath,
        path: '/auth',
        method: 'POST',
        headers: { 'Content-Type': 'application/json' },
      },
      (answer) => answer.resume().once('end', resolve),
    )
    asked.once('error', reject)
    asked.end(Buffer.alloc(BYTES, ' '))
  })
}

async function pourOverSsh(vm) {
  const { stdout } = await vm.exec(['wc', '-c'], { stdin: Buffer.alloc(BYTES) })
  if (stdout.trim() !== String(BYTES)) throw new Error('not all of it came through')
}

/** MB a second into the standard input of a container that counts them. */
async function throughput(docker) {
  const ms = await repeated(3, () => timed(() => pour(docker)))
  return BYTES / 1e3 / median(ms)
}

async function pour(docker) {
  const container = await docker.createContainer({
    Image: FIXTURE_IMAGE,
    Cmd: ['wc', '-c'],
    OpenStdin: true,
    StdinOnce: true,
    HostConfig: { AutoRemove: true, NetworkMode: 'none' },
  })
  const stream = await container.attach({ stream: true, stdin: true, stdout: true, hijack: true })
  const chunks = []
  stream.on('data', (chunk) => chunks.push(chunk))
  const ended = new Promise((resolve) => stream.once('end', resolve))
  await container.start()
  const block = Buffer.alloc(2 ** 20)
  for (let sent = 0; sent < BYTES; sent += block.length) {
    if (!stream.write(block)) await new Promise((resolve) => stream.once('drain', resolve))
  }
  stream.end()
  await ended
  if (!Buffer.concat(chunks).toString('latin1').includes(String(BYTES))) throw new Error('not all of it came through')
}
