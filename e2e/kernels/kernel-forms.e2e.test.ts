// Kernels in images that will not do: each is one error that says why, and nothing is made of it. Those that will are in the matrix. And which
// of several is taken.
import Docker from 'dockerode'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parseVmLabels } from '../../src/image/index.ts'
import { kernelImage, makeKernelImages } from '../support/kernel-images.ts'
import type { KernelImageSpec } from '../support/kernel-layouts.ts'
import { testkernels } from '../support/run.ts'

const engine = new Docker()

/** Mistakes in Debian's kernel, and what is said of each. */
const mistakes: Readonly<
  Record<string, Pick<KernelImageSpec, 'script'> & { readonly says: RegExp; readonly code?: string }>
> = {
  'an image that is cut off': {
    script: 'mkdir /out/boot; head -c 9000000 boot/vmlinuz-$V >/out/boot/vmlinuz; cp -a lib /out/',
    says: /\/boot\/vmlinuz is cut off: it has 9000000 bytes of \d{8}/,
  },
  'an ELF for another processor': {
    script: `
      mkdir /out/boot
      elf_of boot/vmlinuz-$V >/out/boot/vmlinux
      printf '\\267\\0' | dd of=/out/boot/vmlinux bs=1 seek=18 conv=notrunc`,
    says: /\/boot\/vmlinux is no kernel for x86_64: its ELF header says AArch64/,
  },
  'an ELF that is cut off': {
    script: 'mkdir /out/boot; elf_of boot/vmlinuz-$V | head -c 40000000 >/out/boot/vmlinux',
    says: /\/boot\/vmlinux is cut off: its ELF has 40000000 bytes of \d{8}/,
  },
  'a vmlinux.xz that unpacks to more than any kernel': {
    script: 'mkdir /out/boot; head -c 4000M /dev/zero | xz -0 >/out/boot/vmlinux.xz',
    says: /\/boot\/vmlinux\.xz unpacks to more than 1024 MiB, which no kernel does/,
  },
  // Each of these holds what it is to hold, and more than any kernel behind it.
  'a vmlinux.zst with an ELF that goes on': {
    script: `
      mkdir /out/boot
      { elf_of boot/vmlinuz-$V; head -c 1100M /dev/zero; } | zstd -q >/out/boot/vmlinux.zst`,
    says: /\/boot\/vmlinux\.zst unpacks to more than 1024 MiB, which no kernel does/,
  },
  'an image whose payload goes on': {
    // Looked into for the config, which is nowhere else. Its head says how long the payload is.
    script: `
      mkdir /out/boot
      { elf_of boot/vmlinuz-$V; head -c 1100M /dev/zero; } | zstd -q >/tmp/bomb
      with_payload boot/vmlinuz-$V /tmp/bomb >/out/boot/vmlinuz`,
    says: /what is in \/boot\/vmlinuz unpacks to more than 1024 MiB, which no kernel does/,
  },
  'a module that goes on': {
    script: `
      cp -a boot lib /out/
      module=$(find /out/lib -name dummy.ko)
      { cat $module; head -c 1100M /dev/zero; } | zstd -q >$module.zst
      rm $module`,
    says: /a module of the kernel 6\.1\.\S+ cannot be unpacked/,
  },
  'modules of another version': {
    script: 'cp -a boot lib /out/; mv /out/lib/modules/$V /out/lib/modules/5.9.0',
    says: /the kernel is 6\.1\.\S+, and there are only modules of 5\.9\.0/,
  },
  'no driver and no file system for disks': {
    script: 'off VIRTIO_BLK EROFS_FS SQUASHFS EXT4_FS XFS_FS BTRFS_FS; cp -a boot lib /out/',
    says: /CONFIG_VIRTIO_BLK \(the disks\)[\s\S]*CONFIG_EROFS_FS, or CONFIG_SQUASHFS, or CONFIG_EXT4_FS \(the disks with the rootfs and the kernel files\)/,
    code: 'KERNEL_UNSUITABLE',
  },
  'devices neither on MMIO nor on PCI': {
    script: 'off VIRTIO_MMIO VIRTIO_PCI; cp -a boot lib /out/',
    says: /lacks CONFIG_VIRTIO_MMIO, which a guest/,
    code: 'KERNEL_UNSUITABLE',
  },
}

/** What its image is called. */
const nameOf = (mistake: string) => mistake.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-')

beforeAll(async () => {
  const specs = Object.entries(mistakes).map(
    ([mistake, { script }]) => [nameOf(mistake), { of: 'bookworm', script }] as const,
  )
  await makeKernelImages({
    ...Object.fromEntries(specs),
    // As texts, 6.12.1 comes before 6.9.1.
    several: {
      of: 'source',
      script: `
        mkdir /out/boot
        for version in 6.9.1 6.12.1; do named boot/vmlinuz-$V $version >/out/boot/vmlinuz-$version; done`,
    },
  })
})

afterAll(async () => {
  for (const name of [...Object.keys(mistakes).map(nameOf), 'several'])
    await engine.getImage(kernelImage(name)).remove()
  const images = await engine.listImages({
    filters: { reference: ['testkernels/vm:testkernels-e2e-kernels-several-*'] },
  })
  for (const { Id } of images) await engine.getImage(Id).remove({ force: true })
})

async function build(kernel: string) {
  await using run = await testkernels(['build', '--kernel', kernel])
  const { code } = await run.program.exit
  const { stdout, stderr } = run.program
  return { code, stdout, stderr, error: /error \[[\s\S]*/.exec(stderr)?.[0] ?? '' }
}

test.each(Object.entries(mistakes))('%s', async (mistake, { says, code = 'SOLVE_FAILED' }) => {
  const built = await build(`docker-image://${kernelImage(nameOf(mistake))}`)
  expect(built.code).toBe(125)
  expect(built.error).toContain(`error [${code}]`)
  expect(built.error).toMatch(says)
  // Neither rootfs nor runner, let alone a VM.
  expect(built.stderr).not.toMatch(/\[rootfs|\[runner|starting /)
})

describe('of several kernels in an image', () => {
  const several = `docker-image://${kernelImage('several')}`

  test.each([
    ['the newest is taken, by its version and not by its text', several, '6.12.1'],
    ['the one that a reference names is taken', `${several}#6.9.1`, '6.9.1'],
    ['a name may be cut short', `${several}#6.9`, '6.9.1'],
  ])('%s', async (_, kernel, release) => {
    const { code, stdout, error } = await build(kernel)
    expect({ code, error }).toEqual({ code: 0, error: '' })
    const { Config } = await engine.getImage(stdout.trim()).inspect()
    expect(parseVmLabels(Config.Labels)?.kernel.release).toBe(release)
  })

  // 6.1 is not how 6.12 begins.
  test.each(['4.18', '6.1'])('#%s, which is not there, is told of with those that are', async (version) => {
    const { code, error } = await build(`${several}#${version}`)
    expect(code).toBe(125)
    expect(error).toContain(`no kernel ${version} there; there are: 6.9.1 6.12.1`)
  })
})
