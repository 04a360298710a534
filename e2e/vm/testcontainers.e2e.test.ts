import { GenericContainer, Wait } from 'testcontainers'
import { expect, test } from 'vitest'
import { fixtureImage } from '../support/env.ts'

test('a GenericContainer with an exposed port is reached where Testcontainers says', async () => {
  await using container = await new GenericContainer(fixtureImage)
    .withCommand([
      'sh',
      '-c',
      'echo hello >/tmp/index.html && httpd -p 8080 -h /tmp && echo ready && exec tail -f /dev/null',
    ])
    .withExposedPorts(8080)
    .withWaitStrategy(Wait.forLogMessage('ready'))
    .start()
  expect(container.getHost()).toBe(process.env['TESTCONTAINERS_HOST_OVERRIDE'])
  const response = await fetch(`http://${container.getHost()}:${container.getMappedPort(8080)}/index.html`)
  expect(await response.text()).toBe('hello\n')
  const { output } = await container.exec(['hostname'])
  expect(output.trim()).toBe(container.getId().slice(0, 12))
})
