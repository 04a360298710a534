import { afterAll, expect, test } from 'vitest'
import { exporters, llb } from '../../src/buildkit/index.ts'
import { platform } from '../support/platform.ts'
import { baseRef, connect, docker, onceLogged, oneAtATime, unique } from './support.ts'

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
  const graph = llb.scratch(platform).file(llb.mkfile('/hello', unique()))
  const { exporterResponse } = await buildkit.solve({
    definition: graph.definition(),
    exporter: exporters.moby({ names: [first, second] }),
  })
  const image = await docker.getImage(first).inspect()
  expect(image.RepoTags.toSorted()).toEqual([first, second].toSorted())
  expect(image.Id).toBe(exporterResponse['containerimage.digest'])
})

test('an image has the configuration that is given, taken as it stands', async () => {
  await using buildkit = await connect()
  const configured = imageName()
  const graph = llb.scratch(platform).file(llb.mkdir('/work dir').mkfile('/run', unique()))
  await buildkit.solve({
    definition: graph.definition(),
    imageConfig: {
      platform,
      entrypoint: ['/run', 'with space'],
      cmd: ['$HOME', '"quoted"'],
      env: { GREETING: 'say "hi" to $USER \\ all', PATH: '/bin' },
      labels: { 'testkernels.image': 'sha256:abc', odd: '$HOME "x" = \\' },
      workingDir: '/work dir',
      user: '1000:1000',
      exposedPorts: ['2375', '53/udp'],
      volumes: ['/var/lib/docker'],
      stopSignal: 'SIGINT',
    },
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
  expect(image.RootFS.Layers).toHaveLength(1)
})

test('a step that fails is told as without a configuration, and no image is left', async () => {
  await using buildkit = await connect()
  const name = imageName()
  names.pop()
  const failing = llb.image(baseRef(), { platform }).run({ script: `echo ${unique()}; exit 3`, name: '[e2e] fails' })
  const solving = buildkit.solve({
    definition: failing.definition(),
    imageConfig: { platform, cmd: ['true'] },
    exporter: exporters.moby({ names: [name] }),
  })
  await expect(solving).rejects.toMatchObject({ code: 'SOLVE_FAILED', exitCode: 3, vertex: { name: '[e2e] fails' } })
  await expect(docker.getImage(name).inspect()).rejects.toMatchObject({ statusCode: 404 })
})

test('an abort ends the step', async () => {
  await using buildkit = await connect()
  const holding = oneAtATime()
  const controller = new AbortController()
  const whenHolding = onceLogged('holding', () => controller.abort(new Error('Ctrl-C')))
  const ended: string[] = []
  const solving = buildkit.solve({
    definition: holding('echo holding; sleep 600'),
    imageConfig: { platform, cmd: ['true'] },
    signal: controller.signal,
    onStatus: (status) => {
      // Not before the step runs: of one that is cancelled while it is being started, Docker 26.1 loses sight, and it sleeps on.
      whenHolding(status)
      for (const { error } of status.vertexes) if (error !== undefined) ended.push(error)
    },
  })
  await expect(solving).rejects.toMatchObject({ code: 'SOLVE_CANCELLED' })
  expect(ended.join()).toContain('context canceled')
  await buildkit.solve({ definition: holding('true'), signal: AbortSignal.timeout(50_000) })
})
