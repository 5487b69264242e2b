// Random tensors and dropout. The seed and the counter are attributes of the op, fixed when it is
// recorded: evaluating late, twice or on many threads gives the same numbers.
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "autograd/op.h"
#include "ops/kernels/philox.h"
#include "ops/ops.h"

namespace wengert {
namespace {

// What the ops without inputs share.
template <class Derived>
struct RandomOp : Op<Derived> {
  static constexpr Uses kUses = Uses::None();
  static constexpr bool kDifferentiable = false;
};

// Shapes of every rank, with a generator that starts anew at each call.
std::vector<OpCase> FillCases(Variable (*f)(const Shape&, Generator&)) {
  std::vector<OpCase> cases;
  for (const Shape& shape : {Shape{}, Shape{1}, Shape{5}, Shape{64}, Shape{2, 3}, Shape{0, 4},
                             Shape{3, 1, 7}, Shape{2, 3, 4, 5}, Shape{40000}}) {
    cases.push_back(OpCase::Of(ToString(shape), {}, [f, shape](VariableSpan) {
      Generator generator(3);
      return f(shape, generator);
    }));
  }
  return cases;
}

struct UniformOp : RandomOp<UniformOp> {
  static constexpr std::string_view kName = "uniform";
  Shape shape;
  RandomStream stream;
  double low, high;
  DType dtype;

  Spec Infer(VariableSpan) const { return {shape, dtype}; }
  void Forward(TensorSpan, Tensor& y) const { FillUniform(stream, low, high, y); }
  static std::vector<OpCase> Cases() {
    return FillCases([](const Shape& shape, Generator& g) { return Uniform(shape, g, -1, 2); });
  }
};

struct NormalOp : RandomOp<NormalOp> {
  static constexpr std::string_view kName = "normal";
  Shape shape;
  RandomStream stream;
  double mean, stddev;
  DType dtype;

  Spec Infer(VariableSpan) const { return {shape, dtype}; }
  void Forward(TensorSpan, Tensor& y) const { FillNormal(stream, mean, stddev, y); }
  static std::vector<OpCase> Cases() {
    return FillCases([](const Shape& shape, Generator& g) { return Normal(shape, g, 1, 2); });
  }
};

struct BernoulliOp : RandomOp<BernoulliOp> {
  static constexpr std::string_view kName = "bernoulli";
  Shape shape;
  RandomStream stream;
  double probability;
  DType dtype;

  Spec Infer(VariableSpan) const { return {shape, dtype}; }
  void Forward(TensorSpan, Tensor& y) const { FillBernoulli(stream, probability, y); }
  static std::vector<OpCase> Cases() {
    return FillCases([](const Shape& shape, Generator& g) { return Bernoulli(shape, g, 0.3); });
  }
};

struct PermutationOp : RandomOp<PermutationOp> {
  static constexpr std::string_view kName = "permutation";
  int64_t n;
  RandomStream stream;

  Spec Infer(VariableSpan) const { return {{n}, DType::kInt64}; }
  void Forward(TensorSpan, Tensor& y) const { FillPermutation(stream, y); }
  static std::vector<OpCase> Cases() {
    std::vector<OpCase> cases;
    for (const int64_t n : {0, 1, 2, 3, 10, 100, 1000, 40000}) {
      cases.push_back(OpCase::Of(absl::StrCat("of ", n), {}, [n](VariableSpan) {
        Generator generator(3);
        return Permutation(n, generator);
      }));
    }
    return cases;
  }
};

// Linear in x and its own adjoint: the mask is drawn again where it is needed, never stored.
struct DropoutOp : Op<DropoutOp> {
  static constexpr std::string_view kName = "dropout";
  static constexpr Uses kUses = Uses::None();
  static constexpr bool kDonates = true;
  double rate;
  RandomStream stream;

