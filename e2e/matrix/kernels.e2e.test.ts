import { createReadStream } from 'node:fs'
import { kernels } from 'testkernels/vitest'
import { beforeAll, describe, expect, test } from 'vitest'
import { fixtureImage, fixtureTar } from '../support/env.ts'

test('the suite has both entries, each with a socket and an address of its own', () => {
  const all = kernels()
  expect(all.map(({ name, cgroup }) => [name, cgroup])).toEqual([
    ['cgroupv1', 1],
    ['cgroupv2', 2],
  ])
  expect(new Set(all.map(({ dockerHost }) => dockerHost)).size).toBe(2)
  expect(new Set(all.map(({ address }) => address)).size).toBe(2)
})

test('a suite leaves the environment of its workers as it is', () => {
  for (const { dockerHost } of kernels()) expect(process.env['DOCKER_HOST']).not.toBe(dockerHost)
})

describe.each(kernels())('on $name', (kernel) => {
  beforeAll(async () => {
    const progress = await kernel.docker().loadImage(createReadStream(fixtureTar))
    await new Promise((resolve) => progress.on('end', resolve).resume())
  })

  test('its own dockerd answers', async () => {
    const info = await kernel.docker().info()
    expect(info.CgroupVersion).toBe(String(kernel.cgroup))
    expect(info.Name).toBe(kernel.name)
  })

  test('testcontainers is bound to this VM', async () => {
    const { GenericContainer } = await kernel.testcontainers()
    const container = await new GenericContainer(fixtureImage).withCommand(['sleep', '1000']).start()
    try {
      const here = await kernel.docker().getContainer(container.getId()).inspect()
      expect(here.State.Running).toBe(true)
      expect(container.getHost()).toBe(kernel.address)
    } finally {
      await container.stop()
    }
  })
})
