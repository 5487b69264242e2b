#include "nn/explain/occlusion.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "nn/explain/scores.h"

namespace wengert::explain {
namespace {

// Where the windows begin; the last one ends at the end.
std::vector<int64_t> Starts(int64_t length, int64_t window, int64_t stride) {
  std::vector<int64_t> starts;
  for (int64_t start = 0; start < length - window; start += stride) starts.push_back(start);
  starts.push_back(length - window);
  return starts;
}

}  // namespace

Tensor Occlusion(Model model, const Tensor& x, const Target& target,
                 const OcclusionOptions& options, SourceLocation where) {
  if (x.rank() != 4) {
    internal::Fail("occlusion",
                   absl::StrCat("x is ", ToString(x.shape()), ", expected [N, H, W, C]"), where);
  }
  const int64_t height = x.dim(1), width = x.dim(2), window = options.window;
  internal::CheckAtLeast("occlusion", "stride", options.stride, 1, where);
  if (options.stride > window || window > std::min(height, width)) {
    internal::Fail(
        "occlusion",
        absl::StrCat("window ", window, " and stride ", options.stride, " for x ",
                     ToString(x.shape()), ", expected stride <= window <= height and width"),
        where);
  }
  const internal::Explained explained("occlusion", model, x, target, options.baseline,
                                      options.batch_size, where);
  const std::vector<int64_t> tops = Starts(height, window, options.stride),
                             lefts = Starts(width, window, options.stride);
  const auto columns = static_cast<int64_t>(lefts.size());
  const int64_t count = static_cast<int64_t>(tops.size()) * columns;
  // Calls f(pixel) for those of window i.
  const auto for_pixels = [&](int64_t i, auto f) {
    const int64_t top = tops[static_cast<size_t>(i / columns)],
                  left = lefts[static_cast<size_t>(i % columns)];
    for (int64_t row = top; row < top + window; ++row) {
      for (int64_t column = left; column < left + window; ++column) f(row * width + column);
    }
  };
  const auto keep = [&](int64_t start, int64_t n) {
    Tensor masks = Tensor::Full({n, height, width}, 1, DType::kBool);
    for (int64_t i = 0; i < n; ++i) {
      bool* mask = masks.mutable_data<bool>() + i * height * width;
      for_pixels(start + i, [&](int64_t pixel) { mask[pixel] = false; });
    }
    return masks;
  };
  const std::vector<double> uncovered = explained.OfX();
  Tensor map = Tensor::Zeros({explained.rows(), height, width}, DType::kFloat64);
  std::vector<double> windows(static_cast<size_t>(height * width));  // that have the pixel
  for (int64_t i = 0; i < count; ++i) {
    for_pixels(i, [&](int64_t pixel) { ++windows[static_cast<size_t>(pixel)]; });
  }
  for (int64_t n = 0; n < explained.rows(); ++n) {
    const std::vector<double> covered = explained.OfMasked(n, count, keep);
    double* drop = map.mutable_data<double>() + n * height * width;
    for (int64_t i = 0; i < count; ++i) {
      const double fell = uncovered[static_cast<size_t>(n)] - covered[static_cast<size_t>(i)];
      for_pixels(i,
                 [&](int64_t pixel) { drop[pixel] += fell / windows[static_cast<size_t>(pixel)]; });
    }
  }
  return map;
}

}  // namespace wengert::explain
