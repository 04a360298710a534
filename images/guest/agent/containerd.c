#include "agent.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

// Where dockerd has the one that it starts itself.
#define RUN "/var/run/docker"
#define STATE RUN "/containerd"
#define SOCKET STATE "/containerd.sock"
#define CONFIG TOOLS "/etc/containerd.toml"
#define LOG "/var/log/containerd.log"

static const char config[] =
    "version = 2\n"
    "root = \"/var/lib/docker/containerd/daemon\"\n"
    "state = \"" STATE "/daemon\"\n"
    "oom_score = -500\n"
    "disabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n"
    "[grpc]\n"
    "  address = \"%s\"\n"
    "[debug]\n"
    "  address = \"" STATE "/containerd-debug.sock\"\n";

bool containerd_is_there(void) {
  static const char *const directories[] = {"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"};
  for (size_t at = 0; at < sizeof directories / sizeof *directories; at++) {
    char path[64];
    snprintf(path, sizeof path, "%s/containerd", directories[at]);
    if (access(path, X_OK) == 0) return true;
  }
  return false;
}

char *containerd_socket(void) {
  static char path[sizeof((struct sockaddr_un *)0)->sun_path];
  if (!path[0] && !daemon_json_string("containerd", path, sizeof path)) strcpy(path, SOCKET);
  return path;
}

pid_t containerd_start(void) {
  static char *const argv[] = {"containerd", "--config", CONFIG, NULL};
  mkdir("/var/log", 0755);
  mkdir(RUN, 0711);
  mkdir(STATE, 0711);
  int file = open(CONFIG, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (file < 0 || dprintf(file, config, containerd_socket()) < 0) control_event("warning", "cannot write " CONFIG);
  if (file >= 0) close(file);
  return spawn(argv, -1, LOG);
}

bool containerd_answers(const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
  int connection = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  bool answers = connect(connection, (struct sockaddr *)&address, sizeof address) == 0;
  close(connection);
  return answers;
}
