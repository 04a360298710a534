import { afterAll, expect, test } from 'vitest'
import { exporters, llb, withImageConfig } from '../../src/buildkit/index.ts'
import { connect, docker, unique } from './support.ts'

const names: string[] = []
afterAll(async () => {
  for (const name of names) await docker.getImage(name).remove({ force: true })
})

function imageName(): string {
  const name = `testkernels-e2e/${unique()}:latest`
  names.push(name)
  return name
}

test('a graph becomes an image of the engine under every name given', async () => {
  await using buildkit = await connect()
  const [first, second] = [imageName(), imageName()]
  const graph = llb.scratch().file(llb.mkfile('/hello', unique()))
  const { exporterResponse } = await buildkit.solve({
    definition: graph.definition(),
    exporter: exporters.moby({ names: [first, second] }),
  })
  const image = await docker.getImage(first).inspect()
  expect(image.RepoTags.toSorted()).toEqual([first, second].toSorted())
  expect(image.Id).toBe(exporterResponse['containerimage.digest'])
})

test('an image gets another configuration, taken as it stands, and keeps its layers', async () => {
  await using buildkit = await connect()
  const [plain, configured] = [imageName(), imageName()]
  const graph = llb.scratch().file(llb.mkdir('/work dir').mkfile('/run', unique()))
  await buildkit.solve({ definition: graph.definition(), exporter: exporters.moby({ names: [plain] }) })
  await buildkit.solve({
    ...withImageConfig(plain, {
      entrypoint: ['/run', 'with space'],
      cmd: ['$HOME', '"quoted"'],
      env: { GREETING: 'say "hi" to $USER \\ all', PATH: '/bin' },
      labels: { 'testkernels.image': 'sha256:abc', odd: '$HOME "x" = \\' },
      workingDir: '/work dir',
      user: '1000:1000',
      exposedPorts: ['2375', '53/udp'],
      volumes: ['/var/lib/docker'],
      stopSignal: 'SIGINT',
    }),
    exporter: exporters.moby({ names: [configured] }),
  })
  const image = await docker.getImage(configured).inspect()
  expect(image.Config).toMatchObject({
    Entrypoint: ['/run', 'with space'],
    Cmd: ['$HOME', '"quoted"'],
    Labels: { 'testkernels.image': 'sha256:abc', odd: '$HOME "x" = \\' },
    WorkingDir: '/work dir',
    User: '1000:1000',
    ExposedPorts: { '2375/tcp': {}, '53/udp': {} },
    Volumes: { '/var/lib/docker': {} },
    StopSignal: 'SIGINT',
  })
  expect(image.Config.Env.toSorted()).toEqual(['GREETING=say "hi" to $USER \\ all', 'PATH=/bin'])
  const layers = (await docker.getImage(plain).inspect()).RootFS.Layers ?? []
  expect(image.RootFS.Layers?.slice(0, layers.length)).toEqual(layers)
})
