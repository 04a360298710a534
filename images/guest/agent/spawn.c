#define _GNU_SOURCE  // SCHED_RESET_ON_FORK
#include "agent.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PREFERRED_NICE -10

// What systemd's unit files give dockerd and sshd; the kernel's own defaults are too low for containers.
static void raise_limits(void) {
  struct rlimit files = {1048576, 1048576}, unlimited = {RLIM_INFINITY, RLIM_INFINITY};
  setrlimit(RLIMIT_NOFILE, &files);
  setrlimit(RLIMIT_NPROC, &unlimited);
  setrlimit(RLIMIT_CORE, &unlimited);
}

pid_t spawn(char *const argv[], int connection, const char *log) {
  pid_t child = fork();
  if (child != 0) return child;
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  setsid();
  raise_limits();
  int input = connection < 0 ? open("/dev/null", O_RDONLY) : connection;
  int output = open(log, O_WRONLY | O_CREAT | O_APPEND, 0640);
  dup2(input, 0);
  dup2(connection < 0 ? output : connection, 1);
  dup2(output, 2);
  // Ours come last: they stand in for what the rootfs lacks and hide nothing of it.
  setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:" TOOLS "/bin", 1);
  setenv("HOME", "/root", 1);
  execvp(argv[0], argv);
  _exit(127);
}

void prefer(pid_t program) {
  struct sched_param none = {0};
  setpriority(PRIO_PROCESS, program, PREFERRED_NICE);
  // Not sched_setscheduler, which musl only pretends to have.
  syscall(SYS_sched_setscheduler, program, SCHED_OTHER | SCHED_RESET_ON_FORK, &none);
}
