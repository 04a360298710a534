#!/bin/sh
# Runs in the tools image: build.sh SUITE [MIRROR]
# Builds Debian's Dropbear as one static program, /out/dropbear. Debian's own needs seven libraries, which would have to be in the
# guest beside the rootfs', and whose loading took a third of a connection's time in a guest that was just restored.
set -eu
suite=$1
mirror=${2:-}
source_packages=yes
. /apt/debian-apt.sh
update
cd $archives
apt apt-get source --download-only dropbear
mkdir $work/dropbear
tar -xf dropbear_*.orig.tar.bz2 -C $work/dropbear --strip-components=1
tar -xf dropbear_*.debian.tar.xz -C $work/dropbear
cd $work/dropbear
sed '/^#/d' debian/patches/series | while read -r patch; do patch -p1 -s <"debian/patches/$patch"; done
cp /src/sshd/localoptions.h .
cp /src/sshd/take-connection.h src/
sed -i -e '/^static void main_inetd() {/i #include "take-connection.h"' \
  -e '/^static void main_inetd() {/,/^}/s/^\tcommonsetup();/\ttake_connection();\n&/' src/svr-main.c
grep -q '^.take_connection();' src/svr-main.c
# The kernel's headers come from the C library beside musl's; musl's own go first.
./configure --enable-static --enable-bundled-libtom --disable-zlib --disable-harden --disable-syslog --disable-lastlog \
  --disable-utmp --disable-utmpx --disable-wtmp --disable-wtmpx --disable-pututline --disable-pututxline \
  CC=musl-gcc CFLAGS='-O2 -idirafter /usr/include -idirafter /usr/include/x86_64-linux-gnu' >/tmp/configure.log 2>&1 || {
  cat /tmp/configure.log
  exit 1
}
# For randomness it also reads eight files of /proc at each start, for kernels without getrandom: a third of the time until it speaks.
grep -q 'define HAVE_GETRANDOM 1' config.h
sed -i '/process_file(&hs, "\/proc\//d' src/dbrandom.c
make -s -j"$(nproc)" PROGRAMS=dropbear
strip dropbear
./dropbear -V
cp dropbear /out/
rm -rf $work /tmp/configure.log
