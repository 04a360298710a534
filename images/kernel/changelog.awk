# Of the changelog of a kernel's package its newest entries, down to that of the version in `since`; of one that has no such entry, the
# beginning.
function version_of(entry) {
  gsub(/[()]/, "", entry)
  # Debian signs its kernels in a package of their own, whose version has another sign where the revision begins.
  if (entry !~ /-/) sub(/\+/, "-", entry)
  return entry
}
/^[a-z0-9.+-]+ \(.*\)/ && version_of($2) == since { exit }
# A version has some hundred lines, or thousands; what is read has a limit (src/image/solve-facts.ts).
NR > 20000 { exit }
{ print }
