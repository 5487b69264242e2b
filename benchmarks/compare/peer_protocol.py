"""The peers' side of benchmarks/compare/peers: what workloads.cc says of its commands holds here.

A peer registers a function for each workload. It takes the tensors that Wengert wrote and gives the
ways in which the peer can do the work: {label: make}, where make() gives (numbers, step). All are
tried, and the fastest is kept: `made` answers with its label, the others' times and its numbers.
"""

import gzip
import os
import pathlib
import sys
import time
import traceback

import numpy as np

WORKLOADS = {}
TRIAL_SECONDS = 0.2
MNIST = pathlib.Path(__file__).resolve().parents[2] / "data" / "mnist"


def load(file):
    from safetensors.numpy import load_file  # here: who only starts has no use for it
    return load_file(file)


def workload(function):
    WORKLOADS[function.__name__] = function
    return function


def mnist_train():
    """Images, float32 [N, 28, 28, 1] in [0, 1], and labels, int64 [N]."""
    def read(name, header):
        with gzip.open(MNIST / name) as file:
            return np.frombuffer(file.read(), np.uint8, offset=header)
    images = read("train-images-idx3-ubyte.gz", 16).reshape(-1, 28, 28, 1)
    labels = read("train-labels-idx1-ubyte.gz", 8)
    return images.astype(np.float32) / 255, labels.astype(np.int64)


# The models: "conv" and "dense" read the weights of that name; "!" is a relu, "same" pads.
NETWORKS = {
    "mnist_cnn32_64_d128": "conv1 ! pool conv2 ! pool flatten fc1 ! fc2",
    "mnist_cnn32_64_64_d64": "conv1 ! pool conv2 ! pool conv3 ! flatten fc1 ! fc2",
    "mnist_cnn32": "conv ! pool flatten fc",
    "mnist_cnn32_nopool": "conv ! flatten fc",
    "conv_net": "same/conv1 norm1 ! pool same/conv2 norm2 ! pool same/conv3 norm3 ! pool "
                "flatten fc",
}
BATCH = {"mnist_cnn32_64_d128": 128, "mnist_cnn32_64_64_d64": 64, "mnist_cnn32": 128,
         "mnist_cnn32_nopool": 32, "conv_net": 64}
LOSSES = 3


def steps_for(step, seconds):
    """Runs steps for that long, one at least: how many, and how long it took."""
    start, steps = time.perf_counter(), 0
    while True:
        step()
        steps += 1
        elapsed = time.perf_counter() - start
        if elapsed >= seconds:
            return steps, elapsed


def fastest(ways):
    """The label, the numbers and the step of the fastest way, and what the others took, ms."""
    best, tried = None, []
    for label, make in ways.items():
        try:
            numbers, step = make()
            warm = steps_for(step, TRIAL_SECONDS)
            trials = [steps_for(step, TRIAL_SECONDS)]
            if warm[1] > 4 * TRIAL_SECONDS:
                trials.append(warm)  # a long step needs no warming
            milliseconds = min(1e3 * elapsed / steps for steps, elapsed in trials)
        except Exception:  # a way that this version of the peer cannot go
            print(f"{label}:", traceback.format_exc(), file=sys.stderr)
            continue
        tried.append((milliseconds, label))
        if best is None or milliseconds < best[0]:
            best = milliseconds, label, numbers, step
    if best is None:
        raise RuntimeError("no way worked")
    return best[1:], sorted(tried)


def serve(arguments, take_gradient):
    """arguments: as of workloads.cc."""
    if "--start" in arguments:
        take_gradient()
        return
    for argument in arguments:
        if argument.startswith("--run="):  # the data and the fastest way are named: NAME:LABEL:FILE
            name, label, file = argument[len("--run="):].split(":")
            WORKLOADS[name](load(file))[label]()[1]()
            return
    step = None
    # What libraries print must not come between the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        command, *words = line.split()
        if command == "make":
            step = None
            try:
                (label, numbers, step), tried = fastest(WORKLOADS[words[0]](load(words[1])))
                print("made", label.replace(" ", "_"),
                      ";".join(f"{l.replace(' ', '_')}={ms:.4g}" for ms, l in tried),
                      *(f"{number:.9g}" for number in numbers), file=answers, flush=True)
            except Exception:
                print(traceback.format_exc(), file=sys.stderr)
                print("failed", file=answers, flush=True)
        elif command == "time":
            print("took", *steps_for(step, float(words[0])), file=answers, flush=True)
