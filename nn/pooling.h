// Pooling and resizing as layers, besides MaxPool2d and AvgPool2d (nn/layers.h): they have no
// parameters, and hold what the ops of the same names take besides x.
#ifndef WENGERT_NN_POOLING_H_
#define WENGERT_NN_POOLING_H_

#include <cstdint>

#include "ops/ops.h"

namespace wengert::nn {

// x: [N, T, C] -> [N, T', C].
struct MaxPool1d {
  Pool2dOptions options = {};
  Variable operator()(const Variable& x, SourceLocation where = SourceLocation::current()) const {
    return wengert::MaxPool1d(x, options, where);
  }
};
struct AvgPool1d {
  Pool2dOptions options = {};
  Variable operator()(const Variable& x, SourceLocation where = SourceLocation::current()) const {
    return wengert::AvgPool1d(x, options, where);
  }
};

// x: [N, H, W, C] -> [N, height, width, C].
struct AdaptiveMaxPool2d {
  int64_t height = 1, width = 1;
  Variable operator()(const Variable& x, SourceLocation where = SourceLocation::current()) const {
    return wengert::AdaptiveMaxPool2d(x, height, width, where);
  }
};
struct AdaptiveAvgPool2d {
  int64_t height = 1, width = 1;
  Variable operator()(const Variable& x, SourceLocation where = SourceLocation::current()) const {
    return wengert::AdaptiveAvgPool2d(x, height, width, where);
  }
};

// x: [N, H, W, C] -> [N, C].
struct GlobalMaxPool2d {
  bool keep_dims = false;
  Variable operator()(const Variable& x, SourceLocation where = SourceLocation::current()) const {
    return wengert::GlobalMaxPool2d(x, keep_dims, where);
  }
};
struct GlobalAvgPool2d {
  bool keep_dims = false;
  Variable operator()(const Variable& x, SourceLocation where = SourceLocation::current()) const {
    return wengert::GlobalAvgPool2d(x, keep_dims, where);
  }
};

// x: [N, T, C] -> [N, C].
struct GlobalMaxPool1d {
  bool keep_dims = false;
  Variable operator()(const Variable& x, SourceLocation where = SourceLocation::current()) const {
    return wengert::GlobalMaxPool1d(x, keep_dims, where);
  }
};
struct GlobalAvgPool1d {
  bool keep_dims = false;
  Variable operator()(const Variable& x, SourceLocation where = SourceLocation::current()) const {
    return wengert::GlobalAvgPool1d(x, keep_dims, where);
  }
};

// x: [N, H, W, C] -> [N, height, width, C].
struct Resize {
  int64_t height, width;
  Interpolation interpolation = Interpolation::kBilinear;
  Variable operator()(const Variable& x, SourceLocation where = SourceLocation::current()) const {
    return wengert::Resize(x, height, width, interpolation, where);
  }
};
// x: [N, H, W, C] -> [N, H * factor, W * factor, C].
struct Upsample {
  int64_t factor = 2;
  Interpolation interpolation = Interpolation::kNearest;
  Variable operator()(const Variable& x, SourceLocation where = SourceLocation::current()) const;
};

}  // namespace wengert::nn

#endif  // WENGERT_NN_POOLING_H_
