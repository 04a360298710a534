#!/bin/sh
# Runs in the tools image: initrd.sh DISKS SCRATCH [INITRD]
# Makes the part of the initrd that belongs to a kernel, /out/modules.cpio: the modules that reach the root, where the read-only disks have the
# file system DISKS and the writable one SCRATCH. /kernel is what pack.sh made. INITRD goes in front.
set -eu
disks=$1
scratch=$2
shift 2
# What the guest needs before its root is there; each is a module or built in, and of the two transports a kernel may have one alone.
early="virtio_mmio virtio_pci virtio_blk virtio_net virtio_console virtio_rng $disks $scratch overlay"

version=$(cat /kernel/facts/release)
files=/kernel/disk/modules/$version
mkdir -p /tmp/tree/lib
ln -s /kernel/disk/modules /tmp/tree/lib/modules
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
# Read by images/guest/init.
printf 'disks=%s\nscratch=%s\n' "$disks" "$scratch" >$root/etc/testkernels/file-systems

: >/out/modules.cpio
# Archives in an initrd begin at multiples of four bytes.
[ $# = 0 ] || { cp "$1" /out/modules.cpio && truncate -s %512 /out/modules.cpio; }
cd $root
find . -exec touch -h -d @0 {} +
find . | LC_ALL=C sort | cpio --quiet --reproducible -o -H newc -R 0:0 >>/out/modules.cpio
