#include "agent.h"

#include <fcntl.h>
#include <linux/random.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define AUTHORIZED_KEYS SSH_DIR "/authorized_keys"

static bool known;

static int hex_digit(char digit) {
  return digit >= '0' && digit <= '9' ? digit - '0' : digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

size_t from_hex(const char *hex, uint8_t *bytes, size_t limit) {
  size_t count = 0;
  for (; count < limit && hex_digit(hex[0]) >= 0 && hex_digit(hex[1]) >= 0; hex += 2)
    bytes[count++] = hex_digit(hex[0]) << 4 | hex_digit(hex[1]);
  return count;
}

// Not O_TRUNC: what a clone writes over is as long nearly always, and a file that is cut first takes a block of the disk anew.
static bool write_file(const char *path, mode_t mode, const void *content, size_t length) {
  int file = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, mode);
  if (file < 0) return false;
  bool written = pwrite(file, content, length, 0) == (ssize_t)length;
  if (lseek(file, 0, SEEK_END) > (off_t)length) ftruncate(file, length);
  close(file);
  return written;
}

static void write_private(const char *path, const void *content, size_t length) {
  if (!write_file(path, 0600, content, length)) control_event("warning", path);
}

static void set_hostname(const char *name) {
  char line[256];
  sethostname(name, strlen(name));
  write_file("/etc/hostname", 0644, line, snprintf(line, sizeof line, "%.250s\n", name));
}

// systemd's journal is in a directory of the id that the guest had when it booted, and journalctl looks in that of now.
static void follow_journal(const char *id) {
  static const char *const journals[] = {"/run/log/journal", "/var/log/journal"};
  char former[64] = "", path[128];
  int file = open("/etc/machine-id", O_RDONLY | O_CLOEXEC);
  ssize_t length = file < 0 ? 0 : read(file, former, sizeof former - 1);
  if (file >= 0) close(file);
  if (length <= 0) return;
  former[strcspn(former, "\n")] = 0;
  for (size_t at = 0; at < sizeof journals / sizeof *journals; at++) {
    snprintf(path, sizeof path, "%s/%s", journals[at], former);
    if (access(path, F_OK) != 0) continue;
    snprintf(path, sizeof path, "%s/%.60s", journals[at], id);
    symlink(former, path);
  }
}

static void set_machine_id(const char *id) {
  char line[64];
  if (service_is_agent()) follow_journal(id);
  write_file("/etc/machine-id", 0644, line, snprintf(line, sizeof line, "%.60s\n", id));
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
  write_private(AUTHORIZED_KEYS, text, snprintf(text, sizeof text, "%.1000s\n", line));
}

static void forget_keys(void) {
  known = false;
  door_forget();
  sessions_end();
  // The files stay: to make one takes a clone longer than to fill it.
  truncate(HOST_KEY, 0);
  truncate(AUTHORIZED_KEYS, 0);
}

bool identity_is_known(void) { return known; }

// Connections of before belong to whoever knew the old keys; the owner's may be here already.
static void admit(void) {
  sessions_end();
  known = true;
  sessions_accept();
}

bool identity_handle(const char *verb, const char *value) {
  if (strcmp(verb, "hostname") == 0) set_hostname(value);
  else if (strcmp(verb, "clock") == 0) set_clock(value);
  else if (strcmp(verb, "time") == 0) tell_time(value);
  else if (strcmp(verb, "shift") == 0) shift_clock(value);
  else if (strcmp(verb, "entropy") == 0) add_entropy(value);
  else if (strcmp(verb, "hostkey") == 0) set_host_key(value);
  else if (strcmp(verb, "authorize") == 0) authorize(value);
  else if (strcmp(verb, "machineid") == 0) set_machine_id(value);
  else if (strcmp(verb, "network") == 0) network_join(value);
  else if (strcmp(verb, "linked") == 0) network_announce();
  else if (strcmp(verb, "door") == 0) door_admit(value);
  else if (strcmp(verb, "refreshed") == 0) control_event("refreshed", "");
  else if (strcmp(verb, "forget") == 0) {
    forget_keys();
    control_event("forgot", "keys");
  } else if (strcmp(verb, "admit") == 0) admit();
  else if (strcmp(verb, "commit") == 0) control_event("committed", value);
  else return false;
  return true;
}
