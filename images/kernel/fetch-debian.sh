#!/bin/sh
# Runs in the tools image: fetch-debian.sh SUITE FLAVOUR [MIRROR]
# Unpacks Debian's kernel of that suite into /out. The packages that carry a kernel changed their names and number over
# time (linux-image; since 2026 linux-binary, linux-modules, linux-base), so the meta package's dependencies are followed.
set -eu
suite=$1
flavour=$2
# Without a mirror given, that of the image this runs in.
mirror=${3:-$(cat /etc/apt/sources.list.d/*.sources /etc/apt/sources.list 2>/dev/null | awk '/^URIs:|^deb / { print $2; exit }')}
work=/tmp/apt
mkdir -p $work/lists/partial $work/archives/partial
{
  echo "deb $mirror $suite main"
  case $suite in *-backports) echo "deb $mirror ${suite%-backports} main" ;; esac
} >$work/sources.list

# An apt of its own, in which nothing is installed: a base image of that suite is not needed for its kernel. Release files
# of old suites are past their date, and still signed.
apt() {
  command="$1"
  shift
  "$command" -o Dir::Etc::sourcelist=$work/sources.list -o Dir::Etc::sourceparts=- -o Dir::State::lists=$work/lists \
    -o Dir::Cache::archives=$work/archives -o Dir::State::status=/dev/null -o Dir::Etc::preferencesparts=- \
    -o Acquire::Check-Valid-Until=false -o APT::Sandbox::User=root "$@"
}
apt apt-get update
packages=$(apt apt-get -s install --no-install-recommends -t "$suite" "linux-image-$flavour" | awk '/^Inst linux-/ { print $2 }')
[ -n "$packages" ] || { echo "suite $suite has no kernel package linux-image-$flavour" >&2; exit 1; }
cd $work/archives
apt apt-get download -t "$suite" $packages
for package in ./*.deb; do dpkg-deb -x "$package" /out; done
rm -rf /out/usr/share
