#include "agent.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define DOCKER_SOCKET "/var/run/docker.sock"
#define LOG "/var/log/dockerd.log"
#define LOG_TAIL_BYTES 8192

// The file holds one argument a line.
pid_t command_start(char *containerd) {
  static char text[8192];
  char *argv[128];
  size_t count = 0;
  int file = open(TOOLS "/etc/command", O_RDONLY | O_CLOEXEC);
  ssize_t length = file < 0 ? 0 : read(file, text, sizeof text - 1);
  close(file);
  text[length > 0 ? length : 0] = 0;
  for (char *word = strtok(text, "\n"); word && count < 125; word = strtok(NULL, "\n")) argv[count++] = word;
  if (containerd) {
    argv[count++] = "--containerd";
    argv[count++] = containerd;
  }
  argv[count] = NULL;
  mkdir("/var/log", 0755);
  return spawn(argv, -1, LOG);
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

bool command_is_docker(void) {
  static char by[16];
  if (!by[0]) {
    int file = open(TOOLS "/etc/ready", O_RDONLY | O_CLOEXEC);
    if (file < 0 || read(file, by, sizeof by - 1) <= 0) strcpy(by, "docker");
    close(file);
  }
  return by[0] != 's';  // "started" or "docker"
}

bool command_is_ready(void) {
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
