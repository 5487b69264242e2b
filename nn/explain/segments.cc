#include "nn/explain/segments.h"

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "nn/explain/scores.h"
#include "ops/ops.h"

namespace wengert::explain {

Tensor GridSegments(int64_t height, int64_t width, int64_t rows, int64_t columns,
                    SourceLocation where) {
  if (rows < 1 || columns < 1 || rows > height || columns > width) {
    internal::Fail("grid_segments",
                   absl::StrCat(rows, " x ", columns, " segments of an image of ", height, " x ",
                                width, " pixels"),
                   where);
  }
  Tensor ids = Tensor::Empty({height, width}, DType::kInt64);
  auto* next = ids.mutable_data<int64_t>();
  for (int64_t i = 0; i < height; ++i) {
    for (int64_t k = 0; k < width; ++k) {
      *next++ = i * rows / height * columns + k * columns / width;
    }
  }
  return ids;
}

namespace internal {

Segments::Segments(std::string_view op, const Tensor& segments, const Tensor& x,
                   SourceLocation where)
    : ids(segments) {
  Shape row = x.shape();
  row.Remove(0);
  if (!ids.defined()) {
    count = NumElements(row);
    ids = Tensor::Arange(0, static_cast<double>(count)).Reshape(row);
    return;
  }
  bool fits = ids.rank() <= row.rank() && ids.size() > 0;
  for (int i = 0; fits && i < ids.rank(); ++i) fits = ids.dim(i) == row[i];
  if (!fits) {
    Fail(op,
         absl::StrCat("the segments are ", ToString(ids.shape()), " for x ", ToString(x.shape()),
                      ", expected ", ToString(row), " or its first dimensions"),
         where);
  }
  if (ids.dtype() != DType::kInt64 && ids.dtype() != DType::kInt32) {
    Fail(op,
         absl::StrCat("the segments are ", std::string(Name(ids.dtype())),
                      ", expected int64 or int32"),
         where);
  }
  const std::vector<int64_t> all = ids.ToVector<int64_t>();
  const auto [least, largest] = std::minmax_element(all.begin(), all.end());
  if (*least < 0) Fail(op, absl::StrCat("segment ", *least, " is negative"), where);
  count = *largest + 1;
}

Tensor Segments::Spread(const Tensor& kept) const { return Gather(kept, ids, 1).value(); }

}  // namespace internal
}  // namespace wengert::explain
