#!/bin/bash
# The MNIST program from the outside: its last line, its exit codes, what it says of wrong flags and
# files, saved weights, and Ctrl-C. Runs in the runfiles folder, or anywhere with MNIST=binary and
# DATA=folder.
set -euo pipefail
mnist=${MNIST:-models/mnist}
data=${DATA:-data/mnist}
command=("$mnist" --data="$data" --quiet)
. "$(dirname "${BASH_SOURCE[0]}")/program.sh"

# ---- A short run ends with the line that programs read. ----
short=(--data="$data" --model=mlp --epochs=1 --batch_size=32 --subset=2000 --seed=3 --quiet)
line=$("$mnist" "${short[@]}")
pattern='^test_accuracy=(0\.[0-9]{4}) test_loss=[0-9]+\.[0-9]{4} epochs=1 seconds=[0-9]+\.[0-9] '
pattern+='model=mlp seed=3$'
[[ $line =~ $pattern ]] || fail "not the line: $line"
awk -v accuracy="${BASH_REMATCH[1]}" 'BEGIN { exit !(accuracy > 0.75) }' || fail "learned: $line"

# ---- The same seed gives the same numbers, on any number of threads. ----
for threads in 0 1 3; do
  again=$("$mnist" "${short[@]}" --threads=$threads)
  [[ $(without_seconds "$again") == "$(without_seconds "$line")" ]] ||
    fail "--threads=$threads gives $again, not $line"
done
other=$("$mnist" "${short[@]}" --seed=4)
[[ ${other%% *} != "${line%% *}" ]] || fail "--seed has no effect: $other"

# ---- Augmented images, made by a thread ahead of the training: others, but the same every time. ----
same=$("$mnist" "${short[@]}" --augment=none)
[[ $(without_seconds "$same") == "$(without_seconds "$line")" ]] || fail "--augment=none: $same"
augmented=$("$mnist" "${short[@]}" --augment=rotate=10,shift=2)
[[ ${augmented%% *} != "${line%% *}" ]] || fail "--augment has no effect: $augmented"
again=$("$mnist" "${short[@]}" --augment=shift=2,rotate=10,scale=0 --threads=1)
[[ $(without_seconds "$again") == "$(without_seconds "$augmented")" ]] ||
  fail "--augment gives $again, not $augmented"

# ---- Penalties reach the optimizer. ----
for flag in --l2=0.01 --weight_decay=0.1; do
  other=$("$mnist" "${short[@]}" $flag)
  [[ ${other%% *} != "${line%% *}" ]] || fail "$flag has no effect: $other"
done

# ---- Patience ends a training that no longer helps, with the weights of the best epoch. ----
"$mnist" "${short[@]}" --noquiet --epochs=50 --learning_rate=0.01 --validation=held_out \
  --patience=2 --save="$scratch/best" >"$scratch/out"
kept=$(sed -nE 's/^Stopped early, with the weights of epoch ([0-9]+)$/\1/p' "$scratch/out")
[[ -n $kept ]] || fail "no early stopping in $(cat "$scratch/out")"
last=$(tail -n 1 "$scratch/out")
[[ $last == *" epochs=$((kept + 2)) "* ]] || fail "best epoch $kept, then $last"
loss() { sed -nE "s/^Epoch $1\/50 .* validation loss ([0-9.]+) .*/\1/p" "$scratch/out"; }
for epoch in $(seq $((kept + 2))); do
  awk -v a="$(loss "$kept")" -v b="$(loss "$epoch")" 'BEGIN { exit !(a <= b) }' ||
    fail "epoch $epoch is better than $kept: $(cat "$scratch/out")"
done
loaded=$("$mnist" --data="$data" --model=mlp --quiet --test_only --load="$scratch/best")
[[ ${loaded%% *} == "${last%% *}" ]] || fail "--patience saves $loaded, not $last"

