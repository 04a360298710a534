#!/bin/sh
# Runs in the tools image: pack.sh [VERSION]
# Brings one kernel into the form that all are used in: the newest of the tree at /in (find-kernel.sh), or the one of VERSION. /out receives
#   vmlinuz   what QEMU boots
#   disk/     what the guest has of it: boot/ and modules/
#   facts/    what is known before it boots: release, modules (present or absent), config (if it came with one, or has it inside)
set -eu
wanted=${1:-}

. /src/find-kernel.sh
disk=/out/disk
files=$disk/modules/$version
mkdir -p $disk/boot "$files" /out/facts

# Complete also where there are no modules: what is built in is listed there.
for directory in "$root/usr/lib/modules/$version" "$root/lib/modules/$version"; do
  [ -d "$directory" ] || continue
  cp -a "$directory/." "$files/"
  break
done
rm -rf "$files/build" "$files/source"
for list in modules.order modules.builtin modules.builtin.modinfo; do [ -f "$files/$list" ] || : >"$files/$list"; done
# Uncompressed, so that every modprobe can load them: the one in a rootfs, or busybox's.
(
  # In blocks of 512 bytes: what unpacks to more than a whole kernel ends its program.
  ulimit -f $((max_mib * 2048))
  find "$files" -name '*.ko.gz' -exec gzip -d {} + &&
    find "$files" -name '*.ko.xz' -exec xz -d --memlimit-decompress=512MiB {} + &&
    find "$files" -name '*.ko.zst' -exec zstd -q -d --rm {} +
) || fail "a module of the kernel $version cannot be unpacked"
if [ -n "$modules" ]; then
  magic=$(modinfo -F vermagic "$(find "$files" -name '*.ko' -print -quit)" | cut -d ' ' -f 1)
  [ "$magic" = "$version" ] || fail "the kernel is $version, and its modules are made for $magic"
fi
mkdir -p /tmp/tree/lib
ln -s $disk/modules /tmp/tree/lib/modules
depmod -b /tmp/tree "$version"

# The config that a kernel has inside (CONFIG_IKCONFIG): gzip behind a mark, in the ELF that an image holds compressed, or in a module.
config_inside() {
  elf=$1
  if [ "$(content_of "$1")" = image ]; then
    elf=/tmp/inside
    payload_of "$1" >/tmp/payload
    unpack "$(content_of /tmp/payload)" </tmp/payload >$elf
    check_size $elf "what is in $(shown "$1")"
  fi
  mark=$(grep -abo -m 1 IKCFG_ST "$elf" | head -n 1 | cut -d : -f 1)
  # A config has a quarter of a million bytes.
  [ -z "$mark" ] || tail -c +$((mark + 9)) "$elf" | gzip -dc 2>/dev/null | head -c 4194304
}

# Packages put these under /boot, or (since 2026) beside the modules. Kept once.
place() {
  for candidate in "$2" "$root/boot/$1-$version" "$root/usr/boot/$1-$version" "$root/usr/lib/modules/$version/$1" \
    "$root/lib/modules/$version/$1" "$root/usr/lib/modules/$version/build/$1" "$root/boot/$1" "$root/usr/boot/$1"; do
    [ -f "$candidate" ] || continue
    cp "$candidate" "$disk/boot/$1-$version"
    ln -s "$1-$version" "$disk/boot/$1"
    [ ! -e "$files/$1" ] || ln -sf "/boot/$1-$version" "$files/$1"
    return
  done
}
place vmlinuz "$vmlinuz"
# What only debuggers read of an ELF, QEMU would load at each boot.
[ "$(content_of "$vmlinuz")" != elf ] || strip --strip-debug "$disk/boot/vmlinuz-$version"
place config ""
for file in "$vmlinuz" "$files/kernel/kernel/configs.ko"; do
  [ ! -f $disk/boot/config ] && [ -f "$file" ] || continue
  config_inside "$file" >/tmp/config
  ! grep -q '^CONFIG_' /tmp/config || place config /tmp/config
done
place System.map ""

cp "$disk/boot/vmlinuz-$version" /out/vmlinuz
echo "$version" >/out/facts/release
if [ -n "$modules" ]; then echo present; else echo absent; fi >/out/facts/modules
[ ! -f "$disk/boot/config" ] || cp -L "$disk/boot/config" /out/facts/config
# As packages have them; a tree of a user's may be his own.
chown -hR 0:0 $disk
