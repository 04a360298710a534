#!/bin/sh
# Runs in the tools image: pack.sh [INITRD]
# Packs one kernel. /in is its tree (boot/ and lib/modules/, or usr/lib/modules/), /out receives
#   vmlinuz        what QEMU boots
#   modules.cpio   the part of the initrd that belongs to this kernel: the modules that reach the root
#   kernel.erofs   /boot and /lib/modules of the guest
#   facts/         what is known before it boots: release, modules (present or absent), config (if it came with one)
# INITRD goes in front of the initrd.
set -eu
# What the guest needs before its root is there; each is a module or built in.
early="virtio_mmio virtio_blk virtio_net virtio_console virtio_rng erofs ext4 overlay"

. /src/find-kernel.sh
disk=/tmp/disk
files=$disk/modules/$version
mkdir -p $disk/boot "$files" /out/facts

# Complete also where there are no modules: what is built in is listed there.
for directory in "/in/usr/lib/modules/$version" "/in/lib/modules/$version"; do
  [ -d "$directory" ] || continue
  cp -a "$directory/." "$files/"
  break
done
rm -rf "$files/build" "$files/source"
for list in modules.order modules.builtin modules.builtin.modinfo; do [ -f "$files/$list" ] || : >"$files/$list"; done
# Uncompressed, so that every modprobe can load them: the one in a rootfs, or busybox's.
find "$files" -name '*.ko.gz' -exec gzip -d {} +
find "$files" -name '*.ko.xz' -exec xz -d {} +
find "$files" -name '*.ko.zst' -exec zstd -q -d --rm {} +
mkdir -p /tmp/tree/lib
ln -s $disk/modules /tmp/tree/lib/modules
depmod -b /tmp/tree "$version"

# Packages put these under /boot, or (since 2026) beside the modules. Kept once.
place() {
  for candidate in "$2" "/in/boot/$1-$version" "/in/usr/lib/modules/$version/$1" "/in/lib/modules/$version/$1" "/in/boot/$1"; do
    [ -f "$candidate" ] || continue
    cp "$candidate" "$disk/boot/$1-$version"
    ln -s "$1-$version" "$disk/boot/$1"
    [ ! -e "$files/$1" ] || ln -sf "/boot/$1-$version" "$files/$1"
    return
  done
}
place vmlinuz "$vmlinuz"
place config ""
place System.map ""

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
cp "$files/modules.order" "$files/modules.builtin" "$files/modules.builtin.modinfo" "$root/lib/modules/$version/"
depmod -b $root "$version"

cp "$disk/boot/vmlinuz-$version" /out/vmlinuz
echo "$version" >/out/facts/release
if [ -n "$modules" ]; then echo present; else echo absent; fi >/out/facts/modules
[ ! -f "$disk/boot/config" ] || cp -L "$disk/boot/config" /out/facts/config

: >/out/modules.cpio
# Archives in an initrd begin at multiples of four bytes.
[ $# = 0 ] || { cp "$1" /out/modules.cpio && truncate -s %512 /out/modules.cpio; }
cd $root
find . -exec touch -h -d @0 {} +
find . | LC_ALL=C sort | cpio --quiet --reproducible -o -H newc -R 0:0 >>/out/modules.cpio
mkfs.erofs --quiet -T0 --all-root /out/kernel.erofs $disk
