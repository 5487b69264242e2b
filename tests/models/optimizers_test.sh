#!/bin/bash
# The comparison of optimizers from the outside: its table, its curves, and what it says of wrong
# flags. Runs in the runfiles folder, or anywhere with OPTIMIZERS=binary.
set -euo pipefail
optimizers=${OPTIMIZERS:-models/optimizers}
command=("$optimizers")
. "$(dirname "${BASH_SOURCE[0]}")/program.sh"

"$optimizers" --seconds=1 --csv="$scratch/curves.csv" >"$scratch/out"
[[ $(wc -l <"$scratch/out") == 7 ]] || fail "not six methods: $(cat "$scratch/out")"
grep -qE "^Adam +[0-9]+ +[0-9.]+ +[0-9.]+ +[0-9.]+ %$" "$scratch/out" ||
  fail "no Adam: $(cat "$scratch/out")"

# Every curve begins at the same loss, that of the same initial weights, and ends lower.
[[ $(head -n 1 "$scratch/curves.csv") == "method,step,examples,seconds,loss" ]] || fail "header"
awk -F, '
  NR == 1 { next }
  !($1 in first) { first[$1] = $5; if (NR == 2) begin = $5; if ($5 != begin || $2 != 0) bad = 1 }
  { last[$1] = $5 }
  END {
    for (m in first) { ++n; if (!(last[m] < 0.99 * first[m])) { print m, first[m], last[m]; bad = 1 } }
    exit bad || n != 6
  }' "$scratch/curves.csv" || fail "curves: $(cat "$scratch/curves.csv")"

refused "--seconds is not above 0" --seconds=0
refused "--batch_size has no use here" --batch_size=3
refused "$scratch/none/x.csv" --csv="$scratch/none/x.csv"
