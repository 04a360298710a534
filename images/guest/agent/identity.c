#define _GNU_SOURCE  // accept4
#include "agent.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/random.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SSH_DIR TOOLS "/ssh"
#define HOST_KEY SSH_DIR "/host_key"
#define SSHD_LOG TOOLS "/sshd.log"
#define AUTHORIZED_KEYS SSH_DIR "/authorized_keys"
// src/qemu/guest-link.ts holds the same address and port.
#define SSH_ADDRESS "192.0.2.2"
#define SSH_PORT 61022
#define SESSIONS_MAX 64

static int listener = -1;
static bool known;
// Leaders of process groups.
static pid_t sessions[SESSIONS_MAX];

static size_t from_hex(const char *hex, uint8_t *bytes, size_t limit) {
  size_t count = 0;
  for (unsigned byte; count < limit && sscanf(hex + 2 * count, "%2x", &byte) == 1; count++) bytes[count] = byte;
  return count;
}

// Made unreadable before it has content, and replaced whole.
static void write_private(const char *path, const void *content, size_t length) {
  unlink(path);
  int file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (file < 0 || write(file, content, length) != (ssize_t)length) control_event("warning", path);
  close(file);
}

static void set_hostname(const char *name) {
  sethostname(name, strlen(name));
  FILE *file = fopen("/etc/hostname", "we");
  if (file) {
    fprintf(file, "%s\n", name);
    fclose(file);
  }
}

static void set_machine_id(const char *id) {
  FILE *file = fopen("/etc/machine-id", "we");
  if (!file) return;
  fprintf(file, "%s\n", id);
  fclose(file);
}

static void set_clock(const char *value) {
  struct timespec now = {0};
  if (sscanf(value, "%ld.%9ld", &now.tv_sec, &now.tv_nsec) == 2) clock_settime(CLOCK_REALTIME, &now);
}

// The host asks what time it is here, and how long that took tells it how far to trust the answer.
static void tell_time(const char *question) {
  char text[96];
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  snprintf(text, sizeof text, "%.32s %lld.%09ld", question, (long long)now.tv_sec, now.tv_nsec);
  control_event("time", text);
}

// Unlike a time, a difference does not get older on its way.
static void shift_clock(const char *microseconds) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  long long us = now.tv_sec * 1000000LL + now.tv_nsec / 1000 + atoll(microseconds);
  now = (struct timespec){.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000};
  clock_settime(CLOCK_REALTIME, &now);
}

// Credits the host's bytes and reseeds at once, so that a restored guest shares no random number with its siblings.
static void add_entropy(const char *hex) {
  struct {
    struct rand_pool_info info;
    uint8_t bytes[64];
  } pool;
  pool.info.buf_size = from_hex(hex, (uint8_t *)pool.info.buf, sizeof pool.bytes);
  pool.info.entropy_count = pool.info.buf_size * 8;
  int device = open("/dev/urandom", O_WRONLY | O_CLOEXEC);
  if (device < 0) return;
  ioctl(device, RNDADDENTROPY, &pool);
  ioctl(device, RNDRESEEDCRNG);
  close(device);
}

static void set_host_key(const char *hex) {
  uint8_t key[512];
  write_private(HOST_KEY, key, from_hex(hex, key, sizeof key));
}

static void authorize(const char *line) {
  char text[1024];
  write_private(AUTHORIZED_KEYS, text, snprintf(text, sizeof text, "%s\n", line));
}

// Connections of before belong to whoever knew the old keys.
static void end_sessions(void) {
  for (size_t at = 0; at < SESSIONS_MAX; at++)
    if (sessions[at] > 0) kill(-sessions[at], SIGKILL);
}

static void forget_keys(void) {
  known = false;
  end_sessions();
  unlink(HOST_KEY);
  unlink(AUTHORIZED_KEYS);
}

int identity_listen(void) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(SSH_PORT)};
  int one = 1;
  inet_pton(AF_INET, SSH_ADDRESS, &address.sin_addr);
  listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (bind(listener, (struct sockaddr *)&address, sizeof address) != 0 || listen(listener, 64) != 0) {
    close(listener);
    listener = -1;
  }
  return listener;
}

bool identity_is_known(void) { return known; }

// -W: a window of 1 MiB in place of 24 KiB nearly doubles what an image load gets through (12 to 22 MB/s, emulated).
void identity_accept(void) {
  static char *const argv[] = {TOOLS "/bin/dropbear", "-i", "-T", "3", "-K", "0", "-W", "1048576",
                               "-D", SSH_DIR, "-r", HOST_KEY, NULL};
  int one = 1;
  int connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
  if (connection < 0) return;
  setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  for (size_t at = 0; at < SESSIONS_MAX; at++) {
    if (sessions[at] > 0) continue;
    sessions[at] = spawn(argv, connection, SSHD_LOG);
    break;
  }
  close(connection);
}

void identity_child_ended(pid_t child, int status) {
  char tail[2048];
  for (size_t at = 0; at < SESSIONS_MAX; at++)
    if (sessions[at] == child) sessions[at] = 0, child = 0;
  if (child != 0 || (WIFEXITED(status) && WEXITSTATUS(status) == 0)) return;
  int file = open(SSHD_LOG, O_RDONLY | O_CLOEXEC);
  ssize_t length = file < 0 ? 0 : read(file, tail, sizeof tail - 1);
  close(file);
  tail[length > 0 ? length : 0] = 0;
  control_event("sshd", tail);
}

bool identity_handle(const char *verb, const char *value) {
  mkdir(SSH_DIR, 0700);
  if (strcmp(verb, "hostname") == 0) set_hostname(value);
  else if (strcmp(verb, "clock") == 0) set_clock(value);
  else if (strcmp(verb, "time") == 0) tell_time(value);
  else if (strcmp(verb, "shift") == 0) shift_clock(value);
  else if (strcmp(verb, "entropy") == 0) add_entropy(value);
  else if (strcmp(verb, "hostkey") == 0) set_host_key(value);
  else if (strcmp(verb, "authorize") == 0) authorize(value);
  else if (strcmp(verb, "machineid") == 0) set_machine_id(value);
  else if (strcmp(verb, "refreshed") == 0) control_event("refreshed", "");
  else if (strcmp(verb, "forget") == 0) {
    forget_keys();
    control_event("forgot", "keys");
  } else if (strcmp(verb, "commit") == 0) {
    end_sessions();
    unlink(SSHD_LOG);
    known = true;
    control_event("committed", value);
  } else return false;
  return true;
}
