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
#define CONFIG TOOLS "/etc/containerd.toml"
#define LOG "/var/log/containerd.log"
#define DAEMON_JSON "/etc/docker/daemon.json"

static const char config[] =
    "version = 2\n"
    "root = \"/var/lib/docker/containerd/daemon\"\n"
    "state = \"" STATE "/daemon\"\n"
    "oom_score = -500\n"
    "disabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n"
    "[grpc]\n"
    "  address = \"" CONTAINERD_SOCKET "\"\n"
    "[debug]\n"
    "  address = \"" STATE "/containerd-debug.sock\"\n";

static bool is_installed(void) {
  static const char *const directories[] = {"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"};
  for (size_t at = 0; at < sizeof directories / sizeof *directories; at++) {
    char path[64];
    snprintf(path, sizeof path, "%s/containerd", directories[at]);
    if (access(path, X_OK) == 0) return true;
  }
  return false;
}

// dockerd refuses what is both on its command line and in its configuration.
static bool is_configured(void) {
  static char text[65536];
  int file = open(DAEMON_JSON, O_RDONLY | O_CLOEXEC);
  ssize_t length = file < 0 ? 0 : read(file, text, sizeof text - 1);
  if (file >= 0) close(file);
  text[length > 0 ? length : 0] = 0;
  return strstr(text, "\"containerd\"") != NULL;
}

bool containerd_is_ours(void) {
  return is_installed() && !is_configured();
}

pid_t containerd_start(void) {
  static char *const argv[] = {"containerd", "--config", CONFIG, NULL};
  mkdir("/var/log", 0755);
  mkdir(RUN, 0711);
  mkdir(STATE, 0711);
  int file = open(CONFIG, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (file < 0 || write(file, config, sizeof config - 1) < 0) control_event("warning", "cannot write " CONFIG);
  if (file >= 0) close(file);
  return spawn(argv, -1, LOG);
}

bool containerd_answers(void) {
  struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = CONTAINERD_SOCKET};
  int connection = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  bool answers = connect(connection, (struct sockaddr *)&address, sizeof address) == 0;
  close(connection);
  return answers;
}
