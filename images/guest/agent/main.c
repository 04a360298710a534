#include "agent.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/reboot.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

// What is waited for is looked for this often; for dockerd's first answer a look costs a connect.
#define POLL_MS 50

// One that ends this often would for good.
#define CONTAINERD_RESTARTS 10

static pid_t command, containerd;
static int containerd_restarts;
static bool started, ready;
// systemd has started all that the rootfs has it start.
static bool is_up;

// QEMU runs with -no-reboot: a restart ends it, on every machine type and without ACPI.
static void power_off(void) {
  sync();
  reboot(RB_AUTOBOOT);
}

// Lets the control port drain before QEMU goes away.
static void tell_and_power_off(const char *event, const char *text) {
  control_event(event, text);
  usleep(100000);
  power_off();
}

// Somebody in the guest asked for it. Its disk goes with it: there is nothing to be ended in order.
static void end_guest(const char *how) {
  fprintf(stderr, "testkernels: the guest was %s\n", how);
  tell_and_power_off("power", how);
}

// What runs the guest is over, and so is the guest.
static void end_with_command(const char *how) {
  command_send_log();
  fprintf(stderr, "testkernels: the command of this guest ended: %s\n", how);
  tell_and_power_off("ended", how);
}

static time_t uptime(void) {
  struct timespec now;
  clock_gettime(CLOCK_BOOTTIME, &now);
  return now.tv_sec;
}

// dockerd follows when its containerd answers.
static void start_command(void) {
  started = true;
  if (command_is_docker()) daemon_json_merge(NULL);
  if (command_is_docker() && containerd_is_there()) containerd = containerd_start();
  else command = command_start(NULL);
}

// As a service manager would: what ran in it goes on. Where the first did not come up, dockerd says what is wrong with its own.
static void containerd_ended(void) {
  containerd = 0;
  if (command == 0) command = command_start(NULL);
  else if (containerd_restarts++ < CONTAINERD_RESTARTS) {
    control_event("warning", "the guest's containerd ended; it is started again");
    containerd = containerd_start();
  }
}

static void handle(char *verb, char *value) {
  if (identity_handle(verb, value) || settings_handle(verb, value)) return;
  if (strcmp(verb, "log") == 0) command_send_log();
  else if (strcmp(verb, "kernel-log") == 0) kernel_log_handle(value);
  else if (strcmp(verb, "proxy") == 0) proxy_handle(value);
  else if (strcmp(verb, "load") == 0) load_begin(value);
  else if (strcmp(verb, "eject") == 0) load_eject();
  else if (strcmp(verb, "settle") == 0) {
    sessions_prepare();
    settle_begin();
  }
  else if (strcmp(verb, "poweroff") == 0) power_off();
  else control_event("unknown", verb);
}

static void reap(void) {
  int status;
  for (pid_t child; (child = waitpid(-1, &status, WNOHANG)) > 0;) {
    door_child_ended(child);
    sessions_child_ended(child, status);
    if (child == containerd) containerd_ended();
    if (child != command) continue;
    char text[64];
    if (WIFSIGNALED(status) && killed_for_memory(child)) strcpy(text, "out of memory");
    else if (WIFSIGNALED(status)) snprintf(text, sizeof text, "signal %d", WTERMSIG(status));
    else snprintf(text, sizeof text, "status %d", WEXITSTATUS(status));
    end_with_command(text);
  }
}

static void obey(const char *order) {
  if (strcmp(order, "up") == 0) is_up = true;
  else if (strncmp(order, "failed ", 7) == 0) end_with_command(order + 7);
  else if (strncmp(order, "warning ", 8) == 0) control_event("warning", order + 8);
  else end_guest(order);
}

static bool runs(void) { return service_is_agent() ? is_up : command > 0; }

int main(int argc, char *argv[]) {
  if (argc > 1 && strcmp(argv[1], "dockerd") == 0) {
    command_become_dockerd(argv + 2);
    perror(argc > 2 ? argv[2] : "testkernels: no program given");
    return 127;
  }
  bool is_service = argc > 1 && strcmp(argv[1], "service") == 0;
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGCHLD);
  if (!is_service) power_add_signals(&set);
  sigprocmask(SIG_BLOCK, &set, NULL);
  struct pollfd watched[7] = {{.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK), .events = POLLIN},
                              {.fd = control_open(), .events = POLLIN}};
  watched[4] = (struct pollfd){.fd = is_service ? service_open() : power_open(), .events = POLLIN};
  int ssh = sessions_listen();
  kernel_log_open();
  door_start();
  control_replay_phases();
  control_phase("command");
  for (;;) {
    if (!is_service && !started && !settings_are_awaited()) start_command();
    watched[2] = (struct pollfd){.fd = identity_is_known() ? ssh : -1, .events = POLLIN};
    watched[3] = (struct pollfd){.fd = load_descriptor(), .events = POLLIN};
    watched[6] = (struct pollfd){.fd = proxy_descriptor(), .events = POLLIN};
    // First: where the pause ends in between, the log is polled.
    int pause = kernel_log_pause_ms();
    watched[5] = (struct pollfd){.fd = kernel_log_descriptor(), .events = POLLIN};
    bool settles = settle_continues(), awaits_link = network_awaits_link();
    bool waiting = !ready || settles || awaits_link;
    if (poll(watched, 7, pause >= 0 ? pause : waiting ? POLL_MS : -1) > 0) {
      if (watched[0].revents & POLLIN) {
        struct signalfd_siginfo info;
        while (read(watched[0].fd, &info, sizeof info) > 0)
          if (power_signal(info.ssi_signo)) end_guest(power_signal(info.ssi_signo));
        reap();
      }
      if (watched[4].revents & POLLIN && is_service) service_read(obey);
      else if (watched[4].revents & POLLIN) {
        const char *how = power_read(watched[4].fd);
        if (how) end_guest(how);
      }
      if (watched[2].revents & POLLIN) sessions_accept();
      if (watched[3].revents & POLLIN) load_read();
      if (watched[5].revents & POLLIN) kernel_log_read();
      if (watched[6].revents & POLLIN) proxy_accept();
      if (watched[1].revents & POLLIN) control_read(handle);
      // No host has the port open: poll would spin on the hang-up.
      else if (watched[1].revents & (POLLHUP | POLLERR)) usleep(POLL_MS * 1000);
    }
    if (started && command == 0 && containerd_answers(containerd_socket())) command = command_start(containerd_socket());
    if (!ready && runs() && command_is_ready()) {
      ready = true;
      control_phase("ready");
      // For who started this with docker run IMAGE, and has no more of it than the console.
      const char *what = command_is_docker() ? "dockerd answers" : command_containerd() ? "containerd answers" : is_service ? "systemd is up" : "the command runs";
      fprintf(stderr, "testkernels: %s after %ld s\n", what, (long)uptime());
    }
  }
}
