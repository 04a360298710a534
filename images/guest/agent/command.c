#include "agent.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define DOCKER_SOCKET "/var/run/docker.sock"
#define LOG "/var/log/dockerd.log"
#define LOG_TAIL_BYTES 8192
// How often a dockerd that systemd starts looks whether the agent has its settings.
#define SETTINGS_POLL_MS 50
// On the scratch disk: images/guest/init.
#define DATA "/var/lib/docker"

// What systemd's unit file gives it.
#define DOCKERD_OOM_SCORE "-500"

// Flags of ours (src/image/recipes/guest.ts), and the keys of daemon.json that say the same or exclude it.
static const struct {
  const char *flag;
  const char *keys[3];
} yielding[] = {
    {"--bip=", {"bip", "bridge", "fixed-cidr"}},
    {"--default-address-pool=", {"default-address-pools"}},
    {"--host-gateway-ip=", {"host-gateway-ip", "host-gateway-ips"}},
    {"--exec-opt=", {"exec-opts"}},
};

static bool yields(const char *argument) {
  for (size_t at = 0; at < sizeof yielding / sizeof *yielding; at++) {
    if (strncmp(argument, yielding[at].flag, strlen(yielding[at].flag)) != 0) continue;
    for (size_t key = 0; key < 3 && yielding[at].keys[key]; key++)
      if (daemon_json_has(yielding[at].keys[key])) return true;
  }
  return false;
}

// Wherever dockerd has its data, they are on the disk that overlay2 can use, and not on the guest's root, which is an overlay itself.
static void mount_data_root(void) {
  char path[PATH_MAX];
  if (!daemon_json_string("data-root", path, sizeof path)) return;
  if (strncmp(path, DATA, strlen(DATA)) == 0 && strchr("/", path[strlen(DATA)])) return;
  make_directories(path);
  mkdir(path, 0755);
  // systemd may have started dockerd before.
  struct stat there, data;
  if (stat(path, &there) == 0 && stat(DATA, &data) == 0 && there.st_dev == data.st_dev && there.st_ino == data.st_ino) return;
  if (mount(DATA, path, NULL, MS_BIND, NULL) != 0) control_event("warning", "cannot mount dockerd's data-root");
}

static void spare_from_oom(pid_t process) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/oom_score_adj", process);
  int file = open(path, O_WRONLY | O_CLOEXEC);
  if (file < 0 || write(file, DOCKERD_OOM_SCORE, sizeof DOCKERD_OOM_SCORE - 1) < 0) control_event("warning", path);
  if (file >= 0) close(file);
}

// What the host has for dockerd's environment, NAME=VALUE a line: src/vm/guest-settings.ts. Nobody else's.
static void set_environment(bool is_set) {
  char line[8192];
  FILE *file = fopen(TOOLS "/etc/environment", "re");
  while (file && fgets(line, sizeof line, file)) {
    line[strcspn(line, "\n")] = 0;
    char *value = strchr(line, '=');
    if (!value) continue;
    *value++ = 0;
    if (is_set) setenv(line, value, 1);
    else unsetenv(line);
  }
  if (file) fclose(file);
}

#define MOST_ARGUMENTS 128

// What the image says, without what yields, behind the arguments that are there; returns how many there are then. The file holds one a line.
static size_t add_arguments(char *argv[MOST_ARGUMENTS], size_t count) {
  static char text[8192];
  int file = open(TOOLS "/etc/command", O_RDONLY | O_CLOEXEC);
  ssize_t length = file < 0 ? 0 : read(file, text, sizeof text - 1);
  close(file);
  text[length > 0 ? length : 0] = 0;
  for (char *word = strtok(text, "\n"); word && count < MOST_ARGUMENTS - 3; word = strtok(NULL, "\n"))
    if (!command_is_docker() || !yields(word)) argv[count++] = word;
  argv[count] = NULL;
  return count;
}

pid_t command_start(char *containerd) {
  char *argv[MOST_ARGUMENTS];
  size_t count = add_arguments(argv, 0);
  if (containerd && !daemon_json_has("containerd")) {
    argv[count++] = "--containerd";
    argv[count++] = containerd;
  }
  argv[count] = NULL;
  mkdir("/var/log", 0755);
  if (command_is_docker()) mount_data_root();
  if (command_is_docker()) set_environment(true);
  pid_t command = spawn(argv, -1, LOG);
  if (command_is_docker()) set_environment(false);
  if (command_is_docker()) spare_from_oom(command);
  return command;
}

void command_become_dockerd(char *given[]) {
  while (settings_are_awaited()) usleep(SETTINGS_POLL_MS * 1000);
  daemon_json_merge(given);
  char *argv[MOST_ARGUMENTS];
  size_t count = 0;
  while (given[count] && count < MOST_ARGUMENTS / 2) argv[count] = given[count], count++;
  if (count == 0) return;
  // The first of ours is `dockerd` again: the last of theirs stands in its place.
  char *last = argv[count - 1];
  add_arguments(argv, count - 1);
  argv[count - 1] = last;
  mount_data_root();
  set_environment(true);
  execv(argv[0], argv);
}

static bool docker_answers(void) {
  static const char request[] = "GET /_ping HTTP/1.0\r\nHost: docker\r\n\r\n";
  struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = DOCKER_SOCKET};
  struct timeval second = {.tv_sec = 1};
  char answer[16] = "";
  int connection = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &second, sizeof second);
  setsockopt(connection, SOL_SOCKET, SO_SNDTIMEO, &second, sizeof second);
  bool answers = connect(connection, (struct sockaddr *)&address, sizeof address) == 0 &&
                 write(connection, request, sizeof request - 1) == sizeof request - 1 &&
                 read(connection, answer, 12) == 12 && strcmp(answer + 8, " 200") == 0;
  close(connection);
  return answers;
}

// "docker", "started", or "containerd" and its socket.
static const char *ready_by(void) {
  static char by[160];
  if (!by[0]) {
    int file = open(TOOLS "/etc/ready", O_RDONLY | O_CLOEXEC);
    if (file < 0 || read(file, by, sizeof by - 1) <= 0) strcpy(by, "docker");
    close(file);
    by[strcspn(by, "\n")] = 0;
  }
  return by;
}

bool command_is_docker(void) { return ready_by()[0] == 'd'; }

const char *command_containerd(void) {
  static const char unit[] = "containerd ";
  return strncmp(ready_by(), unit, strlen(unit)) == 0 ? ready_by() + strlen(unit) : NULL;
}

bool command_is_ready(void) {
  const char *containerd = command_containerd();
  if (containerd) return containerd_answers(containerd);
  return !command_is_docker() || docker_answers();
}

void command_send_log(void) {
  static char tail[LOG_TAIL_BYTES + 1];
  int file = open(LOG, O_RDONLY | O_CLOEXEC);
  if (file < 0) return;
  off_t size = lseek(file, 0, SEEK_END);
  ssize_t length = pread(file, tail, LOG_TAIL_BYTES, size > LOG_TAIL_BYTES ? size - LOG_TAIL_BYTES : 0);
  close(file);
  if (length <= 0) return;
  tail[length] = 0;
  control_event("log", tail);
}
