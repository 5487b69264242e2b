// Models whose attributions are known, and a small network.
#ifndef WENGERT_TESTS_NN_EXPLAIN_MODELS_H_
#define WENGERT_TESTS_NN_EXPLAIN_MODELS_H_

#include <vector>

#include "autograd/modes.h"
#include "gtest/gtest.h"
#include "nn/convolution.h"
#include "nn/layers.h"
#include "ops/ops.h"

namespace wengert {

// x: [N, ...] -> [N, classes]: x, flat, times weight: [features, classes].
struct Linear {
  Tensor weight;
  Variable operator()(const Variable& x) const {
    return MatMul(Reshape(x, {x.dim(0), -1}), weight) + 7;
  }
};

inline Tensor Random(const Shape& shape, uint64_t seed, DType dtype = DType::kFloat64) {
  Generator rng(seed);
  return Normal(shape, rng, 0, 1, dtype).value();
}

// [N, 8, 8, 2] -> [N, 3].
struct SmallCnn {
  nn::Conv2d conv;
  nn::Dense dense;
  explicit SmallCnn(Generator& rng)
      : conv({.in = 2, .out = 4, .kernel = 3}, rng), dense({.in = 4 * 9, .out = 3}, rng) {}
  Variable operator()(const Variable& x) const {
    return dense(nn::Flatten()(MaxPool2d(Relu(conv(x)))));
  }
};

inline void ExpectNear(const Tensor& found, const Tensor& expected, double tolerance) {
  ASSERT_EQ(found.shape(), expected.shape());
  const auto a = found.ToVector<double>(), b = expected.ToVector<double>();
  for (size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], b[i], tolerance) << "element " << i;
}

}  // namespace wengert

#endif  // WENGERT_TESTS_NN_EXPLAIN_MODELS_H_
