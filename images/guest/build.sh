#!/bin/sh
# Runs in the tools image: makes /out/guest.cpio, the part of the initrd that is the same for every kernel.
# /sshd holds Dropbear, /door the guest's end of the door and its program for directories of the owner's, /src this directory, /src/command the guest's command, one argument a line, and
# /src/ready what it is ready by.
set -eu
root=/tmp/guest
tools=$root/testkernels
mkdir -p $tools/bin $tools/etc $root/etc/testkernels

# The kernel's headers come from the C library beside musl's; musl's own go first.
musl-gcc -idirafter /usr/include -idirafter "/usr/include/$(gcc -print-multiarch)" \
  -static -Os -Wall -Wextra -Werror -o $tools/bin/agent /src/agent/*.c
strip $tools/bin/agent

cp /bin/busybox $tools/bin/busybox
for applet in $(/bin/busybox --list | grep -vx busybox); do ln -s busybox "$tools/bin/$applet"; done
ln -s testkernels/bin $root/bin

cp /sshd/dropbear $tools/bin/dropbear
cp /door/guest $tools/bin/door
cp /door/share $tools/bin/share

cp /src/init $root/init
cp /src/command /src/ready /src/sysctl.conf $tools/etc/
# Where systemd of the rootfs is to be PID 1.
[ ! -d /src/systemd ] || cp -r /src/systemd $tools/
chmod 0755 $root/init
cd $root
find . -exec touch -h -d @0 {} +
find . | LC_ALL=C sort | cpio --quiet --reproducible -o -H newc -R 0:0 >/out/guest.cpio
