#!/usr/bin/python3
"""Times recurrent layers, forward and backward, PyTorch's beside Wengert's, in alternation.

    ./bazelw build //benchmarks:models && benchmarks/compare/recurrent_torch.py [rounds] [threads]

Needs python3-torch, and OpenBLAS at its best: OPENBLAS_CORETYPE=SKYLAKEX where there is AVX-512,
MALLOC_TRIM_THRESHOLD_ and MALLOC_MMAP_THRESHOLD_ high so that freed memory is kept. Prints the
median of the rounds for each, in ms.
"""

import json
import statistics
import subprocess
import sys
import time

import torch

SHAPES = [(128, 256, 64, 32), (28, 128, 28, 128)]  # in, hidden, steps, batch
CELLS = {"LstmTrain": torch.nn.LSTM, "GruTrain": torch.nn.GRU, "RnnTrain": torch.nn.RNN}
ITERATIONS = 10


def torch_ms(layer_type, shape):
    inputs, hidden, steps, batch = shape
    layer = layer_type(inputs, hidden)
    x = torch.randn(steps, batch, inputs, requires_grad=True)
    dy = torch.randn(steps, batch, hidden)

    def step():
        layer.zero_grad()
        x.grad = None
        layer(x)[0].backward(dy)

    for _ in range(3):
        step()
    start = time.perf_counter()
    for _ in range(ITERATIONS):
        step()
    return (time.perf_counter() - start) / ITERATIONS * 1e3


def wengert_ms(name, threads):
    out = subprocess.run(
        ["bazel-bin/benchmarks/models", f"--benchmark_filter=^{name}/threads:{threads}/",
         "--benchmark_format=json", "--benchmark_min_time=0.2"],
        check=True, capture_output=True, text=True).stdout
    return json.loads(out)["benchmarks"][0]["real_time"]


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    threads = int(sys.argv[2]) if len(sys.argv) > 2 else 2
    torch.set_num_threads(threads)
    for cell, layer_type in CELLS.items():
        for shape in SHAPES:
            name = "%s/fused/%dx%d/T%d/N%d" % (cell, *shape)
            pairs = [(torch_ms(layer_type, shape), wengert_ms(name, threads)) for _ in range(rounds)]
            theirs, ours = (statistics.median(side) for side in zip(*pairs))
            print(f"{name}/threads:{threads}: torch {theirs:.1f}, wengert {ours:.1f}, "
                  f"{theirs / ours:.2f} times as fast", flush=True)


main()
