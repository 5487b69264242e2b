#!/bin/bash
# The text program from the outside: its last line, what it generates, its exit codes, what it says
# of wrong flags and files, and Ctrl-C. Runs in the runfiles folder, or anywhere with TEXT=binary.
set -euo pipefail
text=${TEXT:-models/text}
command=("$text")
. "$(dirname "${BASH_SOURCE[0]}")/program.sh"
weights=$scratch/w.safetensors
for _ in {1..60}; do printf 'Größe, gräßlich groß\n'; done >"$scratch/data.txt"
small=(--data="$scratch/data.txt" --hidden=32 --layers=1 --embedding=8 --batch_size=4 --steps=16)

# ---- A short run learns the line by heart and ends with the line that programs read. ----
line=$("$text" train "${small[@]}" --epochs=12 --dropout=0.1 --learning_rate=0.03 --seed=3 --quiet \
  --save="$weights")
number='[0-9]+\.[0-9]{4}'
pattern="^val_nats=($number) val_bits=$number train_nats=$number best_epoch=[0-9]+ epochs=12 "
pattern+='seconds=[0-9]+\.[0-9] seed=3$'
[[ $line =~ $pattern ]] || fail "not the line: $line"
awk -v nats="${BASH_REMATCH[1]}" 'BEGIN { exit !(nats < 0.3) }' || fail "learned: $line"

# ---- The same seed gives the same numbers and weights, on any number of threads. ----
for threads in 1 3; do
  again=$("$text" train "${small[@]}" --epochs=12 --dropout=0.1 --learning_rate=0.03 --seed=3 \
    --quiet --threads=$threads --save="$scratch/again")
  [[ $(without_seconds "$again") == "$(without_seconds "$line")" ]] ||
    fail "--threads=$threads gives $again, not $line"
  cmp -s "$weights" "$scratch/again" || fail "--threads=$threads gives other weights"
done

# ---- It goes on from saved weights. ----
more=$("$text" train --data="$scratch/data.txt" --batch_size=4 --steps=16 --load="$weights" \
  --epochs=1 --learning_rate=0.001 --quiet)
[[ $more =~ ^val_nats=($number) ]] || fail "not the line: $more"
awk -v nats="${BASH_REMATCH[1]}" 'BEGIN { exit !(nats < 0.3) }' || fail "went on: $more"
# What it makes worse it does not keep.
cp "$weights" "$scratch/kept"
worse=$("$text" train --data="$scratch/data.txt" --batch_size=4 --steps=16 --load="$scratch/kept" \
  --save="$scratch/kept" --epochs=1 --learning_rate=1 --clip_norm=0 --quiet)
[[ $worse == *" best_epoch=0 "* ]] || fail "kept an epoch that is worse: $worse"
cmp -s "$weights" "$scratch/kept" || fail "the loaded weights are gone"

# ---- Progress, and no accuracy. ----
"$text" train "${small[@]}" --epochs=1 >"$scratch/out"
grep -q "data.txt: 1260 characters, 15 different; " "$scratch/out" || fail "$(cat "$scratch/out")"
grep -qE '^Epoch 1/1  17/17  loss .* validation loss' "$scratch/out" || fail "$(cat "$scratch/out")"
! grep -q accuracy "$scratch/out" || fail "accuracy of what? $(cat "$scratch/out")"

# ---- What it writes: the text it learned, the same for the same seed. ----
generate() { "$text" generate --load="$weights" "$@"; }
[[ $(generate --prompt='Größe, ' --length=13 --temperature=0) == 'Größe, gräßlich groß' ]] ||
  fail "generated: $(generate --prompt='Größe, ' --length=13 --temperature=0)"
[[ $(generate --prompt=Gr --length=0) == Gr ]] || fail "nothing to generate"
[[ $(generate --length=60 | LC_ALL=C.UTF-8 wc -m) == 61 ]] || fail "60 characters, end of line"
hot() { generate --temperature=3 --length=100 "$@"; }
[[ $(hot --seed=1) == "$(hot --seed=1)" ]] || fail "--seed=1 gives two texts"
[[ $(hot --seed=1) != "$(hot --seed=2)" ]] || fail "--seed has no effect"
[[ $(hot --seed=1 --top_k=1) == "$(hot --seed=2 --top_k=1)" ]] || fail "--top_k=1 still draws"

