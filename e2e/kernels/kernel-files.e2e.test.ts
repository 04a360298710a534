// Kernels that are not packages of Debian's: in an image, and as files of this machine.
import { appendFile, copyFile, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Docker from 'dockerode'
import { KernelVm } from 'testkernels'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { exporters, llb } from '../../src/buildkit/index.ts'
import { connect, unique } from '../buildkit/support.ts'
import { cpio } from '../support/cpio.ts'
import { baseImage } from '../support/env.ts'
import { stepsOf } from '../support/plain-progress.ts'
import { platform } from '../support/platform.ts'
import { testkernels } from '../support/run.ts'

const engine = new Docker()
const ref = `testkernels-e2e/kernel:${unique()}`
let directory: string
let release: string
let vmlinuz: string
let modules: string

/** Debian's kernel as its package has it: boot/ and usr/lib/modules/. */
const tree = llb
  .image(baseImage, { platform })
  .run({
    name: '[e2e] unpack a kernel',
    script: `
      apt-get update
      cd /tmp
      apt-get download $(apt-cache depends linux-image-cloud-amd64 | awk '/Depends: linux-image/ { print $2 }')
      dpkg-deb -x linux-image-*.deb /out`,
    mounts: [llb.output('/out')],
  })
  .mountOutput('/out')

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tk-kernel-files-'))
  await using buildkit = await connect()
  await buildkit.solve({ definition: tree.definition(), exporter: exporters.moby({ names: [ref] }) })
  await buildkit.solve({ definition: tree.definition(), exporter: exporters.local({ directory }) })
  release = (await readdir(join(directory, 'usr/lib/modules')))[0] ?? expect.fail('the package has no modules')
  vmlinuz = join(directory, 'boot', `vmlinuz-${release}`)
  modules = join(directory, 'usr/lib/modules', release)
})

afterAll(async () => {
  const names = [release.replace('+', '-'), 'testkernels-e2e-kernel'].map((name) => `testkernels/vm:${name}-*`)
  const images = await engine.listImages({ filters: { reference: names } })
  for (const image of [ref, ...images.map(({ Id }) => Id)]) await engine.getImage(image).remove({ force: true })
  await rm(directory, { recursive: true })
})

async function build(kernel: string, ...options: string[]) {
  await using run = await testkernels(['build', '--kernel', kernel, ...options])
  const { code } = await run.program.exit
  const { stdout, stderr } = run.program
  return { code, stdout, stderr, error: stderr.slice(Math.max(stderr.indexOf('error ['), 0)) }
}

test('an image with a kernel in it', async () => {
  await using vm = await new KernelVm({ kernel: `docker-image://${ref}` }).start()
  const { stdout } = await vm.exec(['sh', '-c', 'uname -r; ls /boot; modprobe dummy && lsmod | grep -o ^dummy'])
  const files = ['System.map', 'config', 'vmlinuz'].flatMap((name) => [name, `${name}-${release}`])
  expect(stdout.trim().split('\n')).toEqual([release, ...files, 'dummy'])
})

test('files of this machine, without config, with an initrd that has module options', async () => {
  await mkdir(join(directory, 'alone'))
  await copyFile(vmlinuz, join(directory, 'alone/bzImage'))
  const options = Buffer.from('options virtio_net napi_tx=0\n')
  await writeFile(
    join(directory, 'initrd'),
    cpio({ etc: undefined, 'etc/modprobe.d': undefined, 'etc/modprobe.d/e2e.conf': options }),
  )
  const lines: string[] = []
  const log = { info: () => {}, debug: () => {}, warn: (line: string) => void lines.push(line), named: () => log }
  const kernel = { vmlinuz: join(directory, 'alone/bzImage'), modules, initrd: join(directory, 'initrd') }
  await using vm = await new KernelVm({ kernel }).start({ log })
  expect(lines).toEqual([expect.stringContaining(`the kernel ${release} (${kernel.vmlinuz}) came without its config`)])
  const { stdout } = await vm.exec(['sh', '-c', 'uname -r; cat /sys/module/virtio_net/parameters/napi_tx; ls /boot'])
  expect(stdout.trim().split('\n')).toEqual([release, 'N', 'vmlinuz', `vmlinuz-${release}`])
})

