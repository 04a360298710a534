#include "agent.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

// src/qemu/devices.ts holds the same addresses and port.
#define LINK_ADDRESS "192.0.2.2"
#define LINK_PEER "192.0.2.1"
#define DOOR_PORT "61023"
#define LOG TOOLS "/door.log"

static pid_t program;
// What it reads its orders from is the other end.
static int orders = -1;
static char secret[128];

static void order(const char *line) {
  if (send(orders, line, strlen(line), MSG_NOSIGNAL) < 0) control_event("warning", "the door takes no orders");
}

static void order_admission(void) {
  char line[sizeof secret + 16];
  snprintf(line, sizeof line, "admit %s\n", secret);
  order(line);
  explicit_bzero(line, sizeof line);
}

void door_start(void) {
  static char *const argv[] = {TOOLS "/bin/door", LINK_ADDRESS, DOOR_PORT, LINK_PEER, TOOLS "/bin/share", NULL};
  int ends[2];
  close(orders);
  orders = -1;
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return;
  program = spawn(argv, ends[1], LOG);
  prefer(program);
  orders = ends[0];
  close(ends[1]);
}

void door_admit(const char *value) {
  snprintf(secret, sizeof secret, "%s", value);
  order_admission();
}

void door_forget(void) {
  explicit_bzero(secret, sizeof secret);
  order("forget\n");
}

void door_child_ended(pid_t child) {
  if (child != program) return;
  control_event("warning", "the door ended, and is opened again");
  door_start();
  if (secret[0]) order_admission();
}
