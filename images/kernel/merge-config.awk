# merge-config.awk -v wanted=FILE FRAGMENT...
# Prints the options of all fragments, the last word on each; FILE receives OPTION, VALUE, FRAGMENT and KIND, with tabs.
# A fragment's path is ORDER-KIND/NAME, with the kind `ready` or `given`. What one fragment changes of another is told on
# standard error; a line that is no option ends it.
function want(option, value) {
  if (option in values && values[option] != value)
    tell("notice: " name " sets " option "=" value ", overriding " fragments[option] " (" option "=" values[option] ")")
  if (!(option in values)) order[++count] = option
  values[option] = value
  fragments[option] = name
  kinds[option] = kind
}

function tell(line) {
  print line >"/dev/stderr"
}

FNR == 1 {
  name = FILENAME
  sub(/.*\//, "", name)
  kind = FILENAME ~ /-given\/[^\/]*$/ ? "given" : "ready"
}
{ sub(/\r$/, "") }
/^CONFIG_[A-Za-z0-9_]+=./ {
  at = index($0, "=")
  want(substr($0, 1, at - 1), substr($0, at + 1))
  next
}
/^# CONFIG_[A-Za-z0-9_]+ is not set *$/ { want($2, "n"); next }
/^[ \t]*(#|$)/ { next }
{
  tell("error: " name ", line " FNR ": not an option such as CONFIG_KASAN=y: " $0)
  failed = 1
}

END {
  if (failed) exit 1
  for (i = 1; i <= count; i++) {
    option = order[i]
    print values[option] == "n" ? "# " option " is not set" : option "=" values[option]
    print option "\t" values[option] "\t" fragments[option] "\t" kinds[option] >wanted
  }
}