# ---- The residual network learns, and its running statistics are saved with it. ----
resnet=(--data="$data" --model=resnet --quiet)
trained=$("$mnist" "${resnet[@]}" --epochs=2 --batch_size=32 --subset=1600 --save="$scratch/resnet")
awk -v accuracy="${trained:14:6}" 'BEGIN { exit !(accuracy > 0.9) }' || fail "learned: $trained"
loaded=$("$mnist" "${resnet[@]}" --test_only --load="$scratch/resnet")
[[ ${loaded%% *} == "${trained%% *}" ]] || fail "--load gives $loaded, not $trained"

# ---- With progress: the model's table, an epoch's line, the confusion matrix, the last line. ----
"$mnist" "${short[@]}" --noquiet --validation=test >"$scratch/out"
for text in '^fc1 .*100,480' '^total .*109,386' '^Epoch 1/1  63/63  loss .* validation loss' \
  'taken for$' '^Test accuracy [0-9.]+ %'; do
  grep -qE "$text" "$scratch/out" || fail "no \"$text\" in $(cat "$scratch/out")"
done
[[ $(without_seconds "$(tail -n 1 "$scratch/out")") == "$(without_seconds "$line")" ]] ||
  fail "progress changes the result: $(tail -n 1 "$scratch/out")"

# ---- --help lists the program's own flags and those that all models have. ----
"$mnist" --help >"$scratch/out" || true
for flag in --model --seed; do
  grep -q -- "$flag (" "$scratch/out" || fail "no $flag in $(cat "$scratch/out")"
done

# ---- Saved weights: the same test result when loaded, and training goes on from there. ----
result() { sed -E 's/ epochs=.*//' <<<"$1"; }
mkdir "$scratch/run"
weights=$scratch/run/weights
saved=$("$mnist" "${short[@]}" --save="$weights")
[[ $(without_seconds "$saved") == "$(without_seconds "$line")" ]] || fail "--save changes $saved"
[[ $(ls -A "$scratch/run") == weights ]] || fail "--save leaves $(ls -A "$scratch/run")"
test_only=(--data="$data" --model=mlp --quiet --test_only)
loaded=$("$mnist" "${test_only[@]}" --load="$weights")
[[ $(result "$loaded") == "$(result "$saved")" ]] || fail "--load gives $loaded, not $saved"
[[ $loaded == *" epochs=0 "* ]] || fail "--test_only trains: $loaded"
cp "$weights" "$scratch/before"
# `bazel run` says where paths are meant from.
BUILD_WORKING_DIRECTORY=$scratch "$mnist" "${short[@]}" --data="$(cd "$data" && pwd)" --save=here \
  >"$scratch/out"
cmp "$scratch/here" "$weights" || fail "--save=here is not what --save=PATH is"
further=$("$mnist" "${short[@]}" --load="$weights" --save="$weights")
[[ ${further%% *} > "${saved%% *}" ]] || fail "--load then training: $further after $saved"
! cmp -s "$scratch/before" "$weights" || fail "--save over --load's file"
loaded=$("$mnist" "${test_only[@]}" --load="$weights")
[[ $(result "$loaded") == "$(result "$further")" ]] || fail "--load gives $loaded, not $further"

# ---- Digits in pictures: small and light on dark, large and dark on light. ----
read -ra labels <<<"$("${PICTURES:-tests/models/digit_pictures}" "$scratch")"
for kind in "" _large; do
  right=0
  for i in {0..9}; do
    answer=$("$mnist" --model=mlp --quiet --load="$weights" --predict="$scratch/$i$kind.png")
    [[ $answer =~ ^digit=([0-9])\ probability=[01]\.[0-9]{4}\ model=mlp$ ]] ||
      fail "predicts $answer"
    right=$((right + (BASH_REMATCH[1] == labels[i])))
  done
  ((right >= 8)) || fail "$right of 10 digits$kind"
