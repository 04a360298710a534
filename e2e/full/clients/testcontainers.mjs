// What tests ask of an engine with Testcontainers, and what they got: printed as JSON, the same on any engine.
import { text } from 'node:stream/consumers'
import { GenericContainer, getContainerRuntimeClient, Network, Wait } from 'testcontainers'

const image = process.env['IMAGE'] ?? ''
const page = 'echo page >/tmp/index.html; httpd -p 80 -h /tmp; echo err >&2; echo ready; exec tail -f /dev/null'
const got = {}
// Testcontainers lets the process end over logs that it waits for, and nothing of a slow engine's answer may have come.
const alive = setInterval(() => {}, 1_000)

const network = await new Network().start()
const web = await new GenericContainer(image)
  .withCommand(['sh', '-c', page])
  .withExposedPorts(80)
  .withNetwork(network)
  .withNetworkAliases('web')
  .withEnvironment({ WORD: 'hello' })
  .withResourcesQuota({ memory: 0.0625 })
  .withTmpFs({ '/scratch': 'size=1m' })
  .withHealthCheck({ test: ['CMD', 'wget', '-qO-', 'http://127.0.0.1/index.html'], interval: 5_000, timeout: 60_000 })
  .withCopyContentToContainer([{ content: 'before it started', target: '/tmp/before' }])
  .withWaitStrategy(
    Wait.forAll([
      Wait.forLogMessage('ready'),
      Wait.forListeningPorts(),
      Wait.forHealthCheck(),
      Wait.forHttp('/index.html', 80).forStatusCode(200),
    ]),
  )
  .withStartupTimeout(600_000)
  .start()
try {
  const url = () => `http://${web.getHost()}:${web.getMappedPort(80)}/index.html`
  got['page'] = await (await fetch(url())).text()
  got['exec'] = await web.exec(['sh', '-c', 'echo $WORD; echo $LATER; exit 3'], { env: { LATER: 'later' } })
  got['before'] = (await web.exec(['cat', '/tmp/before'])).output
  await web.copyContentToContainer([{ content: 'while it runs', target: '/tmp/while' }])
  got['copied'] = (await web.exec(['cat', '/tmp/while'])).stdout
  got['archive'] = (await text(await web.copyArchiveFromContainer('/tmp/while'))).includes('while it runs')
  got['scratch'] = (await web.exec(['stat', '-f', '-c', '%T', '/scratch'])).output
  const { container } = await getContainerRuntimeClient()
  got['limit'] = (await container.inspect(container.getById(web.getId()))).HostConfig.Memory
  const other = await new GenericContainer(image)
    .withCommand(['sh', '-c', 'wget -qO- http://web/index.html; echo done'])
    .withNetwork(network)
    .withWaitStrategy(Wait.forOneShotStartup())
    .withStartupTimeout(600_000)
    .start()
  got['logs of one that has ended'] = await text(await other.logs())
  await other.stop()
  await web.restart()
  got['page after a restart'] = await (await fetch(url())).text()
  const reusable = () => new GenericContainer(image).withCommand(['sleep', '1000']).withReuse().start()
  const [first, second] = [await reusable(), await reusable()]
  got['reused'] = first.getId() === second.getId()
  await first.stop()
  got['networks'] = web.getNetworkNames().length
  const listed = async () => (await container.list()).filter(({ Id }) => Id === web.getId()).length
  got['listed'] = [await listed()]
  await web.stop()
  got['listed'].push(await listed())
} finally {
  await web.stop()
  await network.stop()
}
clearInterval(alive)
console.log(JSON.stringify(got))
