# Sourced by find-kernel.sh, whose functions it uses: how the images of this architecture's kernels are called beside vmlinuz, and what they say. Fields are those of
# Documentation/arch/x86/boot.rst.
image_name=bzImage
# EM_X86_64 of elf.h, as `uname -m` says it too.
elf_machine=62
machine_name=x86_64

is_image() {
  [ "$(dd if="$1" bs=1 skip=514 count=4 2>/dev/null)" = HdrS ]
}

# What `uname -r` will say on the image in this file.
release_of() {
  dd if="$1" bs=1 skip=$(($(number "$1" 526 2) + 512)) count=200 2>/dev/null | tr '\0' '\n' | head -n 1 | cut -d ' ' -f 1
}

# Where the part begins that runs in protected mode.
setup_bytes() {
  sectors=$(number "$1" 497 1)
  [ "$sectors" != 0 ] || sectors=4
  echo $(((sectors + 1) * 512))
}

# How many bytes the image has, by its own head.
image_bytes() {
  echo $(($(setup_bytes "$1") + $(number "$1" 500 4) * 16))
}

# The compressed ELF in the image.
payload_of() {
  tail -c +$(($(setup_bytes "$1") + $(number "$1" 584 4) + 1)) "$1" | head -c "$(number "$1" 588 4)"
}

# check_entry FILE NAME: refuses an ELF that QEMU could not start.
check_entry() {
  # XEN_ELFNOTE_PHYS32_ENTRY
  readelf --notes --wide "$1" 2>/dev/null | grep -q '^ *Xen .*0x00000012' ||
    fail "$2 cannot be booted: it has no PVH entry (CONFIG_PVH), which an ELF needs; give its $image_name"
}