  Spec Infer(VariableSpan x) const { return {x[0].shape(), x[0].dtype()}; }
  void Forward(TensorSpan x, Tensor& y) const { DropoutKernel(stream, rate, x[0], y); }
  Gradients Vjp(VariableSpan, const Variable&, const Variable& dy, Needs) const {
    return {Apply(DropoutOp{.rate = rate, .stream = stream}, {dy})};
  }
  static std::vector<OpCase> Cases() {
    std::vector<OpCase> cases;
    const std::pair<Shape, double> list[] = {{{}, 0.5},     {{1}, 0.5},         {{7}, 0.25},
                                             {{64}, 0.9},   {{3, 5}, 0.5},      {{2, 3, 4}, 0.1},
                                             {{0, 3}, 0.5}, {{2, 1, 3, 2}, 0.5}};
    for (const auto& [shape, rate] : list) {
      cases.push_back(OpCase::Linear(absl::StrCat(ToString(shape), " at ", rate), {shape},
                                     [rate = rate](VariableSpan x) {
                                       Generator generator(7);
                                       const TrainingScope training(generator);
                                       return Dropout(x[0], rate);
                                     }));
    }
    return cases;
  }
};

// The words for a tensor of this shape; throws if there is none.
RandomStream Draw(std::string_view op, const Shape& shape, int64_t words_per_element,
                  Generator& generator, SourceLocation where) {
  try {
    const int64_t words = CheckedNumElements(shape, op) * words_per_element;
    return {generator.seed, generator.Draw(words)};
  } catch (Error& error) {
    internal::RethrowWithPlace(error, {}, where);
  }
}

void CheckFloating(std::string_view op, DType dtype, SourceLocation where) {
  if (!IsFloating(dtype)) {
    internal::ThrowAt(
        op, absl::StrCat("dtype must be float32 or float64, not ", std::string(Name(dtype))),
        where);
  }
}

}  // namespace

Variable Uniform(const Shape& shape, Generator& generator, double low, double high, DType dtype,
                 SourceLocation where) {
  CheckFloating("uniform", dtype, where);
  if (!(low <= high && std::isfinite(high - low))) {
    internal::ThrowAt("uniform", absl::StrCat("[", low, ", ", high, ") is no interval"), where);
  }
  const RandomStream stream = Draw("uniform", shape, WordsPerElement(dtype), generator, where);
  return Apply(
      UniformOp{.shape = shape, .stream = stream, .low = low, .high = high, .dtype = dtype},
      VariableSpan(), where);
}

Variable Normal(const Shape& shape, Generator& generator, double mean, double stddev, DType dtype,
                SourceLocation where) {
  CheckFloating("normal", dtype, where);
  if (!(stddev >= 0 && std::isfinite(stddev) && std::isfinite(mean))) {
    internal::ThrowAt(
        "normal", absl::StrCat("no distribution has mean ", mean, " and stddev ", stddev), where);
  }
  const RandomStream stream = Draw("normal", shape, WordsPerElement(dtype), generator, where);
  return Apply(
      NormalOp{.shape = shape, .stream = stream, .mean = mean, .stddev = stddev, .dtype = dtype},
      VariableSpan(), where);
}

Variable Bernoulli(const Shape& shape, Generator& generator, double probability, DType dtype,
                   SourceLocation where) {
  if (!(probability >= 0 && probability <= 1)) {
    internal::ThrowAt("bernoulli", absl::StrCat("probability must be in [0, 1]: ", probability),
                      where);
  }
  const RandomStream stream = Draw("bernoulli", shape, 1, generator, where);
  return Apply(
      BernoulliOp{.shape = shape, .stream = stream, .probability = probability, .dtype = dtype},
      VariableSpan(), where);
}

Variable Permutation(int64_t n, Generator& generator, SourceLocation where) {
  if (n < 0 || n >= int64_t{1} << 32) {
    internal::ThrowAt("permutation", absl::StrCat("n must be in [0, 2^32): ", n), where);
  }
  const RandomStream stream = Draw("permutation", {n}, 1, generator, where);
  return Apply(PermutationOp{.n = n, .stream = stream}, VariableSpan(), where);
}

Variable Dropout(const Variable& x, double rate, SourceLocation where) {
  const WhereScope scope(where, "dropout");
  if (!(rate >= 0 && rate < 1)) {
    internal::ThrowAt("dropout", absl::StrCat("rate must be in [0, 1): ", rate), {&x, 1}, where);
  }
  if (!IsFloating(x.dtype())) return Dropout(Cast(x, DType::kFloat32, where), rate, where);
  if (rate == 0 || !TrainingScope::active()) return x;
  const RandomStream stream = Draw("dropout", x.shape(), 1, TrainingScope::generator(), where);
  return Apply(DropoutOp{.rate = rate, .stream = stream}, {x}, where);
}

}  // namespace wengert
