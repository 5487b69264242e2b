"""PyTorch's side of benchmarks/compare/peers."""

import sys

import peer_protocol
import torch
import torch.nn.functional as F
from peer_protocol import BATCH, LOSSES, NETWORKS, workload

THREADS = int(next(a for a in sys.argv if a.startswith("--threads=")).split("=")[1])
torch.set_num_threads(THREADS)
torch.set_num_interop_threads(1)


def tensor(array):
    return torch.from_numpy(array.copy())


def norms(values):
    return [float(v.detach().double().norm()) for v in values]


def forward_backward(f, x, dy, parameters=()):
    """The step, and the norms of y, dx and the parameters' gradients."""
    x = x.detach().requires_grad_()
    inputs = [x, *parameters]

    def run():
        y = f(x)
        return (y, *torch.autograd.grad(y, inputs, dy))

    return norms(run()), run


def eager_and_compiled(f, file, parameters=(), place=lambda t: t):
    """Two ways to do f. place: how x and dy lie in memory."""
    x, dy = place(tensor(file["x"])), place(tensor(file["dy"]))
    parameters = [p.requires_grad_() for p in parameters]
    return {
        "eager": lambda: forward_backward(f, x, dy, parameters),
        "compiled": lambda: forward_backward(torch.compile(f), x, dy, parameters),
    }


@workload
def elementwise_chain(file):
    return eager_and_compiled(lambda x: torch.tanh(x * 1.5 + 0.25) * 0.75 + 0.125, file)


@workload
def gelu(file):
    return eager_and_compiled(F.gelu, file)


@workload
def softmax(file):
    return eager_and_compiled(lambda x: F.softmax(x, -1), file)


@workload
def layer_norm(file):
    w, b = tensor(file["weight"]), tensor(file["bias"])
    return eager_and_compiled(lambda x: F.layer_norm(x, [1024], w, b, 1e-5), file, (w, b))


@workload
def batch_norm(file):
    w, b = tensor(file["weight"]), tensor(file["bias"])
    mean, variance = tensor(file["running_mean"]), tensor(file["running_variance"])

    def f(x):
        return F.batch_norm(x, mean, variance, w, b, training=True, momentum=0.01, eps=1e-3)

    def channels_last(t):  # [N, C, H, W] whose memory is [N, H, W, C]
        return t.permute(0, 3, 1, 2)

    ways = {}
    for place, layout in ((channels_last, "channels_last"),
                          (lambda t: channels_last(t).contiguous(), "NCHW")):
        for label, make in eager_and_compiled(f, file, (w, b), place).items():
            ways[f"{label}, {layout}"] = make
    return ways


@workload
def attention(file):
    names = [f"{layer}/{part}" for layer in ("query", "key", "value", "output")
             for part in ("weight", "bias")]
    p = {name: tensor(file[name].T if file[name].ndim > 1 else file[name]).contiguous()
         for name in names}

    def f(x):
        def heads(name):
            y = F.linear(x, p[name + "/weight"], p[name + "/bias"])
            return y.unflatten(-1, (8, 32)).transpose(1, 2)
        y = F.scaled_dot_product_attention(heads("query"), heads("key"), heads("value"))
        return F.linear(y.transpose(1, 2).flatten(2), p["output/weight"], p["output/bias"])

    return eager_and_compiled(f, file, p.values())


@workload
def op_chain(file):
    def f(x):
        for i in range(10_000):
            x = x + 0.0001 if i % 2 else x * 1.0001
        return x

    return {"eager": eager_and_compiled(f, file)["eager"]}


@workload
def mlp_2_16_16_1(file):
    p = [tensor(file[f"{layer}/{part}"]) for layer in "abc" for part in ("weight", "bias")]

    def f(x):
        h = torch.tanh(torch.addmm(p[1], x, p[0]))
        h = torch.tanh(torch.addmm(p[3], h, p[2]))
        return torch.addmm(p[5], h, p[4])

    return eager_and_compiled(f, file, p)


