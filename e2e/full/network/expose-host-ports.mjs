// A test of somebody who uses Testcontainers' own way to this machine, as a process: what that keeps open to its VM ends with it.
// Prints what a container of the image that is named gets from a server of this process.
import { once } from 'node:events'
import { createServer } from 'node:http'
import { GenericContainer, TestContainers } from 'testcontainers'

const [image = ''] = process.argv.slice(2)
const server = createServer((_, response) => response.end('this machine')).listen(0, '127.0.0.1')
await once(server, 'listening')
const { port } = /** @type {import('node:net').AddressInfo} */ (server.address())

await TestContainers.exposeHostPorts(port)
const container = await new GenericContainer(image).withCommand(['sleep', '1000']).start()
const get = ['wget', '-q', '-T', '60', '-O', '-', `http://host.testcontainers.internal:${port}/`]
const { output } = await container.exec(get)
await container.stop({ timeout: 1 })
console.log(output)
process.exit(0)
