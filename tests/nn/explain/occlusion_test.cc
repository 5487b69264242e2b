#include "nn/explain/occlusion.h"

#include <cmath>

#include "absl/strings/match.h"
#include "tests/nn/explain/models.h"
#include "tests/tensor/thrown_message.h"

namespace wengert {
namespace {

using explain::Occlusion;

// Pixel by pixel, the sum of w (x - baseline) over the channels.
TEST(OcclusionTest, OfALinearModel) {
  const Tensor x = Random({2, 3, 4, 2}, 1), baseline = Random({2}, 2), w = Random({24, 2}, 3);
  const Tensor of_class = Narrow(Variable(w), 1, 1, 1).value().Reshape({3, 4, 2});
  const Tensor expected = Sum((Variable(x) - baseline) * of_class, -1).value();
  ExpectNear(Occlusion(Linear{w}, x, 1, {.baseline = baseline}), expected, 1e-12);
  ExpectNear(Occlusion(Linear{w}, x, 1, {.baseline = baseline, .batch_size = 5}), expected, 1e-12);
}

// Pixels of a row: 1, 2, 4, 8, 16. Windows of 2 by 2 at columns 0, 2, 3 cover 3, 12, 24 and the
// pixels in the last but one column are in two of them.
TEST(OcclusionTest, WindowsThatOverlap) {
  const Tensor row = Tensor::FromVector<float>({1, 2, 4, 8, 16}, {1, 1, 5, 1});
  const Tensor x = row.Expand({1, 2, 5, 1});
  const auto half = [](const Variable& v) { return Sum(v, {1, 2, 3}) / 2; };
  ExpectNear(Occlusion(half, x, {}, {.window = 2, .stride = 2}),
             Tensor::FromVector<double>({3, 3, 12, 18, 24}, {1, 1, 5}).Expand({1, 2, 5}), 1e-6);
}

// Against one image at a time, covered by hand.
TEST(OcclusionTest, OfANetwork) {
  Generator weights(1);
  const SmallCnn cnn(weights);
  const Tensor x = Random({2, 8, 8, 2}, 2, DType::kFloat32);
  const Tensor found = Occlusion(cnn, x, {}, {.window = 4, .stride = 4, .batch_size = 3});
  for (int64_t n = 0; n < 2; ++n) {
    const Tensor image = x.Narrow(0, n, 1);
    const Variable scores = cnn(image);
    const auto best = ArgMax(scores, 1).item<int64_t>();
    for (int64_t top = 0; top < 8; top += 4) {
      for (int64_t left = 0; left < 8; left += 4) {
        Tensor covered = image.Clone();
        covered.Narrow(1, top, 4).Narrow(2, left, 4).Fill(0);
        const double drop =
            scores.value().at<double>({0, best}) - cnn(covered).value().at<double>({0, best});
        for (int64_t i = 0; i < 16; ++i) {
          EXPECT_NEAR(found.at<double>({n, top + i / 4, left + i % 4}), drop, 1e-5);
        }
      }
    }
  }
}

// How many pixels are bright: no gradient anywhere.
TEST(OcclusionTest, OfACount) {
  const auto bright = [](const Variable& x) {
    return Sum(Cast(x > 0.5, DType::kInt64), {1, 2, 3});
  };
  const Tensor x = Tensor::FromVector<float>({0, 1, 0.4F, 0.6F}, {1, 2, 2, 1});
  EXPECT_EQ(Occlusion(bright, x).ToVector<double>(), (std::vector<double>{0, 1, 0, 1}));
  EXPECT_EQ(Occlusion(bright, x, {}, {.window = 2}).ToVector<double>(),
            (std::vector<double>{2, 2, 2, 2}));
  EXPECT_EQ(Occlusion(bright, x, {}, {.baseline = Tensor::Ones({1})}).ToVector<double>(),
            (std::vector<double>{-1, 0, -1, 0}));
}

TEST(OcclusionTest, Errors) {
  const auto sum = [](const Variable& x) { return Sum(x, {1, 2, 3}); };
  const Tensor x = Tensor::Ones({1, 4, 6, 1});
  const auto expect = [](absl::FunctionRef<void()> call, const char* text) {
    const std::string thrown = ThrownMessage(call);
    EXPECT_TRUE(absl::StrContains(thrown, text)) << thrown;
    EXPECT_TRUE(absl::StrContains(thrown, "occlusion_test.cc:")) << thrown;
  };
  expect(
      [&] {
        Occlusion(sum, Tensor::Ones({4, 4}));
      },
      "[occlusion] x is [4,4], expected [N, H, W, C]");
  expect([&] { Occlusion(sum, x, {}, {.window = 5}); }, "window 5 and stride 1 for x [1,4,6,1]");
  expect([&] { Occlusion(sum, x, {}, {.window = 2, .stride = 3}); }, "stride <= window");
  expect([&] { Occlusion(sum, x, {}, {.stride = 0}); }, "stride is 0, expected at least 1");
  expect([&] { Occlusion(sum, x, {}, {.baseline = Tensor::Zeros({3})}); },
         "the baseline [3] does not expand to x [1,4,6,1]");
}

}  // namespace
}  // namespace wengert