done
predict=(--model=mlp --load="$weights")
"$mnist" "${predict[@]}" --predict="$scratch/0.png" --explain="$scratch/maps.png" >"$scratch/out"
[[ $(grep -cE '^[0-9] +[0-9]+\.[0-9]{2} %$' "$scratch/out") == 3 ]] || fail "$(cat "$scratch/out")"
[[ $(head -c 4 "$scratch/maps.png" | tail -c 3) == PNG ]] || fail "--explain writes no PNG"
refused "--predict needs --load" --predict="$scratch/0.png"
refused "--explain needs --predict" "${predict[@]}" --explain="$scratch/maps.png"
refused "--save means nothing to --predict" "${predict[@]}" --predict="$scratch/0.png" --save=x
refused "$scratch/no.png: No such file" "${predict[@]}" --predict="$scratch/no.png"
refused "$weights: at byte 0: not a PNG file" "${predict[@]}" --predict="$weights"
refused "$scratch/blank.png: there is no digit: the picture is of one grey level" \
  "${predict[@]}" --predict="$scratch/blank.png"
refused "/dev/null: not a regular file" "${predict[@]}" --predict="$scratch/0.png" \
  --explain=/dev/null
refused "does not fit the model" --model=cnn32 --load="$weights" --predict="$scratch/0.png"

# ---- Models that draw: losses, a picture, and weights that are saved and loaded. ----
for model in autoencoder vae; do
  draw=(--data="$data" --model=$model --quiet --pictures="$scratch/$model.png")
  answer=$("$mnist" "${draw[@]}" --epochs=1 --subset=1000 --save="$scratch/$model")
  pattern='^test_loss=[0-9]+\.[0-9]{4} (reconstruction=[0-9.]+ kl=[0-9.]+ )?epochs=1 '
  pattern+="seconds=[0-9.]+ model=$model seed=1\$"
  [[ $answer =~ $pattern ]] || fail "not the line: $answer"
  [[ $model == autoencoder || $answer == *" kl="* ]] || fail "no KL: $answer"
  [[ $(head -c 4 "$scratch/$model.png" | tail -c 3) == PNG ]] || fail "--pictures writes no PNG"
  loaded=$("$mnist" "${draw[@]}" --test_only --load="$scratch/$model")
  [[ $(result "$loaded") == "$(result "$answer")" ]] || fail "--load gives $loaded, not $answer"
done
refused "--predict means nothing to --model=vae" --model=vae --predict="$scratch/0.png"
refused "--recipe means nothing to --model=autoencoder" --model=autoencoder --recipe=fast
refused "--pictures means nothing to --model=mlp" --model=mlp --pictures="$scratch/x.png"
refused "/dev/null: not a regular file" --model=vae --pictures=/dev/null

refused "bogus" --bogus=1
refused "'epochs'" --epochs=many
refused 'unexpected argument "train"' train
refused 'unknown model "vgg"; known: cnn32_64_d128, cnn32, cnn32_64_64_d64, cnn32_nopool, resnet, mlp, '\
'autoencoder, vae' --model=vgg
refused 'unknown optimizer "lion"; known: sgd, momentum, rmsprop, adam' --optimizer=lion
refused 'unknown schedule "step"; known: constant, cosine, one_cycle' --schedule=step
refused 'unknown recipe "slow"; known: fast' --recipe=slow
refused 'unknown activation "gelu"; known: sigmoid, tanh, relu' --model=mlp --activation=gelu
refused "--epochs=-1 is negative" --epochs=-1
refused "--batch_size=-5 is negative" --batch_size=-5
refused "--subset=-1 is negative" --subset=-1
refused "--patience=-1 is negative" --patience=-1
refused "--patience needs --validation=held_out" --patience=1
refused "--patience needs --validation=held_out" --patience=1 --validation=test
refused "--l2=-0.5 is neither 0 or above nor -1" --l2=-0.5
refused "--weight_decay=nan is neither" --weight_decay=nan
refused '--augment: "blur=1"; expected none, or like shift=2' --augment=shift=1,blur=1
refused '--augment: "shift"; expected' --augment=shift
refused '--augment: [augment] shift is -1, expected 0 or more' --augment=shift=-1
refused '--augment: [augment] scale is 1, expected' --augment=scale=1
refused "--threads=-2 is negative" --threads=-2
refused "--learning_rate" --learning_rate=-0.1
refused "--learning_rate" --learning_rate=nan
refused "--validation=train; known: none, test, held_out" --validation=train
refused "there are 60000 images" --subset=60001
refused "$scratch/nowhere" --data="$scratch/nowhere"
refused "--test_only needs --load" --test_only
refused "--test_only leaves nothing to --save" --test_only --load="$scratch/before" --save=x

