#!/bin/sh
# Runs in the kernel tools image: build-source.sh ARCH DIRECTORY IMAGE
# Builds a kernel for the ARCH of its makefiles, whose directory below arch/ makes IMAGE. /tree is its source, /config/config its configuration, /ccache lasts from
# one build to the next. /out receives what pack.sh takes, boot/ and lib/modules/; and in debug/, if CONFIG_DEBUG_INFO is on, vmlinux and modules/NAME.ko with their debug
# information, which images/runner/locate reads.
set -eu
arch=$1
directory=$2
image=$3
export CCACHE_DIR=/ccache CCACHE_MAXSIZE=4G
# The same input gives the same kernel: no time, host or build number of this run in it.
export KBUILD_BUILD_USER=testkernels KBUILD_BUILD_HOST=testkernels KBUILD_BUILD_VERSION=1
KBUILD_BUILD_TIMESTAMP=$(LC_ALL=C date -u -r /tree/Makefile)
export KBUILD_BUILD_TIMESTAMP
build=/tmp/build
log=/tmp/log
mkdir -p $build
# What is told at the end is of this build.
ccache --zero-stats >/dev/null
cp /config/config $build/.config
kbuild() { make --no-print-directory -C /tree O=$build ARCH=$arch CC="ccache gcc" HOSTCC="ccache gcc" "$@"; }

# Some jobs go on when one has failed, and write over its message: it is told again at the end.
targets=$image
! grep -q '^CONFIG_MODULES=y' $build/.config || targets="$targets modules"
{ kbuild -j "$(nproc)" $targets 2>&1 && touch /tmp/made; } | tee $log
if [ ! -e /tmp/made ]; then
  echo "error: make $targets failed:" >&2
  grep -E 'error:|Error [0-9]|undefined reference|\*\*\*' $log | head -n 15 >&2
  exit 1
fi

release=$(kbuild --silent kernelrelease)
mkdir -p /out/boot "/out/lib/modules/$release"
cp "$build/arch/$directory/boot/$image" "/out/boot/vmlinuz-$release"
cp $build/.config "/out/boot/config-$release"
cp $build/System.map "/out/boot/System.map-$release"
if [ "$targets" = "$image" ]; then
  # What depmod and modprobe ask for, of a kernel without modules too.
  : >"/out/lib/modules/$release/modules.order"
  : >"/out/lib/modules/$release/modules.builtin"
else
  kbuild --silent INSTALL_MOD_PATH=/out INSTALL_MOD_STRIP=1 DEPMOD=true modules_install
  rm -f "/out/lib/modules/$release/build" "/out/lib/modules/$release/source"
fi
mkdir -p /out/debug
if grep -q '^CONFIG_DEBUG_INFO=y' $build/.config; then
  mkdir /out/debug/modules
  # What a relocatable kernel keeps its relocations for is done, and those of debug information are larger than that.
  objcopy --compress-debug-sections=zlib --remove-relocations='*' $build/vmlinux /out/debug/vmlinux
  find $build -name '*.ko' | while read -r module; do
    # As the kernel calls it.
    objcopy --compress-debug-sections=zlib "$module" "/out/debug/modules/$(basename "$module" | tr - _)"
  done
fi
ccache --show-stats | grep -E '^ *(Hits|Misses)' | head -n 2
echo "Linux $release: $image of $(stat -c %s "/out/boot/vmlinuz-$release") bytes"
# The engine keeps what a step leaves.
rm -rf $build $log
