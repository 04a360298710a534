#include "agent.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ORDERS TOOLS "/orders"

static int orders = -1;

// For reading and writing: so it is open whoever else has it, and none who writes waits.
int service_open(void) {
  mkfifo(ORDERS, 0600);
  orders = open(ORDERS, O_RDWR | O_NONBLOCK | O_CLOEXEC);
  return orders;
}

bool service_is_agent(void) { return orders >= 0; }

void service_warn(const char *text) {
  int agent = open(ORDERS, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
  if (agent < 0) return;
  dprintf(agent, "warning %s\n", text);
  close(agent);
}

// A line is written as a whole, because it is shorter than PIPE_BUF.
void service_read(void (*handle)(const char *order)) {
  char text[1024];
  ssize_t length = read(orders, text, sizeof text - 1);
  if (length <= 0) return;
  text[length] = 0;
  for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) handle(line);
}
