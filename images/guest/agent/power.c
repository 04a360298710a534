#include "agent.h"

#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

// Where sysvinit's shutdown and telinit write, and systemd's systemctl when no systemd answers (both: initreq.h).
#define INITCTL "/run/initctl"
#define INIT_MAGIC 0x03091969
#define INIT_CMD_RUNLVL 1

struct init_request {
  int magic;
  int command;
  int runlevel;
  char rest[372];
};

// In programs of glibc, which are who sends them; musl's own is another.
#define GLIBC_SIGRTMIN 34

static const struct {
  int number;
  const char *end;
} signals[] = {
    // busybox's reboot, poweroff and halt, and the kernel's at Ctrl-Alt-Del.
    {SIGTERM, "rebooted"},
    {SIGINT, "rebooted"},
    {SIGUSR1, "halted"},
    {SIGUSR2, "powered off"},
    // systemd's.
    {GLIBC_SIGRTMIN + 3, "halted"},
    {GLIBC_SIGRTMIN + 4, "powered off"},
    {GLIBC_SIGRTMIN + 5, "rebooted"},
};

void power_add_signals(sigset_t *set) {
  for (size_t at = 0; at < sizeof signals / sizeof *signals; at++) sigaddset(set, signals[at].number);
}

const char *power_signal(int number) {
  for (size_t at = 0; at < sizeof signals / sizeof *signals; at++)
    if (signals[at].number == number) return signals[at].end;
  return NULL;
}

// For reading and writing: so it is open whoever else has it, and none who writes waits.
int power_open(void) {
  unlink(INITCTL);
  mkfifo(INITCTL, 0600);
  return open(INITCTL, O_RDWR | O_NONBLOCK | O_CLOEXEC);
}

const char *power_read(int initctl) {
  struct init_request request;
  while (read(initctl, &request, sizeof request) == sizeof request) {
    if (request.magic != INIT_MAGIC || request.command != INIT_CMD_RUNLVL) continue;
    if (request.runlevel == '0') return "powered off";
    if (request.runlevel == '6') return "rebooted";
  }
  return NULL;
}
