#!/bin/sh
# Runs in the base image: debian-changelog.sh POCKET MIRROR VERSION PACKAGE SINCE
# Writes to /out/changelog what Debian's changelog of a kernel's package says, the newest entry first, down to that of the version SINCE.
# It is empty where the package has none.
set -eu
suite=$1
mirror=$2
version=$3
package=$4
since=$5
. /src/debian-apt.sh
update
cd $archives
apt apt-get download -t "$suite" "$package=$version"
dpkg-deb -x ./*.deb $work/package
find $work/package/usr/share/doc -name 'changelog*.gz' -exec gzip -dc {} + | awk -v since="$since" -f /src/changelog.awk >/out/changelog
rm -rf $work
