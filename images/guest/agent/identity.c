#include "agent.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/random.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define SSH_DIR TOOLS "/ssh"
#define HOST_KEY SSH_DIR "/host_key"
#define SSHD TOOLS "/bin/dropbear"
#define SSHD_LOG TOOLS "/sshd.log"
#define AUTHORIZED_KEYS SSH_DIR "/authorized_keys"
// src/qemu/network.ts holds the same address and port.
#define SSH_LISTEN "192.0.2.2:61022"

static pid_t sshd = -1;

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

// Where the rootfs has none, no program of it asks.
static void set_machine_id(const char *id) {
  if (access("/etc/machine-id", F_OK) != 0) return;
  FILE *file = fopen("/etc/machine-id", "we");
  if (!file) return;
  fprintf(file, "%s\n", id);
  fclose(file);
}

static void set_clock(const char *value) {
  struct timespec now = {0};
  if (sscanf(value, "%ld.%9ld", &now.tv_sec, &now.tv_nsec) == 2) clock_settime(CLOCK_REALTIME, &now);
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

// Connections of before belong to whoever knew the old keys. Each is a process with a session of its own, so that it is known
// by its program alone.
static void end_sshd(void) {
  DIR *processes = opendir("/proc");
  if (!processes) return;
  for (struct dirent *entry; (entry = readdir(processes));) {
    char path[PATH_MAX], program[64] = "";
    snprintf(path, sizeof path, "/proc/%s/exe", entry->d_name);
    if (readlink(path, program, sizeof program - 1) > 0 && strcmp(program, SSHD) == 0) kill(atoi(entry->d_name), SIGKILL);
  }
  closedir(processes);
  sshd = -1;
}

static void forget_keys(void) {
  end_sshd();
  unlink(HOST_KEY);
  unlink(AUTHORIZED_KEYS);
}

static void restart_sshd(void) {
  // -W: a window of 1 MiB in place of 24 KiB nearly doubles what an image load gets through (12 to 22 MB/s, emulated).
  static char *const argv[] = {SSHD, "-F", "-E", "-s", "-T", "3", "-K", "0", "-W", "1048576",
                               "-D", SSH_DIR, "-r", HOST_KEY, "-p", SSH_LISTEN, "-P", SSH_DIR "/pid", NULL};
  end_sshd();
  unlink(SSHD_LOG);
  sshd = spawn(argv, SSHD_LOG);
}

void identity_child_ended(pid_t child) {
  char tail[2048];
  if (child != sshd) return;
  sshd = -1;
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
  else if (strcmp(verb, "entropy") == 0) add_entropy(value);
  else if (strcmp(verb, "hostkey") == 0) set_host_key(value);
  else if (strcmp(verb, "authorize") == 0) authorize(value);
  else if (strcmp(verb, "machineid") == 0) set_machine_id(value);
  else if (strcmp(verb, "forget") == 0) {
    forget_keys();
    control_event("forgot", "keys");
  } else if (strcmp(verb, "commit") == 0) {
    restart_sshd();
    control_event("committed", value);
  } else return false;
  return true;
}
