#!/bin/sh
# Runs in the kernel tools image: configure.sh ARCH DIRECTORY
# Makes a kernel's configuration for the ARCH of its makefiles, whose directory below arch/ is named: tinyconfig, and over it the fragments of /fragments in the order of their names.
# /tree is the kernel's source; /out receives `config`.
set -eu
arch=$1
directory=$2
build=/tmp/build
mkdir -p $build
kbuild() { make --silent -C /tree O=$build ARCH=$arch "$@"; }

awk -v wanted=/tmp/wanted -f /src/merge-config.awk /fragments/*/* >/tmp/merged
kbuild tinyconfig >/tmp/tinyconfig 2>&1 || { cat /tmp/tinyconfig; exit 1; }
# Without those of the fragments: kconfig warns of every option that is there twice.
awk -F '\t' '
  NR == FNR { wanted[$1]; next }
  { option = $0; sub(/^# /, "", option); sub(/[ =].*/, "", option) }
  !(option in wanted)' /tmp/wanted $build/.config >/tmp/tiny
cat /tmp/tiny /tmp/merged >$build/.config
kbuild olddefconfig

find /tree -path /tree/arch -prune -o -name 'Kconfig*' -type f -print >/tmp/kconfig-files
find /tree/arch/Kconfig "/tree/arch/$directory" -name 'Kconfig*' -type f >>/tmp/kconfig-files
xargs grep -hE '^[[:space:]]*((menu)?config|depends on)[[:space:]]' </tmp/kconfig-files >/tmp/kconfig-lines
awk -f /src/check-config.awk /tmp/kconfig-lines /tmp/wanted $build/.config
cp $build/.config /out/config
