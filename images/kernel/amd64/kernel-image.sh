# Sourced by find-kernel.sh: how the images of this architecture's kernels are called beside vmlinuz, and what they say.
image_name=bzImage

# What `uname -r` will say on the kernel in this file; fails if it is none. The head of a bzImage has the offset of its
# version, less 512, at 0x20e.
release_of() {
  [ "$(dd if="$1" bs=1 skip=514 count=4 2>/dev/null)" = HdrS ] || return 1
  offset=$(od -An -tu2 -j 526 -N 2 "$1" | tr -d ' ')
  dd if="$1" bs=1 skip=$((offset + 512)) count=200 2>/dev/null | tr '\0' '\n' | head -n 1 | cut -d ' ' -f 1
}
