#!/bin/sh
# Runs in the base image: list-debian.sh FLAVOUR MAIN SECURITY POCKET...
# Lists the kernels of a flavour that are in some pockets of a Debian archive: bookworm, bookworm-security, ... Those of security have an
# archive of their own. Either archive may be '': then it is that of the image. /out receives
#   kernels   a line for each: pocket, archive, version, packages (the first is linux-image); TAB between them
#   missing   the pockets that cannot be read, a line each
set -eu
flavour=$1
main=$2
security=$3
shift 3

# Of this image; by convention it is beside the main one.
security_archive() {
  cat /etc/apt/sources.list.d/*.sources /etc/apt/sources.list 2>/dev/null | awk '
    /^(URIs:|deb )/ { uri = $2 }
    /^(Suites:|deb ).*-security/ { print uri; exit }'
}

: >/out/kernels
: >/out/missing
for suite; do
  mirror=$main
  case $suite in
    *-security)
      mirror=${security:-$(security_archive)}
      : "${mirror:=${archive%/}-security}"
      ;;
  esac
  . /src/debian-apt.sh
  archive=$mirror
  if apt apt-get -o Acquire::Languages=none -o APT::Update::Error-Mode=any update; then
    # Of this pocket alone; apt keeps none that is empty, and others compressed.
    for list in "$work"/lists/*"_dists_${suite}_main_"*_Packages*; do
      [ ! -e "$list" ] || /usr/lib/apt/apt-helper cat-file "$list"
    done | awk -v flavour="$flavour" -v pocket="$suite" -v archive="$archive" -f /src/list-kernels.awk >>/out/kernels
  else
    echo "$suite" >>/out/missing
  fi
  rm -rf $work
done
