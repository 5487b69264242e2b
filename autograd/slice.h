// Narrow and its adjoint Assemble: the pair behind every op that cuts or joins along an axis. They
// live with the tape since it merges the cotangents of slices: the gradient of something cut into
// pieces is assembled in one pass, not added up from padded copies.
#ifndef WENGERT_AUTOGRAD_SLICE_H_
#define WENGERT_AUTOGRAD_SLICE_H_

#include "absl/container/inlined_vector.h"
#include "autograd/op.h"

namespace wengert::internal {

// Where a piece lies along the axis: start, start + step, ... (`length` of them).
struct Place {
  int64_t start = 0;
  int64_t length = 0;
  int64_t step = 1;
};

// `length` elements of `axis`: a view.
struct NarrowOp : Op<NarrowOp> {
  static constexpr std::string_view kName = "narrow";
  static constexpr Uses kUses = Uses::None();
  static constexpr bool kMakesOutputs = true;

  int axis;
  Place place;

  Spec Infer(VariableSpan x) const;
  void Forward(TensorSpan x, Tensor& y) const;
  Gradients Vjp(VariableSpan x, const Variable& y, const Variable& dy, Needs needs) const;
  static std::vector<OpCase> Cases();
};

// Zeros of length `dim` along `axis`, with the inputs written at their places, which are disjoint.
struct AssembleOp : Op<AssembleOp> {
  static constexpr std::string_view kName = "assemble";
  static constexpr Uses kUses = Uses::None();

  int axis;
  int64_t dim;
  absl::InlinedVector<Place, 1> places;  // one per input

  Spec Infer(VariableSpan x) const;
  void Forward(TensorSpan x, Tensor& y) const;
  Gradients Vjp(VariableSpan x, const Variable& y, const Variable& dy, Needs needs) const;
  static std::vector<OpCase> Cases();
};

// Replaces those terms of a sum that are assembled along the same axis from disjoint places by one
// assembled term.
void MergeAssembled(absl::InlinedVector<Variable, 1>& terms);

bool IsNarrow(const Node& node);
// An assembled value that is recorded lazily and waits, uncounted, until it is read or resumed.
void HoldBack(const Variable& assembled);
void Resume(const Variable& v);  // no effect on any other

}  // namespace wengert::internal

#endif  // WENGERT_AUTOGRAD_SLICE_H_
