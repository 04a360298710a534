// How projects and distributions lay out their kernels: the table of shape, rebuilt from Debian's kernels and from those that are built here.

/** What an image is made of: a tree, and a script that takes from it in the working directory what is to be in /out. */
export interface KernelImageSpec {
  readonly of: KernelTreeName
  readonly script: string
}

/**
 * - `bookworm`: Debian's package; its drivers are modules, and what a script takes away is off in its config
 * - `source`: Debian's source with all drivers built in, and its config inside
 * - `rhel-like`: the same source with the drivers that RHEL has, as modules, and its config inside
 * - `rhel-like and trixie`: that as /6.1, and Debian's package of trixie as /6.12
 */
export type KernelTreeName = 'bookworm' | 'source' | 'rhel-like' | 'rhel-like and trixie'

/** Run before each script, in a copy of the tree. Debian's modules of bookworm are not compressed. */
export const FUNCTIONS = `
number() { od -An "-tu$3" -j "$2" -N "$3" "$1" | tr -d ' '; }
. /arch/kernel-image.sh
elf_of() {
  payload_of "$1" >/tmp/payload
  { lz4 -dcq </tmp/payload || zstd -dcq </tmp/payload; } 2>/dev/null || [ $? != 127 ]
}
without() { for name; do find . -name "$name.ko*" -delete; done; }
off() { for name; do find . -name 'config-*' -exec sed -i "s/^CONFIG_$name=.*/# CONFIG_$name is not set/" {} +; done; }
# with_payload IMAGE PAYLOAD: the image with another payload, which has its size in the head. Nothing unpacks it at a boot.
with_payload() {
  head -c $(($(setup_bytes "$1") + $(number "$1" 584 4))) "$1" >/tmp/made
  cat "$2" >>/tmp/made
  truncate -s ">$(stat -c %s "$1")" /tmp/made
  for shift in 0 8 16 24; do printf "\\\\$(printf %o $(($(stat -c %s "$2") >> shift & 255)))"; done |
    dd of=/tmp/made bs=1 seek=588 conv=notrunc status=none
  cat /tmp/made
}
# named IMAGE RELEASE: the image with another version in its head, no longer than its own.
named() {
  cp "$1" /tmp/made
  printf '%-*s' "$(release_of "$1" | tr -d '\\n' | wc -c)" "$2" |
    dd of=/tmp/made bs=1 seek=$(($(number "$1" 526 2) + 512)) conv=notrunc status=none
  cat /tmp/made
}
cp -a /in /tmp/in
cd /tmp/in
V=$(ls lib/modules 2>/dev/null | head -n 1)
`

export type Layout = keyof typeof layouts

