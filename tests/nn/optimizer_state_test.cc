// An optimizer that is saved and loaded goes on with the same bits.
#include <memory>
#include <vector>

#include "gtest/gtest.h"
#include "nn/muon.h"
#include "nn/optimizers.h"
#include "nn/save.h"
#include "tests/data/test_files.h"
#include "tests/nn/optimizer_cases.h"

namespace wengert {
namespace {

const std::vector<Shape> kShapes = {{17}, {}, {3, 5}, {0, 4}};

// What a user would save together.
struct Checkpoint {
  std::vector<Parameter>& weights;
  Optimizer& optimizer;
  template <class V>
  void Visit(V&& v) {
    v("weights", weights), v("optimizer", optimizer);
  }
};

std::vector<OptimizerCase> AllCases() {
  std::vector<OptimizerCase> cases = OptimizerCases();
  cases.push_back({"muon", 0.02, Maker<Muon>({}), nullptr});
  return cases;
}

TEST(OptimizerStateTest, GoesOnWithTheSameBits) {
  const std::string path = TestFolder() + "/optimizer.safetensors";
  for (const DType dtype : {DType::kFloat32, DType::kFloat64}) {
    for (const OptimizerCase& c : AllCases()) {
      std::vector<Parameter> first = MakeParameters(kShapes, dtype);
      const auto optimizer = c.make(first, c.rate, 0.1);
      for (int step = 1; step <= 5; ++step) optimizer->Step(MakeGradients(kShapes, step, dtype));
      optimizer->set_learning_rate(c.rate / 3);
      Checkpoint checkpoint{first, *optimizer};
      ASSERT_TRUE(Save(checkpoint, path).ok());

      std::vector<Parameter> second = MakeParameters(kShapes, dtype);
      const auto resumed = c.make(second, c.rate, 0.1);
      resumed->Step(MakeGradients(kShapes, 9, dtype));  // another past, to be forgotten
      Checkpoint restored{second, *resumed};
      const absl::Status loaded = Load(restored, path);
      ASSERT_TRUE(loaded.ok()) << loaded;
      EXPECT_EQ(resumed->steps(), 5);
      EXPECT_EQ(resumed->learning_rate(), c.rate / 3);
      for (int step = 6; step <= 10; ++step) {
        optimizer->Step(MakeGradients(kShapes, step, dtype));
        resumed->Step(MakeGradients(kShapes, step, dtype));
      }
      for (size_t i = 0; i < kShapes.size(); ++i) {
        EXPECT_TRUE(BitwiseEqual(first[i].value(), second[i].value())) << c.name << " " << i;
      }
    }
  }
}

TEST(OptimizerStateTest, AnotherOptimizersStateDoesNotFit) {
  const std::string path = TestFolder() + "/adam.safetensors";
  const std::vector<Parameter> parameters = MakeParameters({{3}});
  Adam adam(parameters);
  Sgd sgd(parameters);
  ASSERT_TRUE(Save(adam, path).ok());
  const absl::Status status = Load(sgd, path);
  EXPECT_FALSE(status.ok());
  EXPECT_NE(status.message().find("unexpected (2): \"states/0/0\", \"states/0/1\""),
            std::string::npos)
      << status;
}

}  // namespace
}  // namespace wengert
