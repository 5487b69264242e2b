// The vocabulary: every op that models are written in. Element-wise ones stand in ops/math.h,
// convolution and pooling in ops/images.h, losses in ops/losses.h, recurrence in ops/recurrence.h:
// all included here.
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
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "autograd/modes.h"
#include "autograd/variable.h"
#include "ops/images.h"
#include "ops/losses.h"
#include "ops/math.h"
#include "ops/recurrence.h"

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

// ---- Movement. Views where strides allow: nothing is copied. ----
// One dimension may be -1.
Variable Reshape(const Variable& x, const Shape& shape,
                 SourceLocation where = SourceLocation::current());
// Axis i of the result is axis order[i] of x.
Variable Permute(const Variable& x, absl::Span<const int> order,
                 SourceLocation where = SourceLocation::current());
inline Variable Permute(const Variable& x, std::initializer_list<int> order,
                        SourceLocation where = SourceLocation::current()) {
  return Permute(x, absl::MakeConstSpan(order.begin(), order.size()), where);
}
// Two axes exchanged.
Variable Transpose(const Variable& x, int axis_a = -2, int axis_b = -1,
                   SourceLocation where = SourceLocation::current());
// x broadcast to the shape: [3, 1] -> [2, 3, 4].
Variable Expand(const Variable& x, const Shape& shape,
                SourceLocation where = SourceLocation::current());
// The adjoint of Expand: adds up over the axes along which `shape` broadcasts to x's shape.
Variable SumTo(const Variable& x, const Shape& shape,
               SourceLocation where = SourceLocation::current());
// `length` of the axis's elements: those at start, start + step, ...
Variable Narrow(const Variable& x, int axis, int64_t start, int64_t length, int64_t step = 1,
                SourceLocation where = SourceLocation::current());
// The adjoint of Narrow: zeros of length `dim` along `axis`, with x at start, start + step, ...
Variable Embed(const Variable& x, int axis, int64_t dim, int64_t start, int64_t step = 1,
               SourceLocation where = SourceLocation::current());
// Joined along an axis, and along a new one. The parts meet in one dtype.
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
// Without the axis, whose length must be 1; with a new one of length 1.
Variable Squeeze(const Variable& x, int axis, SourceLocation where = SourceLocation::current());
Variable Unsqueeze(const Variable& x, int axis, SourceLocation where = SourceLocation::current());
// In reverse order along the axes.
Variable Flip(const Variable& x, const Axes& axes,
              SourceLocation where = SourceLocation::current());
// The elements moved `shift` places on along the axis, the last ones to the front (np.roll). With
// several axes: shifts[i] along axes[i].
Variable Roll(const Variable& x, int64_t shift, int axis,
              SourceLocation where = SourceLocation::current());
Variable Roll(const Variable& x, absl::Span<const int64_t> shifts, absl::Span<const int> axes,
              SourceLocation where = SourceLocation::current());
// Each element n times in a row along the axis: a a b b (np.repeat).
Variable Repeat(const Variable& x, int64_t n, int axis,
                SourceLocation where = SourceLocation::current());
// The whole of x, times[i] times along axis i: a b a b (np.tile). The last of the times is that of
// the last axis: of fewer times than axes, the others are 1; of more, x gets axes of length 1.
Variable Tile(const Variable& x, absl::Span<const int64_t> times,
              SourceLocation where = SourceLocation::current());
// The grid that coordinates (vectors or scalars) span. Result i has the shape of the grid and the
// values of coordinate i along one axis: axis i, or with kXy, where x runs along the rows of an
// image and y along its columns, with the first two exchanged (np.meshgrid). Views.
enum class GridIndexing { kIj, kXy };
std::vector<Variable> Meshgrid(VariableSpan coordinates, GridIndexing indexing,
                               SourceLocation where = SourceLocation::current());
