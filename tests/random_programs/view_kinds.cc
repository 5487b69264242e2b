// Movement: views of every kind, joining and cutting, indexing; and reductions over any axes.
#include <algorithm>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_join.h"
#include "ops/ops.h"
#include "tests/random_programs/op_kinds.h"

namespace wengert::random_programs {
namespace {

constexpr Nature kSmooth = Nature::kSmooth, kKinked = Nature::kKinked;
constexpr int kMaxRankHere = 4;

bool HasAxes(const ValueInfo& x) { return x.rank() > 0; }
bool HasTwoAxes(const ValueInfo& x) { return x.rank() > 1; }
bool CanGrow(const ValueInfo& x) { return x.rank() < kMaxRankHere && x.size() < 3000; }
bool HasLengthOneAxis(const ValueInfo& x) {
  return x.size() < 3000 && std::find(x.shape.begin(), x.shape.end(), 1) != x.shape.end();
}
bool HasNumbersAlongAxes(const ValueInfo& x) { return IsNumeric(x) && x.rank() > 0; }
bool HasRealsAlongAxes(const ValueInfo& x) { return IsRealWithElements(x) && x.rank() > 0; }
bool HasNumbers(const ValueInfo& x) { return IsNumeric(x) && x.size() > 0; }

std::string Text(const Shape& shape) { return absl::StrCat("{", absl::StrJoin(shape, ", "), "}"); }

Results ReshapeAny(Call& call) {
  const Variable& x = call.x[0];
  Shape shape = x.shape();
  const int axis = static_cast<int>(call.random.Below(shape.rank()));
  const int64_t factor = call.random.Of({2, 3, 5});
  if (call.random.Percent(30)) {
    shape = {x.size()};
  } else if (shape[axis] % factor == 0 && shape.rank() < kMaxRankHere) {
    shape[axis] /= factor;
    shape.Insert(axis + static_cast<int>(call.random.Below(2)), factor);
  } else if (shape.rank() > 1) {  // two axes become one
    const int first = std::min(axis, shape.rank() - 2);
    shape[first] *= shape[first + 1];
    shape.Remove(first + 1);
  }
  Say(call, "Reshape(x[0], ", Text(shape), ")");
  return {Reshape(x, shape)};
}

Results PermuteAny(Call& call) {
  std::vector<int> order(call.x[0].rank());
  std::iota(order.begin(), order.end(), 0);
  for (size_t i = order.size(); i-- > 1;) {
    std::swap(order[i], order[call.random.Below(static_cast<int64_t>(i) + 1)]);
  }
  Say(call, "Permute(x[0], {", absl::StrJoin(order, ", "), "})");
  return {Permute(call.x[0], order)};
}

Results ExpandNewAxis(Call& call) {
  const int axis = static_cast<int>(call.random.Below(call.x[0].rank() + 1));
  Shape shape = call.x[0].shape();
  shape.Insert(axis, call.random.Of({1, 2, 3, 6}));
  Say(call, "Expand(Unsqueeze(x[0], ", axis, "), ", Text(shape), ")");
  return {Expand(Unsqueeze(call.x[0], axis), shape)};
}

Results ExpandLengthOne(Call& call) {
  Shape shape = call.x[0].shape();
  for (int64_t& dim : shape) {
    if (dim == 1) dim = call.random.Of({1, 3, 5});
  }
  Say(call, "Expand(x[0], ", Text(shape), ")");
  return {Expand(call.x[0], shape)};
}

Results NarrowAny(Call& call) {
  const int axis = static_cast<int>(call.random.Below(call.x[0].rank()));
  const int64_t dim = call.x[0].dim(axis);
  int64_t step = call.random.Of({1, 1, 1, 2, 3, -1, -2});
  int64_t length = 0, start = 0;
  if (dim > 0 && !call.random.Percent(1)) {
    const int64_t most = (dim + std::abs(step) - 1) / std::abs(step);
    length = std::max(call.random.Percent(60) ? most - 1 : 1 + call.random.Below(most), int64_t{1});
    const int64_t spare = dim - 1 - (length - 1) * std::abs(step);
    start = call.random.Below(spare + 1);
    if (step < 0) start = dim - 1 - start;
  }
  Say(call, "Narrow(x[0], ", axis, ", ", start, ", ", length, ", ", step, ")");
  return {Narrow(call.x[0], axis, start, length, step)};
}

Results FlipAny(Call& call) {
  std::vector<int> axes;
  for (int axis = 0; axis < call.x[0].rank(); ++axis) {
    if (call.random.Percent(60)) axes.push_back(axis);
  }
  if (axes.empty()) axes.push_back(0);
  Say(call, "Flip(x[0], {", absl::StrJoin(axes, ", "), "})");
  return {Flip(call.x[0], Axes(absl::MakeConstSpan(axes)))};
}

Results SqueezeOne(Call& call) {
  int axis = 0;
  while (call.x[0].dim(axis) != 1) ++axis;
  Say(call, "Squeeze(x[0], ", axis, ")");
  return {Squeeze(call.x[0], axis)};
}

Results RollAny(Call& call) {
  const int axis = static_cast<int>(call.random.Below(call.x[0].rank()));
  const int64_t shift = call.random.Of({1, 1, 2, -1, 7});
  Say(call, "Roll(x[0], ", shift, ", ", axis, ")");
  return {Roll(call.x[0], shift, axis)};
}

Results PadAny(Call& call) {
  const PadMode mode =
      call.x[0].size() == 0
          ? PadMode::kConstant
          : call.random.Of({PadMode::kConstant, PadMode::kEdge, PadMode::kReflect, PadMode::kWrap});
  std::vector<PadWidth> widths(call.x[0].rank());
  std::vector<std::string> texts;
  for (auto& [before, after] : widths) {
    before = call.random.Below(3);
    after = call.random.Below(3);
    texts.push_back(absl::StrCat("{", before, ", ", after, "}"));
  }
  Say(call, "Pad(x[0], {", absl::StrJoin(texts, ", "), "}, {.mode = PadMode(",
      static_cast<int>(mode), ")})");
  return {Pad(call.x[0], widths, {.mode = mode})};
}
bool CanBePadded(const ValueInfo& x) { return HasNumbersAlongAxes(x) && CanGrow(x); }

Results DiagonalAny(Call& call) {
  const int row_axis = static_cast<int>(call.random.Below(call.x[0].rank()));
  const int column_axis = (row_axis + 1) % call.x[0].rank();
  const int64_t offset = call.random.Of({0, 0, 1, -1});
  Say(call, "Diagonal(x[0], ", offset, ", ", row_axis, ", ", column_axis, ")");
  return {Diagonal(call.x[0], offset, row_axis, column_axis)};
}

// The same but for one axis.
std::vector<Wanted> Continuation(Random& random, const ValueInfo& x) {
  Wanted wanted = Like(x, x.shape);
  if (!x.floating()) {
    wanted.low = 0;
    wanted.high = 1;
  }
  if (random.Percent(30)) {
    wanted.shape[static_cast<int>(random.Below(x.rank()))] = random.Of({1, 2, 3});
  }
  return {wanted};
}
Results ConcatTwo(Call& call) {
  const Shape &a = call.x[0].shape(), &b = call.x[1].shape();
  int axis = static_cast<int>(call.random.Below(a.rank()));
  for (int i = 0; i < a.rank(); ++i) {
    if (a[i] != b[i]) axis = i;
  }
  Say(call, "Concat({{x[0], x[1]}}, ", axis, ")");
  return {Concat({{call.x[0], call.x[1]}}, axis)};
}

std::vector<Wanted> Same(Random&, const ValueInfo& x) {
  Wanted wanted = Like(x, x.shape);
  if (!x.floating()) {
    wanted.low = 0;
    wanted.high = 1;
  }
  return {wanted};
}
Results StackThree(Call& call) {
  const int axis = static_cast<int>(call.random.Below(call.x[0].rank() + 1));
  Say(call, "Stack({{x[0], x[1], x[0]}}, ", axis, ")");
  return {Stack({{call.x[0], call.x[1], call.x[0]}}, axis)};
}

Results SplitAny(Call& call) {
  const int axis = static_cast<int>(call.random.Below(call.x[0].rank()));
  const int64_t dim = call.x[0].dim(axis), first = call.random.Below(dim + 1),
                second = call.random.Below(dim - first + 1);
  const std::vector<int64_t> lengths = {first, second, dim - first - second};
  Say(call, "Split(x[0], {", absl::StrJoin(lengths, ", "), "}, ", axis, ")");
  const std::vector<Variable> parts = Split(call.x[0], lengths, axis);
  return {parts.begin(), parts.end()};
}

Results EmbedAny(Call& call) {
  const int axis = static_cast<int>(call.random.Below(call.x[0].rank()));
  const int64_t dim = call.x[0].dim(axis), step = call.random.Of({1, 1, 2}),
                start = call.random.Below(3), whole = start + dim * step + call.random.Below(2);
  Say(call, "Embed(x[0], ", axis, ", ", whole, ", ", start, ", ", step, ")");
  return {Embed(call.x[0], axis, whole, start, step)};
}

Results SumToAny(Call& call) {
  Shape shape = call.x[0].shape();
  for (int64_t& dim : shape) {
    if (call.random.Percent(50)) dim = 1;
  }
  while (!shape.empty() && shape[0] == 1 && call.random.Percent(50)) shape.Remove(0);
  Say(call, "SumTo(x[0], ", Text(shape), ")");
  return {SumTo(call.x[0], shape)};
}

std::vector<Wanted> Indices(Random& random, const ValueInfo& x) {
  const Shape shape = random.Of({Shape{3}, Shape{7}, Shape{2, 3}, Shape()});
  return {{.shape = shape,
           .dtype = random.Of({DType::kInt64, DType::kInt32}),
           .low = 0,
           .high = static_cast<double>(*std::min_element(x.shape.begin(), x.shape.end()) - 1)}};
}
Results GatherAny(Call& call) {
  const int axis = static_cast<int>(call.random.Below(call.x[0].rank()));
  Say(call, "Gather(x[0], x[1], ", axis, ")");
  return {Gather(call.x[0], call.x[1], axis)};
}
bool CanBeGathered(const ValueInfo& x) { return HasRealsAlongAxes(x) && x.rank() <= 2; }

std::vector<Wanted> IndicesOfRows(Random&, const ValueInfo& x) {
  return {{.shape = {x.shape[0]}, .dtype = DType::kInt64, .low = 0, .high = 4}};
}
bool CanBeGatheredAlong(const ValueInfo& x) { return HasRealsAlongAxes(x) && x.size() < 3000; }

// As many as there are entries, and one more, along the first axis.
std::vector<Wanted> IndicesAlongFirst(Random&, const ValueInfo& x) {
  Shape shape = x.shape;
  const double last = static_cast<double>(shape[0]++ - 1);
  return {{.shape = shape, .dtype = DType::kInt64, .low = 0, .high = last}};
}
std::vector<Wanted> IndicesAlongLast(Random&, const ValueInfo& x) {
  Shape shape = x.shape;
  shape.Remove(shape.rank() - 1);
  const double last = static_cast<double>(x.shape[x.rank() - 1] - 1);
  return {{.shape = shape, .dtype = DType::kInt64, .low = 0, .high = last}};
}

// What is summed away: axes at the front, at the back, in the middle, all, or any.
std::vector<int> SomeAxes(Random& random, int rank) {
  const int count = 1 + static_cast<int>(random.Below(rank));
  int first = 0;
  switch (random.Below(5)) {
    case 0:
      break;
    case 1:
      first = rank - count;
      break;
    case 2:
      first = static_cast<int>(random.Below(rank - count + 1));
      break;
    case 3:
      return {};
    default: {
      std::vector<int> axes;
      for (int axis = 0; axis < rank; ++axis) {
        if (random.Percent(50)) axes.push_back(axis);
      }
      return axes.empty() ? std::vector<int>{0} : axes;
    }
  }
  std::vector<int> axes(count);
  std::iota(axes.begin(), axes.end(), first);
  return axes;
}

using ReduceFunction = Variable (*)(const Variable&, const Axes&, bool, SourceLocation);
template <ReduceFunction reduce>
Results Reduce(Call& call, const char* name) {
  const int rank = call.x[0].rank();
  const std::vector<int> axes = rank ? SomeAxes(call.random, rank) : std::vector<int>();
  const bool keep_dims = call.random.Percent(40);
  Say(call, name, "(x[0], {", absl::StrJoin(axes, ", "), "}, ", keep_dims ? "true" : "false", ")");
  return {reduce(call.x[0], Axes(absl::MakeConstSpan(axes)), keep_dims, SourceLocation::current())};
}
// As Reduce calls it.
Variable PopulationVariance(const Variable& x, const Axes& axes, bool keep_dims,
                            SourceLocation where) {
  return Variance(x, axes, keep_dims, /*correction=*/0, where);
}
int LastOrAny(Call& call) {
  return call.random.Percent(60) ? -1 : static_cast<int>(call.random.Below(call.x[0].rank()));
}

const OpKind kViews[] = {
    {"reshape", 5, kSmooth, HasAxes, nullptr, ReshapeAny, OpKind::Composite::kNo, true},
    {"permute", 4, kSmooth, HasTwoAxes, nullptr, PermuteAny, OpKind::Composite::kNo, true},
    {"transpose", 3, kSmooth, HasTwoAxes, nullptr, WENGERT_RECORDS(Transpose(x[0])),
     OpKind::Composite::kNo, true},
    {"expand a new axis", 3, kSmooth, CanGrow, nullptr, ExpandNewAxis, OpKind::Composite::kNo,
     true},
    {"expand", 3, kSmooth, HasLengthOneAxis, nullptr, ExpandLengthOne, OpKind::Composite::kNo,
     true},
    {"narrow", 7, kSmooth, HasAxes, nullptr, NarrowAny, OpKind::Composite::kNo, true},
    {"flip", 3, kSmooth, HasAxes, nullptr, FlipAny, OpKind::Composite::kNo, true},
    {"roll", 2, kSmooth, HasAxes, nullptr, RollAny, OpKind::Composite::kNo, true},
    {"pad", 2, kSmooth, CanBePadded, nullptr, PadAny, OpKind::Composite::kNo, true},
    {"diagonal", 1, kSmooth, HasTwoAxes, nullptr, DiagonalAny, OpKind::Composite::kNo, true},
    {"squeeze", 1, kSmooth, HasLengthOneAxis, nullptr, SqueezeOne, OpKind::Composite::kNo, true},
    {"concat", 4, kSmooth, HasAxes, Continuation, ConcatTwo, OpKind::Composite::kNo, true},
    {"stack", 1, kSmooth, CanGrow, Same, StackThree, OpKind::Composite::kNo, true},
    {"split", 4, kSmooth, HasAxes, nullptr, SplitAny, OpKind::Composite::kNo, true},
    {"embed", 2, kSmooth, HasNumbersAlongAxes, nullptr, EmbedAny, OpKind::Composite::kNo, true},
    {"gather", 2, kSmooth, CanBeGathered, Indices, GatherAny, OpKind::Composite::kNo, true},
    {"scatter_add", 1, kSmooth, HasRealsAlongAxes, IndicesOfRows,
     WENGERT_RECORDS(ScatterAdd(x[0], x[1], 5))},
    {"gather_along", 2, kSmooth, CanBeGatheredAlong, IndicesAlongFirst,
     WENGERT_RECORDS(GatherAlong(x[0], x[1], 0)), OpKind::Composite::kNo, true},
    {"take_along_last", 2, kSmooth, HasRealsAlongAxes, IndicesAlongLast,
     WENGERT_RECORDS(TakeAlongLast(x[0], x[1]))},
};

const OpKind kReductions[] = {
    {"sum", 5, kSmooth, IsNumeric, nullptr, [](Call& c) { return Reduce<Sum>(c, "Sum"); }},
    {"mean", 4, kSmooth, IsRealWithElements, nullptr,
     [](Call& c) { return Reduce<Mean>(c, "Mean"); }},
    {"max", 3, kKinked, HasNumbers, nullptr, [](Call& c) { return Reduce<Max>(c, "Max"); }},
    {"min", 2, kKinked, HasNumbers, nullptr, [](Call& c) { return Reduce<Min>(c, "Min"); }},
    {"log_sum_exp", 1, kSmooth, IsRealWithElements, nullptr,
     [](Call& c) { return Reduce<LogSumExp>(c, "LogSumExp"); }},
    {"variance", 2, kSmooth, IsRealWithElements, nullptr,
     [](Call& c) { return Reduce<PopulationVariance>(c, "Variance"); }},
    {"prod", 1, kSmooth, IsRealWithElements, nullptr,
     [](Call& c) { return Reduce<Prod>(c, "Prod"); }},
    {"median", 1, kKinked, IsRealWithElements, nullptr,
     [](Call& c) { return Reduce<Median>(c, "Median"); }},
    {"any", 1, kKinked, IsRealWithElements, nullptr, [](Call& c) { return Reduce<Any>(c, "Any"); }},
    {"sum_to", 2, kSmooth, IsReal, nullptr, SumToAny},
    {"arg_max", 1, kKinked, HasRealsAlongAxes, nullptr, WENGERT_RECORDS(ArgMax(x[0], -1))},
    {"arg_min", 1, kKinked, HasRealsAlongAxes, nullptr, WENGERT_RECORDS(ArgMin(x[0], 0, true))},
    {"cum_sum", 2, kSmooth, HasRealsAlongAxes, nullptr,
     [](Call& call) -> Results {
       const int axis = LastOrAny(call);
       const bool reverse = call.random.Percent(50);
       Say(call, "CumSum(x[0], ", axis, ", {.reverse = ", reverse ? "true" : "false", "})");
       return {CumSum(call.x[0], axis, {.reverse = reverse})};
     }},
    {"cum_prod", 1, kSmooth, HasRealsAlongAxes, nullptr,
     WENGERT_RECORDS(CumProd(Tanh(x[0]), 0, {.exclusive = true}))},
    {"log_cum_sum_exp", 1, kSmooth, HasRealsAlongAxes, nullptr,
     WENGERT_RECORDS(LogCumSumExp(x[0], -1))},
    {"linear_recurrence", 1, kSmooth, HasRealsAlongAxes, nullptr,
     WENGERT_RECORDS(LinearRecurrence(Sigmoid(x[0]), x[0], 0, true))},
    {"sort", 2, kKinked, HasRealsAlongAxes, nullptr,
     [](Call& call) -> Results {
       const int axis = LastOrAny(call);
       const bool descending = call.random.Percent(50);
       Say(call, "Sort(x[0], ", axis, ", ", descending ? "true" : "false", ")");
       return {Sort(call.x[0], axis, descending)};
     }},
    {"einsum", 1, kSmooth, HasRealsAlongAxes, nullptr,
     WENGERT_RECORDS(Einsum("...i,...i->...", {x[0], Tanh(x[0])}))},
    {"softmax", 3, kSmooth, HasRealsAlongAxes, nullptr,
     [](Call& call) -> Results {
       const int axis = LastOrAny(call);
       Say(call, "Softmax(x[0], ", axis, ")");
       return {Softmax(call.x[0], axis)};
     }},
    {"log_softmax", 2, kSmooth, HasRealsAlongAxes, nullptr,
     [](Call& call) -> Results {
       const int axis = LastOrAny(call);
       Say(call, "LogSoftmax(x[0], ", axis, ")");
       return {LogSoftmax(call.x[0], axis)};
     }},
    {"normalize", 2, kSmooth, HasRealsAlongAxes, nullptr,
     [](Call& call) -> Results {
       call.text = "(x[0] - Mean(x[0], -1, true)) * Rsqrt(variance of x[0] along -1 + 0.01)";
       const Variable centered = call.x[0] - Mean(call.x[0], -1, kKeepDims);
       return {centered * Rsqrt(Mean(Square(centered), -1, kKeepDims) + 0.01)};
     }},
    {"normalize by moments", 2, kSmooth, HasRealsAlongAxes, nullptr,
     [](Call& call) -> Results {
       call.text = "(x[0] - mean) * Rsqrt(variance + 0.01), Moments(x[0], 0)";
       const auto [mean, variance] = Moments(call.x[0], 0);
       return {(call.x[0] - mean) * Rsqrt(variance + 0.01)};
     }},
};

}  // namespace

absl::Span<const OpKind> ViewKinds() { return kViews; }
absl::Span<const OpKind> ReductionKinds() { return kReductions; }

}  // namespace wengert::random_programs
