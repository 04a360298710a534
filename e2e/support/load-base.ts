// Setup file of the projects whose tests build on the guest's engine: it has the base image before the first test.
import Docker from 'dockerode'
import { baseImage, baseTar } from './env.ts'
import { loadTar } from './load-tar.ts'

await loadTar(new Docker(), baseImage, baseTar())
