import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { PassThrough, Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { KernelVm } from 'testkernels'
import { expect } from 'vitest'
import { exporters, llb, localDirs } from '../../../src/buildkit/index.ts'
import { openDockerHost } from '../../../src/host/index.ts'
import { silentLogger as log } from '../../../src/log/index.ts'
import { readSettings } from '../../../src/options/index.ts'
import { baseRef, unique } from '../../buildkit/support.ts'
import { platform } from '../../support/platform.ts'

/** More than a connection to the engine takes at a time. */
const LARGE_BYTES = 3_000_000
/** For a program that a command has left behind, to listen. */
const SERVED_DEADLINE_MS = 60_000
const SERVE = `nohup sh -c 'while :; do echo served | /.testkernels/bin/nc -l -p 8080; done' >/dev/null 2>&1 </dev/null &`

/** Whether an engine elsewhere builds with files of this machine, and gives what it made. @param directory an empty one */
export async function expectBuilt(directory: string): Promise<void> {
  const signal = new AbortController().signal
  const large = Buffer.alloc(LARGE_BYTES, 'a line of text\n')
  const [source, made] = [join(directory, 'source'), join(directory, 'made')]
  await mkdir(source)
  await writeFile(join(source, 'large'), large)
  const step = llb.image(baseRef(), { platform }).run({
    script: `: ${unique()}; mkdir /made; cp /source/large /made/; wc -c </source/large >/made/bytes`,
    mounts: [llb.bind('/source', llb.local('source', { platform }))],
  })
  const host = await openDockerHost({ settings: readSettings(), log, signal })
  await using buildkit = await host.ownBuilder({ log, signal }).connect()
  await buildkit.solve({
    definition: llb
      .scratch(platform)
      .file(llb.copy(step, '/made', '/made'))
      .definition(),
    attachables: [localDirs({ source: { path: source } })],
    exporter: exporters.local({ directory: made }),
  })
  expect((await readFile(join(made, 'made/bytes'), 'utf8')).trim()).toBe(String(LARGE_BYTES))
  expect((await readFile(join(made, 'made/large'))).equals(large)).toBe(true)
}

/** Whether files, forwards and a shell of a VM on an engine elsewhere are what they are here. @param directory an empty one */
export async function expectAccess(directory: string): Promise<void> {
  const entry = new KernelVm({ name: 'far', kernel: 'debian:bookworm', memoryMib: 1024 })
  await using vm = await entry
    .withForwards([{ guest: 8080, name: 'web' }, { guest: '/run/docker/containerd/containerd.sock' }])
    .start()
  const [source, back] = [join(directory, 'files'), join(directory, 'back')]
  await mkdir(source)
  await writeFile(join(source, 'large'), Buffer.alloc(LARGE_BYTES, 'a line of text\n'))
  await vm.copyTo(source, '/srv/files')
  await vm.copyFrom('/srv/files', back)
  expect((await readFile(join(back, 'large'))).equals(await readFile(join(source, 'large')))).toBe(true)

  await vm.exec(SERVE)
  const { web, containerd } = vm.forwards
  const answer = () => text(connect(web?.kind === 'tcp' ? web.port : 0, '127.0.0.1')).catch(() => '')
  await expect.poll(answer, { timeout: SERVED_DEADLINE_MS }).toBe('served\n')
  const socket = connect(containerd?.address ?? '')
  socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0')
  const [frame] = (await socket.take(1).toArray()) as Buffer[]
  // That of HTTP/2's settings.
  expect(frame?.[3]).toBe(4)

  const [stdout, stderr] = [new PassThrough(), new PassThrough()]
  const status = await vm.shell({ stdin: Readable.from(['hostname; exit 7\n']), stdout, stderr })
  expect(status).toMatchObject({ exitCode: 7 })
  expect(await text(stdout.end())).toBe('far\n')
}
