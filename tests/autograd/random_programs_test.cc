// Random programs: whatever is held, dropped, read or differentiated, and in whatever order, the
// bits are those of eager execution. So no buffer is reused while anybody still reads it.
#include <algorithm>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "autograd/grad.h"
#include "autograd/modes.h"
#include "autograd/variable.h"
#include "gtest/gtest.h"
#include "ops/ops.h"

namespace wengert {
namespace {

using Random = std::mt19937_64;

int Below(Random& random, int n) { return static_cast<int>(random() % n); }

// Square matrices, so that any two meet; rows and columns to broadcast. Large enough that buffers
// are taken over rather than allocated.
constexpr int64_t kSide = 36;
const Shape kMatrix = {kSide, kSide}, kRow = {1, kSide}, kColumn = {kSide, 1};

Tensor RandomTensor(Random& random, const Shape& shape, DType dtype) {
  Tensor tensor = Tensor::Empty(shape, DType::kFloat64);
  std::uniform_real_distribution<double> uniform(-1.5, 1.5);
  for (int64_t i = 0; i < tensor.size(); ++i) tensor.mutable_data<double>()[i] = uniform(random);
  return tensor.To(dtype);
}

Variable RandomUnary(Random& random, const Variable& x) {
  switch (Below(random, 14)) {
    case 0:
      return Tanh(x);
    case 1:
      return Sigmoid(x) * 2;
    case 2:
      return Square(x) - 1;
    case 3:
      return Exp(-Abs(x));
    case 4:
      return Relu(x) + 0.125;
    case 5:
      return 1 / (Square(x) + 1.5);
    case 6:
      return x * 0.75;
    case 7:
      return Clip(x, -1, 1);
    case 8:
      return LeakyRelu(x, 0.1);
    case 9:
      return Softplus(x);
    case 10:
      return Transpose(x);
    case 11:
      return Flip(x, Below(random, 2));
    case 12:
      return -x;
    default:
      return x.dim(0) == 1 || x.dim(1) == 1 ? Square(x) : Reshape(Reshape(x, {-1}), kMatrix);
  }
}

Variable RandomBinary(Random& random, const Variable& a, const Variable& b) {
  switch (Below(random, 8)) {
    case 0:
      return a + b;
    case 1:
      return a - b;
    case 2:
      return Tanh(a * b);
    case 3:
      return a / (Square(b) + 1);
    case 4:
      return Maximum(a, b);
    case 5:
      return Minimum(a, b);
    case 6:
      return Where(a < b, a, b * 0.5);
    default:
      return WherePositive(a, b);
  }
}

// Two halves of one value put together again: views of a buffer and an assembled one.
Variable CutAndJoin(Random& random, const Variable& x) {
  const int axis = x.dim(0) > 1 ? 0 : 1;
  const int64_t cut = 1 + Below(random, kSide - 1);
  const Variable low = Narrow(x, axis, 0, cut), high = Narrow(x, axis, cut, kSide - cut);
  return Below(random, 2) ? Concat({{high, low}}, axis) : Concat({{Tanh(low), high * 0.5}}, axis);
}

struct Program {
  std::vector<Variable> leaves;
  std::vector<Variable> values;  // everything that was recorded
};

// The same seed gives the same program.
Program Record(uint64_t seed, DType dtype) {
  Random random(seed);
  Program program;
  for (const Shape& shape : {kMatrix, kMatrix, kRow, kColumn}) {
    program.leaves.push_back(DifferentiableLeaf(RandomTensor(random, shape, dtype)));
  }
  std::vector<Variable> all = program.leaves;
  all.push_back(RandomTensor(random, kMatrix, dtype));  // a constant
  const int length = 4 + Below(random, 26);
  for (int i = 0; i < length; ++i) {
    // Mostly recent values, so that programs are deep; some old ones, so that buffers live long.
    auto pick = [&]() -> const Variable& {
      const int count = static_cast<int>(all.size());
      return all[Below(random, 3) ? count - 1 - Below(random, std::min(count, 4))
                                  : Below(random, count)];
    };
    const int kind = Below(random, 10);
    const Variable a = pick();
    Variable y;
    if (kind < 4) {
      y = RandomUnary(random, a);
    } else if (kind < 9) {
      y = RandomBinary(random, a, pick());
    } else {
      y = CutAndJoin(random, a);
    }
    all.push_back(y);
    program.values.push_back(y);
  }
  return program;
}

// The gradient of the sum of the outputs, by the leaves.
std::vector<Variable> Gradients(const Program& program, const std::vector<Variable>& outputs,
                                bool create_graph) {
  std::vector<Variable> ones;
  for (const Variable& y : outputs) ones.push_back(Tensor::Ones(y.shape(), y.dtype()));
  return Grad(outputs, program.leaves,
              {.cotangents = ones, .create_graph = create_graph, .unused = Unused::kZero});
}

struct Expected {
  std::vector<Tensor> values, first, second;
};

// The outputs that gradients are taken of: the last value and one more.
std::vector<Variable> OutputsOf(const Program& program, uint64_t seed) {
  const std::vector<Variable>& values = program.values;
  return {values.back(), values[seed % values.size()]};
}

Expected Eagerly(uint64_t seed, DType dtype) {
  const EagerGuard eager;
  const Program program = Record(seed, dtype);
  Expected expected;
  for (const Variable& v : program.values) expected.values.push_back(v.value().Clone());
  const std::vector<Variable> first = Gradients(program, OutputsOf(program, seed), true);
  for (const Variable& v : first) expected.first.push_back(v.value().Clone());
  for (const Variable& v : Gradients(program, first, false)) {
    expected.second.push_back(v.value().Clone());
  }
  return expected;
}

// One lazy run: some values are dropped, the others are read in random order, before, between and
// after the gradients; what was read stays held and is compared once more at the end.
void RunLazily(uint64_t seed, DType dtype, uint64_t choices, const Expected& expected) {
  Random random(choices);
  struct Asked {
    Variable value;
    const Tensor* expected;
    std::string what;
  };
  std::vector<Asked> asked;
  std::vector<std::pair<Tensor, const Tensor*>> read;
  auto read_some = [&](int keep_in_ten) {
    std::shuffle(asked.begin(), asked.end(), random);
    for (const Asked& a : asked) {
      if (Below(random, 10) < keep_in_ten) continue;
      const Tensor value = a.value.value();
      EXPECT_TRUE(BitwiseEqual(value, *a.expected)) << a.what << " of program " << seed;
      read.emplace_back(value, a.expected);
    }
  };
  const int order = Below(random, 3);  // of derivatives
  {
    Program program = Record(seed, dtype);
    for (size_t i = 0; i < program.values.size(); ++i) {
      if (Below(random, 3) == 0) {
        asked.push_back({program.values[i], &expected.values[i], "value " + std::to_string(i)});
      }
    }
    const std::vector<Variable> outputs = OutputsOf(program, seed);
    program.values.clear();
    if (Below(random, 2)) read_some(5);
    if (order > 0) {
      std::vector<Variable> first = Gradients(program, outputs, order > 1);
      if (order > 1) {
        const std::vector<Variable> second = Gradients(program, first, false);
        for (size_t i = 0; i < second.size(); ++i) {
          asked.push_back({second[i], &expected.second[i], "second " + std::to_string(i)});
        }
      }
      for (size_t i = 0; i < first.size(); ++i) {
        if (Below(random, 3)) {
          asked.push_back({first[i], &expected.first[i], "gradient " + std::to_string(i)});
        }
      }
    }
    if (Below(random, 2)) program.leaves.clear();
    if (Below(random, 3) == 0) {
      std::vector<Variable> together;
      for (const Asked& a : asked) {
        if (Below(random, 2)) together.push_back(a.value);
      }
      Evaluate(together);
    }
    if (Below(random, 2)) read_some(5);
  }
  read_some(0);
  for (const auto& [value, expected_value] : read) {  // nobody wrote over it since
    ASSERT_TRUE(BitwiseEqual(value, *expected_value)) << "later, in program " << seed;
  }
}

void RunPrograms(DType dtype, uint64_t first_seed, int programs, int runs) {
  const int64_t live = LiveNodes();
  for (uint64_t seed = first_seed; seed < first_seed + programs; ++seed) {
    const Expected expected = Eagerly(seed, dtype);
    for (int run = 0; run < runs; ++run) {
      RunLazily(seed, dtype, seed * 1000 + run, expected);
      if (::testing::Test::HasFatalFailure()) return;
    }
  }
  EXPECT_EQ(LiveNodes(), live);  // and nothing leaked
}

TEST(RandomProgramsTest, Float32) { RunPrograms(DType::kFloat32, 1, 300, 6); }
TEST(RandomProgramsTest, Float64) { RunPrograms(DType::kFloat64, 1001, 150, 4); }

// The same under limits that cut every program somewhere.
TEST(RandomProgramsTest, UnderTightLimitsOnPendingWork) {
  const PendingLimits before = GetPendingLimits();
  for (int64_t nodes : {1, 2, 3, 5, 8, 13, 21}) {
    SetPendingLimits({.nodes = nodes, .bytes = before.bytes});
    RunPrograms(DType::kFloat32, 2000 + nodes * 10, 20, 4);
  }
  SetPendingLimits({.nodes = before.nodes, .bytes = 2000});
  RunPrograms(DType::kFloat32, 3000, 20, 4);
  SetPendingLimits(before);
}

TEST(RandomProgramsTest, EagerlyAndLazilyMixed) {
  for (uint64_t seed = 4000; seed < 4050; ++seed) {
    const Expected expected = Eagerly(seed, DType::kFloat32);
    const Program program = Record(seed, DType::kFloat32);
    const std::vector<Variable> outputs = OutputsOf(program, seed);
    std::vector<Variable> first, second;
    {
      const EagerGuard eager;
      first = Gradients(program, outputs, true);
    }
    second = Gradients(program, first, false);
    for (size_t i = 0; i < first.size(); ++i) {
      EXPECT_TRUE(BitwiseEqual(second[i].value(), expected.second[i])) << seed;
      EXPECT_TRUE(BitwiseEqual(first[i].value(), expected.first[i])) << seed;
    }
  }
}

}  // namespace
}  // namespace wengert
