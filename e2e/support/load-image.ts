// Setup file of the projects with a VM: the guest has the fixture image before the first test.
import Docker from 'dockerode'
import { fixtureImage, fixtureTar } from './env.ts'
import { loadTar } from './load-tar.ts'

await loadTar(new Docker(), fixtureImage, fixtureTar)
