# Sourced with $suite and $mirror set, and source_packages=yes where those are wanted: defines `apt`, which runs apt programs on that suite alone, and `update`. It is an apt
# of its own, in which nothing is installed: a base image of that suite is not needed for its kernel. $archives is for its
# downloads.
#
# Without a mirror given, that of the image this runs in.
: "${mirror:=$(cat /etc/apt/sources.list.d/*.sources /etc/apt/sources.list 2>/dev/null | awk '/^URIs:|^deb / { print $2; exit }')}"
work=/tmp/apt
archives=$work/archives
mkdir -p $work/lists/partial $archives/partial
{
  echo "deb $mirror $suite main"
  [ -z "${source_packages:-}" ] || echo "deb-src $mirror $suite main"
  case $suite in *-backports) echo "deb $mirror ${suite%-backports} main" ;; esac
} >$work/sources.list

# Release files of old suites are past their date, and still signed.
apt() {
  command="$1"
  shift
  "$command" -o Dir::Etc::sourcelist=$work/sources.list -o Dir::Etc::sourceparts=- -o Dir::State::lists=$work/lists \
    -o Dir::Cache::archives=$archives -o Dir::State::status=/dev/null -o Dir::Etc::preferencesparts=- \
    -o Acquire::Check-Valid-Until=false -o APT::Sandbox::User=root "$@"
}

update() {
  apt apt-get update && return
  echo "testkernels: the suite $suite cannot be read from the Debian archive: it may not be there" >&2
  exit 1
}
