#include "door.h"

#include <errno.h>
#include <string.h>

enum line line_receive(int connection, char *line, size_t size, size_t *length) {
  ssize_t count = recv(connection, line + *length, size - *length, 0);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return LINE_IS_PART;
  if (count <= 0) return LINE_HAS_NO_END;
  *length += count;
  const char *line_feed = memchr(line, '\n', *length);
  if (!line_feed && *length < size) return LINE_IS_PART;
  if (!line_feed || line_feed != line + *length - 1) return LINE_IS_NONE;
  --*length;
  return LINE_IS_WHOLE;
}

static bool is_secret(const char *text) {
  for (size_t at = 0; at < SECRET_LENGTH; at++)
    if (!((text[at] >= '0' && text[at] <= '9') || (text[at] >= 'a' && text[at] <= 'f'))) return false;
  return true;
}

static bool parse_path(const char *text, size_t length, struct request *request) {
  if (length == 0 || length > PATH_MAX_LENGTH || text[0] != '/' || memchr(text, 0, length)) return false;
  memcpy(request->path, text, length);
  return true;
}

bool port_parse(const char *text, size_t length, uint16_t *port) {
  unsigned value = 0;
  if (length == 0 || length > 5 || text[0] == '0') return false;
  for (size_t at = 0; at < length; at++) {
    if (text[at] < '0' || text[at] > '9') return false;
    value = value * 10 + (text[at] - '0');
  }
  if (value > UINT16_MAX) return false;
  *port = value;
  return true;
}

static const char *behind(const char *word, const char *text, const char *end) {
  size_t length = strlen(word);
  return (size_t)(end - text) >= length && memcmp(text, word, length) == 0 ? text + length : NULL;
}

bool request_parse(const char *line, size_t length, struct request *request) {
  const char *end = line + length;
  memset(request, 0, sizeof *request);
  if (length < SECRET_LENGTH || !is_secret(line)) return false;
  memcpy(request->secret, line, SECRET_LENGTH);
  const char *destination = line + SECRET_LENGTH;
  const char *path = behind(" unix ", destination, end);
  if (path) return parse_path(path, end - path, request);
  const char *port = behind(" tcp ", destination, end);
  if (port) return port_parse(port, end - port, &request->port);
  port = behind(" udp ", destination, end);
  request->datagrams = true;
  return port && port_parse(port, end - port, &request->port);
}

bool secret_equals(const char *one, const char *other) {
  volatile unsigned char difference = 0;
  for (size_t at = 0; at < SECRET_LENGTH; at++) difference |= one[at] ^ other[at];
  return difference == 0;
}
