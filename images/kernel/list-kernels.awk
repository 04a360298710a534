# Of a Packages file the kernels of a flavour, a line each: pocket, archive, version, packages.
BEGIN {
  RS = ""
  FS = "\n"
  OFS = "\t"
  suffix = "-" flavour
}
# Its name has between linux-image- and the flavour what uname calls the ABI, such as 6.1.0-53, 6.12.43+deb12, 6.1.0-0.deb11.48 or
# 6.11-rc4; another word there is another flavour.
/^Package: linux-image-[0-9]/ {
  package = substr($1, 10)
  abi = substr(package, 13, length(package) - 12 - length(suffix))
  if (package != "linux-image-" abi suffix) next
  parts = split(abi, part, "-")
  for (i = 2; i <= parts; i++) if (part[i] !~ /^([0-9]|rc[0-9])/) next
  version = depends = ""
  for (i = 2; i <= NF; i++) {
    if ($i ~ /^Version: /) version = substr($i, 10)
    if ($i ~ /^Depends: /) depends = substr($i, 10)
  }
  # Since 2026 the kernel and its modules are in packages of their own; all have the image's version.
  packages = package
  count = split(depends, depend, /, */)
  for (i = 1; i <= count; i++) {
    # One that only follows another by its name: the meta package of a series.
    if (depend[i] ~ /^linux-image-[0-9]/) next
    if (depend[i] ~ /^linux-(base|binary|modules)-[0-9]/) {
      sub(/ .*/, "", depend[i])
      packages = packages " " depend[i]
    }
  }
  print pocket, archive, version, packages
}
