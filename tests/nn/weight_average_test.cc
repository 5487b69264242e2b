#include "nn/weight_average.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "gtest/gtest.h"
#include "nn/save.h"
#include "tests/data/test_files.h"
#include "tests/nn/optimizer_cases.h"
#include "tests/tensor/thrown_message.h"

namespace wengert {
namespace {

const std::vector<Shape> kShapes = {{17}, {}, {3, 5}, {0, 2}};

void ExpectAverages(DType dtype, bool warm_up, double tolerance) {
  std::vector<Parameter> parameters = MakeParameters(kShapes, dtype);
  WeightAverage average(parameters, {.decay = 0.8, .warm_up = warm_up});
  std::vector<std::vector<double>> expected;
  for (const Parameter& p : parameters) expected.push_back(p.value().ToVector<double>());
  const float* address =
      dtype == DType::kFloat32 ? average.averages()[0].value().data<float>() : nullptr;
  for (int step = 1; step <= 12; ++step) {
    const std::vector<Variable> next = MakeGradients(kShapes, step, dtype);
    for (size_t p = 0; p < parameters.size(); ++p) parameters[p].Set(next[p]);
    average.Update();
    const double decay = warm_up ? std::min(0.8, step / (step + 9.0)) : 0.8;
    for (size_t p = 0; p < parameters.size(); ++p) {
      const std::vector<double> w = next[p].value().ToVector<double>();
      const std::vector<double> found = average.averages()[p].value().ToVector<double>();
      for (size_t i = 0; i < w.size(); ++i) {
        expected[p][i] = decay * expected[p][i] + (1 - decay) * w[i];
        EXPECT_NEAR(found[i], expected[p][i], tolerance);
      }
    }
    if (address) {
      EXPECT_EQ(average.averages()[0].value().data<float>(), address);
    }
  }
}

TEST(WeightAverageTest, FollowsTheFormula) {
  ExpectAverages(DType::kFloat64, false, 1e-14);
  ExpectAverages(DType::kFloat64, true, 1e-14);
  ExpectAverages(DType::kFloat32, false, 1e-6);
}

TEST(WeightAverageTest, ApplyAndRestore) {
  Parameter p(Tensor::FromVector<double>({1, 2}));
  WeightAverage average({p}, {.decay = 0.5});
  p.Set(Tensor::FromVector<double>({3, 4}));
  average.Update();
  average.Apply();
  EXPECT_EQ(p.value().ToVector<double>(), (std::vector<double>{2, 3}));
  average.Restore();
  EXPECT_EQ(p.value().ToVector<double>(), (std::vector<double>{3, 4}));
  average.Update();  // the averages are still its own
  EXPECT_EQ(average.averages()[0].value().ToVector<double>(), (std::vector<double>{2.5, 3.5}));
  EXPECT_EQ(p.value().ToVector<double>(), (std::vector<double>{3, 4}));
}

TEST(WeightAverageTest, Misuse) {
  const Parameter p(Tensor::Ones({2}));
  EXPECT_EQ(ThrownMessage([&] { WeightAverage({p}, {.decay = 1}); }),
            "[weight_average] decay is 1, expected from 0 to below 1");
  EXPECT_EQ(ThrownMessage([&] {
              WeightAverage({p, p});
            }),
            "[weight_average] parameter 1  is parameter 0 again");
  WeightAverage average({p});
  EXPECT_EQ(ThrownMessage([&] { average.Restore(); }), "[weight_average] Restore without an Apply");
  average.Apply();
  EXPECT_EQ(ThrownMessage([&] { average.Apply(); }),
            "[weight_average] Apply without a Restore after the last one");
  EXPECT_EQ(ThrownMessage([&] { average.Update(); }),
            "[weight_average] Update between Apply and Restore");
}

TEST(WeightAverageTest, KeepsItsOwnDecayWhenLoaded) {
  const std::string path = TestFolder() + "/decay.safetensors";
  Parameter p(Tensor::Zeros({1}));
  WeightAverage fast({p}, {.decay = 0.5}), slow({p}, {.decay = 0.75});
  ASSERT_TRUE(Save(fast, path).ok());
  ASSERT_TRUE(Load(slow, path).ok());
  p.Set(Tensor::Ones({1}));
  slow.Update();
  EXPECT_EQ(slow.averages()[0].value().item<float>(), 0.25f);
}

TEST(WeightAverageTest, IsSavedAndLoaded) {
  const std::string path = TestFolder() + "/average.safetensors";
  const WeightAverage::Options options{.decay = 0.9, .warm_up = true};
  std::vector<Parameter> parameters = MakeParameters(kShapes);
  WeightAverage first(parameters, options);
  const auto go_on = [&](WeightAverage& average, int step) {
    const std::vector<Variable> next = MakeGradients(kShapes, step);
    for (size_t p = 0; p < parameters.size(); ++p) parameters[p].Set(next[p]);
    average.Update();
  };
  for (int step = 1; step <= 3; ++step) go_on(first, step);
  ASSERT_TRUE(Save(first, path).ok());
  WeightAverage second(parameters, options);
  const absl::Status loaded = Load(second, path);
  ASSERT_TRUE(loaded.ok()) << loaded;
  for (int step = 4; step <= 6; ++step) {
    go_on(first, step);
    go_on(second, step);
  }
  for (size_t p = 0; p < parameters.size(); ++p) {
    EXPECT_TRUE(BitwiseEqual(first.averages()[p].value(), second.averages()[p].value()));
  }
}

}  // namespace
}  // namespace wengert
