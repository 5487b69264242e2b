"""The side of Keras on TensorFlow in benchmarks/compare/peers."""

import sys

import keras
import numpy as np
import peer_protocol
import tensorflow as tf
from peer_protocol import BATCH, LOSSES, NETWORKS, workload

THREADS = int(next(a for a in sys.argv if a.startswith("--threads=")).split("=")[1])
tf.config.threading.set_intra_op_parallelism_threads(THREADS)
tf.config.threading.set_inter_op_parallelism_threads(THREADS)


def norms(values):
    return [float(np.linalg.norm(np.asarray(v, np.float64))) for v in values]


def forward_backward(f, x, dy, variables, jit):
    """The step, and the norms of y, dx and the variables' gradients. jit None: eager."""
    x, dy = tf.constant(x), tf.constant(dy)

    def run():
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch([x, *variables])
            y = f(x)
        return (y, *tape.gradient(y, [x, *variables], output_gradients=dy))

    if jit is not None:
        run = tf.function(run, jit_compile=jit)

    return norms(run()), run  # on CPUs TensorFlow returns when the work is done


def graph_and_xla(f, file, variables=()):
    return {label: lambda jit=jit: forward_backward(f, file["x"], file["dy"], variables, jit)
            for label, jit in (("graph", False), ("XLA", True))}


@workload
def elementwise_chain(file):
    return graph_and_xla(lambda x: tf.tanh(x * 1.5 + 0.25) * 0.75 + 0.125, file)


@workload
def gelu(file):
    return graph_and_xla(lambda x: tf.nn.gelu(x, approximate=False), file)


@workload
def softmax(file):
    return graph_and_xla(tf.nn.softmax, file)


def of_layer(layer, file, names, **arguments):
    """names: of the layer's trainable variables, in their order; they are reshaped to fit."""
    layer.build(file["x"].shape)
    return of_variables(lambda x: layer(x, **arguments), layer.trainable_variables, file, names)


def of_variables(f, variables, file, names):
    for variable, name in zip(variables, names, strict=True):
        variable.assign(file[name].reshape(variable.shape))
    return graph_and_xla(f, file, [v.value for v in variables])


@workload
def layer_norm(file):
    return of_layer(keras.layers.LayerNormalization(epsilon=1e-5), file, ("weight", "bias"))


@workload
def batch_norm(file):
    return of_layer(keras.layers.BatchNormalization(), file, ("weight", "bias"), training=True)


@workload
def attention(file):
    layer = keras.layers.MultiHeadAttention(8, 32)
    layer.build(file["x"].shape, file["x"].shape)
    names = [f"{part}/{kind}" for part in ("query", "key", "value", "output")
             for kind in ("weight", "bias")]
    return of_variables(lambda x: layer(x, x), layer.trainable_variables, file, names)


@workload
def op_chain(file):
    def f(x):
        for i in range(10_000):
            x = x + 0.0001 if i % 2 else x * 1.0001
        return x

    return {"eager": lambda: forward_backward(f, file["x"], file["dy"], (), None)}


@workload
def mlp_2_16_16_1(file):
    p = [tf.Variable(file[f"{layer}/{part}"]) for layer in "abc" for part in ("weight", "bias")]

    def f(x):
        h = tf.tanh(x @ p[0] + p[1])
        h = tf.tanh(h @ p[2] + p[3])
        return h @ p[4] + p[5]

    return graph_and_xla(f, file, p)


def recurrent(file, layer):
    layer.build(file["x"].shape)
    names = ("keras/weight_ih", "keras/weight_hh", "keras/bias")
    ways = of_variables(layer, layer.trainable_variables, file, names)

    def first_four(make):
        numbers, step = make()
        return numbers[:4], step

    return {label: lambda make=make: first_four(make) for label, make in ways.items()}


@workload
def lstm(file):
    return recurrent(file, keras.layers.LSTM(256, return_sequences=True))


@workload
def gru(file):
    return recurrent(file, keras.layers.GRU(256, return_sequences=True))


@workload
def rnn(file):
    return recurrent(file, keras.layers.SimpleRNN(256, return_sequences=True))


