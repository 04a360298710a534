#include "agent.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

// Given by the host where a guest has settings to wait for: src/vm/guest-settings.ts.
#define ARGUMENT "testkernels.settings="
// A file, because where systemd starts dockerd another process waits (command.c).
#define THERE TOOLS "/settings-are-there"

bool settings_are_awaited(void) {
  static enum { UNKNOWN, NONE, GIVEN } said;
  if (said == UNKNOWN) {
    char line[4096] = " ";
    int file = open("/proc/cmdline", O_RDONLY | O_CLOEXEC);
    if (file >= 0 && read(file, line + 1, sizeof line - 2) < 0) line[1] = 0;
    close(file);
    said = strstr(line, " " ARGUMENT) ? GIVEN : NONE;
  }
  return said == GIVEN && access(THERE, F_OK) != 0;
}

void make_directories(char *path) {
  for (char *slash = path; (slash = strchr(slash + 1, '/'));) {
    *slash = 0;
    mkdir(path, 0755);
    *slash = '/';
  }
}

// `PATH CONTENT`, both in hexadecimal digits: the first piece of a file, or one more.
static void write_piece(const char *value, int how) {
  char path[PATH_MAX];
  uint8_t piece[8192];
  const char *content = strchr(value, ' ');
  if (!content) return;
  path[from_hex(value, (uint8_t *)path, sizeof path - 1)] = 0;
  size_t length = from_hex(content + 1, piece, sizeof piece);
  make_directories(path);
  int file = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | how, 0644);
  if (file < 0 || write(file, piece, length) != (ssize_t)length) control_event("warning", path);
  if (file >= 0) close(file);
}

bool settings_handle(const char *verb, const char *value) {
  if (strcmp(verb, "file") == 0) write_piece(value, O_TRUNC);
  else if (strcmp(verb, "more") == 0) write_piece(value, O_APPEND);
  else if (strcmp(verb, "start") == 0) close(open(THERE, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
  else return false;
  return true;
}
