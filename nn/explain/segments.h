// Segments: the parts of an input that Lime and Shapley values keep or remove as a whole.
#ifndef WENGERT_NN_EXPLAIN_SEGMENTS_H_
#define WENGERT_NN_EXPLAIN_SEGMENTS_H_

#include <string_view>

#include "tensor/error.h"
#include "tensor/tensor.h"

namespace wengert::explain {

// A grid of rows x columns rectangles over an image, numbered from left to right and from top to
// bottom: int64 [height, width]. Where they do not divide it, their sizes differ by one pixel.
// Throws Error unless there is a pixel for each.
Tensor GridSegments(int64_t height, int64_t width, int64_t rows, int64_t columns,
                    SourceLocation where = SourceLocation::current());

namespace internal {

// The segments of the rows of a batch x: integers from 0 to count - 1, of the shape of a row or of
// its first dimensions.
struct Segments {
  // Undefined `ids`: each element of a row is a segment. Throws Error on other shapes, on ids that
  // are no integers and on negative ones.
  Segments(std::string_view op, const Tensor& ids, const Tensor& x, SourceLocation where);
  // [n, count] bools -> [n] + ids.shape: each element has what its segment has.
  Tensor Spread(const Tensor& kept) const;

  Tensor ids;
  int64_t count = 0;
};

}  // namespace internal
}  // namespace wengert::explain

#endif  // WENGERT_NN_EXPLAIN_SEGMENTS_H_