/** Those that are booted: the matrix of e2e/kernels. */
export const layouts = {
  // Several kernels side by side, each in a directory of its own, where debuggers find an ELF beside the image.
  lvh: {
    of: 'rhel-like and trixie',
    script: `
      without virtio_mmio erofs
      off VIRTIO_MMIO EROFS_FS
      for kernel in 6.1 6.12; do
        to=/out/data/kernels/$kernel
        modules=$(find $kernel -type d -path '*lib/modules')
        V=$(ls $modules)
        mkdir -p $to/lib
        cp -a $kernel/boot $to/
        cp -a $modules $to/lib/
        elf_of $kernel/boot/vmlinuz-$V >$to/boot/vmlinux-$V
        echo BTF >$to/boot/btf-$V
      done`,
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
  // The disk that is written to has XFS; ELF and modules are compressed with gzip.
  xfs: {
    of: 'bookworm',
    script: `
      without ext4
      off EXT4_FS
      cp -a boot lib /out/
      rm /out/boot/vmlinuz-$V
      elf_of boot/vmlinuz-$V | gzip -1 >/out/boot/vmlinux-$V.gz
      find /out -name '*.ko' -exec gzip -1 {} +`,
  },
  // It has btrfs; the ELF is compressed with xz.
  btrfs: {
    of: 'bookworm',
    script: `
      without ext4 xfs
      off EXT4_FS XFS_FS
      cp -a boot lib /out/
      rm /out/boot/vmlinuz-$V
      elf_of boot/vmlinuz-$V | xz -0 >/out/boot/vmlinux-$V.xz`,
  },
  // An ELF and an initrd, which is somebody else's; the config is inside, and so are all drivers.
  falco: {
    of: 'source',
    script: `
      mkdir -p /out/boot /out/lib/modules
      elf_of boot/vmlinuz-$V >/out/boot/vmlinux
      echo initrd >/out/boot/initrd`,
  },
  // /lib is a link, and the config is inside, where EROFS is off.
  'ci-kernels': {
    of: 'rhel-like',
    script: `
      mkdir -p /out/boot /out/usr/lib
      cp boot/vmlinuz-$V /out/boot/vmlinuz
      cp -a lib/modules /out/usr/lib/
      ln -s usr/lib /out/lib`,
  },
} as const satisfies Readonly<Record<string, KernelImageSpec>>

/** Those that differ from them in where things are, of which a few are booted: e2e/kernels/kernel-layouts. */
export const otherLayouts = {
  suse: {
    of: 'bookworm',
    script: `
      files=/out/usr/lib/modules/$V
      mkdir -p /out/usr/lib /out/boot
      cp -a lib/modules /out/usr/lib/
      find /out -name '*.ko' -exec zstd -q --rm {} +
      for name in vmlinuz config System.map; do
        cp boot/$name-$V $files/$name
        ln -s ../usr/lib/modules/$V/$name /out/boot/$name-$V
      done
      ln -s vmlinuz-$V /out/boot/vmlinuz
      elf_of boot/vmlinuz-$V | xz -0 >/out/boot/vmlinux-$V.xz`,
  },
  // All of it is below /usr; its config is where modules of others are built.
  flatcar: {
    of: 'rhel-like',
    script: `
      files=/out/usr/lib/modules/$V
      mkdir -p /out/usr/lib /out/usr/boot
      cp -a lib/modules /out/usr/lib/
      mkdir $files/build
      ln -s build $files/source
      cp boot/config-$V $files/build/.config
      cp boot/System.map-$V $files/build/System.map
      ln -s ../lib/modules/$V/build/.config /out/usr/boot/config-$V
      ln -s ../lib/modules/$V/build/.config /out/usr/boot/config
      cp boot/vmlinuz-$V /out/usr/boot/
      ln -s vmlinuz-$V /out/usr/boot/vmlinuz`,
  },
  // CONFIG_IKCONFIG=m: the config is in a module, which has what a kernel has that keeps it inside.
  cos: {
    of: 'bookworm',
    script: `
      without virtio_mmio
      off VIRTIO_MMIO
      mkdir -p /out/boot /out/lib
      cp -a lib/modules /out/lib/
      files=/out/lib/modules/$V/kernel
      mkdir -p $files/kernel
      { cat $files/drivers/net/dummy.ko; printf IKCFG_ST; gzip -c boot/config-$V; printf IKCFG_ED; } >$files/kernel/configs.ko
      gzip $files/kernel/configs.ko
      cp boot/vmlinuz-$V /out/boot/
      ln -s vmlinuz-$V /out/boot/vmlinuz`,
  },
  // The config is inside, in a payload that is compressed with xz, and nothing is beside it but modules.
  talos: {
    of: 'rhel-like',
    script: `
      mkdir -p /out/boot /out/lib /out/dtb /out/certs
      elf_of boot/vmlinuz-$V | xz -0 >/tmp/xz
      with_payload boot/vmlinuz-$V /tmp/xz >/out/boot/vmlinuz
      cp -a lib/modules /out/lib/
      echo certificate >/out/certs/signing_key.x509`,
  },
  bottlerocket: {
    of: 'rhel-like',
    script: `
      mkdir -p /out/boot /out/lib
      for name in vmlinuz config System.map; do cp boot/$name-$V /out/boot/$name; done
      cp -a lib/modules /out/lib/`,
  },
} as const satisfies Readonly<Record<string, KernelImageSpec>>
