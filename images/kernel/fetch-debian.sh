#!/bin/sh
# Runs in the tools image: fetch-debian.sh SUITE FLAVOUR [MIRROR]
# Unpacks Debian's kernel of that suite into /out. The packages that carry a kernel changed their names and number over
# time (linux-image; since 2026 linux-binary, linux-modules, linux-base), so the meta package's dependencies are followed.
set -eu
suite=$1
flavour=$2
mirror=${3:-}
. /src/debian-apt.sh
update
packages=$(apt apt-get -s install --no-install-recommends -t "$suite" "linux-image-$flavour" | awk '/^Inst linux-/ { print $2 }')
[ -n "$packages" ] || { echo "suite $suite has no kernel package linux-image-$flavour" >&2; exit 1; }
cd $archives
apt apt-get download -t "$suite" $packages
for package in ./*.deb; do dpkg-deb -x "$package" /out; done
rm -rf /out/usr/share $work
