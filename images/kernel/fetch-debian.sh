#!/bin/sh
# Runs in the tools image: fetch-debian.sh SUITE FLAVOUR [MIRROR [VERSION PACKAGE...]]
# Unpacks Debian's kernel of that suite into /out: the newest, or that of a version, in these packages. The packages that carry a kernel
# changed their names and number over time (linux-image; since 2026 linux-binary, linux-modules, linux-base), so for the newest the meta
# package's dependencies are followed; list-debian.sh told of the others.
set -eu
suite=$1
flavour=$2
mirror=${3:-}
version=${4:-}
. /src/debian-apt.sh
update
if [ -n "$version" ]; then
  shift 4
  packages=$(for package; do echo "$package=$version"; done)
else
  packages=$(apt apt-get -s install --no-install-recommends -t "$suite" "linux-image-$flavour" | awk '/^Inst linux-/ { print $2 }')
  [ -n "$packages" ] || { echo "suite $suite has no kernel package linux-image-$flavour" >&2; exit 1; }
fi
cd $archives
if ! apt apt-get download -t "$suite" $packages; then
  [ -z "$version" ] || echo "testkernels: $suite has it no more, where \$TESTKERNELS_CACHE_DIR/debian-kernels remembers it" >&2
  exit 1
fi
for package in ./*.deb; do dpkg-deb -x "$package" /out; done
rm -rf /out/usr/share $work
