#!/bin/sh
# Runs in the tools image: packs one kernel. /in is its tree (boot/ and lib/modules/, or usr/lib/modules/), /out receives
#   vmlinuz        what QEMU boots
#   modules.cpio   the part of the initrd that belongs to this kernel: the modules that reach the root
#   kernel.erofs   /boot and /lib/modules of the guest
set -eu
# What the guest needs before its root is there; each is a module or built in.
early="virtio_mmio virtio_blk virtio_net virtio_console virtio_rng erofs ext4 overlay"

modules=$(ls -d /in/lib/modules/* /in/usr/lib/modules/* 2>/dev/null | head -n 1)
[ -n "$modules" ] || { echo "no modules in this kernel's tree" >&2; exit 1; }
version=${modules##*/}
disk=/tmp/disk
mkdir -p $disk/boot "$disk/modules/$version"

# Packages put these under /boot, or (since 2026) beside the modules.
place() {
  for candidate in "/in/boot/$1-$version" "$modules/$1"; do
    [ -f "$candidate" ] || continue
    cp "$candidate" "$disk/boot/$1-$version"
    ln -s "$1-$version" "$disk/boot/$1"
    return
  done
  [ "$1" != vmlinuz ] || { echo "no vmlinuz for $version" >&2; exit 1; }
}
place vmlinuz
place config
place System.map

cp -a "$modules/." "$disk/modules/$version/"
rm -f "$disk/modules/$version/build" "$disk/modules/$version/source"
# Uncompressed, so that every modprobe can load them: the one in a rootfs, or busybox's.
find "$disk/modules/$version" -name '*.ko.xz' -exec xz -d {} +
find "$disk/modules/$version" -name '*.ko.zst' -exec zstd -q -d --rm {} +
mkdir -p /tmp/tree/lib
ln -s $disk/modules /tmp/tree/lib/modules
depmod -b /tmp/tree "$version"

root=/tmp/initrd
mkdir -p "$root/lib/modules/$version" $root/etc/testkernels
: >$root/etc/testkernels/modules
for module in $early; do
  # A module that neither exists nor is built in is left to fail where it is needed, with a message that says what for.
  modprobe -S "$version" -d /tmp/tree --show-depends "$module" 2>/dev/null >/tmp/depends || continue
  while read -r kind path _; do
    [ "$kind" = insmod ] || continue
    path=lib/modules/${path#*/lib/modules/}
    mkdir -p "$root/${path%/*}"
    cp "/tmp/tree/$path" "$root/$path"
    name=${path##*/}
    grep -qx "${name%.ko}" $root/etc/testkernels/modules || echo "${name%.ko}" >>$root/etc/testkernels/modules
  done </tmp/depends
done
cp "$disk/modules/$version/modules.order" "$disk/modules/$version/modules.builtin" "$root/lib/modules/$version/"
depmod -b $root "$version"

cp "$disk/boot/vmlinuz-$version" /out/vmlinuz
echo "$version" >/out/release
cd $root
find . -exec touch -h -d @0 {} +
find . | LC_ALL=C sort | cpio --quiet --reproducible -o -H newc -R 0:0 >/out/modules.cpio
mkfs.erofs --quiet -T0 --all-root /out/kernel.erofs $disk
