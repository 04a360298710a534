import { expect, test } from 'vitest'
import { type Buildkit, exporters, llb, type SolveStatus } from '../../src/buildkit/index.ts'
import { connectEngine, pushImage } from '../../src/engine/index.ts'
import { platform } from '../support/platform.ts'
import { startRegistry } from '../support/registry.ts'
import { baseRef, connect, docker, sharesLoopback, unique } from './support.ts'

/** Removes what the step left in the build cache, as on a machine that never ran it. */
async function forget(buildkit: Buildkit, mark: string): Promise<void> {
  const records = (await buildkit.diskUsage()).filter(({ description }) => description.includes(mark))
  expect(records).not.toEqual([])
  await buildkit.prune({ filters: records.map(({ id }) => `id==${id}`), all: true })
}

function recorder() {
  let output = ''
  const onStatus = ({ logs }: SolveStatus) => {
    output += logs.map(({ data }) => Buffer.from(data).toString()).join('')
  }
  return { onStatus, output: () => output }
}

test.runIf(sharesLoopback)('a cache that is in a pushed image spares its steps where nothing else does', async () => {
  await using registry = await startRegistry()
  await using buildkit = await connect()
  const engine = await connectEngine({ address: { kind: 'unix', path: '/var/run/docker.sock' } })
  const mark = unique()
  const name = `${registry.host}/e2e/${mark}:1`
  const step = llb.image(baseRef(), { platform }).run({ script: `echo ran-${mark} | tee /made` })
  const definition = llb
    .scratch(platform)
    .file(llb.copy(step, '/made', '/taken'))
    .definition()
  const imageConfig = { platform, cmd: ['/taken'] }
  const exporter = exporters.moby({ names: [name] })
  try {
    const first = recorder()
    await buildkit.solve({ definition, imageConfig, exporter, cacheExports: [{ type: 'inline' }], ...first })
    expect(first.output()).toContain(`ran-${mark}`)
    await pushImage(engine, name)
    expect(registry.tags).toEqual([`e2e/${mark}:1`])

    await docker.getImage(name).remove()
    await forget(buildkit, mark)
    const second = recorder()
    await buildkit.solve({
      definition,
      imageConfig,
      exporter,
      cacheImports: [{ type: 'registry', attrs: { ref: name } }],
      ...second,
    })
    expect(second.output()).not.toContain(`ran-${mark}`)
    expect((await docker.getImage(name).inspect()).Config.Cmd).toEqual(['/taken'])
  } finally {
    await docker.getImage(name).remove({ force: true })
  }
})

test('a cache that cannot be read costs no more than the work', async () => {
  await using registry = await startRegistry()
  await using buildkit = await connect()
  const mark = unique()
  const definition = llb
    .image(baseRef(), { platform })
    .run({ script: `echo ran-${mark}` })
    .definition()
  const ref = `${registry.host}/no/such:cache`
  const { onStatus, output } = recorder()
  await buildkit.solve({ definition, cacheImports: [{ type: 'registry', attrs: { ref } }], onStatus })
  expect(output()).toContain(`ran-${mark}`)
})

test.runIf(sharesLoopback)('the labels of an image in a registry are read without pulling it', async () => {
  await using registry = await startRegistry()
  await using buildkit = await connect()
  const engine = await connectEngine({ address: { kind: 'unix', path: '/var/run/docker.sock' } })
  const name = `${registry.host}/e2e/${unique()}:1`
  const definition = llb.scratch(platform).file(llb.mkfile('/x', unique())).definition()
  const imageConfig = { platform, labels: { of: name } }
  await buildkit.solve({ definition, imageConfig, exporter: exporters.moby({ names: [name] }) })
  await pushImage(engine, name)
  await docker.getImage(name).remove()
  expect(await buildkit.remoteImage({ ref: name })).toEqual({
    digest: expect.stringMatching(/^sha256:/),
    labels: { of: name },
  })
  await expect(docker.getImage(name).inspect()).rejects.toMatchObject({ statusCode: 404 })
  expect(await buildkit.remoteImage({ ref: `${registry.host}/no/such:image` })).toBeUndefined()
})