def network(name, file, image):
    layers = [keras.Input(image)]
    named = {}
    for step in NETWORKS[name].split():
        key = step.split("/")[-1]
        weight = file.get(key + "/weight")
        bias = key + "/bias" in file
        if step == "!":
            layers.append(keras.layers.ReLU())
        elif step == "pool":
            layers.append(keras.layers.MaxPooling2D())
        elif step == "flatten":
            layers.append(keras.layers.Flatten())
        elif weight.ndim == 1:
            layers.append(keras.layers.BatchNormalization())
        elif weight.ndim == 2:
            layers.append(keras.layers.Dense(weight.shape[1], use_bias=bias))
        else:
            layers.append(keras.layers.Conv2D(
                weight.shape[3], 3, use_bias=bias,
                padding="same" if step.startswith("same") else "valid"))
        if weight is not None:
            named[key] = layers[-1]
    model = keras.Sequential(layers)
    for key, layer in named.items():
        for variable, part in zip(layer.trainable_variables, ("weight", "bias")):
            variable.assign(file[f"{key}/{part}"])
    return model


CROSS_ENTROPY = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def classifier(name, file, images, labels, optimizer_type):
    batch = BATCH[name]

    def make():
        model = network(name, file, images.shape[1:])
        optimizer = optimizer_type()
        optimizer.build(model.trainable_variables)
        variables = model.trainable_variables
        x, y = tf.constant(images), tf.constant(labels)
        count, at = len(labels) // batch, 0

        @tf.function
        def train(begin):
            inputs = tf.slice(x, [begin, 0, 0, 0], [batch, *x.shape[1:]])
            with tf.GradientTape() as tape:
                loss = CROSS_ENTROPY(tf.slice(y, [begin], [batch]), model(inputs, training=True))
            optimizer.apply(tape.gradient(loss, [v.value for v in variables]), variables)
            return loss

        def step():
            nonlocal at
            begin = at * batch
            at = (at + 1) % count
            return float(train(tf.constant(begin)))

        return [step() for _ in range(LOSSES)], step

    return {"graph": make}  # XLA's convolutions take 80 times as long on a CPU


def mnist_step(name, file, optimizer_type):
    return classifier(name, file, *peer_protocol.mnist_train(), optimizer_type)


@workload
def mnist_cnn32_64_d128(file):
    return mnist_step("mnist_cnn32_64_d128", file, keras.optimizers.Adam)


@workload
def mnist_cnn32_64_64_d64(file):
    return mnist_step("mnist_cnn32_64_64_d64", file, keras.optimizers.RMSprop)


@workload
def mnist_cnn32(file):
    return mnist_step("mnist_cnn32", file, keras.optimizers.Adam)


@workload
def mnist_cnn32_nopool(file):
    return mnist_step("mnist_cnn32_nopool", file, keras.optimizers.Adam)


@workload
def conv_net(file):
    return classifier("conv_net", file, file["images"], file["labels"], keras.optimizers.Adam)


@workload
def mnist_epoch(file):
    def make():
        images, labels = peer_protocol.mnist_train()
        model = network("mnist_cnn32_64_d128", file, images.shape[1:])
        model.compile("adam", CROSS_ENTROPY, jit_compile=False, steps_per_execution=10)

        def epoch():
            model.fit(images, labels, batch_size=128, epochs=1, verbose=0)

        return [float(CROSS_ENTROPY(labels[:128], model(images[:128])))], epoch

    return {"fit, graph": make}


@workload
def adam_10m(file):
    def make(jit):
        variables = [keras.Variable(file[f"p{i}"]) for i in range(10)]
        gradients = [tf.constant(file[f"g{i}"]) for i in range(10)]
        optimizer = keras.optimizers.Adam()
        optimizer.build(variables)

        @tf.function(jit_compile=jit)
        def step():
            optimizer.apply(gradients, variables)

        for _ in range(LOSSES):
            step()
        return norms([variables[0], variables[9]]), step

    return {"graph": lambda: make(False), "XLA": lambda: make(True)}


def take_gradient():
    layer = keras.layers.Dense(3)
    x = tf.ones([2, 4])
    with tf.GradientTape() as tape:
        y = tf.reduce_sum(tf.square(layer(x)))
    print(float(tape.gradient(y, layer.kernel.value)[0, 0]))


if __name__ == "__main__":
    peer_protocol.serve(sys.argv[1:], take_gradient)
