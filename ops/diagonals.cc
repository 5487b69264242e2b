// Triangles and diagonals of matrices.
#include <algorithm>
#include <cstdlib>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "ops/place.h"

namespace wengert {
namespace {

// Where the diagonal that is `offset` columns right of the main one starts in an [m, n] matrix, and
// how long it is. Any offset: beyond the matrix it is empty.
struct Place {
  int64_t row = 0, column = 0, length = 0;
};
Place PlaceOf(int64_t m, int64_t n, int64_t offset) {
  if (offset >= n || offset <= -m) return {};
  const int64_t row = offset < 0 ? -offset : 0, column = offset < 0 ? 0 : offset;
  return {row, column, std::min(m - row, n - column)};
}

// [..., length] as a diagonal of [..., m, n].
Variable EmbedDiagonal(const Variable& x, int64_t m, int64_t n, int64_t offset) {
  const Place place = PlaceOf(m, n, offset);
  const Variable flat = Embed(x, -1, m * n, place.row * n + place.column, n + 1);
  Shape shape = x.shape();
  shape[shape.rank() - 1] = m;
  shape.Append(n);
  return Reshape(flat, shape);
}

// y[..., i] = x[..., row + i, ..., column + i, ...]
struct DiagonalOp : Op<DiagonalOp> {
  static constexpr std::string_view kName = "diagonal";
  static constexpr Uses kUses = Uses::None();
  static constexpr bool kMakesOutputs = true;
  int64_t offset;
  int row_axis, column_axis;  // not negative

  Place Within(const Shape& shape) const {
    return PlaceOf(shape[row_axis], shape[column_axis], offset);
  }
  // The dimensions, or strides, of the other axes, then `last`.
  Dims Others(const Dims& dims, int64_t last) const {
    Dims others = dims;
    others.Remove(std::max(row_axis, column_axis));
    others.Remove(std::min(row_axis, column_axis));
    others.Append(last);
    return others;
  }
  Spec Infer(VariableSpan x) const {
    const Shape& shape = x[0].shape();
    return {Others(shape, Within(shape).length), x[0].dtype()};
  }
  void Forward(TensorSpan x, Tensor& y) const {
    const Strides& strides = x[0].strides();
    const Place place = Within(x[0].shape());
    y = x[0].WithGeometry(
        Others(x[0].shape(), place.length),
        Others(strides, strides[row_axis] + strides[column_axis]),
        x[0].offset() + place.row * strides[row_axis] + place.column * strides[column_axis]);
  }
  Gradients Vjp(VariableSpan x, const Variable&, const Variable& dy, Needs) const {
    const Shape& shape = x[0].shape();
    // The matrices are the last two axes: the others came before them in x's order.
    const Variable embedded = EmbedDiagonal(dy, shape[row_axis], shape[column_axis], offset);
    absl::InlinedVector<int, 4> order;
    int next = 0;
    for (int i = 0; i < shape.rank(); ++i) {
      const int row = shape.rank() - 2;
      order.push_back(i == row_axis ? row : i == column_axis ? row + 1 : next++);
    }
    return {Permute(embedded, order)};
  }
  static std::vector<OpCase> Cases() {
    std::vector<OpCase> cases;
    const struct {
      Shape shape;
      int64_t offset = 0;
      int row_axis = -2, column_axis = -1;
    } list[] = {{{3, 3}},
                {{3, 5}, 1},
                {{5, 3}, -2},
                {{3, 5}, 4},
                {{3, 4}, 4},
                {{4, 2}, -5},
                {{1, 1}},
                {{0, 3}},
                {{3, 0}, -1},
                {{3, 4}, 1, 1, 0},
                {{2, 3, 4}, -1},
                {{4, 2, 3}, 1, 0, 2},
                {{4, 2, 3}, -1, 2, 0},
                {{3, 2, 1, 4}, 0, 1, 3},
                {{0, 3, 3}, 0}};
    for (const auto& of : list) {
      cases.push_back(OpCase::Linear(
          absl::StrCat(ToString(of.shape), " ", of.offset, " of ", of.row_axis, ",",
                       of.column_axis),
          {of.shape},
          [of](VariableSpan x) { return Diagonal(x[0], of.offset, of.row_axis, of.column_axis); }));
    }
    return cases;
  }
};

// x where column - row is at most (lower) or at least (upper) the offset, else 0.
Variable Triangle(std::string_view op, const Variable& x, bool lower, int64_t offset,
                  SourceLocation where) {
  return internal::Placed(op, {&x, 1}, where, [&] {
    if (x.rank() < 2) {
      throw Error(op, absl::StrCat("x ", ToString(x.shape()), " has no matrices: not [..., m, n]"));
    }
    const int64_t m = x.dim(-2), n = x.dim(-1);
    Tensor kept = Tensor::Empty({m, n}, DType::kBool);
    auto* row = kept.mutable_data<bool>();
    // Beyond the matrix, all offsets are alike.
    const int64_t near = std::clamp(offset, -m - 1, n + 1);
    for (int64_t i = 0; i < m; ++i, row += n) {
      const int64_t split = std::clamp<int64_t>(i + near + (lower ? 1 : 0), 0, n);
      std::fill(row, row + split, lower);
      std::fill(row + split, row + n, !lower);
    }
    return Where(kept, x, Tensor::Zeros({}, x.dtype()));
  });
}

}  // namespace

Variable Tril(const Variable& x, int64_t offset, SourceLocation where) {
  return Triangle("tril", x, /*lower=*/true, offset, where);
}

Variable Triu(const Variable& x, int64_t offset, SourceLocation where) {
  return Triangle("triu", x, /*lower=*/false, offset, where);
}

Variable Diagonal(const Variable& x, int64_t offset, int row_axis, int column_axis,
                  SourceLocation where) {
  return internal::Placed("diagonal", {&x, 1}, where, [&] {
    DiagonalOp op{.offset = offset,
                  .row_axis = NormalizeAxis(row_axis, x.rank(), "diagonal"),
                  .column_axis = NormalizeAxis(column_axis, x.rank(), "diagonal")};
    if (op.row_axis == op.column_axis) {
      throw Error("diagonal", absl::StrCat("axis ", op.row_axis, " of ", ToString(x.shape()),
                                           " is given as row and as column"));
    }
    return Apply(op, {x});
  });
}

Variable DiagonalMatrix(const Variable& x, int64_t offset, SourceLocation where) {
  return internal::Placed("diagonal_matrix", {&x, 1}, where, [&] {
    if (x.rank() == 0) throw Error("diagonal_matrix", "a scalar has no axis: []");
    constexpr int64_t kMost = int64_t{1} << 31;
    if (offset < -kMost || offset > kMost) {
      throw Error("diagonal_matrix", absl::StrCat("offset ", offset, " is not in [-2^31, 2^31]"));
    }
    const int64_t n = x.dim(-1) + std::abs(offset);
    Shape shape = x.shape();
    shape[shape.rank() - 1] = n;
    shape.Append(n);
    CheckedNumElements(shape, "diagonal_matrix");
    return EmbedDiagonal(x, n, n, offset);
  });
}

}  // namespace wengert
