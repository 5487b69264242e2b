// The vocabulary: every op that models are written in, on one page.
//
// All of them take and return Variables (a Tensor or a Parameter converts), check shapes and dtypes
// when they are called, throw Error naming the op, the shapes and the caller's line, compute later,
// and can be differentiated to any order. Axes may be negative. Where a rule is given, dy is the
// cotangent of the result y.
//
// dtypes: operands of different dtypes meet as Promote and PromoteWithNumber say (tensor/dtype.h).
// Ops over the reals (Exp, Div, Mean, ...) take integers and bools as float32.
#ifndef WENGERT_OPS_OPS_H_
#define WENGERT_OPS_OPS_H_

#include <array>
#include <initializer_list>
#include <utility>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "absl/functional/function_ref.h"
#include "autograd/modes.h"
#include "autograd/variable.h"

namespace wengert {

// Axes of a reduction or a flip: {} (all of them), 1, or {0, -1}.
class Axes {
 public:
  Axes() = default;
  Axes(int axis) : axes_{axis} {}  // NOLINT(google-explicit-constructor)
  Axes(std::initializer_list<int> axes) : axes_(axes) {}
  explicit Axes(absl::Span<const int> axes) : axes_(axes.begin(), axes.end()) {}
  // Rising and non-negative; all of them if none was given. Throws Error on a repeat.
  absl::InlinedVector<int, 4> Normalized(int rank, std::string_view op) const;

