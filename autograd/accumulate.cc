#include "autograd/accumulate.h"

#include <algorithm>

#include "autograd/modes.h"
#include "autograd/op.h"
#include "tensor/parallel.h"

namespace wengert::internal {
namespace {

constexpr int64_t kChunk = 1 << 15;  // elements of a task

struct AccumulateOp : Op<AccumulateOp> {
  static constexpr std::string_view kName = "accumulate";
  static constexpr Uses kUses = Uses::None();
  static constexpr bool kDonates = true;
  static constexpr Grouping kGrouping = Grouping::kAccumulate;

  Spec Infer(VariableSpan x) const { return {x[0].shape(), x[0].dtype()}; }

  void Forward(TensorSpan x, Tensor& y) const {
    absl::InlinedVector<Tensor, 4> terms;
    for (size_t i = 0; i < x.size(); ++i) terms.push_back(x[i].Contiguous());
    DispatchDType(y.dtype(), [&]<class T>() {
      T* out = y.mutable_data<T>();
      const int64_t size = y.size();
      ParallelFor((size + kChunk - 1) / kChunk, [&](int64_t task) {
        const int64_t begin = task * kChunk, end = std::min(size, begin + kChunk);
        Sum<T>(terms, begin, end, out);
      });
    });
  }

  Gradients Vjp(VariableSpan x, const Variable&, const Variable& dy, Needs needs) const {
    Gradients gradients;
    for (size_t i = 0; i < x.size(); ++i) gradients.push_back(needs[i] ? dy : Variable());
    return gradients;
  }
  static std::vector<OpCase> Cases() {
    return OpCase::LinearOverShapes([](const Variable& x) {
      return Accumulate(std::vector{x, x, x});
    });
  }

 private:
  template <class T>
  static void Sum(absl::Span<const Tensor> terms, int64_t begin, int64_t end, T* out) {
    const T* first = terms[0].data<T>();
    const T* second = terms[1].data<T>();
    for (int64_t i = begin; i < end; ++i) out[i] = static_cast<T>(first[i] + second[i]);
    for (size_t t = 2; t < terms.size(); ++t) {
      const T* term = terms[t].data<T>();
      for (int64_t i = begin; i < end; ++i) out[i] = static_cast<T>(out[i] + term[i]);
    }
  }
};

struct AliasOp : Op<AliasOp> {
  static constexpr std::string_view kName = "alias";
  static constexpr Uses kUses = Uses::None();
  static constexpr bool kMakesOutputs = true;
  Spec Infer(VariableSpan x) const { return {x[0].shape(), x[0].dtype()}; }
  void Forward(TensorSpan x, Tensor& y) const { y = x[0]; }
  Gradients Vjp(VariableSpan, const Variable&, const Variable& dy, Needs) const { return {dy}; }
  static std::vector<OpCase> Cases() { return OpCase::LinearOverShapes(&Alias); }
};

}  // namespace

Variable Accumulate(VariableSpan terms) {
  if (terms.size() == 1) return terms[0];
  // A node has a limited number of inputs; the partial sum goes first, so the order stays.
  constexpr size_t kMost = 1024;
  std::vector<Variable> part;
  for (const Variable& term : terms) {
    if (part.size() == kMost) part = {Apply(AccumulateOp{}, VariableSpan(part))};
    part.push_back(term);
  }
  return Apply(AccumulateOp{}, VariableSpan(part));
}

const OpTable* AliasTable() { return &kOpTable<AliasOp>; }

Variable Alias(const Variable& x) {
  static_cast<void>(&Registered<AliasOp>::value);  // recorded by hand, for the flag
  const NoGradGuard with_grad(/*no_grad=*/false);
  const Spec spec{x.shape(), x.dtype()};
  Recording recording = BeginRecord(&kOpTable<AliasOp>, {&x, 1}, {&spec, 1}, 0, x.node()->where());
  recording.more_flags = Node::kRequiresGrad;
  return EndRecord(recording);
}

}  // namespace wengert::internal
