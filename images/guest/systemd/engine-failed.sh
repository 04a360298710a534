# `docker` or `containerd`: which unit of the guest's failed for good.
unit=$1.service

# Where the agent looks for what it said (images/guest/agent/command.c); systemd says how it ended.
journalctl --unit $unit --lines 60 --output cat --no-pager >/var/log/dockerd.log 2>/dev/null

# systemd may have another result for it where a unit's cgroup is delegated, as that of docker.service is: the kernel's log tells, too.
was_out_of_memory() {
  pid=$(systemctl show --property ExecMainPID --value $unit)
  [ "${MONITOR_SERVICE_RESULT:-}" = oom-kill ] || /.testkernels/bin/dmesg | /.testkernels/bin/grep -q "Killed process $pid ("
}

how() {
  if was_out_of_memory; then echo out of memory; return; fi
  case ${MONITOR_EXIT_CODE:-} in
    exited) echo "status $MONITOR_EXIT_STATUS" ;;
    killed | dumped) echo "signal $MONITOR_EXIT_STATUS" ;;
    *) echo "${MONITOR_SERVICE_RESULT:-for good}" ;;
  esac
}

# In the words of images/guest/agent/main.c, for which the host has a remedy (src/vm/death/death.ts). dockerd is what it takes them to be of.
case $1 in docker) echo "failed $(how)" ;; *) echo "failed $1 $(how)" ;; esac >/.testkernels/orders