 private:
  absl::InlinedVector<int, 4> axes_;
};
inline constexpr bool kKeepDims = true;

// ---- Element-wise. Operands broadcast as in NumPy; a C++ number is an operand too. ----
Variable Neg(const Operand& x);
Variable Abs(const Operand& x);   // derivative 0 at 0
Variable Sign(const Operand& x);  // -1, 0 or 1; derivative 0
Variable Square(const Operand& x);
Variable Exp(const Operand& x);
Variable Log(const Operand& x);
Variable Sqrt(const Operand& x);
Variable Rsqrt(const Operand& x);  // 1 / sqrt(x)
Variable Reciprocal(const Operand& x);
Variable Tanh(const Operand& x);
Variable Sigmoid(const Operand& x);                  // 1 / (1 + exp(-x))
Variable Softplus(const Operand& x);                 // log(1 + exp(x)), without overflow
Variable Relu(const Operand& x);                     // max(x, 0); derivative 0 at 0
Variable LeakyRelu(const Operand& x, double slope);  // slope * x below 0
Variable Clip(const Operand& x, double low, double high);
Variable Erf(const Operand& x);  // 2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x
// The probability that a standard normal number is below x. Its error is absolute, 6e-8 in float32
// and 1e-16 in float64: its logarithm is lost where x is far below 0.
Variable NormalCdf(const Operand& x);
// x NormalCdf(x) (Hendrycks and Gimpel 2016), and the paper's approximation of it:
// x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2.
Variable Gelu(const Operand& x);
Variable GeluTanh(const Operand& x);

Variable Add(const Operand& a, const Operand& b);
Variable Sub(const Operand& a, const Operand& b);
Variable Mul(const Operand& a, const Operand& b);
Variable Div(const Operand& a, const Operand& b);  // true division, of integers too
Variable Pow(const Operand& a, const Operand& b);
Variable Maximum(const Operand& a, const Operand& b);  // a tie's gradient goes to a
Variable Minimum(const Operand& a, const Operand& b);
// a times the derivative of relu, tanh or sigmoid where its result is b.
Variable WherePositive(const Operand& a, const Operand& b);  // a where b > 0, else 0
Variable TanhGradient(const Operand& a, const Operand& b);
Variable SigmoidGradient(const Operand& a, const Operand& b);
// a times the derivative of erf or of the normal distribution at b.
Variable ErfGradient(const Operand& a, const Operand& b);
Variable NormalCdfGradient(const Operand& a, const Operand& b);

inline Variable operator+(const Operand& a, const Operand& b) { return Add(a, b); }
inline Variable operator-(const Operand& a, const Operand& b) { return Sub(a, b); }
inline Variable operator*(const Operand& a, const Operand& b) { return Mul(a, b); }
inline Variable operator/(const Operand& a, const Operand& b) { return Div(a, b); }
inline Variable operator-(const Operand& x) { return Neg(x); }

// Comparisons give bool.
Variable Equal(const Operand& a, const Operand& b);
Variable NotEqual(const Operand& a, const Operand& b);
Variable Less(const Operand& a, const Operand& b);
Variable LessEqual(const Operand& a, const Operand& b);
Variable Greater(const Operand& a, const Operand& b);
Variable GreaterEqual(const Operand& a, const Operand& b);
inline Variable operator<(const Operand& a, const Operand& b) { return Less(a, b); }
inline Variable operator<=(const Operand& a, const Operand& b) { return LessEqual(a, b); }
inline Variable operator>(const Operand& a, const Operand& b) { return Greater(a, b); }
inline Variable operator>=(const Operand& a, const Operand& b) { return GreaterEqual(a, b); }

// a where the bool `condition` is true, else b. A branch that is not taken still computes: the
// gradient of Where(x > 0, Log(x), 0) at x = 0 is 0 * inf = NaN. Write
// Log(Where(x > 0, x, 1)) instead, so that the forbidden value is never formed.
Variable Where(const Variable& condition, const Operand& a, const Operand& b);
// Converts as static_cast does. The gradient is converted back; none flows through integers.
Variable Cast(const Variable& x, DType dtype, SourceLocation where = SourceLocation::current());

// ---- Movement. Views where strides allow: nothing is copied. ----
// One dimension may be -1.
Variable Reshape(const Variable& x, const Shape& shape,
                 SourceLocation where = SourceLocation::current());
Variable Permute(const Variable& x, absl::Span<const int> order,
                 SourceLocation where = SourceLocation::current());
inline Variable Permute(const Variable& x, std::initializer_list<int> order,
                        SourceLocation where = SourceLocation::current()) {
  return Permute(x, absl::MakeConstSpan(order.begin(), order.size()), where);
}
Variable Transpose(const Variable& x, int axis_a = -2, int axis_b = -1,
                   SourceLocation where = SourceLocation::current());
Variable Expand(const Variable& x, const Shape& shape,
                SourceLocation where = SourceLocation::current());
// The adjoint of Expand: adds up over the axes along which `shape` broadcasts to x's shape.
Variable SumTo(const Variable& x, const Shape& shape,
               SourceLocation where = SourceLocation::current());
Variable Narrow(const Variable& x, int axis, int64_t start, int64_t length, int64_t step = 1,
                SourceLocation where = SourceLocation::current());
// The adjoint of Narrow: zeros of length `dim` along `axis`, with x at start, start + step, ...
Variable Embed(const Variable& x, int axis, int64_t dim, int64_t start, int64_t step = 1,
               SourceLocation where = SourceLocation::current());
Variable Concat(VariableSpan parts, int axis, SourceLocation where = SourceLocation::current());
Variable Stack(VariableSpan parts, int axis = 0, SourceLocation where = SourceLocation::current());
// Consecutive pieces of the given lengths, which add up to the axis.
std::vector<Variable> Split(const Variable& x, absl::Span<const int64_t> lengths, int axis,
                            SourceLocation where = SourceLocation::current());
namespace internal {
// The lengths of n equal parts of the axis; throws Error where there are none.
std::vector<int64_t> EqualParts(const Variable& x, int axis, int n, SourceLocation where);
}  // namespace internal
// n equal pieces: auto [i, f, g, o] = Chunk<4>(gates, -1).
template <int n>
std::array<Variable, n> Chunk(const Variable& x, int axis,
                              SourceLocation where = SourceLocation::current());
Variable Squeeze(const Variable& x, int axis, SourceLocation where = SourceLocation::current());
Variable Unsqueeze(const Variable& x, int axis, SourceLocation where = SourceLocation::current());
Variable Flip(const Variable& x, const Axes& axes,
              SourceLocation where = SourceLocation::current());

// ---- Reductions, over all axes unless some are given. ----
Variable Sum(const Variable& x, const Axes& axes = {}, bool keep_dims = false,
             SourceLocation where = SourceLocation::current());
Variable Mean(const Variable& x, const Axes& axes = {}, bool keep_dims = false,
              SourceLocation where = SourceLocation::current());
struct MeanAndVariance {
  Variable mean, variance;
};
// The variance is that of a population, the mean of (x - mean)^2. One reading of x gives both.
MeanAndVariance Moments(const Variable& x, const Axes& axes = {}, bool keep_dims = false,
                        SourceLocation where = SourceLocation::current());
Variable Variance(const Variable& x, const Axes& axes = {}, bool keep_dims = false,
                  SourceLocation where = SourceLocation::current());
// Ties: the first in row-major order takes the gradient. NaN wins.
Variable Max(const Variable& x, const Axes& axes = {}, bool keep_dims = false,
             SourceLocation where = SourceLocation::current());
Variable Min(const Variable& x, const Axes& axes = {}, bool keep_dims = false,
             SourceLocation where = SourceLocation::current());
Variable LogSumExp(const Variable& x, const Axes& axes = {}, bool keep_dims = false,
                   SourceLocation where = SourceLocation::current());
// The position (int64) of the first largest, smallest element along one axis.
Variable ArgMax(const Variable& x, int axis, bool keep_dims = false,
                SourceLocation where = SourceLocation::current());
Variable ArgMin(const Variable& x, int axis, bool keep_dims = false,
                SourceLocation where = SourceLocation::current());
Variable Softmax(const Variable& x, int axis = -1,
                 SourceLocation where = SourceLocation::current());
Variable LogSoftmax(const Variable& x, int axis = -1,
                    SourceLocation where = SourceLocation::current());

// ---- Products ----
// [..., m, k] x [..., k, n] -> [..., m, n]; leading dimensions broadcast.
Variable MatMul(const Variable& a, const Variable& b,
                SourceLocation where = SourceLocation::current());

// ---- Convolution, pooling and resizing, channels last ----
// kValid: no padding. kSame: the output has ceil(in / stride) rows; what padding is odd goes to the
// end. kCausal (Conv1d alone): the same length, with all padding before the first step, so that no
// output sees a later step. Or explicit pixels; of sequences, left and right count.
struct Padding {
  enum Mode { kValid, kSame, kCausal, kExplicit };
  Mode mode = kValid;
  int64_t top = 0, left = 0, bottom = 0, right = 0;

