#include "agent.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DAEMON_JSON "/etc/docker/daemon.json"
// What the host has for it: src/vm/guest-settings.ts. The first yields to what the rootfs says, the second goes before it.
#define DEFAULTS TOOLS "/etc/daemon-defaults.json"
#define OVERRIDES TOOLS "/etc/daemon.json"

// The host refuses more (src/options/daemon.ts).
#define MAX_BYTES 65536

// A key of an object, and its value.
struct member {
  const char *key;
  size_t key_length;
  const char *value;
  // Behind the value: a comma, or the end of the object.
  const char *end;
};

static bool read_object(const char *path, char *content) {
  int file = open(path, O_RDONLY | O_CLOEXEC);
  ssize_t length = file < 0 ? 0 : read(file, content, MAX_BYTES - 1);
  if (file >= 0) close(file);
  content[length > 0 ? length : 0] = 0;
  // dockerd takes an empty file for an empty object.
  if (!content[strspn(content, " \t\r\n")]) strcpy(content, "{}");
  return length > 0;
}

// What is not there fits as well.
static bool fits(const char *path) {
  struct stat file;
  return stat(path, &file) != 0 || file.st_size < MAX_BYTES;
}

static const char *text(void) {
  static char content[MAX_BYTES];
  if (!content[0]) read_object(DAEMON_JSON, content);
  return content;
}

static const char *past_blanks(const char *at) { return at + strspn(at, " \t\r\n"); }

// `at` is behind the opening quote; returns where the closing one is, or the end of the text.
static const char *string_end(const char *at) {
  for (; *at && *at != '"'; at++)
    if (*at == '\\' && at[1]) at++;
  return at;
}

static const char *value_end(const char *at) {
  for (int depth = 0; *at; at++) {
    if (*at == '"') {
      at = string_end(at + 1);
      if (!*at) return at;
    } else if (*at == '{' || *at == '[') depth++;
    else if ((*at == '}' || *at == ']') && depth-- == 0) return at;
    else if (*at == ',' && depth == 0) return at;
  }
  return at;
}

// `at` is the object's brace, or the end of the member before. What is no JSON has no more members, and dockerd tells.
static bool next_member(const char *at, struct member *member) {
  at = past_blanks(at);
  if (*at != '{' && *at != ',') return false;
  at = past_blanks(at + 1);
  if (*at != '"') return false;
  member->key = at + 1;
  const char *key_end = string_end(member->key);
  member->key_length = key_end - member->key;
  const char *colon = *key_end ? past_blanks(key_end + 1) : key_end;
  if (*colon != ':') return false;
  member->value = past_blanks(colon + 1);
  member->end = value_end(member->value);
  return true;
}

static bool find(const char *object, const char *key, size_t key_length, struct member *found) {
  for (const char *at = object; next_member(at, found); at = found->end)
    if (found->key_length == key_length && strncmp(found->key, key, key_length) == 0) return true;
  return false;
}

bool daemon_json_has(const char *key) {
  struct member found;
  return find(text(), key, strlen(key), &found);
}

bool daemon_json_string(const char *key, char *value, size_t size) {
  struct member found;
  if (!find(text(), key, strlen(key), &found) || *found.value != '"') return false;
  const char *start = found.value + 1;
  size_t length = string_end(start) - start;
  if (length == 0 || length >= size) return false;
  memcpy(value, start, length);
  value[length] = 0;
  return true;
}

// Each key of `first` stands, and those of `second` that it has not.
static bool write_merged(FILE *file, const char *first, const char *second) {
  const char *separator = "{";
  struct member member, other;
  for (const char *at = first; next_member(at, &member); at = member.end) {
    fprintf(file, "%s\"%.*s", separator, (int)(member.end - member.key), member.key);
    separator = ",";
  }
  for (const char *at = second; next_member(at, &member); at = member.end) {
    if (find(first, member.key, member.key_length, &other)) continue;
    fprintf(file, "%s\"%.*s", separator, (int)(member.end - member.key), member.key);
    separator = ",";
  }
  return fprintf(file, "%s}\n", *separator == '{' ? "{" : "") > 0;
}

static void merge(const char *path, bool goes_before) {
  static char own[MAX_BYTES], given[MAX_BYTES];
  char file_path[] = DAEMON_JSON;
  if (!read_object(path, given)) return;
  // What is cut short must not be written back.
  if (!fits(path) || !fits(DAEMON_JSON)) {
    control_event("warning", "no room to merge what this VM has for " DAEMON_JSON ": it stays as it is");
    return;
  }
  read_object(DAEMON_JSON, own);
  make_directories(file_path);
  FILE *file = fopen(DAEMON_JSON ".new", "we");
  bool written = file && write_merged(file, goes_before ? given : own, goes_before ? own : given);
  if (file && fclose(file) != 0) written = false;
  if (!written || rename(DAEMON_JSON ".new", DAEMON_JSON) != 0) control_event("warning", "cannot write " DAEMON_JSON);
}

void daemon_json_merge(void) {
  merge(DEFAULTS, false);
  merge(OVERRIDES, true);
}