test('another kernel builds neither rootfs nor runner, and is checked before them', async () => {
  const kernel = `file://${vmlinuz}`
  const first = await build(kernel)
  expect(first.code).toBe(0)
  expect(await build(kernel)).toMatchObject({ code: 0, stdout: first.stdout, stderr: '' })

  await appendFile(join(directory, 'boot', `config-${release}`), `# ${unique()}\n`)
  // Nobody has seen this one: of its image, only the kernel is made, and no VM.
  await using refused = await testkernels(['run', '--kernel', kernel, '--cgroup', '1', '--', 'true'])
  expect(await refused.program.exit).toEqual({ code: 125, signal: null })
  const { stderr } = refused.program
  expect(stderr).toContain(`the kernel ${release} (${kernel}) lacks CONFIG_MEMCG_V1, CONFIG_CPUSETS_V1`)
  expect(stepsOf(stderr, 'DONE')).toContain(`[kernel ${release}] find modules and files`)
  expect(stderr).not.toMatch(/\[rootfs|\[runner|\[guest/)

  const second = await build(kernel)
  expect(second.code).toBe(0)
  expect(second.stdout).not.toBe(first.stdout)
  expect(stepsOf(second.stderr, 'CACHED')).toEqual(
    expect.arrayContaining(['[runner] apt-get install QEMU', '[rootfs] pack erofs']),
  )
  expect(stepsOf(second.stderr, 'DONE').filter((name) => /^\[(rootfs|runner)/.test(name))).toEqual([])
})

test('a changed module is another image', async () => {
  const kernel = `file://${vmlinuz}`
  const first = await build(kernel)
  await writeFile(join(modules, 'modules.e2e'), unique())
  const second = await build(kernel)
  expect(second.code).toBe(0)
  expect(second.stdout).not.toBe(first.stdout)
  expect(stepsOf(second.stderr, 'DONE').filter((name) => /^\[(rootfs|runner)/.test(name))).toEqual([])
})

test('a kernel whose drivers are modules, without its modules', async () => {
  await mkdir(join(directory, 'bare'))
  await copyFile(vmlinuz, join(directory, 'bare/vmlinuz'))
  await copyFile(join(directory, 'boot', `config-${release}`), join(directory, 'bare/config'))
  const { code, error } = await build(`file://${directory}/bare/vmlinuz`)
  expect(code).toBe(125)
  expect(error).toContain('error [KERNEL_UNSUITABLE]')
  expect(error).toContain('CONFIG_VIRTIO_MMIO=m without modules')
})

test('modules that are made for another kernel', async () => {
  const image = await readFile(vmlinuz)
  const other = release.replace('6.', '5.')
  image.write(other, image.indexOf(release))
  await writeFile(join(directory, 'other'), image)
  const kernel = { vmlinuz: join(directory, 'other'), modules }
  await expect(new KernelVm({ kernel }).start()).rejects.toMatchObject({
    code: 'SOLVE_FAILED',
    message: expect.stringContaining(`the kernel is ${other}, and its modules are made for ${release}`),
  })
})

test.each([
  ['debian:bullseye-backports', 'the suite bullseye-backports cannot be read from the Debian archive'],
  [`docker-image://${baseImage}`, 'no kernel there: neither /boot/vmlinuz* nor'],
])('%s is one error that says why', async (kernel, reason) => {
  const { code, error } = await build(kernel)
  expect(code).toBe(125)
  expect(error).toContain('error [SOLVE_FAILED]')
  expect(error).toContain(reason)
})

test('a kernel that is not there', async () => {
  const { code, stderr, error } = await build('file:///nonexistent/vmlinuz')
  expect(code).toBe(125)
  expect(error).toContain('the kernel /nonexistent/vmlinuz is not there')
  expect(stderr).toBe(error)
})

test('the kernel of a machine that does not have it on its disk', async () => {
  const { code, stderr, error } = await build('host')
  expect(code).toBe(125)
  expect(error).toMatch(/the kernel that this machine runs, \S+, is not on its disk: there is neither \/boot\/vmlinuz-/)
  expect(stderr).toBe(error)
})
