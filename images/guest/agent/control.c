#include "agent.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PORT_NAME "testkernels.control"

static int port = -1;

int control_open(void) {
  DIR *ports = opendir("/sys/class/virtio-ports");
  if (!ports) return -1;
  for (struct dirent *entry; port < 0 && (entry = readdir(ports));) {
    char path[PATH_MAX], name[64] = "";
    snprintf(path, sizeof path, "/sys/class/virtio-ports/%s/name", entry->d_name);
    FILE *file = fopen(path, "re");
    if (!file) continue;
    if (fgets(name, sizeof name, file)) name[strcspn(name, "\n")] = 0;
    fclose(file);
    if (strcmp(name, PORT_NAME) != 0) continue;
    snprintf(path, sizeof path, "/dev/%s", entry->d_name);
    port = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
  }
  closedir(ports);
  return port;
}

// A host that is not there must not stop the guest: what cannot be written within a second is dropped.
static void send_line(const char *line, size_t length) {
  while (port >= 0 && length > 0) {
    ssize_t written = write(port, line, length);
    if (written > 0) {
      line += written;
      length -= written;
    } else if (written < 0 && errno == EAGAIN) {
      struct pollfd ready = {.fd = port, .events = POLLOUT};
      if (poll(&ready, 1, 1000) <= 0) return;
    } else if (errno != EINTR) {
      return;
    }
  }
}

static void send_phase(const char *name, const char *uptime) {
  char line[160];
  int length = snprintf(line, sizeof line, "{\"phase\":\"%s\",\"uptime\":%s}\n", name, uptime);
  send_line(line, length);
}

void control_phase(const char *name) {
  struct timespec now;
  char uptime[32];
  clock_gettime(CLOCK_BOOTTIME, &now);
  snprintf(uptime, sizeof uptime, "%lld.%03ld", (long long)now.tv_sec, now.tv_nsec / 1000000);
  send_phase(name, uptime);
}

void control_replay_phases(void) {
  FILE *file = fopen(TOOLS "/phases", "re");
  char name[64], uptime[32];
  if (!file) return;
  while (fscanf(file, "%63s %31s", name, uptime) == 2) send_phase(name, uptime);
  fclose(file);
}

void control_event(const char *event, const char *text) {
  // In dockerd's process, where systemd starts it.
  if (port < 0 && !service_is_agent() && strcmp(event, "warning") == 0) service_warn(text);
  char line[16384];
  size_t at = snprintf(line, sizeof line, "{\"%s\":\"", event);
  for (; *text && at < sizeof line - 16; text++) {
    unsigned char byte = *text;
    if (byte == '"' || byte == '\\') line[at++] = '\\';
    if (byte < 0x20) at += snprintf(line + at, sizeof line - at, "\\u%04x", byte);
    else line[at++] = byte;
  }
  at += snprintf(line + at, sizeof line - at, "\"}\n");
  send_line(line, at);
}

void control_read(void (*handle)(char *verb, char *value)) {
  static char buffer[16384];
  static size_t used;
  ssize_t count = read(port, buffer + used, sizeof buffer - 1 - used);
  if (count <= 0) return;
  used += count;
  buffer[used] = 0;
  char *line = buffer;
  for (char *end; (end = strchr(line, '\n')); line = end + 1) {
    *end = 0;
    char *value = strchr(line, ' ');
    if (value) *value++ = 0;
    handle(line, value ? value : "");
  }
  used -= line - buffer;
  memmove(buffer, line, used);
  if (used == sizeof buffer - 1) used = 0;  // no line is this long: not our host
}
