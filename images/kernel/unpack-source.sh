#!/bin/sh
# Runs in the kernel tools image: unpack-source.sh FILE [SHA256]
# Unpacks a kernel's source, /in/FILE, into /out.
set -eu
file=$1
expected=${2:-}
if [ -n "$expected" ]; then
  actual=$(sha256sum "/in/$file" | cut -d ' ' -f 1)
  if [ "$actual" != "$expected" ]; then
    echo "error: $file is not what it should be: its sha256 is $actual, expected was $expected" >&2
    exit 1
  fi
fi
tar -xf "/in/$file" -C /out --strip-components=1 --no-same-owner || {
  echo "error: $file cannot be unpacked with tar" >&2
  exit 1
}
if [ ! -f /out/Makefile ] || [ ! -f /out/Kconfig ]; then
  echo "error: $file holds no kernel source: its one directory must have Makefile and Kconfig" >&2
  exit 1
fi