// What stands beyond the edges, as in NumPy: a value, the edge itself, the elements mirrored at the
// edge (without it: cb|abc|ba; with it, kSymmetric: ba|abc|cb) or those of the other end (kWrap).
enum class PadMode { kConstant, kEdge, kReflect, kSymmetric, kWrap };
struct PadWidth {
  int64_t before = 0, after = 0;
};
struct PadOptions {
  PadMode mode = PadMode::kConstant;
  double value = 0;  // of kConstant, in x's dtype
};
// One width for each axis of x: Pad(image, {{}, {1, 1}, {2, 0}, {}}). They may be wider than x.
Variable Pad(const Variable& x, absl::Span<const PadWidth> widths, const PadOptions& options = {},
             SourceLocation where = SourceLocation::current());
// Matrices [..., m, n] with 0 above (Tril), below (Triu) the diagonal that is `offset` columns
// right of the main one.
Variable Tril(const Variable& x, int64_t offset = 0,
              SourceLocation where = SourceLocation::current());
Variable Triu(const Variable& x, int64_t offset = 0,
              SourceLocation where = SourceLocation::current());
// That diagonal of the matrices in two axes, x[.., i, .., i + offset, ..], as the last axis of the
// result; empty where there is none (torch.linalg.diagonal). A view.
Variable Diagonal(const Variable& x, int64_t offset = 0, int row_axis = -2, int column_axis = -1,
                  SourceLocation where = SourceLocation::current());
// Its adjoint: square matrices [..., n + |offset|, n + |offset|] with x, [..., n], as that
// diagonal, else 0 (torch.diag_embed).
Variable DiagonalMatrix(const Variable& x, int64_t offset = 0,
                        SourceLocation where = SourceLocation::current());

// ---- Reductions, over all axes unless some are given. ----
// Of bools and uint8 in int64. Of nothing: 0.
Variable Sum(const Variable& x, const Axes& axes = {}, bool keep_dims = false,
             SourceLocation where = SourceLocation::current());
// Of nothing: NaN.
Variable Mean(const Variable& x, const Axes& axes = {}, bool keep_dims = false,
              SourceLocation where = SourceLocation::current());
struct MeanAndVariance {
  Variable mean, variance;
};
// The variance is that of a population, the mean of (x - mean)^2. One reading of x gives both.
MeanAndVariance Moments(const Variable& x, const Axes& axes = {}, bool keep_dims = false,
                        SourceLocation where = SourceLocation::current());
// The sum of (x - mean)^2 / (n - correction) over n elements. 0: of a population (as NumPy); 1: of
// a sample, unbiased (Bessel). NaN or infinity where n <= correction.
Variable Variance(const Variable& x, const Axes& axes = {}, bool keep_dims = false,
                  double correction = 0, SourceLocation where = SourceLocation::current());
// The square root of the variance. Its derivative is 0 where all elements are equal.
Variable StdDev(const Variable& x, const Axes& axes = {}, bool keep_dims = false,
                double correction = 0, SourceLocation where = SourceLocation::current());
// 1 of nothing. The derivative is exact where elements are 0, to any order.
Variable Prod(const Variable& x, const Axes& axes = {}, bool keep_dims = false,
              SourceLocation where = SourceLocation::current());
// (|x_1|^p + |x_2|^p + ...)^(1/p), p > 0; infinity: the largest |x_i|. Where an element is 0 its
// derivative is 0, so that of a vector of zeros is 0. Powers that overflow make it infinite. Throws
// Error for another p.
Variable Norm(const Variable& x, double p = 2, const Axes& axes = {}, bool keep_dims = false,
              SourceLocation where = SourceLocation::current());
// The value between the lower and the upper half, of an even number the mean of the two in the
// middle. NaN wins. Throws Error of no elements.
Variable Median(const Variable& x, const Axes& axes = {}, bool keep_dims = false,
                SourceLocation where = SourceLocation::current());
