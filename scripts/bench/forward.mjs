// What gets through the forwarded docker.sock, against the engine's own socket: the same hijacked stream into a container.
import Docker from 'dockerode'
import { KernelVm } from 'testkernels'
import { FIXTURE_IMAGE, FIXTURE_TAR, loadFixture } from './fixture.mjs'
import { during, median, repeated, timed } from './statistics.mjs'

const BYTES = 64 * 2 ** 20

export async function benchForward() {
  const direct = await during(loadFixture(), () => throughput(new Docker()))
  // Only now: its image is a file that the line above makes where there is none.
  const kernel = new KernelVm({ kernel: 'debian:bookworm', images: [FIXTURE_TAR] })
  const forwarded = await during(kernel.start(), ({ dockerHost }) =>
    throughput(new Docker({ socketPath: dockerHost.slice('unix://'.length) })),
  )
  return { forwardedMBs: forwarded, directMBs: direct, forwardedToDirect: forwarded / direct }
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
