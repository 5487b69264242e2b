#!/bin/bash
# The program that reads digits as sequences, from the outside: its last line, what it learns in
# seconds, saved weights, and what it says of wrong flags. Runs in the runfiles folder, or anywhere
# with ROWS=binary and DATA=folder.
set -euo pipefail
rows=${ROWS:-models/rows}
data=${DATA:-data/mnist}
command=("$rows" --data="$data" --quiet)
. "$(dirname "${BASH_SOURCE[0]}")/program.sh"

# ---- A short run of each cell ends with the line that programs read. ----
short=(--data="$data" --hidden=24 --epochs=3 --batch_size=32 --subset=2400 --learning_rate=1e-2
  --seed=3 --quiet)
for cell in rnn lstm gru; do
  line=$("$rows" "${short[@]}" --cell=$cell --threads=1)
  pattern='^test_accuracy=(0\.[0-9]{4}) test_loss=[0-9]+\.[0-9]{4} epochs=3 seconds=[0-9]+\.[0-9] '
  pattern+="cell=$cell input=rows seed=3\$"
  [[ $line =~ $pattern ]] || fail "not the line: $line"
  awk -v accuracy="${BASH_REMATCH[1]}" 'BEGIN { exit !(accuracy > 0.5) }' || fail "learned: $line"
done
again=$("$rows" "${short[@]}" --cell=gru --threads=3)
[[ $(without_seconds "$again") == "$(without_seconds "$line")" ]] || fail "$again, not $line"

# ---- Pixel by pixel, saved and loaded. ----
tiny=(--data="$data" --hidden=4 --cell=rnn)
for input in pixels permuted; do
  line=$("$rows" "${tiny[@]}" --$input --epochs=1 --subset=64 --quiet --save="$scratch/$input")
  [[ $line == *" cell=rnn input=$input seed=1" ]] || fail "not the line: $line"
  loaded=$("$rows" "${tiny[@]}" --$input --quiet --load="$scratch/$input" --test_only)
  [[ ${loaded%% *} == "${line%% *}" ]] || fail "--load gives $loaded, not $line"
done
cmp -s "$scratch/pixels" "$scratch/permuted" && fail "--permuted has no effect"

refused 'rows: unknown cell "cnn"; known: rnn, lstm, gru' --cell=cnn
refused "--hidden=-1 is negative" --hidden=-1
refused "--epochs=-1 is negative" --epochs=-1
refused "--clip_norm" --clip_norm=-1
refused "--clip_norm" --clip_norm=nan
refused "--augment: the model reads no images, but [10000,28,28]" --augment=shift=1
refused 'unexpected argument "lstm"' lstm
refused "$scratch/pixels does not fit the model" --load="$scratch/pixels"
refused "--test_only needs --load" --test_only
