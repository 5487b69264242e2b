#!/bin/bash
# The embedded files unpack to the bytes whose md5 sums their README gives.
set -euo pipefail
cd data/mnist
sums=$(grep -E '^    [0-9a-f]{32}  ' README.md)
[[ $(wc -l <<<"$sums") == 4 ]]
while read -r sum name; do
  found=$(gzip -dc "$name.gz" | md5sum)
  [[ ${found%% *} == "$sum" ]] || { echo "$name: md5 ${found%% *}, expected $sum"; exit 1; }
done <<<"$sums"