def recurrent(file, layer_type):
    def make(batch_first):
        layer = layer_type(128, 256, batch_first=batch_first)
        with torch.no_grad():
            layer.weight_ih_l0.copy_(tensor(file["torch/weight_ih"]))
            layer.weight_hh_l0.copy_(tensor(file["torch/weight_hh"]))
            layer.bias_ih_l0.copy_(tensor(file["torch/bias"]))
            layer.bias_hh_l0.zero_()
            if "torch/bias_hh" in file:
                layer.bias_hh_l0.copy_(tensor(file["torch/bias_hh"]))
        x, dy = tensor(file["x"]), tensor(file["dy"])
        if not batch_first:
            x, dy = x.transpose(0, 1).contiguous(), dy.transpose(0, 1).contiguous()
        numbers, run = forward_backward(lambda x: layer(x)[0], x, dy, list(layer.parameters()))
        return numbers[:4], run
    return {"batch first": lambda: make(True), "time first": lambda: make(False)}


@workload
def lstm(file):
    return recurrent(file, torch.nn.LSTM)


@workload
def gru(file):
    return recurrent(file, torch.nn.GRU)


@workload
def rnn(file):
    return recurrent(file, torch.nn.RNN)


class Network(torch.nn.Module):
    """Images [N, C, H, W] to logits, of layers named as in NETWORKS."""

    def __init__(self, layers, file, channels_last):
        super().__init__()
        self.steps, self.channels_last = layers.split(), channels_last
        channels = 0
        for name in self.steps:
            key = name.split("/")[-1]
            if name == "flatten":
                flat = channels
            if key + "/weight" not in file:
                continue
            weight, bias = tensor(file[key + "/weight"]), file.get(key + "/bias")
            if weight.ndim == 4:
                channels = weight.shape[3]
                layer = torch.nn.Conv2d(weight.shape[2], channels, 3, bias=bias is not None,
                                        padding="same" if name.startswith("same") else "valid")
                weight = weight.permute(3, 2, 0, 1)
            elif weight.ndim == 1:
                layer = torch.nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)
            else:
                if flat and not channels_last:  # rows as [C, H, W]
                    weight = weight.unflatten(0, (-1, flat)).transpose(0, 1).flatten(0, 1)
                flat = 0
                layer = torch.nn.Linear(*weight.shape)
                weight = weight.T
            with torch.no_grad():
                layer.weight.copy_(weight)
                if bias is not None:
                    layer.bias.copy_(tensor(bias))
            self.add_module(key, layer)

    def forward(self, x):
        for name in self.steps:
            if name == "!":
                x = F.relu(x)
            elif name == "pool":
                x = F.max_pool2d(x, 2)
            elif name == "flatten":
                x = (x.permute(0, 2, 3, 1) if self.channels_last else x).flatten(1)
            else:
                x = getattr(self, name.split("/")[-1])(x)
        return x


class KerasFormula:
    """Adam and RMSprop as Keras and Wengert have them, for the losses to compare: PyTorch puts
    epsilon elsewhere, which matters in the first steps. What is timed is PyTorch's own."""

    def __init__(self, parameters, optimizer_type):
        self.parameters, self.rmsprop, self.t = parameters, optimizer_type is rmsprop, 0
        self.m = [torch.zeros_like(p) for p in parameters]
        self.v = [torch.zeros_like(p) for p in parameters]

    def zero_grad(self):
        for p in self.parameters:
            p.grad = None

    @torch.no_grad()
    def step(self):
        self.t += 1
        for p, m, v in zip(self.parameters, self.m, self.v):
            if self.rmsprop:
                v.lerp_(p.grad.square(), 0.1)
                p -= 1e-3 * p.grad / (v + 1e-7).sqrt()
            else:
                m.lerp_(p.grad, 0.1)
                v.lerp_(p.grad.square(), 0.001)
                rate = 1e-3 * (1 - 0.999**self.t) ** 0.5 / (1 - 0.9**self.t)
                p -= rate * m / (v.sqrt() + 1e-7)


