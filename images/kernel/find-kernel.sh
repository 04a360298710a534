# Sourced by pack.sh: the kernel in the tree at /in. Sets
#   vmlinuz   its path
#   version   what uname -r will say, as the kernel itself has it: a file's name may say something else
#   modules   the directory with its modules, or nothing

. /arch/kernel-image.sh

has_modules() {
  [ -n "$(find "$1" -name '*.ko*' -print -quit 2>/dev/null)" ]
}

found=$(
  for file in /in/boot/vmlinuz* "/in/boot/$image_name"* /in/usr/lib/modules/*/vmlinuz /in/lib/modules/*/vmlinuz /in/vmlinuz*; do
    if [ -f "$file" ] && name=$(release_of "$file"); then echo "$name $file"; fi
  done | sort -s -u -V -k 1,1
)
if [ -z "$found" ]; then
  echo "testkernels: no kernel there: neither /boot/vmlinuz* nor /usr/lib/modules/*/vmlinuz is a $image_name" >&2
  exit 1
fi
[ "$(echo "$found" | wc -l)" = 1 ] || echo "several kernels, of which the newest is taken:" $(echo "$found" | cut -d ' ' -f 1)
newest=$(echo "$found" | tail -n 1)
version=${newest%% *}
vmlinuz=${newest#* }

modules=
others=
for directory in /in/usr/lib/modules/* /in/lib/modules/*; do
  has_modules "$directory" || continue
  if [ "${directory##*/}" = "$version" ]; then modules=$directory; else others="$others ${directory##*/}"; fi
done
if [ -z "$modules" ] && [ -n "$others" ]; then
  echo "testkernels: the kernel is $version, and there are only modules of$others" >&2
  exit 1
fi
if [ -n "$modules" ]; then
  magic=$(modinfo -F vermagic "$(find "$modules" -name '*.ko*' -print -quit)" | cut -d ' ' -f 1)
  if [ "$magic" != "$version" ]; then
    echo "testkernels: the kernel is $version, and its modules are made for $magic" >&2
    exit 1
  fi
fi