  static Padding Valid() { return {}; }
  static Padding Same() { return {.mode = kSame}; }
  static Padding Causal() { return {.mode = kCausal}; }
  static Padding Pixels(int64_t all) { return {kExplicit, all, all, all, all}; }
  static Padding Steps(int64_t before, int64_t after) { return {kExplicit, 0, before, 0, after}; }
};
struct Conv2dOptions {
  int64_t stride = 1;
  int64_t dilation = 1;
  int64_t groups = 1;
  Padding padding = {};
};
// x: [N, H, W, in], kernel: [kh, kw, in / groups, out] -> [N, H', W', out]. As everywhere in deep
// learning this is cross-correlation: the kernel is not flipped.
Variable Conv2d(const Variable& x, const Variable& kernel, const Conv2dOptions& options = {},
                SourceLocation where = SourceLocation::current());
// x: [N, T, in], kernel: [k, in / groups, out] -> [N, T', out].
Variable Conv1d(const Variable& x, const Variable& kernel, const Conv2dOptions& options = {},
                SourceLocation where = SourceLocation::current());
// Each channel by kernels of its own: x: [N, H, W, in], kernel: [kh, kw, in, multiplier] ->
// [N, H', W', in multiplier]; channel c gives the channels from c multiplier on. groups stays 1.
Variable DepthwiseConv2d(const Variable& x, const Variable& kernel,
                         const Conv2dOptions& options = {},
                         SourceLocation where = SourceLocation::current());

struct ConvTransposeOptions {
  int64_t stride = 1;
  int64_t dilation = 1;
  int64_t groups = 1;
  Padding padding = {};        // what the convolution that is transposed has
  int64_t output_padding = 0;  // below stride; explicit padding alone
};
// The adjoint of Conv2d: x: [N, H, W, in], kernel: [kh, kw, out / groups, in] -> [N, H', W', out].
// Each pixel of x adds itself times the kernel at stride times its place. With the span
// k = (kh - 1) dilation + 1, as in Keras, H' is H stride + max(k - stride, 0) if padding is valid
// and H stride if it is the same; explicit, as in PyTorch:
// (H - 1) stride + k - top - bottom + output_padding.
Variable ConvTranspose2d(const Variable& x, const Variable& kernel,
                         const ConvTransposeOptions& options = {},
                         SourceLocation where = SourceLocation::current());
// x: [N, T, in], kernel: [k, out / groups, in] -> [N, T', out].
Variable ConvTranspose1d(const Variable& x, const Variable& kernel,
                         const ConvTransposeOptions& options = {},
                         SourceLocation where = SourceLocation::current());

struct Pool2dOptions {
  int64_t window = 2;
  int64_t stride = 0;  // 0: the window
  Padding padding = {};
};
// x: [N, H, W, C] -> [N, H', W', C]. Padding never wins a maximum and does not count in a mean. A
// tie's gradient goes to the first in row-major order; NaN wins.
Variable MaxPool2d(const Variable& x, const Pool2dOptions& options = {},
                   SourceLocation where = SourceLocation::current());
Variable AvgPool2d(const Variable& x, const Pool2dOptions& options = {},
                   SourceLocation where = SourceLocation::current());
// x: [N, T, C] -> [N, T', C].
Variable MaxPool1d(const Variable& x, const Pool2dOptions& options = {},
                   SourceLocation where = SourceLocation::current());
Variable AvgPool1d(const Variable& x, const Pool2dOptions& options = {},
                   SourceLocation where = SourceLocation::current());
// x: [N, H, W, C] -> [N, height, width, C]: row i is of the input's rows floor(i H / height) to
// ceil((i + 1) H / height), columns alike. The windows overlap where they do not divide.
Variable AdaptiveMaxPool2d(const Variable& x, int64_t height, int64_t width,
                           SourceLocation where = SourceLocation::current());
Variable AdaptiveAvgPool2d(const Variable& x, int64_t height, int64_t width,
                           SourceLocation where = SourceLocation::current());
// Of whole images, [N, H, W, C] -> [N, C] ([N, 1, 1, C] if dims are kept), and whole sequences,
// [N, T, C] -> [N, C] ([N, 1, C]).
Variable GlobalMaxPool2d(const Variable& x, bool keep_dims = false,
                         SourceLocation where = SourceLocation::current());
Variable GlobalAvgPool2d(const Variable& x, bool keep_dims = false,
                         SourceLocation where = SourceLocation::current());
Variable GlobalMaxPool1d(const Variable& x, bool keep_dims = false,
                         SourceLocation where = SourceLocation::current());
Variable GlobalAvgPool1d(const Variable& x, bool keep_dims = false,
                         SourceLocation where = SourceLocation::current());

enum class Interpolation { kNearest, kBilinear };
// x: [N, H, W, C] -> [N, height, width, C]. Pixels are squares with half-pixel centers, as in
// TensorFlow, and in PyTorch without align_corners: output row i lies at (i + 1/2) H / height - 1/2
// in x, columns alike. kNearest takes the nearest pixel, of two the latter, and keeps the dtype.
// kBilinear weighs the two nearest rows and columns; the border repeats. Shrinking skips pixels:
// there is no filter against aliasing.
Variable Resize(const Variable& x, int64_t height, int64_t width,
                Interpolation interpolation = Interpolation::kBilinear,
                SourceLocation where = SourceLocation::current());

// ---- Indexing. An index out of range throws when it is computed. ----
// The entries of x along `axis` that the int64 or int32 `indices` (any shape I) name:
// x.shape[:axis] + I + x.shape[axis+1:].
Variable Gather(const Variable& x, const Variable& indices, int axis = 0,
                SourceLocation where = SourceLocation::current());
// The adjoint of Gather: zeros with `dim` entries along `axis`, and x added up at the indices.
Variable ScatterAdd(const Variable& x, const Variable& indices, int64_t dim, int axis = 0,
                    SourceLocation where = SourceLocation::current());
// One entry per row: y[i...] = x[i..., indices[i...]]; x: [..., C], indices: [...].
Variable TakeAlongLast(const Variable& x, const Variable& indices,
                       SourceLocation where = SourceLocation::current());
// The adjoint of TakeAlongLast: zeros with `dim` columns, and x at the indices.
Variable PutAlongLast(const Variable& x, const Variable& indices, int64_t dim,
                      SourceLocation where = SourceLocation::current());
// 1 at the index, else 0: indices.shape + [classes].
Variable OneHot(const Variable& indices, int64_t classes, DType dtype = DType::kFloat32,
                SourceLocation where = SourceLocation::current());

// ---- Random. What is drawn is fixed by the generator's state when the op is recorded. ----
Variable Uniform(const Shape& shape, Generator& generator, double low = 0, double high = 1,
                 DType dtype = DType::kFloat32, SourceLocation where = SourceLocation::current());
Variable Normal(const Shape& shape, Generator& generator, double mean = 0, double stddev = 1,
                DType dtype = DType::kFloat32, SourceLocation where = SourceLocation::current());
// 1 with the given probability, else 0.
Variable Bernoulli(const Shape& shape, Generator& generator, double probability = 0.5,
                   DType dtype = DType::kFloat32, SourceLocation where = SourceLocation::current());
// 0 .. n - 1 in random order (int64).
Variable Permutation(int64_t n, Generator& generator,
                     SourceLocation where = SourceLocation::current());
// In a TrainingScope: zeroes each element with probability `rate` and divides the others by
// 1 - rate. Outside: x.
Variable Dropout(const Variable& x, double rate, SourceLocation where = SourceLocation::current());

// ---- Losses: scalars, means over the rows ----
// -log softmax(logits)[label]; logits: [N, C], labels: [N] integers.
Variable SoftmaxCrossEntropy(const Variable& logits, const Variable& labels,
                             SourceLocation where = SourceLocation::current());
// The same from rows of probabilities, [N, C] (one-hot rows, or soft ones).
Variable SoftmaxCrossEntropyRows(const Variable& logits, const Variable& targets,
                                 SourceLocation where = SourceLocation::current());
Variable MeanSquaredError(const Variable& prediction, const Variable& target,
                          SourceLocation where = SourceLocation::current());

// ---- Recurrence over time: x is [N, T, ...] and x_t, one step of it, [N, ...] ----
struct ScanOptions {
  bool reverse = false;  // from the last step to the first
  // [N] integers from 1 to T: how many steps each row has; undefined: T each. A row's state stands
  // still past its end, its outputs there are 0, and nothing depends on what x holds there.
  Tensor lengths;
};
struct Scanned {
  Variable outputs;             // [N, T, ...]: state[0] after each step
  std::vector<Variable> state;  // after the last step
};
using ScanStep = absl::FunctionRef<std::vector<Variable>(const Variable& x_t,
                                                         const std::vector<Variable>& state)>;
// Whether each row has each step: bool [N, T], t < lengths[n].
Variable SequenceMask(const Variable& lengths, int64_t steps,
                      SourceLocation where = SourceLocation::current());
// x, [N, T, ...], with 0 past the rows' lengths: what padding holds, be it NaN, then cannot come
// back as 0 * NaN in the gradient of what x is multiplied with. Undefined lengths: x.
Variable ClearPadding(const Variable& x, const Tensor& lengths,
                      SourceLocation where = SourceLocation::current());
// state = step(x_t, state) for every t; each part of the state is [N, ...].
Scanned Scan(const Variable& x, std::vector<Variable> state, ScanStep step,
             const ScanOptions& options = {}, SourceLocation where = SourceLocation::current());

// One step of the cells, from `gates`: what the input and h give, each times its weights, added up.
// LSTM (Hochreiter and Schmidhuber 1997; forget gate of Gers et al. 2000), [N, 4H] as i, f, g, o:
//   c' = sigmoid(f) c + sigmoid(i) tanh(g),  h' = sigmoid(o) tanh(c').
struct LstmState {
  Variable h, c;  // [N, H] each
  LstmState Detach() const { return {h.Detach(), c.Detach()}; }
};
LstmState LstmStep(const Variable& gates, const Variable& c,
                   SourceLocation where = SourceLocation::current());
// GRU (Cho et al. 2014), [N, 3H] as r, z, n, in the form of cuDNN, which resets after the product:
//   r = sigmoid(x_r + h_r),  z = sigmoid(x_z + h_z),  n = tanh(x_n + r h_n),  h' = n + z (h - n).
Variable GruStep(const Variable& x_gates, const Variable& h_gates, const Variable& h,
                 SourceLocation where = SourceLocation::current());
// As published, reset before the product: n = tanh(x_n + (r h) weight_n). weight_hh: [H, 3H].
Variable GruStepResetBefore(const Variable& x_gates, const Variable& h, const Variable& weight_hh,
                            SourceLocation where = SourceLocation::current());

// Scans of these steps over x: [N, T, F], each as one op with kernels of its own (float32). With G
// gates, x_gates = x weight_ih + bias and h_gates = h weight_hh.
struct RecurrentParameters {
  Variable weight_ih;  // [F, G H]
  Variable weight_hh;  // [H, G H]
  Variable bias;       // [G H]
};
Scanned LstmSequence(const Variable& x, const RecurrentParameters& parameters,
                     const LstmState& initial, const ScanOptions& options = {},
                     SourceLocation where = SourceLocation::current());
// bias_hn: [H], added to h_n. Undefined: the gate resets before the product.
Scanned GruSequence(const Variable& x, const RecurrentParameters& parameters,
                    const Variable& bias_hn, const Variable& initial,
                    const ScanOptions& options = {},
                    SourceLocation where = SourceLocation::current());
// h' = tanh(x_gates + h_gates), or relu (Elman 1990; Le et al. 2015).
enum class RnnActivation { kTanh, kRelu };
Scanned RnnSequence(const Variable& x, const RecurrentParameters& parameters,
                    RnnActivation activation, const Variable& initial,
                    const ScanOptions& options = {},
                    SourceLocation where = SourceLocation::current());

template <int n>
std::array<Variable, n> Chunk(const Variable& x, int axis, SourceLocation where) {
  const std::vector<int64_t> lengths = internal::EqualParts(x, axis, n, where);
  std::vector<Variable> parts = Split(x, lengths, axis, where);
  std::array<Variable, n> chunks;
  std::move(parts.begin(), parts.end(), chunks.begin());
  return chunks;
}

}  // namespace wengert

#endif  // WENGERT_OPS_OPS_H_
