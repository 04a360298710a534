#include "agent.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

// One read gives one record, from the oldest that is kept. The kernel says the same of its own shortage and of a cgroup's.
bool killed_for_memory(pid_t process) {
  char record[8192 + 1], line[64];
  snprintf(line, sizeof line, "Killed process %d (", process);
  int log = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  bool found = false;
  for (ssize_t length; log >= 0 && !found;) {
    length = read(log, record, sizeof record - 1);
    // Records that went while this was read.
    if (length < 0 && errno == EPIPE) continue;
    if (length <= 0) break;
    record[length] = 0;
    found = strstr(record, line) != NULL;
  }
  if (log >= 0) close(log);
  return found;
}
