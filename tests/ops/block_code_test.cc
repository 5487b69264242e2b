#include "ops/kernels/block_code.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "ops/kernels/elementwise.h"
#include "tests/ops/kernel_test.h"

namespace wengert {
namespace {

constexpr int64_t kRoom = 16;  // floats that may be read past the end

std::vector<Row> RowsWithCode() {
  std::vector<Row> rows;
  for (int row = 0; row < kNumRows; ++row) {
    if (HasCode(static_cast<Row>(row))) rows.push_back(static_cast<Row>(row));
  }
  return rows;
}

// Random steps over random values, with the memory that each value has.
struct Steps {
  std::vector<CodeStep> steps;
  std::vector<CodeValue> values;
  std::vector<size_t> memory;  // of each value: which array
  size_t arrays = 0;
};

Steps RandomSteps(RandomIntegers& random, int given, int steps) {
  const std::vector<Row> rows = RowsWithCode();
  Steps run;
  for (int v = 0; v < given; ++v) {
    run.values.push_back(random.Int(0, 3) == 0 ? CodeValue::kOne : CodeValue::kGiven);
    run.memory.push_back(run.arrays++);
  }
  for (int i = 0; i < steps; ++i) {
    const int64_t known = static_cast<int64_t>(run.values.size());
    CodeStep step = {.row = rows[random.Int(0, static_cast<int64_t>(rows.size()) - 1)]};
    for (uint8_t& in : step.in) {  // mostly a late value, so that chains are long
      in = static_cast<uint8_t>(
          random.Int(random.Int(0, 2) ? std::max<int64_t>(0, known - 6) : 0, known - 1));
    }
    step.out = static_cast<uint8_t>(known);
    run.steps.push_back(step);
    run.values.push_back(random.Int(0, 2) == 0 ? CodeValue::kStored : CodeValue::kLocal);
    run.memory.push_back(run.arrays++);
  }
  // A value may take the memory of one that no step reads any more and nobody reads afterwards.
  for (size_t i = 0; i < run.steps.size(); ++i) {
    const size_t out = run.steps[i].out;
    const size_t other = static_cast<size_t>(random.Int(0, static_cast<int64_t>(out) - 1));
    bool wanted = run.values[other] == CodeValue::kStored || run.values[other] == CodeValue::kOne;
    for (size_t later = i + 1; later < run.steps.size(); ++later) {
      for (const size_t in : run.steps[later].in) wanted |= in == other;
    }
    const bool taken = std::count(run.memory.begin(), run.memory.end(), run.memory[other]) > 1;
    if (!wanted && !taken) run.memory[out] = run.memory[other];
  }
  return run;
}

float RandomFloat(RandomIntegers& random) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const float special[] = {0.0f, -0.0f, 1.0f, kInfinity, -kInfinity, std::nanf(""), 3e38f, 1e-38f};
  if (random.Int(0, 19) == 0) return special[random.Int(0, std::size(special) - 1)];
  return static_cast<float>(random.Int(-3000, 3000)) / 1000;
}

// What the kernels compute, step by step.
std::vector<std::vector<float>> Expected(const Steps& run, std::vector<std::vector<float>> values,
                                         int64_t count) {
  for (const CodeStep& step : run.steps) {
    const std::vector<float>& a = values[step.in[0]];
    const std::vector<float>& b = values[step.in[1]];
    std::vector<float> y(count + kRoom);
    const void* const in[] = {a.data(), b.data(), values[step.in[2]].data()};
    const double numbers[2] = {};
    GetBlockKernel(step.row, DType::kFloat32, 0)(in, y.data(), count, numbers);
    values.push_back(y);
  }
  return values;
}

void ExpectAsKernels(const Steps& run, int64_t count, RandomIntegers& random) {
  std::vector<std::vector<float>> given;
  for (const CodeValue value : run.values) {
    if (value != CodeValue::kGiven && value != CodeValue::kOne) break;
    std::vector<float> elements(count + kRoom);
    for (float& x : elements) x = RandomFloat(random);
    if (value == CodeValue::kOne) std::fill(elements.begin(), elements.end(), elements[0]);
    given.push_back(elements);
  }
  std::vector<std::vector<float>> memory(run.arrays, std::vector<float>(count + kRoom, 77));
  for (size_t v = 0; v < given.size(); ++v) memory[run.memory[v]] = given[v];
  for (size_t v = 0; v < given.size(); ++v) {
    if (run.values[v] == CodeValue::kOne) memory[run.memory[v]].resize(1);
  }
  const auto before = memory;
  const BlockCode code = GetBlockCode(run.steps, run.values);
  ASSERT_NE(code.run, nullptr);
  std::vector<std::byte*> places;
  for (const uint8_t v : code.values) {
    places.push_back(reinterpret_cast<std::byte*>(memory[run.memory[v]].data()));
  }
  code.run(places.data(), count);
  const auto expected = Expected(run, given, count);
  for (size_t v = given.size(); v < run.values.size(); ++v) {
    const std::vector<float>& got = memory[run.memory[v]];
    for (int64_t i = 0; i < count && run.values[v] == CodeValue::kStored; ++i) {
      const float want = expected[v][i];
      ASSERT_TRUE(std::bit_cast<uint32_t>(got[i]) == std::bit_cast<uint32_t>(want) ||
                  (std::isnan(got[i]) && std::isnan(want)))
          << "value " << v << " at " << i << " of " << count << ": " << got[i] << ", not " << want;
    }
  }
  for (size_t m = 0; m < memory.size(); ++m) {  // nothing past the end
    for (size_t i = count; i < memory[m].size(); ++i) {
      ASSERT_EQ(std::bit_cast<uint32_t>(memory[m][i]), std::bit_cast<uint32_t>(before[m][i]))
          << "array " << m << " at " << i << " of " << count;
    }
  }
}

class BlockCodeTest : public testing::Test {
 protected:
  // On each target that has code.
  template <class F>
  static void ForEachCode(F f) {
    ForEachTarget([&] {
      if (GetBlockCode({{.row = Row::kAdd, .in = {0, 0}, .out = 1}},
                       {CodeValue::kGiven, CodeValue::kStored})
              .run) {
        f();
      }
    });
  }
  KernelSettings settings_;
};

TEST_F(BlockCodeTest, EachRowIsItsKernel) {
  ForEachCode([] {
    RandomIntegers random(1);
    for (const Row row : RowsWithCode()) {
      SCOPED_TRACE(static_cast<int>(row));
      for (const CodeValue second : {CodeValue::kGiven, CodeValue::kOne}) {
        const Steps run = {
            .steps = {{.row = row, .in = {0, 1, 2}, .out = 3}},
            .values = {CodeValue::kGiven, second, CodeValue::kGiven, CodeValue::kStored},
            .memory = {0, 1, 2, 3},
            .arrays = 4};
        for (const int64_t count : {1, 7, 16, 17, 63, 64, 1000}) {
          ExpectAsKernels(run, count, random);
        }
      }
    }
  });
}

// Up to 60 values: more than there are registers.
TEST_F(BlockCodeTest, RandomRunsAreTheirKernels) {
  ForEachCode([] {
    for (uint32_t seed = 0; seed < 300; ++seed) {
      SCOPED_TRACE(seed);
      RandomIntegers random(seed);
      const int given = static_cast<int>(random.Int(1, 12));
      const Steps run = RandomSteps(random, given, static_cast<int>(random.Int(1, 48)));
      ExpectAsKernels(run, random.Int(1, 200), random);
      if (HasFatalFailure()) return;
    }
  });
}

TEST_F(BlockCodeTest, TheSameStepsAreTheSameCode) {
  ForEachCode([] {
    const std::vector<CodeStep> steps = {{.row = Row::kMul, .in = {0, 1}, .out = 2},
                                         {.row = Row::kAdd, .in = {2, 0}, .out = 3}};
    std::vector<CodeValue> values = {CodeValue::kGiven, CodeValue::kGiven, CodeValue::kLocal,
                                     CodeValue::kStored};
    const BlockCode code = GetBlockCode(steps, values);
    EXPECT_EQ(GetBlockCode(steps, values).run, code.run);
    EXPECT_EQ(std::vector<uint8_t>(code.values.begin(), code.values.end()),
              (std::vector<uint8_t>{0, 1, 3}));  // the local one needs no memory
    values[2] = CodeValue::kStored;
    EXPECT_NE(GetBlockCode(steps, values).run, code.run);
  });
}

// Functions have no code, nor has what other processors compute.
TEST_F(BlockCodeTest, OnlySimpleRowsHaveCode) {
  EXPECT_EQ(HasCode(Row::kMulAdd), HasCode(Row::kAdd));
  EXPECT_FALSE(HasCode(Row::kTanh));
  EXPECT_FALSE(HasCode(Row::kGeneralPow));
  EXPECT_FALSE(HasCode(Row::kLess));
  EXPECT_FALSE(HasCode(Row::kWhere));
}

}  // namespace
}  // namespace wengert
