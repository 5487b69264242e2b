#include "autograd/accumulate.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "autograd/modes.h"
#include "autograd/op.h"
#include "autograd/pattern.h"
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

// A node has a limited number of inputs; the partial sum goes first, so the order stays.
constexpr size_t kMost = 1024;
constexpr size_t kMostSummedUp = 256;  // of terms, which may have several inputs each

// How many of the first terms are nodes of one op that sums up, and may be replaced. Not where they
// are to be differentiated: one node adds its gradients to others' at one place, they at many.
size_t SummableTerms(VariableSpan terms) {
  const OpTable* const op = terms[0].node()->op;
  if (!op || !op->sum_up || !FindsComposites()) return 0;
  size_t count = 0;
  while (count < std::min(terms.size(), kMostSummedUp) && terms[count].node()->op == op &&
         !terms[count].requires_grad() &&
         MayBeReplaced(terms[count], /*reader_requires_grad=*/false)) {
    ++count;
  }
  return count;
}

}  // namespace

Variable Accumulate(VariableSpan terms) {
  if (terms.size() == 1) return terms[0];
  std::vector<Variable> part;  // still to be added up
  const auto add_up = [&] {
    if (part.size() > 1) part = {Apply(AccumulateOp{}, VariableSpan(part))};
  };
  while (!terms.empty()) {
    if (SummableTerms(terms) > 1) add_up();
    // Recording may have computed some: a limit on pending work.
    if (const size_t count = SummableTerms(terms); count > 1) {
      const Variable before = part.empty() ? Variable() : part[0];
      Variable sum = terms[0].node()->op->sum_up(before, terms.subspan(0, count));
      if (sum.defined()) {
        part = {std::move(sum)};
      } else {
        part.insert(part.end(), terms.begin(), terms.begin() + count);
      }
      terms.remove_prefix(count);
    } else {
      part.push_back(terms[0]);
      terms.remove_prefix(1);
    }
    if (part.size() >= kMost) add_up();
  }
  add_up();
  return part[0];
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
