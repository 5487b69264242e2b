#!/bin/bash
# Every C++ block of the documents stands word for word, leading spaces aside, between [name] and
# [/name] in a source file that is compiled and run; and every such snippet is quoted somewhere.
set -euo pipefail
awk '
  function trimmed(line) { sub(/^[ \t]+/, "", line); return line }
  FNR == 1 { text = ""; inside = 0 }
  FILENAME ~ /\.cc$/ && /^ *\/\/ \[\/[a-z_]+\]$/ { name[text] = trimmed($0); inside = 0; next }
  FILENAME ~ /\.cc$/ && /^ *\/\/ \[[a-z_]+\]$/ { text = ""; inside = 1; next }
  FILENAME ~ /\.md$/ && /^```cpp$/ { text = ""; inside = 1; start = FNR; next }
  FILENAME ~ /\.md$/ && /^```$/ && inside {
    inside = 0; ++blocks
    if (text in name) { quoted[text] = 1 } else {
      printf "%s:%d: this block is not in a tested source file:\n%s", FILENAME, start, text
      ++failures
    }
    next
  }
  inside { text = text trimmed($0) "\n" }
  END {
    for (text in name) if (!(text in quoted)) { print "not quoted: " name[text]; ++failures }
    if (blocks < 50) { print "only " blocks + 0 " blocks were found"; ++failures }
    exit failures > 0
  }
' docs/*.cc docs/guides/*.cc README.md CONTRIBUTING.md docs/*.md docs/guides/*.md
