#include "agent.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define DAEMON_JSON "/etc/docker/daemon.json"

static const char *text(void) {
  static char content[65536];
  if (content[0]) return content;
  int file = open(DAEMON_JSON, O_RDONLY | O_CLOEXEC);
  ssize_t length = file < 0 ? 0 : read(file, content, sizeof content - 1);
  if (file >= 0) close(file);
  if (length <= 0) strcpy(content, "{}");
  return content;
}

static const char *past_blanks(const char *at) { return at + strspn(at, " \t\r\n"); }

// `at` is behind the opening quote; returns where the closing one is, or the end of the text.
static const char *string_end(const char *at) {
  for (; *at && *at != '"'; at++)
    if (*at == '\\' && at[1]) at++;
  return at;
}

// What is behind the colon of a key of the outermost object. What is no JSON dockerd tells.
static const char *value_of(const char *key) {
  int depth = 0;
  for (const char *at = text(); *at; at++) {
    if (*at == '{' || *at == '[') depth++;
    else if (*at == '}' || *at == ']') depth--;
    else if (*at == '"') {
      const char *start = at + 1, *end = string_end(start);
      if (!*end) return NULL;
      at = end;
      const char *next = past_blanks(end + 1);
      if (depth == 1 && *next == ':' && strlen(key) == (size_t)(end - start) && strncmp(start, key, end - start) == 0)
        return past_blanks(next + 1);
    }
  }
  return NULL;
}

bool daemon_json_has(const char *key) { return value_of(key) != NULL; }

bool daemon_json_string(const char *key, char *value, size_t size) {
  const char *start = value_of(key);
  if (!start || *start++ != '"') return false;
  size_t length = string_end(start) - start;
  if (length == 0 || length >= size) return false;
  memcpy(value, start, length);
  value[length] = 0;
  return true;
}
