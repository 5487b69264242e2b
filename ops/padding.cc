// Padding. A constant is written around x by an op of its own; every other mode reads elements of x
// again, so it gathers them, one axis after the other.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "ops/place.h"

namespace wengert {
namespace {

using Widths = absl::InlinedVector<PadWidth, 4>;

std::string ToString(absl::Span<const PadWidth> widths) {
  std::string text;
  for (const PadWidth& width : widths) {
    absl::StrAppend(&text, text.empty() ? "" : ",", "{", width.before, ",", width.after, "}");
  }
  return absl::StrCat("{", text, "}");
}

// x inside an array of one value.
struct PadOp : Op<PadOp> {
  static constexpr std::string_view kName = "pad";
  static constexpr Uses kUses = Uses::None();
  Widths widths;  // one per axis
  double value;

  Spec Infer(VariableSpan x) const {
    Shape shape = x[0].shape();
    if (static_cast<size_t>(shape.rank()) != widths.size()) {
      throw Error(kName, absl::StrCat(wengert::ToString(shape), " does not have the ",
                                      widths.size(), " axes of the widths"));
    }
    for (int i = 0; i < shape.rank(); ++i) shape[i] += widths[i].before + widths[i].after;
    CheckedNumElements(shape, kName);
    return {std::move(shape), x[0].dtype()};
  }
  void Forward(TensorSpan x, Tensor& y) const {
    y.Fill(value);
    Tensor inner = y;
    for (int i = 0; i < y.rank(); ++i) inner = inner.Narrow(i, widths[i].before, x[0].dim(i));
    inner.CopyFrom(x[0]);
  }
  Gradients Vjp(VariableSpan x, const Variable&, const Variable& dy, Needs) const {
    Variable dx = dy;
    for (int i = 0; i < dx.rank(); ++i) {
      const int64_t dim = x[0].shape()[i];
      if (dim != dx.shape()[i]) dx = Narrow(dx, i, widths[i].before, dim);
    }
    return {std::move(dx)};
  }
  static std::vector<OpCase> Cases() {
    std::vector<OpCase> cases;
    const std::pair<Shape, Widths> list[] = {{{}, {}},
                                             {{5}, {{2, 1}}},
                                             {{1}, {{0, 3}}},
                                             {{0}, {{2, 1}}},
                                             {{3, 4}, {{0, 0}, {1, 2}}},
                                             {{3, 4}, {{1, 0}, {0, 0}}},
                                             {{2, 3, 1}, {{1, 1}, {0, 2}, {3, 0}}},
                                             {{2, 0, 3}, {{1, 0}, {0, 0}, {2, 2}}},
                                             {{1, 4, 3, 2}, {{0, 0}, {1, 1}, {2, 1}, {0, 0}}}};
    for (const auto& [shape, widths] : list) {
      const std::string name = absl::StrCat(wengert::ToString(shape), " by ", ToString(widths));
      cases.push_back(OpCase::Linear(name, {shape}, [widths = widths](VariableSpan x) {
        return Apply(PadOp{.widths = widths, .value = 0}, {x[0]});
      }));
      cases.push_back(OpCase::Of(absl::StrCat(name, ", ones"), {{.shape = shape}},
                                 [widths = widths](VariableSpan x) {
                                   return Apply(PadOp{.widths = widths, .value = 1}, {x[0]});
                                 }));
    }
    return cases;
  }
};

int64_t Modulo(int64_t a, int64_t n) { return (a % n + n) % n; }

// Which of `dim` elements stands at position i, which may be beyond them.
int64_t Source(PadMode mode, int64_t i, int64_t dim) {
  const auto mirrored = [&](int64_t period, int64_t last) {
    const int64_t at = Modulo(i, period);
    return std::min(at, last - at);
  };
  switch (mode) {
    case PadMode::kReflect:
      return dim == 1 ? 0 : mirrored(2 * dim - 2, 2 * dim - 2);
    case PadMode::kSymmetric:
      return mirrored(2 * dim, 2 * dim - 1);
    case PadMode::kWrap:
      return Modulo(i, dim);
    default:
      return std::clamp<int64_t>(i, 0, dim - 1);
  }
}

Variable PadFromElements(PadMode mode, const Variable& x, int axis, PadWidth width) {
  const int64_t dim = x.dim(axis);
  if (width.before == 0 && width.after == 0) return x;
  if (dim == 0) {
    throw Error("pad", absl::StrCat("axis ", axis, " of ", wengert::ToString(x.shape()),
                                    " has no elements to pad with"));
  }
  Tensor indices = Tensor::Empty({width.before + dim + width.after}, DType::kInt64);
  auto* at = indices.mutable_data<int64_t>();
  for (int64_t i = -width.before; i < dim + width.after; ++i) *at++ = Source(mode, i, dim);
  return Gather(x, indices, axis);
}

}  // namespace

Variable Pad(const Variable& x, absl::Span<const PadWidth> widths, const PadOptions& options,
             SourceLocation where) {
  return internal::Placed("pad", {&x, 1}, where, [&] {
    constexpr int64_t kMost = int64_t{1} << 31;  // sums of them cannot overflow
    bool fits = widths.size() == static_cast<size_t>(x.rank());
    for (const auto& [before, after] : widths) {
      fits &= before >= 0 && after >= 0 && before <= kMost && after <= kMost;
    }
    if (!fits) {
      throw Error("pad", absl::StrCat("widths ", ToString(widths), " are not one {before, after}, ",
                                      "each in [0, 2^31], for every axis of ",
                                      wengert::ToString(x.shape())));
    }
    if (options.mode == PadMode::kConstant) {
      const bool pads = std::any_of(widths.begin(), widths.end(),
                                    [](PadWidth w) { return w.before > 0 || w.after > 0; });
      if (!pads) return x;
      return Apply(PadOp{.widths = {widths.begin(), widths.end()}, .value = options.value}, {x});
    }
    Variable y = x;
    for (int i = 0; i < x.rank(); ++i) y = PadFromElements(options.mode, y, i, widths[i]);
    return y;
  });
}

}  // namespace wengert
