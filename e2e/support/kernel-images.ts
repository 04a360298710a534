// Global setup of suites that take kernels out of images: one image for each layout that projects and distributions give theirs, made
// FROM scratch of Debian's kernels and of one that is built here. What it costs is in BuildKit's cache from the second time on.
import { join } from 'node:path'
import { type Architecture, architectureOf } from '../../src/arch/index.ts'
import { exporters, llb, type State } from '../../src/buildkit/index.ts'
import { debianMirror } from '../../src/image/index.ts'
import { markOurs } from '../../src/image/recipes/ingredient.ts'
import { sourceKernel } from '../../src/image/recipes/kernel/source.ts'
import { sources } from '../../src/image/recipes/sources.ts'
import { silentLogger } from '../../src/log/index.ts'
import { parseKernelReference, readSettings, type SourceKernel } from '../../src/options/index.ts'
import { baseRef, connect } from '../buildkit/support.ts'
import { platform } from './platform.ts'

const arch = architectureOf('x86_64') as Architecture

/** The reference of an image by what it is called. */
export const kernelImage = (layout: string) => `testkernels-e2e/kernels:${layout}`

export type Layout = keyof typeof layouts

/** What an image is made of: a tree, and a script that takes from it in the working directory what is to be in /out. */
export interface KernelImageSpec {
  readonly of: 'bookworm' | 'bookworm and trixie' | 'source'
  readonly script: string
}

const layouts = {
  // Several kernels side by side, each in a directory of its own.
  lvh: {
    of: 'bookworm and trixie',
    script: 'for v in 6.1 6.12; do mkdir -p /out/data/kernels; cp -a /in/$v /out/data/kernels/$v; done',
  },
  // Devices on PCI, squashfs, and all of a kernel beside its modules.
  rpm: {
    of: 'bookworm',
    script: `
      without virtio_mmio erofs
      off VIRTIO_MMIO EROFS_FS
      mkdir -p /out/lib /out/boot
      cp -a lib/modules /out/lib/
      find /out -name '*.ko' -exec xz -0 {} +
      cp boot/vmlinuz-$V /out/lib/modules/$V/vmlinuz
      cp boot/config-$V /out/lib/modules/$V/config
      cp boot/System.map-$V /out/lib/modules/$V/System.map
      cp boot/vmlinuz-$V /out/boot/`,
  },
  // An ELF that is compressed, modules that are, and no /lib.
  'vmlinux.zst': {
    of: 'bookworm',
    script: `
      mkdir -p /out/usr/lib /out/boot
      cp -a lib/modules /out/usr/lib/
      find /out -name '*.ko' -exec zstd -q --rm {} +
      cp boot/config-$V /out/usr/lib/modules/$V/config
      elf_of boot/vmlinuz-$V | zstd -q >/out/boot/vmlinux-$V.zst
      cp boot/System.map-$V /out/boot/`,
  },
  'ext4-alone': {
    of: 'bookworm',
    script: `
      without erofs squashfs xfs btrfs
      off EROFS_FS SQUASHFS XFS_FS BTRFS_FS
      cp -a boot lib /out/`,
  },
  xfs: { of: 'bookworm', script: 'off EXT4_FS; cp -a boot lib /out/' },
  btrfs: { of: 'bookworm', script: 'without xfs; off EXT4_FS XFS_FS; cp -a boot lib /out/' },
  // An ELF and an initrd, which is somebody else's; the config is inside, and so are all drivers.
  falco: {
    of: 'source',
    script: `
      mkdir -p /out/boot /out/lib/modules
      elf_of boot/vmlinuz-$V >/out/boot/vmlinux
      echo initrd >/out/boot/initrd`,
  },
  // /lib is a link, and the config is inside.
  'ci-kernels': {
    of: 'source',
    script: `
      mkdir -p /out/boot /out/usr/lib
      cp boot/vmlinuz-$V /out/boot/vmlinuz
      cp -a lib/modules /out/usr/lib/
      ln -s usr/lib /out/lib`,
  },
} as const satisfies Readonly<Record<string, KernelImageSpec>>

/** Run before each script. Debian's modules of bookworm are not compressed. */
const FUNCTIONS = `
number() { od -An "-tu$3" -j "$2" -N "$3" "$1" | tr -d ' '; }
. /arch/kernel-image.sh
elf_of() { payload_of "$1" >/tmp/payload; { lz4 -dcq </tmp/payload || zstd -dcq </tmp/payload; } 2>/dev/null || [ $? != 127 ]; }
cp -a /in /tmp/in
cd /tmp/in
V=$(ls lib/modules 2>/dev/null | head -n 1)
without() { for name; do find . -name "$name.ko" -delete; done; }
off() { for name; do sed -i "s/^CONFIG_$name=.*/# CONFIG_$name is not set/" boot/config-*; done; }`

export default async function setup(): Promise<void> {
  await makeKernelImages(layouts)
}

/** @param images by what they are called: see `kernelImage` */
export async function makeKernelImages(images: Readonly<Record<string, KernelImageSpec>>): Promise<void> {
  await using buildkit = await connect()
  const trees = await kernelTrees()
  for (const [name, { of, script }] of Object.entries(images)) {
    const made = trees.tools
      .run({
        name: `[e2e] kernel image ${name}`,
        script: `${FUNCTIONS}\n${script}`,
        mounts: [
          llb.bind('/in', trees[of]),
          llb.bind('/arch', sources(`kernel/${arch.name}`, { arch, only: ['kernel-image.sh'] }), { selector: '/src' }),
          llb.output('/out'),
        ],
      })
      .mountOutput('/out')
    await buildkit.solve({ definition: made.definition(), exporter: exporters.moby({ names: [kernelImage(name)] }) })
  }
}

async function kernelTrees() {
  const tools = llb.image(baseRef(), { platform }).run({
    name: '[e2e] what kernels are packed with',
    script: 'apt-get update && apt-get install -y --no-install-recommends xz-utils zstd lz4',
  })
  const debian = (suite: string) =>
    tools
      .run({
        name: `[e2e] a kernel of ${suite}`,
        args: ['sh', '/src/fetch-debian.sh', suite, arch.kernel.debianFlavour],
        mounts: [
          llb.bind('/src', sources('kernel', { arch, only: ['fetch-debian.sh', 'debian-apt.sh'] }), {
            selector: '/src',
          }),
          llb.output('/out'),
        ],
      })
      .mountOutput('/out')
  const bookworm = debian('bookworm')
  const both = llb
    .scratch(platform)
    .file(
      llb.copy(bookworm, '/', '/6.1', { contents: true }).copy(debian('trixie'), '/', '/6.12', { contents: true }),
      {
        name: '[e2e] two kernels',
      },
    )
  return { tools, bookworm, 'bookworm and trixie': both, source: await builtKernel() }
}

/** All drivers are built in. Compiled as that of an entry is, in BuildKit's cache as well. */
async function builtKernel(): Promise<State> {
  const settings = readSettings()
  const { kernelMirror, cacheDirectory } = settings
  const base = markOurs(llb.image(baseRef(), { platform }))
  const { state } = await sourceKernel(
    parseKernelReference('source:debian/bookworm') as SourceKernel,
    'debian/bookworm',
    {
      arch,
      base,
      suite: 'trixie',
      debian: async () => base,
      mirror: await debianMirror(settings),
      kernelMirror,
      cacheDirectory,
      log: silentLogger,
      signal: new AbortController().signal,
    },
  )
  return state
}

/** What a kernel of RHEL's has and has not, to be built from Debian's source. */
export const rhelLike = join(import.meta.dirname, '../../fixtures/kernels/rhel-like.config')
