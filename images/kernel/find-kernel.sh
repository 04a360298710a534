# Sourced by pack.sh: the kernel in the tree at /in, the newest or the one that $wanted names. Sets
#   vmlinuz   its path: an image such as the architecture's boot loaders take, or an ELF, unpacked
#   version   what uname -r will say, as the kernel itself has it: a file's name may say something else
#   root      the directory that has its boot/ and lib/: /in, or one of those that LVH's images keep side by side
#   modules   the directory with its modules, or nothing
# Whoever made the tree may be nobody's friend: what is unpacked has a limit.

. /arch/kernel-image.sh

# A vmlinux with all that debuggers want has two thirds of it.
max_mib=1024

fail() {
  echo "testkernels: $*" >&2
  exit 1
}

# number FILE OFFSET BYTES: a number in a header.
number() {
  od -An "-tu$3" -j "$2" -N "$3" "$1" | tr -d ' '
}

# A path as the tree has it.
shown() {
  echo "${1#/in}"
}

# What is in a file, by its first bytes: image, elf, gzip, xz, zstd, lz4, lzma, bzip2, or nothing that can be read here.
content_of() {
  case $(od -An -tx1 -N 6 "$1" | tr -d ' ') in
    7f454c46*) echo elf ;;
    1f8b*) echo gzip ;;
    fd377a585a00) echo xz ;;
    28b52ffd*) echo zstd ;;
    02214c18*) echo lz4 ;;
    5d0000*) echo lzma ;;
    425a68*) echo bzip2 ;;
    *) if is_image "$1"; then echo image; fi ;;
  esac
}

# unpack CONTENT: standard input, at most one MiB more than a kernel may have. An image's payload has its size behind it, of which
# these programs complain when they are done.
unpack() {
  case $1 in
    gzip | bzip2) "$1" -dc ;;
    xz) xz -dc --format=xz --memlimit-decompress=512MiB ;;
    lzma) xz -dc --format=lzma --memlimit-decompress=512MiB ;;
    zstd) zstd -dcq ;;
    lz4) lz4 -dcq ;;
    elf) cat ;;
  esac 2>/dev/null | head -c $(((max_mib + 1) * 1048576))
}

# check_size FILE NAME
check_size() {
  [ "$(stat -L -c %s "$1")" -le $((max_mib * 1048576)) ] || fail "$2 unpacks to more than $max_mib MiB, which no kernel does"
}

# check_elf FILE NAME: refuses what QEMU would refuse later, or never run.
check_elf() {
  [ "$(content_of "$1")" = elf ] || fail "$2 cannot be unpacked, or holds no ELF: it may be cut off"
  machine=$(number "$1" 18 2)
  class=$(number "$1" 4 1)
  [ "$machine $class" = "$elf_machine 2" ] ||
    fail "$2 is no kernel for $machine_name: its ELF header says $(readelf -h "$1" 2>/dev/null | sed -n 's/^ *Machine: *//p') ($machine)"
  # Linkers put the table of sections last.
  end=$(($(number "$1" 40 8) + $(number "$1" 58 2) * $(number "$1" 60 2)))
  [ "$(stat -L -c %s "$1")" -ge $end ] || fail "$2 is cut off: its ELF has $(stat -L -c %s "$1") bytes of $end"
}

# What `uname -r` will say on an ELF.
elf_release_of() {
  grep -a -o -m 1 'Linux version [0-9][0-9A-Za-z.+~_-]*' "$1" | head -n 1 | cut -d ' ' -f 3
}

# A line for each kernel: RELEASE ROOT FILE. What is compressed has been unpacked.
list_kernels() {
  unpacked=0
  for root in /in /in/data/kernels/*; do
    images=
    for file in "$root"/boot/vmlinuz* "$root/boot/$image_name"* "$root"/usr/boot/vmlinuz* "$root"/usr/lib/modules/*/vmlinuz "$root"/lib/modules/*/vmlinuz "$root"/vmlinuz*; do
      [ -f "$file" ] && [ "$(content_of "$file")" = image ] || continue
      images=yes
      echo "$(release_of "$file") $root $file"
    done
    # Beside an image, an ELF is there for debuggers.
    [ -z "$images" ] || continue
    for file in "$root"/boot/vmlinu[xz]* "$root"/usr/boot/vmlinu[xz]* "$root"/vmlinu[xz]*; do
      [ -f "$file" ] || continue
      content=$(content_of "$file")
      [ -n "$content" ] || continue
      elf=$file
      if [ "$content" != elf ]; then
        unpacked=$((unpacked + 1))
        elf=/tmp/vmlinux-$unpacked
        unpack "$content" <"$file" >$elf
        check_size $elf "$(shown "$file")"
      fi
      check_elf "$elf" "$(shown "$file")"
      release=$(elf_release_of "$elf")
      [ -n "$release" ] || fail "$(shown "$file") is no Linux kernel: it does not say its version"
      echo "$release $root $elf"
    done
  done
}

list_kernels >/tmp/kernels
sort -s -u -V -k 1,1 /tmp/kernels >/tmp/found
[ -s /tmp/found ] ||
  fail "no kernel there: neither /boot/vmlinuz* nor /usr/lib/modules/*/vmlinuz is a $image_name, nor is /boot/vmlinux* an ELF, nor is there one in /data/kernels/*"
# 6.1 is 6.1.192-cloud and not 6.12; LVH names a directory after what it has built.
awk -v wanted="${wanted:-}" '
  { rest = substr($1, length(wanted) + 1) }
  wanted == "" || index($1, wanted) == 1 && rest !~ /^[0-9]/ || $2 == "/in/data/kernels/" wanted' /tmp/found >/tmp/matching
releases() { echo $(cut -d ' ' -f 1 "$1"); }
[ -s /tmp/matching ] || fail "no kernel $wanted there; there are: $(releases /tmp/found)"
[ "$(wc -l </tmp/matching)" = 1 ] || echo "several kernels, of which the newest is taken: $(releases /tmp/matching)"
read -r version root vmlinuz <<NEWEST
$(tail -n 1 /tmp/matching)
NEWEST
# Paths are made of it.
case $version in [!0-9]* | *[!A-Za-z0-9.+~_-]*) fail "$(shown "$vmlinuz") says no version of a kernel's" ;; esac

if [ "$(content_of "$vmlinuz")" = image ]; then
  bytes=$(stat -L -c %s "$vmlinuz")
  [ "$bytes" -ge $(($(image_bytes "$vmlinuz") - 15)) ] ||
    fail "$(shown "$vmlinuz") is cut off: it has $bytes bytes of $(image_bytes "$vmlinuz")"
else
  check_entry "$vmlinuz" "the kernel $version"
fi

has_modules() {
  [ -n "$(find "$1" -name '*.ko*' -print -quit 2>/dev/null)" ]
}

modules=
others=
for directory in "$root"/usr/lib/modules/* "$root"/lib/modules/*; do
  has_modules "$directory" || continue
  if [ "${directory##*/}" = "$version" ]; then modules=$directory; else others="$others ${directory##*/}"; fi
done
if [ -z "$modules" ] && [ -n "$others" ]; then fail "the kernel is $version, and there are only modules of$others"; fi
