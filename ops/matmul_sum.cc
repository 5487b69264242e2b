// A sum of matrix products: one op, which is found where the gradient of weights that several
// products share is added up. It has the bits of the products and sums one by one, and their rules,
// but the products take no memory.
#include <utility>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "absl/strings/str_cat.h"
#include "autograd/op.h"
#include "ops/kernels/matmul.h"
#include "ops/ops.h"
#include "ops/patterns.h"

namespace wengert {
namespace {

// (before [m, n]; a_0 [m, k_0], b_0 [k_0, n]; a_1, b_1; ...) -> before + a_0 b_0 + a_1 b_1 + ...
// With an even number of inputs there is no `before`.
struct MatMulSumOp : Op<MatMulSumOp> {
  static constexpr std::string_view kName = "matmul_sum";
  static constexpr Uses kUses = Uses::Inputs();

  static size_t NumBefore(size_t inputs) { return inputs % 2; }

  Spec Infer(VariableSpan x) const {
    const size_t first = NumBefore(x.size());
    Shape sum = first ? x[0].shape() : Shape();
    for (size_t i = first; i < x.size(); i += 2) {
      const Shape &a = x[i].shape(), &b = x[i + 1].shape();
      const bool multiply = a.rank() == 2 && b.rank() == 2 && a[1] == b[0];
      if (multiply && i == 0) sum = {a[0], b[1]};
      if (multiply && sum == Shape{a[0], b[1]}) continue;
      throw Error(kName, absl::StrCat("not products that add up to ", ToString(sum), ": ",
                                      ToString(a), " x ", ToString(b)));
    }
    for (const Variable& v : x) {
      if (IsFloating(v.dtype()) && v.dtype() == x[0].dtype()) continue;
      throw Error(kName, "the operands must be of one floating dtype");
    }
    return {std::move(sum), x[0].dtype()};
  }
  void Forward(TensorSpan x, Tensor& y) const {
    const size_t first = NumBefore(x.size());
    absl::InlinedVector<const Tensor*, 64> factors;
    for (size_t i = first; i < x.size(); ++i) factors.push_back(&x[i]);
    MatMulSumKernel(first ? &x[0] : nullptr, factors, y);
  }
  Gradients Vjp(VariableSpan x, const Variable&, const Variable& dy, Needs needs) const {
    Gradients gradients;
    const size_t first = NumBefore(x.size());
    if (first) gradients.push_back(needs[0] ? dy : Variable());
    for (size_t i = first; i < x.size(); i += 2) {
      gradients.push_back(needs[i] ? MatMul(dy, Transpose(x[i + 1])) : Variable());
      gradients.push_back(needs[i + 1] ? MatMul(Transpose(x[i]), dy) : Variable());
    }
    return gradients;
  }
  static std::vector<OpCase> Cases();
};

// As the rule of a product writes the gradient of its weights: x^T dy for each pair.
Variable SumOfUpdates(VariableSpan x) {
  std::vector<Variable> inputs(x.begin(), x.end());
  for (size_t i = MatMulSumOp::NumBefore(x.size()); i < x.size(); i += 2) {
    inputs[i] = Transpose(inputs[i]);
  }
  return Apply(MatMulSumOp(), VariableSpan(inputs));
}

std::vector<OpCase> MatMulSumOp::Cases() {
  std::vector<OpCase> cases;
  const struct {
    int64_t m, n;
    std::vector<int64_t> ks;
  } sizes[] = {{3, 4, {2, 3}}, {9, 17, {1, 3, 2}}, {8, 16, {5}},  {1, 1, {1, 1}},
               {2, 3, {0, 2}}, {0, 3, {2, 1}},     {3, 0, {1, 2}}};
  for (const auto& [m, n, ks] : sizes) {
    for (const bool before : {false, true}) {
      for (const bool transposed : {false, true}) {
        std::vector<Sample> samples;
        if (before) samples.push_back({.shape = {m, n}});
        for (const int64_t k : ks) {
          samples.push_back({.shape = transposed ? Shape{k, m} : Shape{m, k}});
          samples.push_back({.shape = {k, n}});
        }
        cases.push_back(
            OpCase::Of(absl::StrCat(ks.size(), " of ", m, " x ", ks[0], " x ", n,
                                    before ? ", added" : "", transposed ? ", transposed" : ""),
                       samples, [transposed](VariableSpan x) {
                         return transposed ? SumOfUpdates(x) : Apply(MatMulSumOp(), x);
                       }));
        cases.back().reorders = true;
      }
    }
  }
  return cases;
}

// Its factors wait for the last of the products: they must not take more memory than the results
// would, or hardly.
bool IsLargerThanFactors(const Node& product) {
  const Variable &a = product.inputs()[0], &b = product.inputs()[1];
  return a.rank() == 2 && b.rank() == 2 && a.size() + b.size() <= 2 * product.outputs()[0].size();
}

}  // namespace

Variable internal::SumUpProducts(const Variable& before, VariableSpan products) {
  std::vector<Variable> inputs;
  if (before.defined()) inputs.push_back(before);
  for (const Variable& product : products) {
    const Node& node = *product.node();
    if (!IsLargerThanFactors(node)) return Variable();
    inputs.insert(inputs.end(), node.inputs().begin(), node.inputs().end());
  }
  return Apply(MatMulSumOp(), VariableSpan(inputs));
}

}  // namespace wengert