refused 'text: no command; known: train, generate'
refused 'unknown command "trian"; known: train, generate' trian
refused 'unexpected argument "now"' train now
refused 'bogus' train --bogus=1
refused '--prompt means nothing to train' train --prompt=a
refused '--data means nothing to generate' generate --data="$scratch/data.txt"
refused '--save means nothing to generate' generate --save="$weights"

refused "$scratch/none" train --data="$scratch/none"
: >"$scratch/empty.txt"
refused "$scratch/empty.txt: at byte 0: the text is empty" train --data="$scratch/empty.txt"
printf 'Gr\xf6\xdfe' >"$scratch/latin1.txt"
refused "$scratch/latin1.txt: at byte 2: not UTF-8 (0xf6 0xdf" train --data="$scratch/latin1.txt"
printf 'To be, or not to be' >"$scratch/short.txt"
refused "$scratch/short.txt: the text is too short: 17 characters, but 64 streams of 64 steps" \
  train --data="$scratch/short.txt"
printf a >"$scratch/one.txt"
refused 'too short' train --data="$scratch/one.txt" --batch_size=1 --steps=1
printf 'abc' >"$scratch/three.txt" # validates on one
refused 'too short' train --data="$scratch/three.txt" --batch_size=1 --steps=1

for flag in steps layers hidden embedding; do
  refused "--$flag=0, expected 1 to" train "${small[@]}" --$flag=0
done
refused "--epochs=-1 is negative" train "${small[@]}" --epochs=-1
refused "--batch_size=-1 is negative" train "${small[@]}" --batch_size=-1
refused "--dropout=1, expected 0 to below 1" train "${small[@]}" --dropout=1
refused "--clip_norm=-1 is not a norm" train "${small[@]}" --clip_norm=-1
refused "--clip_norm=nan is not a norm" train "${small[@]}" --clip_norm=nan
refused "--learning_rate" train "${small[@]}" --learning_rate=-1
refused "--hidden is up to the weights of --load" train --load="$weights" --hidden=64
refused "$scratch/no/w" train "${small[@]}" --save="$scratch/no/w"
printf 'Größe! Größe!' >"$scratch/other.txt"
refused "$scratch/other.txt: U+0021 '!' at position 5 is not among the 15 characters" \
  train --load="$weights" --data="$scratch/other.txt"

refused 'generate needs --load' generate
refused '--length=-1 is negative' generate --load="$weights" --length=-1
refused '--top_k=-1 is negative' generate --load="$weights" --top_k=-1
refused '--temperature=-1 is not a temperature' generate --load="$weights" --temperature=-1
refused '--temperature=nan is not a temperature' generate --load="$weights" --temperature=nan
refused "--prompt: U+00E9 'é' at position 2 is not among the 15 characters of the vocabulary" \
  generate --load="$weights" --prompt='Gré'
refused '--prompt: at byte 1: not UTF-8 (0xf6)' generate --load="$weights" --prompt=$'G\xf6'

refused "$scratch/none" generate --load="$scratch/none"
refused "$scratch/data.txt" generate --load="$scratch/data.txt"
for bytes in 0 7 200 5000; do
  head -c $bytes "$weights" >"$scratch/cut.safetensors"
  refused "$scratch/cut.safetensors" generate --load="$scratch/cut.safetensors"
done

# ---- A loss that explodes ends with the op's name, and leaves the file as it was. ----
cp "$weights" "$scratch/before"
refused "the first value that is not finite" train "${small[@]}" --learning_rate=1e38 \
  --clip_norm=0 --epochs=3 --quiet --save="$weights"
cmp -s "$weights" "$scratch/before" || fail "the weights are gone"

# ---- Ctrl-C: what there is is saved, the last line printed, exit 130. ----
interrupted "$text" train "${small[@]}" --epochs=100000 --save="$scratch/stopped"
grep -q "^Interrupted after [0-9]* steps" "$scratch/out" || fail "interrupted: no such line"
[[ $(tail -n 1 "$scratch/out") =~ ^val_nats=.*\ seed=1$ ]] || fail "$(tail -n 1 "$scratch/out")"
"$text" generate --load="$scratch/stopped" --length=1 >/dev/null || fail "not saved"
