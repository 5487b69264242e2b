#include "nn/pooling.h"

#include "absl/strings/str_cat.h"
#include "autograd/modes.h"
#include "autograd/op.h"

namespace wengert::nn {

Variable Upsample::operator()(const Variable& x, SourceLocation where) const {
  const WhereScope scope(where, "upsample");
  // Beyond, a side could overflow; no image is that large.
  constexpr int64_t kMaxFactor = int64_t{1} << 30;
  if (x.rank() != 4 || factor < 1 || factor > kMaxFactor) {
    internal::ThrowAt("upsample",
                      x.rank() != 4
                          ? absl::StrCat("x ", ToString(x.shape()), " is not [N, H, W, C]")
                          : absl::StrCat("factor ", factor, " is not in [1, 2^30]"),
                      x, where);
  }
  return wengert::Resize(x, x.dim(1) * factor, x.dim(2) * factor, interpolation, where);
}

}  // namespace wengert::nn