// The mean of those elements for which `mask` (bool, broadcasts with x) is true; NaN where there
// are none. What the others hold, be it NaN, matters to neither value nor gradient. Other
// reductions need no function of their own: Sum(Where(mask, x, 0)), Prod(Where(mask, x, 1)),
// Max(Where(mask, x, -INFINITY)), LogSumExp(Where(mask, x, -INFINITY)).
Variable MeanWhere(const Variable& x, const Variable& mask, const Axes& axes = {},
                   bool keep_dims = false, SourceLocation where = SourceLocation::current());
// Whether any, whether every element is not 0, as bool. NaN is not 0. Of nothing: false, true.
Variable Any(const Variable& x, const Axes& axes = {}, bool keep_dims = false,
             SourceLocation where = SourceLocation::current());
Variable All(const Variable& x, const Axes& axes = {}, bool keep_dims = false,
             SourceLocation where = SourceLocation::current());
// Ties: the first in row-major order takes the gradient. NaN wins.
Variable Max(const Variable& x, const Axes& axes = {}, bool keep_dims = false,
             SourceLocation where = SourceLocation::current());
Variable Min(const Variable& x, const Axes& axes = {}, bool keep_dims = false,
             SourceLocation where = SourceLocation::current());
// log of the sum of exp(x), without overflow; -infinity of nothing.
Variable LogSumExp(const Variable& x, const Axes& axes = {}, bool keep_dims = false,
                   SourceLocation where = SourceLocation::current());
// The position (int64) of the first largest, smallest element along one axis.
Variable ArgMax(const Variable& x, int axis, bool keep_dims = false,
                SourceLocation where = SourceLocation::current());
Variable ArgMin(const Variable& x, int axis, bool keep_dims = false,
                SourceLocation where = SourceLocation::current());
// exp(x) divided by its sum along the axis, and the logarithm of that.
Variable Softmax(const Variable& x, int axis = -1,
                 SourceLocation where = SourceLocation::current());
Variable LogSoftmax(const Variable& x, int axis = -1,
                    SourceLocation where = SourceLocation::current());

// ---- Running along an axis; the result has x's shape ----
struct CumulativeOptions {
  bool exclusive = false;  // y[i] is of the elements before i, without x[i]
  bool reverse = false;    // from the last element to the first
};
// y[i] = x[0] + ... + x[i]. Floats are added up in double, integers wrap.
Variable CumSum(const Variable& x, int axis, const CumulativeOptions& options = {},
                SourceLocation where = SourceLocation::current());
// y[i] = x[0] x[1] ... x[i]. The derivative is exact where elements are 0, to any order.
Variable CumProd(const Variable& x, int axis, const CumulativeOptions& options = {},
                 SourceLocation where = SourceLocation::current());
// y[i] = log(exp(x[0]) + ... + exp(x[i])), without overflow.
Variable LogCumSumExp(const Variable& x, int axis, bool reverse = false,
                      SourceLocation where = SourceLocation::current());
// y[i] = a[i] y[i - 1] + b[i] and y[0] = b[0]; a[0] is not read. a and b broadcast. Reversed:
// y[i] = a[i] y[i + 1] + b[i], from the last element: of constant a and rewards b, the discounted
// returns.
Variable LinearRecurrence(const Variable& a, const Variable& b, int axis, bool reverse = false,
                          SourceLocation where = SourceLocation::current());

// ---- Sorting along an axis. Equal elements (0 and -0 are) stay in order; NaN comes last. ----
inline constexpr bool kDescending = true;
// The elements, and their positions (int64) in x.
Variable Sort(const Variable& x, int axis = -1, bool descending = false,
              SourceLocation where = SourceLocation::current());
Variable ArgSort(const Variable& x, int axis = -1, bool descending = false,
                 SourceLocation where = SourceLocation::current());
struct ValuesAndIndices {
  Variable values, indices;
};
// The k largest (or smallest) elements, sorted, and their positions: the first k of Sort and
// ArgSort.
ValuesAndIndices TopK(const Variable& x, int64_t k, int axis = -1, bool largest = true,
                      SourceLocation where = SourceLocation::current());

