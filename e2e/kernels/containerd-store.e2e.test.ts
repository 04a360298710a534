// What only an engine with the image store of containerd can do. Boots a guest with one, by hand: that of Debian's sid.
import { join } from 'node:path'
import Docker from 'dockerode'
import pRetry from 'p-retry'
import { KernelVm, type StartedKernelVm } from 'testkernels'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Buildkit, connectBuildkit, exporters, llb, type SolveStatus } from '../../src/buildkit/index.ts'
import { connectEngine } from '../../src/engine/index.ts'
import { scratchDir, unique } from '../buildkit/support.ts'

import setUpBaseTar from '../support/base-tar.ts'
import { baseImage, baseTar } from '../support/env.ts'
import { loadTar } from '../support/load-tar.ts'
import { platform } from '../support/platform.ts'

/** dockerd starts again in there, under emulation. */
const RESTART_DEADLINE_MS = 180_000

let vm: StartedKernelVm
let docker: Docker
beforeAll(async () => {
  await setUpBaseTar()
  vm = await new KernelVm({ kernel: 'debian:trixie', rootfs: 'debian:sid', memoryMib: 4096 }).start()
  docker = new Docker({ socketPath: socketPath() })
  // A guest ends with the dockerd that it was started with: the one with the other store is beside it, and has its socket.
  const config = '{"features":{"containerd-snapshotter":true}}'
  const place = '--data-root /var/lib/docker/other --exec-root /run/other --pidfile /run/other.pid'
  const network = '--bridge none --iptables=false --ip6tables=false'
  const dockerd = `dockerd --config-file /etc/docker/other.json ${place} ${network} >/var/log/other.log 2>&1 </dev/null`
  const setUp = `mkdir -p /etc/docker && echo '${config}' >/etc/docker/other.json && rm /run/docker.sock`
  expect(await vm.exec(['sh', '-c', `${setUp} && { setsid ${dockerd} & }`])).toMatchObject({ exitCode: 0 })
  await pRetry(() => docker.ping(), {
    retries: Number.POSITIVE_INFINITY,
    maxTimeout: 1_000,
    signal: AbortSignal.timeout(RESTART_DEADLINE_MS),
  })
  await loadTar(docker, baseImage, baseTar())
})
afterAll(() => vm?.stop())

const socketPath = () => vm.dockerHost.slice('unix://'.length)

/** Solves one step that is unlike any other, and tells whether it ran. */
function step(buildkit: Buildkit, mark: string) {
  const made = llb.image(baseImage, { platform }).run({ script: `echo ran-${mark} | tee /made`, network: 'none' })
  const definition = llb
    .scratch(platform)
    .file(llb.copy(made, '/made', '/taken'))
    .definition()
  return async (caches: Pick<Parameters<Buildkit['solve']>[0], 'cacheImports' | 'cacheExports'>) => {
    let output = ''
    const onStatus = ({ logs }: SolveStatus) => {
      output += logs.map(({ data }) => Buffer.from(data).toString()).join('')
    }
    const exporter = exporters.moby({ names: [`e2e/${mark}:1`] })
    await buildkit.solve({ definition, imageConfig: { platform, cmd: ['/taken'] }, exporter, ...caches, onStatus })
    return output.includes(`ran-${mark}`)
  }
}

test('the engine is known by its store', async () => {
  const engine = await connectEngine({ address: { kind: 'unix', path: socketPath() } })
  expect(engine.imageStore).toBe('containerd')
})

test('a cache in a directory spares its steps where nothing else does', async () => {
  await using buildkit = await connectBuildkit({ kind: 'docker', socketPath: socketPath() })
  await using directory = await scratchDir()
  const mark = unique()
  const solve = step(buildkit, mark)
  const cacheExports = [{ type: 'local', attrs: { dest: join(directory.path, 'cache'), mode: 'max' } }]
  const cacheImports = [{ type: 'local', attrs: { src: join(directory.path, 'cache') } }]
  // An empty cache is no error.
  expect(await solve({ cacheImports, cacheExports })).toBe(true)

  const forget = async () => {
    await docker.getImage(`e2e/${mark}:1`).remove()
    await buildkit.prune({ all: true })
  }
  await forget()
  expect(await solve({})).toBe(true)
  await forget()
  expect(await solve({ cacheImports })).toBe(false)
  expect((await docker.getImage(`e2e/${mark}:1`).inspect()).Config.Cmd).toEqual(['/taken'])
})
