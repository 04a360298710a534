#!/bin/sh
# Runs in the tools image: build.sh SUITE [MIRROR]
# Builds Debian's Dropbear as one static program, /out/dropbear. Debian's own needs seven libraries, which would have to be in the
# guest beside the rootfs', and whose loading took a third of a connection's time in a guest that was just restored. Its curves
# come from libsodium (curve25519.c).
set -eu
suite=$1
mirror=${2:-}
source_packages=yes
. /apt/debian-apt.sh
update
cd $archives
apt apt-get source --download-only dropbear libsodium
# Signatures of the archives, which match their names.
rm -f $archives/dropbear_*.asc $archives/libsodium_*.asc

# Debian's source of a package, with Debian's patches, in the directory of its name.
unpack() {
  mkdir "$work/$1"
  cd "$work/$1"
  tar -xf $archives/"$1"_*.orig.tar.* --strip-components=1
  tar -xf $archives/"$1"_*.debian.tar.xz
  sed '/^#/d' debian/patches/series | while read -r patch; do patch -p1 -s <"debian/patches/$patch"; done
}

# The kernel's headers come from the C library beside musl's; musl's own go first. Under emulation a clone translates each
# instruction before it runs it for the first time, and most run once: what is small is fast.
cc=musl-gcc
cflags="-Os -idirafter /usr/include -idirafter /usr/include/$(gcc -print-multiarch)"

# A few files of it, which need none of what its configure would find out.
unpack libsodium
cd src/libsodium
: >include/sodium/version.h
for file in core/ed25519/ref10/ed25519_ref10 scalarmult/curve25519/scalarmult_curve25519 scalarmult/curve25519/ref10/x25519_ref10 \
  sign/ed25519/ref10/keypair sign/ed25519/ref10/open sign/ed25519/ref10/sign hash/sha512/cp/hash_sha512_cp verify/sodium/verify; do
  $cc $cflags -include stddef.h -DCONFIGURED=1 -DHAVE_TI_MODE -DNATIVE_LITTLE_ENDIAN -Iinclude -Iinclude/sodium \
    -c -o "${file##*/}.o" "crypto_$file.c"
done
ar rcs curves.a ./*.o

unpack dropbear
cp /src/sshd/localoptions.h .
cp /src/sshd/take-connection.h /src/sshd/curve25519.c src/
# Before the keys are read, and after all that can be done without them.
sed -i -e '/^static void commonsetup() {/i #include "take-connection.h"' \
  -e '/^static void commonsetup() {/,/^}/s/^\tload_all_hostkeys();/\ttake_connection();\n&/' src/svr-main.c
grep -q '^.take_connection();' src/svr-main.c
./configure --enable-static --enable-bundled-libtom --disable-zlib --disable-harden --disable-syslog --disable-lastlog \
  --disable-utmp --disable-utmpx --disable-wtmp --disable-wtmpx --disable-pututline --disable-pututxline \
  CC=$cc CFLAGS="$cflags" CPPFLAGS="-I$work/libsodium/src/libsodium/include" \
  LIBS="$work/libsodium/src/libsodium/curves.a" >/tmp/configure.log 2>&1 || {
  cat /tmp/configure.log
  exit 1
}
# For randomness it also reads eight files of /proc at each start, for kernels without getrandom: a third of the time until it speaks.
grep -q 'define HAVE_GETRANDOM 1' config.h
sed -i '/process_file(&hs, "\/proc\//d' src/dbrandom.c
# Its one user may have any shell, and that he came in is no news. What is neither read nor logged is time of a clone's start.
sed -i 's/^\tsetusershell();/\tgoto goodshell;/' src/svr-auth.c
sed -i 's/^\tif (!opts.usingsyslog || havetrace) {/\tif (priority != LOG_NOTICE) {/' src/svr-session.c
sed -i 's/^\tif (svr_opts.reexec_childpipe < 0) {/\tif (0) {/' src/svr-main.c
grep -q '^.goto goodshell;' src/svr-auth.c
grep -q '^.if (priority != LOG_NOTICE) {' src/svr-session.c
grep -q '^.if (0) {' src/svr-main.c
make -s -j"$(nproc)" PROGRAMS=dropbear
strip dropbear
./dropbear -V
cp dropbear /out/
rm -rf $work /tmp/configure.log
