// A small model about to be trained, for the tests of Fit.
#ifndef WENGERT_TESTS_NN_FIT_TRAINING_H_
#define WENGERT_TESTS_NN_FIT_TRAINING_H_

#include <vector>

#include "data/loader.h"
#include "gtest/gtest.h"
#include "nn/layers.h"
#include "nn/module.h"
#include "nn/optimizers.h"
#include "nn/train/fit.h"
#include "ops/ops.h"

namespace wengert {

struct Mlp {
  nn::Dense fc1, fc2;
  nn::Dropout dropout;

  Mlp(int64_t in, int64_t hidden, Generator& rng, double rate = 0)
      : fc1({.in = in, .out = hidden}, rng), fc2({.in = hidden, .out = 2}, rng), dropout{rate} {}
  Variable operator()(const Variable& x) const { return fc2(dropout(Tanh(fc1(x)))); }
  template <class V>
  void Visit(V&& v) {
    v("fc1", fc1), v("fc2", fc2);
  }
};

struct Data {
  Tensor images, labels;
};
// Two clouds: around (1, .., 1) and (-1, .., -1), none closer to the middle than half way.
inline Data Clouds(int64_t examples, int64_t features) {
  Generator rng(11);
  Tensor images = Uniform({examples, features}, rng, -0.5, 0.5).value().Clone();
  std::vector<int32_t> labels;
  for (int64_t i = 0; i < examples; ++i) {
    labels.push_back(static_cast<int32_t>(i * 7 % 3 == 0));
    for (int64_t f = 0; f < features; ++f) {
      images.mutable_data<float>()[i * features + f] += labels.back() ? 1 : -1;
    }
  }
  return {images, Tensor::FromVector(labels)};
}

inline std::vector<Tensor> Clones(const std::vector<Parameter>& parameters) {
  std::vector<Tensor> values;
  for (const Parameter& p : parameters) values.push_back(p.value().Clone());
  return values;
}
inline void ExpectSameBits(const std::vector<Tensor>& a, const std::vector<Tensor>& b) {
  EXPECT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) EXPECT_TRUE(BitwiseEqual(a[i], b[i])) << "tensor " << i;
}

// A small model about to be trained.
struct Training {
  Generator rng{1};
  Data data = Clouds(60, 4);
  Mlp model{4, 8, rng};
  std::vector<Parameter> parameters = Parameters(model);
  Sgd optimizer{parameters, {.learning_rate = 0.1}};
  Loader loader{data.images, data.labels, {.batch_size = 16}};  // 16, 16, 16, 12
  Objective objective = Classification(model);

  FitResult Run(const FitOptions& options) {
    return Fit(objective, optimizer, loader, rng, options);
  }
};

}  // namespace wengert

#endif  // WENGERT_TESTS_NN_FIT_TRAINING_H_
