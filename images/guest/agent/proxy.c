#define _GNU_SOURCE  // accept4
#include "agent.h"

#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

// Names and port: guestLink of src/qemu/devices.ts.
#define PORT 61024

static struct proxy {
  char host[256], port[8], credentials[2048];
} plain, tunnelling;

static int listener = -1;

static void listen_for_dockerd(void) {
  struct sockaddr_in address = {
      .sin_family = AF_INET, .sin_port = htons(PORT), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int on = 1;
  listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(listener, (struct sockaddr *)&address, sizeof address) == 0 && listen(listener, 128) == 0) return;
  control_event("warning", "cannot listen for dockerd, which goes by a proxy");
  close(listener);
  listener = -1;
}

void proxy_handle(const char *value) {
  char scheme[8];
  struct proxy proxy;
  if (sscanf(value, "%7s %255s %7s %2047s", scheme, proxy.host, proxy.port, proxy.credentials) != 4) return;
  *(strcmp(scheme, "https") == 0 ? &tunnelling : &plain) = proxy;
  if (listener < 0) listen_for_dockerd();
}

int proxy_descriptor(void) { return listener; }

static bool send_all(int connection, const char *data, size_t length) {
  while (length > 0) {
    ssize_t sent = send(connection, data, length, MSG_NOSIGNAL);
    if (sent < 0) return false;
    data += sent;
    length -= sent;
  }
  return true;
}

static bool send_text(int connection, const char *text) { return send_all(connection, text, strlen(text)); }

static int dial(const struct proxy *proxy) {
  struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *found = NULL;
  if (getaddrinfo(proxy->host, proxy->port, &hints, &found) != 0) return -1;
  int connection = -1;
  for (struct addrinfo *at = found; at && connection < 0; at = at->ai_next) {
    connection = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(connection, at->ai_addr, at->ai_addrlen) == 0) continue;
    close(connection);
    connection = -1;
  }
  freeaddrinfo(found);
  return connection;
}

// Until both are done; each direction ends by itself.
static void carry(int one, int other) {
  static char data[65536];
  struct pollfd ends[2] = {{.fd = one, .events = POLLIN}, {.fd = other, .events = POLLIN}};
  while (ends[0].fd >= 0 || ends[1].fd >= 0) {
    if (poll(ends, 2, -1) < 0) return;
    for (int at = 0; at < 2; at++) {
      if (ends[at].fd < 0 || !ends[at].revents) continue;
      int to = at == 0 ? other : one;
      ssize_t length = read(ends[at].fd, data, sizeof data);
      if (length > 0 && send_all(to, data, length)) continue;
      shutdown(to, SHUT_WR);
      ends[at].fd = -1;
    }
  }
}

// The head of a request goes on with who asks; what is behind it as it is.
static void serve(int connection) {
  static char head[65536];
  size_t length = 0;
  while (!strstr(head, "\r\n\r\n")) {
    ssize_t count = read(connection, head + length, sizeof head - 1 - length);
    if (count <= 0) return;
    length += count;
  }
  bool tunnel = strncmp(head, "CONNECT ", 8) == 0;
  const struct proxy *proxy = tunnel ? &tunnelling : &plain;
  int upstream = proxy->host[0] ? dial(proxy) : -1;
  if (upstream < 0) {
    send_text(connection, "HTTP/1.1 502 The proxy of this guest cannot be reached\r\nConnection: close\r\n\r\n");
    return;
  }
  const char *headers = strstr(head, "\r\n") + 2;
  // Each request needs it, so each has a connection of its own.
  if (send_all(upstream, head, headers - head) && send_text(upstream, "Proxy-Authorization: Basic ") &&
      send_text(upstream, proxy->credentials) && send_text(upstream, "\r\n") &&
      (tunnel || send_text(upstream, "Connection: close\r\n")) &&
      send_all(upstream, headers, length - (headers - head)))
    carry(connection, upstream);
}

void proxy_accept(void) {
  int connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
  if (connection < 0) return;
  if (fork() == 0) {
    serve(connection);
    _exit(0);
  }
  close(connection);
}