def classifier(name, file, images, labels, optimizer_type):
    layers, batch = NETWORKS[name], BATCH[name]

    def make(compiled, channels_last):
        net = Network(layers, file, channels_last)
        x = tensor(images).permute(0, 3, 1, 2)  # memory as channels_last has it
        y = tensor(labels).long()
        if channels_last:
            net = net.to(memory_format=torch.channels_last)
        else:
            x = x.contiguous()
        optimizer = KerasFormula(list(net.parameters()), optimizer_type)
        run = torch.compile(net) if compiled else net
        count, at = len(labels) // batch, 0

        def step():
            nonlocal at
            begin = at * batch
            at = (at + 1) % count
            optimizer.zero_grad()
            loss = F.cross_entropy(run(x[begin:begin + batch]), y[begin:begin + batch])
            loss.backward()
            optimizer.step()
            return loss.item()

        losses = [step() for _ in range(LOSSES)]
        optimizer = optimizer_type(net.parameters())
        return losses, step

    return {
        "eager, channels_last": lambda: make(False, True),
        "eager, NCHW": lambda: make(False, False),
        "compiled, channels_last": lambda: make(True, True),
    }


def adam(parameters):
    return torch.optim.Adam(parameters, lr=1e-3, eps=1e-7, fused=True)


def rmsprop(parameters):
    return torch.optim.RMSprop(parameters, lr=1e-3, alpha=0.9, eps=1e-7, foreach=True)


@workload
def mnist_cnn32_64_d128(file):
    return classifier("mnist_cnn32_64_d128", file, *peer_protocol.mnist_train(), adam)


@workload
def mnist_cnn32_64_64_d64(file):
    return classifier("mnist_cnn32_64_64_d64", file, *peer_protocol.mnist_train(), rmsprop)


@workload
def mnist_cnn32(file):
    return classifier("mnist_cnn32", file, *peer_protocol.mnist_train(), adam)


@workload
def mnist_cnn32_nopool(file):
    return classifier("mnist_cnn32_nopool", file, *peer_protocol.mnist_train(), adam)


@workload
def conv_net(file):
    return classifier("conv_net", file, file["images"], file["labels"], adam)


@workload
def mnist_epoch(file):
    def make():
        images, labels = map(tensor, peer_protocol.mnist_train())
        images = images.permute(0, 3, 1, 2)
        net = Network(NETWORKS["mnist_cnn32_64_d128"], file, channels_last=True)
        net = net.to(memory_format=torch.channels_last)
        optimizer = adam(net.parameters())

        def epoch():
            for indices in torch.randperm(len(labels)).split(128):
                optimizer.zero_grad()
                loss = F.cross_entropy(net(images[indices]), labels[indices])
                loss.backward()
                optimizer.step()
                loss.item()

        with torch.no_grad():
            return [F.cross_entropy(net(images[:128]), labels[:128]).item()], epoch

    return {"eager, channels_last": make}


@workload
def adam_10m(file):
    def make(**options):
        parameters = [tensor(file[f"p{i}"]).requires_grad_() for i in range(10)]
        for i, p in enumerate(parameters):
            p.grad = tensor(file[f"g{i}"])
        optimizer = torch.optim.Adam(parameters, lr=1e-3, eps=1e-7, **options)
        for _ in range(LOSSES):
            optimizer.step()
        return norms([parameters[0], parameters[9]]), optimizer.step
    return {"fused": lambda: make(fused=True), "foreach": lambda: make(foreach=True)}


def take_gradient():
    layer = torch.nn.Linear(4, 3)
    layer(torch.ones(2, 4)).square().sum().backward()
    print(layer.weight.grad[0, 0].item())


if __name__ == "__main__":
    peer_protocol.serve(sys.argv[1:], take_gradient)
