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

static bool parse_path(const char *text, size_t length, size_t longest, struct request *request) {
  if (length == 0 || length > longest || text[0] != '/' || memchr(text, 0, length)) return false;
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

bool request_parse(const char *line, size_t length, struct request *request) {
  static const struct {
    const char *word;
    // 0 for a port.
    size_t longest_path;
  } destinations[] = {
      [TO_UNIX] = {" unix ", SOCKET_PATH_MAX_LENGTH},
      [TO_TCP] = {" tcp ", 0},
      [TO_TCP6] = {" tcp6 ", 0},
      [TO_UDP] = {" udp ", 0},
      [TO_UDP6] = {" udp6 ", 0},
      [TO_READ_ONLY_DIRECTORY] = {" ro ", PATH_MAX_LENGTH},
      [TO_DIRECTORY] = {" rw ", PATH_MAX_LENGTH},
  };
  memset(request, 0, sizeof *request);
  if (length < SECRET_LENGTH || !is_secret(line)) return false;
  memcpy(request->secret, line, SECRET_LENGTH);
  const char *text = line + SECRET_LENGTH, *end = line + length;
  for (size_t at = 0; at < sizeof destinations / sizeof *destinations; at++) {
    const char *word = destinations[at].word;
    size_t longest = destinations[at].longest_path, word_length = strlen(word);
    if ((size_t)(end - text) < word_length || memcmp(text, word, word_length) != 0) continue;
    text += word_length;
    request->destination = at;
    return longest > 0 ? parse_path(text, end - text, longest, request) : port_parse(text, end - text, &request->port);
  }
  return false;
}

bool secret_equals(const char *one, const char *other) {
  volatile unsigned char difference = 0;
  for (size_t at = 0; at < SECRET_LENGTH; at++) difference |= one[at] ^ other[at];
  return difference == 0;
}
