# Where the agent looks for what dockerd said (images/guest/agent/command.c); systemd says how it ended.
journalctl --unit docker.service --lines 60 --output cat --no-pager >/var/log/dockerd.log 2>/dev/null
case ${MONITOR_EXIT_CODE:-} in
  exited) echo "failed status $MONITOR_EXIT_STATUS" ;;
  killed | dumped) echo "failed signal $MONITOR_EXIT_STATUS" ;;
  *) echo "failed ${MONITOR_SERVICE_RESULT:-for good}" ;;
esac >/.testkernels/orders
