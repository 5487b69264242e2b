#!/bin/bash
# The adding problem's program from the outside: a length that is solved in seconds, the last lines,
# the table of gradients, and what it says of wrong flags. Runs in the runfiles folder, or anywhere
# with ADDING=binary.
set -euo pipefail
adding=${ADDING:-models/adding}
command=("$adding" --quiet)
. "$(dirname "${BASH_SOURCE[0]}")/program.sh"

# ---- Two steps to remember are easy for every cell. ----
"$adding" --length=4 --hidden=16 --learning_rate=2e-2 --sequences=100000 >"$scratch/out"
for cell in lstm gru rnn; do
  pattern="^cell=$cell length=4 solved=1 sequences=[0-9]+ seconds=[0-9]+\.[0-9] seed=1\$"
  tail -n 3 "$scratch/out" | grep -qE "$pattern" || fail "no $cell in $(cat "$scratch/out")"
done
grep -qE "^ +t +lstm h +lstm c +lstm h' +lstm c' +gru h +gru h' +rnn h +rnn h'" "$scratch/out" ||
  fail "no table in $(cat "$scratch/out")"
grep -qE "^ +4  +1e\+00 " "$scratch/out" || fail "no last step in $(cat "$scratch/out")"

# ---- A budget that is too small; the same numbers again. ----
small=(--length=30 --hidden=8 --cell=gru --sequences=320 --seed=2 --quiet)
line=$("$adding" "${small[@]}" --save="$scratch/weights")
[[ $(without_seconds "$line") == "cell=gru length=30 solved=0 sequences=320 seed=2" ]] ||
  fail "not the line: $line"
"$adding" "${small[@]}" --save="$scratch/again" --threads=3 >/dev/null
cmp "$scratch/weights" "$scratch/again" || fail "other weights on three threads"
"$adding" "${small[@]}" --load="$scratch/weights" >/dev/null || fail "--load"

refused 'adding: unknown cell "cnn"; known: lstm, gru, rnn, all' --cell=cnn
refused "--length is at least 2" --length=1
refused "--hidden is at least 1" --hidden=0
refused "--sequences is at least 1" --sequences=0
refused "--save and --load need one --cell" --save="$scratch/x"