// ---- Products ----
// [..., m, k] x [..., k, n] -> [..., m, n]; leading dimensions broadcast.
Variable MatMul(const Variable& a, const Variable& b,
                SourceLocation where = SourceLocation::current());
// Sums of products in Einstein's notation, with a letter per axis, as NumPy's einsum:
//   Einsum("bij,bjk->bik", {a, b})    a batch of matrix products
//   Einsum("...ij->...ji", {x})       "...": all other axes; those of several operands broadcast
//   Einsum("ii", {x})                 a letter twice in one operand: its diagonal; here the trace
// A letter that the result lacks is summed over. Without "->" the result has "..." and the letters
// that occur once, in alphabetical order. Operands are contracted from left to right, by MatMul
// where there is a sum to take. Integers are taken as float32. Throws Error naming the equation.
Variable Einsum(std::string_view equation, VariableSpan operands,
                SourceLocation where = SourceLocation::current());
inline Variable Einsum(std::string_view equation, std::initializer_list<Variable> operands,
                       SourceLocation where = SourceLocation::current()) {
  return Einsum(equation, VariableSpan(operands.begin(), operands.size()), where);
}
// a_1 b_1 + a_2 b_2 + ...: two vectors of one length.
Variable Dot(const Variable& a, const Variable& b,
             SourceLocation where = SourceLocation::current());
// y[i, j] = a[i] b[j]: [n], [m] -> [n, m].
Variable Outer(const Variable& a, const Variable& b,
               SourceLocation where = SourceLocation::current());
// The sum of the diagonal of the matrices in the last two axes: [..., n, m] -> [...].
Variable Trace(const Variable& x, SourceLocation where = SourceLocation::current());

// ---- Indexing. An index out of range throws when it is computed. ----
// The entries of x along `axis` that the int64 or int32 `indices` (any shape I) name:
// x.shape[:axis] + I + x.shape[axis+1:].
Variable Gather(const Variable& x, const Variable& indices, int axis = 0,
                SourceLocation where = SourceLocation::current());
// The adjoint of Gather: zeros with `dim` entries along `axis`, and x added up at the indices.
Variable ScatterAdd(const Variable& x, const Variable& indices, int64_t dim, int axis = 0,
                    SourceLocation where = SourceLocation::current());
// Rows of x added up by segment: y[k] = the sum of x[i] over the i with ids[i] = k; x: ids.shape +
// rest -> [num_segments] + rest. The ids come in any order (tf.math.unsorted_segment_sum).
Variable SegmentSum(const Variable& x, const Variable& ids, int64_t num_segments,
                    SourceLocation where = SourceLocation::current());
// An index for every entry, along one axis: y[.., i, ..] = x[.., indices[.., i, ..], ..]. The
// shapes are equal but for that axis (np.take_along_axis, torch.gather).
Variable GatherAlong(const Variable& x, const Variable& indices, int axis,
                     SourceLocation where = SourceLocation::current());
// The adjoint of GatherAlong: zeros with `dim` entries along `axis`, and x, which has the indices'
// shape, added up at the indices (torch.scatter_add).
Variable ScatterAddAlong(const Variable& x, const Variable& indices, int64_t dim, int axis,
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

// Where x is not 0 (NaN is not), as rows of indices in row-major order: int64 [count, rank]
// (torch.nonzero). The shape depends on the values: x is computed at once.
Variable Nonzero(const Variable& x, SourceLocation where = SourceLocation::current());
// The entries of x where the bool mask is true: x: mask.shape + rest -> [count] + rest, in
// row-major order (NumPy's x[mask], tf.boolean_mask). The mask is computed at once.
Variable BooleanMask(const Variable& x, const Variable& mask,
                     SourceLocation where = SourceLocation::current());

// ---- Random. What is drawn is fixed by the generator's state when the op is recorded. ----
// In [low, high).
Variable Uniform(const Shape& shape, Generator& generator, double low = 0, double high = 1,
                 DType dtype = DType::kFloat32, SourceLocation where = SourceLocation::current());
// Of the normal distribution.
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
