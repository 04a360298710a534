# check-config.awk KCONFIG-LINES WANTED CONFIG
# Compares what the fragments asked for (see merge-config.awk) with what came out of `make olddefconfig`, which drops options
# without a word. KCONFIG-LINES are the `config` and `depends on` lines of the kernel's Kconfig files.
#
# A fragment of the user's gets what it asks for, or it is an error. One of ours serves many versions: options that a kernel
# does not know are passed over; base.config only tells of others, because the user may have turned off what they need.
FNR == 1 { file++ }

file == 1 && /^[ \t]*(menu)?config[ \t]/ { symbol = "CONFIG_" $2; known[symbol] = 1; next }
file == 1 {
  sub(/^[ \t]*depends on[ \t]+/, "")
  needs[symbol] = needs[symbol] == "" ? $0 : needs[symbol] " && " $0
  next
}

file == 2 {
  split($0, part, "\t")
  order[++count] = part[1]
  asked[part[1]] = part[2]
  fragment[part[1]] = part[3]
  kind[part[1]] = part[4]
  next
}

/^CONFIG_/ { at = index($0, "="); actual[substr($0, 1, at - 1)] = substr($0, at + 1) }

END {
  for (i = 1; i <= count; i++) report(order[i])
  for (i = 1; i <= errors; i++) print error[i] >"/dev/stderr"
  exit errors > 0
}

function report(option,    became, line) {
  became = option in actual ? actual[option] : "n"
  if (became == asked[option]) return
  if (!(option in known)) {
    if (kind[option] == "ready" || asked[option] == "n") return
    error[++errors] = "error: " fragment[option] " asks for " option "=" asked[option] ", which this kernel does not have"
    return
  }
  line = fragment[option] " asks for " option "=" asked[option] ", but it became " option "=" became reason(option, became)
  if (fragment[option] == "base.config" && kind[option] == "ready" || asked[option] == "m" && became == "y")
    print "notice: " line >"/dev/stderr"
  else error[++errors] = "error: " line
}

function reason(option, became) {
  if (asked[option] == "n") return " (other options need it)"
  if (became == "n" && needs[option] != "") return " (it depends on " needs[option] ")"
  return ""
}
