// Products, convolutions, pooling, losses and recurrence: the ops with kernels of their own and, in
// blocks as models write them, those that evaluation may compute as one.
#include <cmath>
#include <vector>

#include "ops/ops.h"
#include "tests/random_programs/op_kinds.h"

namespace wengert::random_programs {
namespace {

constexpr Nature kSmooth = Nature::kSmooth, kKinked = Nature::kKinked;
constexpr auto kComposite = OpKind::Composite::kYes;
constexpr auto kCompositeInGradients = OpKind::Composite::kInGradients;

// Multiples of 1/4 as weights, and not too large inputs: every sum of products is exact.
constexpr int kWeightGrid = 2, kLargestImageGrid = 8;
constexpr double kLargestImageValue = 64;

bool IsMatrix(const ValueInfo& x) {
  return IsRealWithElements(x) && x.rank() >= 2 && x.rank() <= 3 && x.size() <= 1 << 17;
}
bool IsImage(const ValueInfo& x) {
  return IsRealWithElements(x) && x.rank() == 4 && x.size() <= 1 << 17;
}
bool IsExactImage(const ValueInfo& x) {
  return IsImage(x) && x.grid <= kLargestImageGrid && x.magnitude() <= kLargestImageValue &&
         x.shape[3] <= 64;
}
bool IsLargeEnoughExactImage(const ValueInfo& x) {
  return IsExactImage(x) && x.shape[1] >= 5 && x.shape[2] >= 5;
}
bool IsImageToPool(const ValueInfo& x) { return IsImage(x) && x.shape[1] >= 2 && x.shape[2] >= 2; }
bool IsRows(const ValueInfo& x) { return IsRealWithElements(x) && x.rank() == 2; }
bool IsSequence(const ValueInfo& x) {
  return IsRealWithElements(x) && x.rank() == 3 && x.shape[1] <= 16 && x.shape[2] <= 64;
}

int64_t Width(Random& random) { return random.Of({1, 3, 8, 10, 16, 17}); }
Wanted Weight(const ValueInfo& x, const Shape& shape, int64_t fan_in) {
  Wanted wanted = Like(x, shape);
  wanted.high = 1.5 / std::sqrt(static_cast<double>(fan_in));
  wanted.low = -wanted.high;
  return wanted;
}

// [k, n], [n, k] or [batch, k, n].
std::vector<Wanted> Factor(Random& random, const ValueInfo& x) {
  const int64_t k = x.shape[x.rank() - 1], n = random.Percent(30) ? k : Width(random);
  Shape shape = random.Percent(50) ? Shape{k, n} : Shape{n, k};
  if (x.rank() == 3 && random.Percent(30)) shape = {x.shape[0], k, n};
  return {Weight(x, shape, k)};
}
Results Product(Call& call) {
  const Variable &a = call.x[0], &b = call.x[1];
  const bool transposed =
      b.dim(-2) != a.dim(-1) || (b.dim(-1) == a.dim(-1) && call.random.Percent(50));
  if (transposed) {
    Say(call, "MatMul(x[0], Transpose(x[1]))");
    return {MatMul(a, Transpose(b))};
  }
  Say(call, "MatMul(x[0], x[1])");
  return {MatMul(a, b)};
}
Results ProductOfTransposed(Call& call) {
  Say(call, "MatMul(Transpose(x[0]), x[0])");
  return {MatMul(Transpose(call.x[0]), call.x[0])};
}
bool IsNarrowMatrix(const ValueInfo& x) { return IsMatrix(x) && x.shape[x.rank() - 1] <= 64; }

std::vector<Wanted> DenseWeights(Random& random, const ValueInfo& x) {
  const int64_t k = x.shape[x.rank() - 1], n = Width(random);
  return {Weight(x, {k, n}, k), Like(x, {n})};
}
template <auto activation>
Results DenseBlock(Call& call, const char* name) {
  const Variable product = MatMul(call.x[0], call.x[1]), sum = product + call.x[2];
  Say(call, name, "(MatMul(x[0], x[1]) + x[2]), its argument, the product");
  return {activation(sum), sum, product};
}

// Windows and strides that suit the kernel that was drawn.
Conv2dOptions OptionsFor(Call& call) {
  const Shape &x = call.x[0].shape(), &kernel = call.x[1].shape();
  Conv2dOptions options{.stride = call.random.Percent(25) ? 2 : 1, .groups = x[3] / kernel[2]};
  if (kernel[0] <= 3 && call.random.Percent(10)) options.dilation = 2;
  if (call.random.Percent(35)) options.padding = Padding::Same();
  if (options.groups > 1) options.dilation = 1;
  return options;
}
std::vector<Wanted> Kernel(Random& random, const ValueInfo& x) {
  const int64_t side = random.Of({1, 3, 3, 3, 3, 2, 5});
  int64_t in = x.shape[3], out = random.Of({1, 2, 4, 8, 16, 17});
  if (in % 2 == 0 && random.Percent(10)) {
    in /= 2;
    out = 4;
  }
  Wanted wanted = Like(x, {side, side, in, out});
  wanted.low = -1;
  wanted.high = 1;
  wanted.grid = kWeightGrid;
  return {wanted};
}
std::vector<Wanted> KernelAndBias(Random& random, const ValueInfo& x) {
  std::vector<Wanted> wanted = Kernel(random, x);
  wanted.push_back(Like(x, {wanted[0].shape[3]}));
  wanted[1].grid = kWeightGrid;
  return wanted;
}
Variable Convolve(Call& call) {
  const Conv2dOptions options = OptionsFor(call);
  Say(call, "Conv2d(x[0], x[1], {.stride = ", options.stride, ", .dilation = ", options.dilation,
      ", .groups = ", options.groups,
      ", .padding = ", options.padding.mode == Padding::kSame ? "Same()" : "Valid()", "})");
  return Conv2d(call.x[0], call.x[1], options);
}
Results ConvBiasRelu(Call& call) {
  const Variable y = Convolve(call), sum = y + call.x[2];
  call.text = absl::StrCat("Relu(", call.text, " + x[2]), its argument, the convolution");
  return {Relu(sum), sum, y};
}
Results ConvBiasReluPool(Call& call) {
  const Variable y = Convolve(call), sum = y + call.x[2], h = Relu(sum);
  if (h.dim(1) < 2 || h.dim(2) < 2) return {h, h, sum, y};
  call.text = absl::StrCat("MaxPool2d(Relu(", call.text,
                           " + x[2])), its argument, relu's, the convolution");
  return {MaxPool2d(h), h, sum, y};
}
Results ConvPoolRelu(Call& call) {
  const Variable y = Convolve(call);
  if (y.dim(1) < 2 || y.dim(2) < 2) return {Relu(y), y};
  call.text = absl::StrCat("Relu(MaxPool2d(", call.text, ")), the convolution");
  return {Relu(MaxPool2d(y)), y};
}

Pool2dOptions Pooling(Call& call) {
  Pool2dOptions options;
  if (call.random.Percent(40)) options.stride = 1;
  if (call.random.Percent(30)) options.padding = Padding::Same();
  Say(call, "Pool2d(x[0], {.window = 2, .stride = ", options.stride,
      ", .padding = ", options.padding.mode == Padding::kSame ? "Same()" : "Valid()", "})");
  return options;
}

std::vector<Wanted> Labels(Random&, const ValueInfo& x) {
  const double last = static_cast<double>(x.shape[1] - 1);
  return {{.shape = {x.shape[0]}, .dtype = DType::kInt64, .low = 0, .high = last}};
}
std::vector<Wanted> SameRows(Random&, const ValueInfo& x) { return {Like(x, x.shape)}; }

// Weights of a cell with so many gates over x: [N, T, F], then the first state's parts.
template <int gates, int states>
std::vector<Wanted> CellWeights(Random& random, const ValueInfo& x) {
  const int64_t n = x.shape[0], features = x.shape[2], hidden = random.Of({1, 4, 8, 16, 24});
  std::vector<Wanted> wanted = {Weight(x, {features, gates * hidden}, features),
                                Weight(x, {hidden, gates * hidden}, hidden),
                                Like(x, {gates * hidden})};
  for (int i = 0; i < states; ++i) wanted.push_back(Weight(x, {n, hidden}, 3));
  return wanted;
}
ScanOptions Direction(Call& call) { return {.reverse = call.random.Percent(30)}; }

Results Lstm(Call& call) {
  const VariableSpan x = call.x;
  const ScanOptions options = Direction(call);
  const Scanned scanned = LstmSequence(x[0], {x[1], x[2], x[3]}, {x[4], x[5]}, options);
  Say(call, "LstmSequence(x[0], {x[1], x[2], x[3]}, {x[4], x[5]}, {.reverse = ", options.reverse,
      "})");
  return {scanned.outputs, scanned.state[0], scanned.state[1]};
}
Results Gru(Call& call) {
  const VariableSpan x = call.x;
  const ScanOptions options = Direction(call);
  const Scanned scanned = GruSequence(x[0], {x[1], x[2], x[3]}, {}, x[4], options);
  Say(call, "GruSequence(x[0], {x[1], x[2], x[3]}, {}, x[4], {.reverse = ", options.reverse, "})");
  return {scanned.outputs, scanned.state[0]};
}
Results Rnn(Call& call) {
  const VariableSpan x = call.x;
  const ScanOptions options = Direction(call);
  const Scanned scanned =
      RnnSequence(x[0], {x[1], x[2], x[3]}, RnnActivation::kTanh, x[4], options);
  Say(call, "RnnSequence(x[0], {x[1], x[2], x[3]}, kTanh, x[4], {.reverse = ", options.reverse,
      "})");
  return {scanned.outputs, scanned.state[0]};
}
// As a user writes a cell that has no kernel.
Results ScanOfTanh(Call& call) {
  const VariableSpan x = call.x;
  const Scanned scanned =
      Scan(x[0], {x[4]}, [&](const Variable& step, const std::vector<Variable>& state) {
        return std::vector<Variable>{
            Tanh(MatMul(step, x[1]) + MatMul(state[0], x[2]) + x[3]) * 0.5 + state[0] * 0.5};
      });
  Say(call, "Scan over x[0] from x[4]: Tanh(x_t x[1] + h x[2] + x[3]) * 0.5 + h * 0.5");
  return {scanned.outputs, scanned.state[0]};
}
// An LSTM's steps in ops: the gates' chain, and the cotangents of slices.
Results ComposedLstm(Call& call) {
  const VariableSpan x = call.x;
  Variable h = x[4], c = x[5];
  for (int64_t t = 0; t < x[0].dim(1); ++t) {
    const Variable in = Squeeze(Narrow(x[0], 1, t, 1), 1);
    const auto [i, f, g, o] = Chunk<4>(MatMul(in, x[1]) + MatMul(h, x[2]) + x[3], -1);
    c = Sigmoid(f) * c + Sigmoid(i) * Tanh(g);
    h = Sigmoid(o) * Tanh(c);
  }
  Say(call, "h, c after LSTM steps in ops over x[0], weights x[1], x[2], x[3], from x[4], x[5]");
  return {h, c};
}

const OpKind kKinds[] = {
    {"matmul", 8, kSmooth, IsMatrix, Factor, Product},
    {"matmul of transposed", 2, kSmooth, IsNarrowMatrix, nullptr, ProductOfTransposed},
    {"dense tanh", 3, kSmooth, IsMatrix, DenseWeights,
     [](Call& c) { return DenseBlock<[](const Variable& x) { return Tanh(x); }>(c, "Tanh"); }},
    {"dense sigmoid", 1, kSmooth, IsMatrix, DenseWeights,
     [](Call& c) {
       return DenseBlock<[](const Variable& x) { return Sigmoid(x); }>(c, "Sigmoid");
     }},
    {"dense relu", 3, kKinked, IsMatrix, DenseWeights,
     [](Call& c) { return DenseBlock<[](const Variable& x) { return Relu(x); }>(c, "Relu"); }},

    {"conv", 6, kSmooth, IsLargeEnoughExactImage, Kernel,
     [](Call& call) -> Results { return {Convolve(call)}; }, kCompositeInGradients, false, true},
    {"conv bias relu", 8, kKinked, IsLargeEnoughExactImage, KernelAndBias, ConvBiasRelu,
     kCompositeInGradients, false, true},
    {"conv bias relu pool", 12, kKinked, IsLargeEnoughExactImage, KernelAndBias, ConvBiasReluPool,
     kCompositeInGradients, false, true},
    {"conv pool relu", 4, kKinked, IsLargeEnoughExactImage, Kernel, ConvPoolRelu,
     kCompositeInGradients, false, true},
    {"max_pool", 4, kKinked, IsImageToPool, nullptr,
     [](Call& call) -> Results { return {MaxPool2d(call.x[0], Pooling(call))}; },
     OpKind::Composite::kNo, true},
    {"avg_pool", 3, kSmooth, IsImageToPool, nullptr,
     [](Call& call) -> Results { return {AvgPool2d(call.x[0], Pooling(call))}; }},

    {"softmax_cross_entropy", 3, kSmooth, IsRows, Labels,
     WENGERT_RECORDS(SoftmaxCrossEntropy(x[0], x[1])), kComposite},
    {"softmax_cross_entropy rows", 2, kSmooth, IsRows, SameRows,
     WENGERT_RECORDS(SoftmaxCrossEntropyRows(x[0], Softmax(x[1]))), kComposite},
    {"mean_squared_error", 2, kSmooth, IsRows, SameRows,
     WENGERT_RECORDS(MeanSquaredError(x[0], x[1]))},

    {"lstm", 4, kSmooth, IsSequence, CellWeights<4, 2>, Lstm, kComposite},
    {"gru", 3, kSmooth, IsSequence, CellWeights<3, 1>, Gru, kComposite},
    {"rnn", 3, kSmooth, IsSequence, CellWeights<1, 1>, Rnn, kComposite},
    {"scan", 2, kSmooth, IsSequence, CellWeights<1, 1>, ScanOfTanh},
    {"composed lstm", 3, kSmooth, IsSequence, CellWeights<4, 2>, ComposedLstm},
};

}  // namespace

absl::Span<const OpKind> DenseKinds() { return kKinds; }

}  // namespace wengert::random_programs
