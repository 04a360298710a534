#!/bin/sh
# Runs in the tools image: fetch-debian-source.sh SUITE [MIRROR]
# Puts the kernel source that Debian's kernel of that suite is built from into /out/linux.tar.xz. The package is named after
# the version, so the meta package's dependencies are followed.
set -eu
suite=$1
mirror=${2:-}
. /src/debian-apt.sh
update
package=$(apt apt-get -s install --no-install-recommends -t "$suite" linux-source |
  awk '/^Inst linux-source-[0-9]/ { print $2; exit }')
[ -n "$package" ] || { echo "error: suite $suite has no package linux-source" >&2; exit 1; }
cd $archives
apt apt-get download -t "$suite" "$package"
dpkg-deb -x ./*.deb $work/package
mv $work/package/usr/src/linux-source-*.tar.xz /out/linux.tar.xz
rm -rf $work
