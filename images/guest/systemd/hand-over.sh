# Part of images/guest/init where the image says that systemd of the rootfs is PID 1. What systemd does itself is left to it: mounts of the
# kernel's file systems, cgroups, device nodes with udev, sysctls.
# Its configuration is below /run, which goes before what the rootfs has in /usr, and after what it has in /etc.

units=$root/run/systemd/system

find_systemd() {
  for path in usr/lib/systemd/systemd lib/systemd/systemd; do
    if [ -x "$root/$path" ]; then
      systemd=/$path
      return
    fi
  done
  fatal "the rootfs has no systemd, which the option init asks for"
}

mount_for_systemd() {
  mount -t tmpfs -o nosuid,nodev,mode=0755 tmpfs $root/run
  # Where AppArmor is hidden, it is there; systemd would mount it itself.
  mount -t securityfs -o nosuid,nodev,noexec securityfs /sys/kernel/security 2>/dev/null || true
  # overlayfs cannot stack on the root, which is one: containerd's data are beside dockerd's on the scratch disk, and so are home
  # directories, for those who run a dockerd of their own, where the rootfs has none yet.
  mkdir -p /scratch/containerd $root/var/lib/containerd $root/home
  chmod 0711 /scratch/containerd
  mount --bind /scratch/containerd $root/var/lib/containerd
  if [ -z "$(ls -A $root/home)" ]; then
    mkdir -p /scratch/home
    mount --bind /scratch/home $root/home
  fi
}

has_udev() {
  [ -x $root/usr/lib/systemd/systemd-udevd ] || [ -x $root/lib/systemd/systemd-udevd ]
}

# As systemd-sysctl reads them: the rootfs's own files go between ours, which are defaults, and what the entry asks for.
write_sysctls() {
  mkdir -p $root/run/sysctl.d
  cp /testkernels/etc/sysctl.conf $root/run/sysctl.d/00-testkernels.conf
  arguments testkernels.sysctl >$root/run/sysctl.d/zz-testkernels.conf
}

# One that is not empty is taken as it is. Each clone gets its own in its place.
make_machine_id() {
  tr -d - </proc/sys/kernel/random/uuid >$root/etc/machine-id
}

unit_directories='etc/systemd/system usr/local/lib/systemd/system usr/lib/systemd/system lib/systemd/system'

# UNIT: where the rootfs has it, and does not mask it with an empty file or a link to /dev/null. Its links lead to paths of the rootfs.
find_unit() {
  for dir in $unit_directories; do
    [ -e "$root/$dir/$1" ] || [ -L "$root/$dir/$1" ] || continue
    path=$(chroot $root $tools/bin/readlink -f "/$dir/$1") || return 0
    [ ! -s "$root$path" ] || echo "$path"
    return 0
  done
}

# UNIT: its drop-ins in the order in which systemd reads them, whatever directory they are in. One goes before those of its name in
# later directories.
list_drop_ins() {
  for dir in $unit_directories; do
    for path in "$root/$dir/$1.d"/*.conf; do
      [ ! -r "$path" ] || echo "${path##*/} $path"
    done
  done | sort -s -k 1,1 | awk '!seen[$1]++ { print $2 }'
}

# FILE...: what the last ExecStart says, without what systemd reads in front of a program, and without the name that one with an @ is run by.
find_command() {
  awk '
    sub(/^ExecStart[ \t]*=[ \t]*/, "") {
      line = $0
      while (sub(/\\$/, " ", line) && (getline next_line) > 0) line = line next_line
      if (line != "") command = line
    }
    END {
      if (command ~ /^[-:+!]*@/) sub(/[ \t]+[^ \t]+/, "", command)
      sub(/^[-@:+!]*/, "", command)
      print command
    }' "$@"
}

# TARGET UNIT [PATH]
want() {
  mkdir -p "$units/$1.wants"
  ln -s "${3:-../$2}" "$units/$1.wants/$2"
}

# What runs containers: the first of these that the rootfs has. The agent says `ready` when it answers, or else when the guest is up.
start_engine() {
  unit=$(find_unit docker.service)
  if [ -n "$unit" ]; then start_dockerd; return; fi
  unit=$(find_unit containerd.service)
  if [ -n "$unit" ]; then start_containerd; return; fi
  echo started >$root$tools/etc/ready
}

# The rootfs's unit as it is. One that fails again and again is not started for ever, as that of docker is not, and ends the guest.
start_containerd() {
  config=$root/etc/containerd/config.toml
  socket=
  [ ! -r $config ] || socket=$(awk -F '["'"'"']' '/^[ \t]*\[/ { in_grpc = /\[grpc\]/ } in_grpc && /^[ \t]*address[ \t]*=/ { print $2 }' $config)
  echo "containerd ${socket:-/run/containerd/containerd.sock}" >$root$tools/etc/ready
  mkdir -p $units/containerd.service.d
  cat >$units/containerd.service.d/zz-testkernels.conf <<DROP_IN
[Unit]
OnFailure=testkernels-engine-failed@%p.service
StartLimitIntervalSec=60
StartLimitBurst=3

[Service]
RestartMode=direct
DROP_IN
  want multi-user.target containerd.service "$unit"
}

# The rootfs's unit with the rootfs's command, which the agent adds our flags to (images/guest/agent/command.c).
start_dockerd() {
  command=$(find_command "$root$unit" $(list_drop_ins docker.service))
  [ -n "$command" ] || fatal "$unit of the rootfs has no ExecStart, which the agent starts dockerd by"
  mkdir -p $units/docker.service.d
  # The last of the drop-ins: those of the rootfs are in it. From systemd 254 on a unit that is started again had failed in between, with all
  # that OnFailure has, unless RestartMode is direct; older ones do not know it, and say so.
  cat >$units/docker.service.d/zz-testkernels.conf <<DROP_IN
[Unit]
OnFailure=testkernels-engine-failed@%p.service

[Service]
RestartMode=direct
SyslogIdentifier=dockerd
ExecStart=
ExecStart=$tools/bin/agent dockerd $command
DROP_IN
  want multi-user.target docker.service "$unit"
}

install_units() {
  cp -r /testkernels/systemd/run/. $root/run/
  want sysinit.target testkernels-agent.service
  want multi-user.target testkernels-up.service
  for end in reboot poweroff halt; do want $end.target testkernels-$end.service; done
  mkdir -p $root/run/systemd/system-generators
  grep -v -e '^#' -e '^$' /testkernels/systemd/masked | while read -r name; do
    case $name in
      *-generator) ln -s /dev/null "$root/run/systemd/system-generators/$name" ;;
      *) ln -s /dev/null "$units/$name" ;;
    esac
  done
  start_engine
}
