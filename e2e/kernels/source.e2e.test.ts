// One kernel from source, with cgroup v1's memory controller that Debian's own 6.12 lacks, on both cgroup versions.
import { execFile } from 'node:child_process'
import { createReadStream } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { promisify } from 'node:util'
import Docker from 'dockerode'
import { KernelVm, type StartedKernelVm } from 'testkernels'
import { describe, expect, test } from 'vitest'
import { fixtureImage, fixtureTar } from '../support/env.ts'
import { runWebServer } from '../support/service.ts'

const run = promisify(execFile)
const kernel = { source: 'debian/trixie', config: ['cgroup-v1'] }

async function inContainer(vm: StartedKernelVm, options: readonly string[], ...command: string[]): Promise<string> {
  const argv = ['run', '--rm', ...options, fixtureImage, ...command]
  return (await run('docker', argv, { env: { ...process.env, ...vm.environment } })).stdout.trim()
}

describe.each([1, 2] as const)('on cgroup v%i', (cgroup) => {
  test('boots to a dockerd that limits memory, publishes ports, and loads modules late', async () => {
    // Cold: the console of a clone begins where its template was saved.
    const options = { name: `source-v${cgroup}`, kernel, cgroup, template: false } as const
    await using vm = await new KernelVm(options).start()
    const docker = new Docker({ socketPath: vm.dockerHost.slice('unix://'.length) })
    const loading = await docker.loadImage(createReadStream(fixtureTar))
    await new Promise((resolve, reject) => loading.on('end', resolve).on('error', reject).resume())

    const { KernelVersion, CgroupVersion, MemoryLimit, SwapLimit } = await docker.info()
    expect({ CgroupVersion, MemoryLimit, SwapLimit }).toEqual({
      CgroupVersion: String(cgroup),
      MemoryLimit: true,
      SwapLimit: true,
    })
    expect(KernelVersion).toMatch(/^6\.12\.\d+$/)

    const file = cgroup === 1 ? 'memory/memory.limit_in_bytes' : 'memory.max'
    expect(await inContainer(vm, ['--memory', '64m'], 'cat', `/sys/fs/cgroup/${file}`)).toBe('67108864')
    const cpus = cgroup === 1 ? 'cpuset/cpuset.cpus' : 'cpuset.cpus'
    expect(await inContainer(vm, ['--cpuset-cpus', '1'], 'cat', `/sys/fs/cgroup/${cpus}`)).toBe('1')

    await runWebServer(vm, 'published', '--publish', '8081:80')
    expect((await fetch(`http://${vm.address}:8081/bin/busybox`)).status).toBe(200)

    const inGuest = async (...argv: string[]) => (await vm.exec(argv)).stdout.trim()
    expect(await inGuest('uname', '-r')).toBe(KernelVersion)
    const config = await inGuest('cat', `/boot/config-${KernelVersion}`)
    expect(config).toContain('CONFIG_MEMCG_V1=y')
    expect(config).toContain('CONFIG_CPUSETS_V1=y')
    expect((await vm.exec(['modprobe', 'dummy'])).exitCode).toBe(0)
    expect(await inGuest('cat', '/proc/modules')).toMatch(/^dummy /m)

    expect(await readFile(vm.consolePath, 'utf8')).toMatch(/^\[ +0\.000000\] Linux version 6\.12\./m)
  })
})
