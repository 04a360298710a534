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

static bool is_key(const struct member *member, const char *key) {
  return member->key_length == strlen(key) && strncmp(member->key, key, member->key_length) == 0;
}

static void warn_left_out(const char *what, const char *key) {
  char text[256];
  snprintf(text, sizeof text, "the rootfs's %s is left out: dockerd does not take it beside \"%s\" of the option daemon", what, key);
  control_event("warning", text);
}

// Keys of which dockerd takes one.
static const char *const exclusive[][2] = {{"bip", "bridge"}};

// The pair that the member's key is one of, with that first; false where it excludes none.
static bool find_pair(const struct member *member, const char *pair[2]) {
  for (size_t at = 0; at < sizeof exclusive / sizeof *exclusive; at++)
    for (int one = 0; one < 2; one++) {
      if (!is_key(member, exclusive[at][one])) continue;
      pair[0] = exclusive[at][one];
      pair[1] = exclusive[at][!one];
      return true;
    }
  return false;
}

// Whether the object has a key that excludes the member's.
static bool excludes(const char *object, const struct member *member) {
  const char *pair[2];
  struct member found;
  if (!find_pair(member, pair) || !find(object, pair[1], strlen(pair[1]), &found)) return false;
  warn_left_out(pair[0], pair[1]);
  return true;
}

// Flags whose keys are neither their names, nor those with an s, as of what can be given more than once.
static const struct {
  const char *flag, *key;
} renamed[] = {
    {"-D", "debug"},
    {"-G", "group"},
    {"-H", "hosts"},
    {"-b", "bridge"},
    {"-l", "log-level"},
    {"-s", "storage-driver"},
    {"--add-runtime", "runtimes"},
    {"--insecure-registry", "insecure-registries"},
};

// Whether a word of dockerd's command line gives what the key of daemon.json gives: it refuses both.
static bool gives(const char *word, const struct member *member) {
  bool is_short = word[0] == '-' && word[1] != '-';
  size_t length = is_short ? 2 : strcspn(word, "=");
  for (size_t at = 0; at < sizeof renamed / sizeof *renamed; at++)
    if (strlen(renamed[at].flag) == length && strncmp(word, renamed[at].flag, length) == 0) return is_key(member, renamed[at].key);
  if (length <= 2 || strncmp(word, "--", 2) != 0) return false;
  bool is_plural = member->key_length == length - 1 && member->key[length - 2] == 's';
  return (is_plural || member->key_length == length - 2) && strncmp(word + 2, member->key, length - 2) == 0;
}

// ... or what excludes it.
static bool gives_instead(const char *word, const struct member *member) {
  const char *pair[2];
  if (!find_pair(member, pair)) return false;
  const struct member excluded = {.key = pair[1], .key_length = strlen(pair[1])};
  return gives(word, &excluded);
}

static bool is_given(char *const given[], const struct member *member) {
  for (size_t at = 1; given && given[0] && given[at]; at++)
    if (gives(given[at], member)) return true;
  return false;
}

// Takes from the command line what the object has. The value may be the next word: dockerd takes none that are neither flags nor values.
static void take_from(char *given[], const char *object) {
  struct member member;
  for (const char *place = object; next_member(place, &member); place = member.end) {
    size_t kept = 1;
    for (size_t at = 1; given[at]; at++) {
      if (!gives(given[at], &member) && !gives_instead(given[at], &member)) {
        given[kept++] = given[at];
        continue;
      }
      char key[64];
      snprintf(key, sizeof key, "%.*s", (int)member.key_length, member.key);
      warn_left_out(given[at], key);
      bool has_value = given[at][1] == '-' ? strchr(given[at], '=') != NULL : given[at][2] != 0;
      if (!has_value && given[at + 1] && given[at + 1][0] != '-') at++;
    }
    given[kept] = NULL;
  }
}

static void write_member(FILE *file, const char **separator, const struct member *member) {
  fprintf(file, "%s\"%.*s", *separator, (int)(member->end - member->key), member->key);
  *separator = ",";
}

// Each key of `first` stands, and those of `second` that neither it nor the command line has, in whatever way.
static bool write_merged(FILE *file, const char *first, const char *second, char *const given[]) {
  const char *separator = "{";
  struct member member, other;
  for (const char *at = first; next_member(at, &member); at = member.end) write_member(file, &separator, &member);
  for (const char *at = second; next_member(at, &member); at = member.end) {
    if (find(first, member.key, member.key_length, &other) || is_given(given, &member) || excludes(first, &member)) continue;
    write_member(file, &separator, &member);
  }
  return fprintf(file, "%s}\n", *separator == '{' ? "{" : "") > 0;
}

static void merge(const char *path, bool goes_before, char *given[]) {
  static char own[MAX_BYTES], added[MAX_BYTES];
  char file_path[] = DAEMON_JSON;
  if (!read_object(path, added)) return;
  // What is cut short must not be written back.
  if (!fits(path) || !fits(DAEMON_JSON)) {
    control_event("warning", "no room to merge what this VM has for " DAEMON_JSON ": it stays as it is");
    return;
  }
  read_object(DAEMON_JSON, own);
  make_directories(file_path);
  FILE *file = fopen(DAEMON_JSON ".new", "we");
  bool written = file && (goes_before ? write_merged(file, added, own, NULL) : write_merged(file, own, added, given));
  if (file && fclose(file) != 0) written = false;
  if (!written || rename(DAEMON_JSON ".new", DAEMON_JSON) != 0) control_event("warning", "cannot write " DAEMON_JSON);
  else if (goes_before && given && given[0]) take_from(given, added);
}

void daemon_json_merge(char *given[]) {
  merge(DEFAULTS, false, given);
  merge(OVERRIDES, true, given);
}
