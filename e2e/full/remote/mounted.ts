import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { KernelVm } from 'testkernels'
import { expect } from 'vitest'
import { docker } from '../../support/docker.ts'
import { fixtureImage, fixtureTar } from '../../support/env.ts'

/** Whether a container of a VM on another machine's engine reads and writes a directory of this machine. @param host an empty one */
export async function expectMounted(host: string): Promise<void> {
  await writeFile(join(host, 'file'), 'from here')
  const entry = new KernelVm({ name: 'far', kernel: 'debian:bookworm', images: [fixtureTar] })
  await using vm = await entry.withMounts([{ host, guest: host, access: 'read-write' }]).start()
  const script = 'cat /src/file; echo from there >/src/made'
  expect(await docker(vm, ['run', '--rm', '-v', `${host}:/src`, fixtureImage, 'sh', '-c', script])).toBe('from here')
  expect(await readFile(join(host, 'made'), 'utf8')).toBe('from there\n')
}
