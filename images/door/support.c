#include "door.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

void need(bool succeeded, const char *what) {
  if (succeeded) return;
  perror(what);
  exit(1);
}

void raise_descriptor_limit(void) {
  struct rlimit files;
  if (getrlimit(RLIMIT_NOFILE, &files) != 0) return;
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
}
