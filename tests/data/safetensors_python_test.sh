#!/bin/bash
# Files of Python's safetensors are read here, and the other way round. Passes without a test where
# $WENGERT_PYTHON (python3 unless set) lacks the packages safetensors and numpy.
set -euo pipefail
python=${WENGERT_PYTHON:-python3}
scratch=$(mktemp -d "${TEST_TMPDIR:-/tmp}/safetensors_python_test.XXXXXX")
trap 'rm -rf "$scratch"' EXIT

if ! "$python" -c 'import numpy, safetensors' 2>/dev/null; then
  echo "SKIPPED: $python has no safetensors and numpy"
  exit 0
fi

cat >"$scratch/test.py" <<'EOF'
import subprocess
import sys

import numpy as np
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

copy, folder = sys.argv[1:]
random = np.random.default_rng(1)
tensors = {}
metadata = {"k\n\"\\\x01\u00e9": "v\t/\x7f"}  # of several, Python's order is a random one
for dtype in "float32", "float64", "int64", "int32", "uint8", "bool":
    for shape in (), (0,), (3, 0), (7,), (3, 1, 5), (300, 500), (1, 2, 1, 2, 1, 2, 1, 2):
        values = random.integers(0, 2 if dtype == "bool" else 256, shape)
        tensors[f"{dtype}/{shape} \u20ac"] = np.asarray(values, dtype)
tensors["specials"] = np.array([np.nan, np.inf, -np.inf, -0.0, 1e-45], np.float32)

save_file(tensors, f"{folder}/theirs", metadata)
subprocess.run([copy, f"{folder}/theirs", f"{folder}/ours"], check=True)

read = load_file(f"{folder}/ours")
assert read.keys() == tensors.keys()
for name, tensor in tensors.items():
    assert read[name].dtype == tensor.dtype, name
    assert read[name].shape == tensor.shape, name
    assert read[name].tobytes() == tensor.tobytes(), name
with safe_open(f"{folder}/ours", "np") as file:
    assert file.metadata() == metadata
with open(f"{folder}/ours", "rb") as ours, open(f"{folder}/theirs", "rb") as theirs:
    assert ours.read() == theirs.read(), "the bytes differ"
print(f"{len(tensors)} tensors agree")
EOF
"$python" "$scratch/test.py" tests/data/safetensors_copy "$scratch"
