// Kernels as distributions lay them out that have no entry in the matrix: what is found of each, before anything boots; and guests of the two
// that keep things where nobody else does.
import Docker from 'dockerode'
import { KernelVm, type Logger } from 'testkernels'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { parseVmLabels } from '../../src/image/index.ts'
import { kernelImage, makeKernelImages } from '../support/kernel-images.ts'
import { otherLayouts } from '../support/kernel-layouts.ts'
import { testkernels } from '../support/run.ts'

const engine = new Docker()
const BOOKWORM = /^6\.1\.\d+-\d+-cloud-amd64$/
const BUILT = /^6\.1\.\d+$/

interface Found {
  readonly release: RegExp
  /** Of the options that decide what the VM is made of, those that are off. */
  readonly off: readonly string[]
}

const layouts: Readonly<Record<keyof typeof otherLayouts, Found>> = {
  suse: { release: BOOKWORM, off: [] },
  flatcar: { release: BUILT, off: ['VIRTIO_MMIO', 'EROFS_FS'] },
  cos: { release: BOOKWORM, off: ['VIRTIO_MMIO'] },
  talos: { release: BUILT, off: ['VIRTIO_MMIO', 'EROFS_FS'] },
  bottlerocket: { release: BUILT, off: ['VIRTIO_MMIO', 'EROFS_FS'] },
}

beforeAll(() => makeKernelImages(otherLayouts))

afterAll(async () => {
  const reference = Object.keys(layouts).flatMap((name) => [
    kernelImage(name),
    `testkernels/vm:testkernels-e2e-kernels-${name}-*`,
  ])
  for (const { Id } of await engine.listImages({ filters: { reference } }))
    await engine.getImage(Id).remove({ force: true })
})

/** What the engine has of the image that an entry with this layout boots. */
async function built(name: string) {
  await using run = await testkernels(['build', '--kernel', `docker-image://${kernelImage(name)}`])
  expect(await run.program.exit, run.program.stderr).toEqual({ code: 0, signal: null })
  const { Config, RootFS } = await engine.getImage(run.program.stdout.trim()).inspect()
  const { kernel } = parseVmLabels(Config.Labels) ?? expect.fail('it is no image of a VM')
  return { kernel, layers: RootFS.Layers ?? [] }
}

test.each(Object.entries(layouts))('%s: kernel, config and modules are found', async (name, { release, off }) => {
  const { kernel } = await built(name)
  expect(kernel).toMatchObject({ release: expect.stringMatching(release), modules: 'present' })
  const { options = {} } = kernel.config ?? expect.fail('its config was not found')
  const deciding = ['VIRTIO_MMIO', 'VIRTIO_PCI', 'EROFS_FS', 'SQUASHFS', 'EXT4_FS', 'OVERLAY_FS']
  expect(deciding.filter((option) => options[option] === 'n')).toEqual(off)
})

test('images share all but their kernels where those have the same file systems, else all but the disks', async () => {
  // The last two layers are a kernel's own; before them is the rootfs's disk.
  const others = async (name: string) => (await built(name)).layers.slice(0, -2)
  const squashfs = await others('flatcar')
  expect(await others('bottlerocket')).toEqual(squashfs)
  const erofs = await others('suse')
  expect(await others('cos')).toEqual(erofs)
  expect(erofs.slice(0, -1)).toEqual(squashfs.slice(0, -1))
  expect(erofs.at(-1)).not.toBe(squashfs.at(-1))
})

test.each([
  ['flatcar', ['System.map', 'config', 'vmlinuz']],
  ['cos', ['config', 'vmlinuz']],
] as const)('a guest of %s boots on PCI, and has its kernel files and its modules', async (name, files) => {
  const lines: string[] = []
  const log: Logger = { info: (line) => void lines.push(line), warn: () => {}, debug: () => {}, named: () => log }
  await using vm = await new KernelVm({ kernel: `docker-image://${kernelImage(name)}`, memoryMib: 1024 }).start({ log })
  expect(lines).toContainEqual(
    expect.stringContaining(', devices on PCI, because the kernel has no VIRTIO_MMIO, with '),
  )
  const script = `
    readlink -f /sys/bus/virtio/devices/* | grep -vc /pci0000:00/
    find /boot -maxdepth 1 -type l -printf '%f\\n' | sort
    modprobe dummy && grep -o '^dummy ' /proc/modules`
  const { stdout } = await vm.exec(['sh', '-c', script])
  expect(stdout.trim().split('\n')).toEqual(['0', ...files, 'dummy'])
})