# Weights that cannot be loaded, and places that take no file: known before the training.
refused "$scratch/nowhere: No such file" --model=mlp --load="$scratch/nowhere"
refused "$scratch/before does not fit the model: missing (4): \"conv1/weight\"," \
  --load="$scratch/before"
head -c 1000 "$scratch/before" >"$scratch/cut"
refused "$scratch/cut: the file ends inside tensor" --model=mlp --load="$scratch/cut"
refused "train-images-idx3-ubyte.gz: at byte 8: not a safetensors file" \
  --load="$data/train-images-idx3-ubyte.gz"
long=(--model=mlp --epochs=100000)
refused "$scratch: Is a directory" "${long[@]}" --save="$scratch"
refused "$scratch/no/weights: No such file" "${long[@]}" --save="$scratch/no/weights"
refused "/dev/null: not a regular file" "${long[@]}" --save=/dev/null

# Each of the files cut short, within gzip's header and within the data.
for file in train-images-idx3-ubyte train-labels-idx1-ubyte t10k-images-idx3-ubyte \
  t10k-labels-idx1-ubyte; do
  for bytes in 0 5 3000; do
    rm -rf "$scratch/cut"
    mkdir "$scratch/cut"
    cp -L "$data"/*.gz "$scratch/cut"
    rm -f "$scratch/cut/$file.gz"
    head -c "$bytes" "$data/$file.gz" >"$scratch/cut/$file.gz"
    refused "$scratch/cut/$file.gz" --data="$scratch/cut"
  done
done

# ---- A loss that explodes ends with the op's name, not with NaN accuracies. ----
refused "the first value that is not finite" --model=mlp --optimizer=sgd --learning_rate=1e30 \
  --subset=2000 --epochs=2

# ---- What fails only at the end: the result is printed all the same. ----
code=0
(
  trap '' XFSZ  # then the limit, as a full disk, is an error and no signal
  ulimit -f 100
  exec "$mnist" "${short[@]}" --save="$scratch/before"
) >"$scratch/out" 2>"$scratch/err" || code=$?
[[ $code == 1 ]] || fail "disk full: exit $code"
[[ $(without_seconds "$(cat "$scratch/out")") == "$(without_seconds "$line")" ]] ||
  fail "disk full: printed $(cat "$scratch/out")"
grep -q "$scratch/before: File too large" "$scratch/err" || fail "disk full: $(cat "$scratch/err")"
"$mnist" "${test_only[@]}" --load="$scratch/before" >/dev/null || fail "disk full: the file is gone"

# ---- Ctrl-C: the step is completed, the model saved and tested, the last line printed, exit 130.
interrupted "$mnist" --data="$data" --model=mlp --epochs=100000 --subset=2000 --seed=3 \
  --save="$scratch/interrupted"
grep -q "^Interrupted after [0-9]* steps" "$scratch/out" || fail "interrupted: no such line"
last=$(tail -n 1 "$scratch/out")
[[ $last =~ ^test_accuracy=.*\ epochs=[0-9]+\ .*model=mlp\ seed=3$ ]] || fail "last line: $last"
loaded=$("$mnist" "${test_only[@]}" --load="$scratch/interrupted")
[[ $(result "$loaded") == "$(result "$last")" ]] || fail "interrupted: saved $loaded, not $last"
