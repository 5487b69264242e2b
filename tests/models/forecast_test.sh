#!/bin/bash
# The forecast program from the outside: its last line, its exit codes, what it says of wrong flags
# and files, and Ctrl-C. Runs in the runfiles folder, or anywhere with FORECAST=binary.
set -euo pipefail
forecast=${FORECAST:-models/forecast}
command=("$forecast" --quiet)
. "$(dirname "${BASH_SOURCE[0]}")/program.sh"
number='-?[0-9.]+(e[+-][0-9]+)?'
pattern="^test_mse=($number) naive_mse=($number) ratio=([0-9.]+) next=($number) "
pattern+="best_epoch=[0-9]+ epochs=[0-9]+ seconds=[0-9]+\.[0-9] seed=[0-9]+$"
holds() { awk "BEGIN { exit !($1) }"; }

# ---- Noisy sines: a short run beats the naive forecast; the last line says so. ----
short=(--length=1000 --window=24 --hidden=16 --epochs=12 --batch_size=32 --quiet)
line=$("$forecast" "${short[@]}")
[[ $line =~ $pattern ]] || fail "not the line: $line"
holds "${BASH_REMATCH[5]} < 0.8" || fail "not better: $line"
holds "${BASH_REMATCH[1]} / ${BASH_REMATCH[3]} - ${BASH_REMATCH[5]} < 0.001" || fail "$line"

# ---- The same seed gives the same numbers, on any number of threads. ----
for threads in 1 3; do
  again=$("$forecast" "${short[@]}" --threads=$threads)
  [[ $(without_seconds "$again") == "$(without_seconds "$line")" ]] ||
    fail "--threads=$threads gives $again, not $line"
done
other=$("$forecast" "${short[@]}" --seed=2)
[[ ${other%% *} != "${line%% *}" ]] || fail "--seed has no effect: $other"

# ---- A column of a CSV file: errors in its units, and the next value. ----
awk 'BEGIN { print "day,\"price, EUR\""; for (t = 0; t < 600; ++t)
  printf "\"Mon, %d\",%.3f\r\n", t, 5000 + 100 * sin(t / 2) }' >"$scratch/a.csv"
csv=(--csv="$scratch/a.csv" --column="price, EUR")
small=(--window=16 --hidden=16 --batch_size=32 --quiet)
line=$("$forecast" "${csv[@]}" "${small[@]}" --epochs=20 --save="$scratch/w")
[[ $line =~ $pattern ]] || fail "not the line: $line"
naive=${BASH_REMATCH[3]} next=${BASH_REMATCH[6]}
holds "${BASH_REMATCH[5]} < 0.05" || fail "not better: $line"
holds "$naive > 1100 && $naive < 1350" || fail "other units: $line" # 100^2 sin^2(1/4) 2 = 1224
# 5000 + 100 sin(300); naively it is 5000 + 100 sin(299.5) = 4910.
holds "$next > 4890 && $next < 4910" || fail "next: $line"

# Ten times the numbers: a hundred times the errors.
for factor in 1 10; do
  awk -v factor=$factor 'BEGIN { print "a"; for (t = 0; t < 600; ++t)
    print factor * (3 * sin(t / 2) + t % 7) }' >"$scratch/$factor.csv"
  scaled[factor]=$("$forecast" --csv="$scratch/$factor.csv" --column=a "${small[@]}" --epochs=2)
done
[[ ${scaled[1]} =~ $pattern ]] || fail "not the line: ${scaled[1]}"
error=${BASH_REMATCH[1]} ratio=${BASH_REMATCH[5]}
[[ ${scaled[10]} =~ $pattern ]] || fail "not the line: ${scaled[10]}"
holds "${BASH_REMATCH[1]} / $error > 99 && ${BASH_REMATCH[1]} / $error < 101" &&
  holds "${BASH_REMATCH[5]} / $ratio > 0.99 && ${BASH_REMATCH[5]} / $ratio < 1.01" ||
  fail "of ten times the numbers: ${scaled[10]}, not ${scaled[1]}"

# ---- What was saved forecasts the same. ----
loaded=$("$forecast" "${csv[@]}" "${small[@]}" --epochs=0 --load="$scratch/w")
[[ ${loaded%% best_epoch*} == "${line%% best_epoch*}" ]] || fail "loaded: $loaded, not $line"

# ---- With progress, and without accuracy. ----
"$forecast" "${short[@]}" --noquiet --epochs=1 >"$scratch/out"
grep -q '^1000 values; windows to train on: 676, to validate: 150, to test: 150; ' "$scratch/out" ||
  fail "$(cat "$scratch/out")"
grep -qE '^Epoch 1/1  22/22  loss .* validation loss' "$scratch/out" || fail "$(cat "$scratch/out")"
! grep -q accuracy "$scratch/out" || fail "accuracy of what? $(cat "$scratch/out")"

refused 'unexpected argument "now"' now
refused "--epochs=-1 is negative" --epochs=-1
for flag in length window hidden; do
  refused "--$flag=0, expected 1 to" --$flag=0
done
refused "--noise=-1 is no deviation" --noise=-1
refused "--noise=nan is no deviation" --noise=nan
refused "20 values are too few" --length=20
refused "--csv and --column belong together" --csv="$scratch/a.csv"
refused "--csv and --column belong together" --column=price
refused "--length means nothing with --csv" "${csv[@]}" --length=100
refused "--noise means nothing with --csv" "${csv[@]}" --noise=1
refused "$scratch/none.csv" --csv="$scratch/none.csv" --column=a
refused "no column \"price\"; there are \"day\", \"price, EUR\"" --csv="$scratch/a.csv" \
  --column=price
refused "$scratch/a.csv: row 2, column \"day\": \"Mon, 0\" is not a number" \
  --csv="$scratch/a.csv" --column=day
bad=$scratch/bad.csv
# bad_file TEXT CONTENTS: what is said of column "a" of the file.
bad_file() {
  printf "$2" >"$bad"
  refused "$bad: $1" --csv="$bad" --column=a
}
bad_file 'at byte 0: no header' ''
bad_file 'row 3, column "a": missing' 'a,b\n1,2\n,4\n'
bad_file 'row 3, column "a": "x" is not a number' 'a,b\n1,2\nx,4\n'
bad_file 'row 3 has 1 fields, the header 2' 'a,b\n1,2\n3\n'
bad_file 'at byte 4: a quote that is never closed' 'a,b\n"1,2\n'
bad_file '3 values are too few' 'a\n1\n2\n3\n'
bad_file 'the standard deviation of the first 140 values is 0' "a\n$(printf '5\\n%.0s' {1..200})"
refused "$scratch/no/w" "${short[@]}" --save="$scratch/no/w"
refused "does not fit the model" "${short[@]}" --load="$scratch/w" --hidden=8

# ---- Ctrl-C: the step is completed, what there is tested, the last line printed, exit 130. ----
interrupted "$forecast" "${short[@]}" --noquiet --epochs=100000
[[ $(tail -n 1 "$scratch/out") =~ $pattern ]] || fail "last line: $(tail -n 1 "$scratch/out")"
