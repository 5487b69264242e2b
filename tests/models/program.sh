# What the tests of the models' programs share. Sourced; `command` is set before: the program, with
# the flags that every call to be refused gets.
scratch=$(mktemp -d "${TEST_TMPDIR:-/tmp}/program_test.XXXXXX")
running=
trap '[[ -z $running ]] || kill -9 "$running" 2>/dev/null || true; rm -rf "$scratch"' EXIT

fail() {
  echo "FAILED: $*"
  exit 1
}
without_seconds() { sed -E 's/ seconds=[^ ]+//' <<<"$1"; }

# refused TEXT ARGUMENT...: the program exits with 1 and prints one line to stderr, with TEXT in it.
refused() {
  local message=$1 code=0
  shift
  "${command[@]}" "$@" >"$scratch/out" 2>"$scratch/err" || code=$?
  [[ $code == 1 ]] || fail "$*: exit $code"
  [[ ! -s $scratch/out ]] || fail "$*: printed $(cat "$scratch/out")"
  [[ $(wc -l <"$scratch/err") == 1 ]] || fail "$*: not one line: $(cat "$scratch/err")"
  grep -qF -- "$message" "$scratch/err" || fail "$*: no \"$message\" in $(cat "$scratch/err")"
}

# interrupted COMMAND...: Ctrl-C in its first epoch ends it with 130 and nothing on stderr. What it
# printed is in $scratch/out.
interrupted() {
  set -m # background jobs of a script ignore SIGINT unless they are monitored
  "$@" >"$scratch/out" 2>"$scratch/err" &
  running=$!
  set +m
  until grep -q "^Epoch 1/" "$scratch/out"; do
    kill -0 "$running" 2>/dev/null || fail "ended early: $(cat "$scratch/err")"
    sleep 0.05
  done
  kill -INT "$running"
  local code=0
  wait "$running" || code=$?
  running=
  [[ $code == 130 ]] || fail "interrupted: exit $code"
  [[ ! -s $scratch/err ]] || fail "interrupted: $(cat "$scratch/err")"
}
