// Recording and evaluation: nothing is computed before it is asked for, shapes are known at once,
// and every order of reading gives the same values.
#include <algorithm>
#include <numeric>
#include <sstream>
#include <utility>
#include <vector>

#include "autograd/modes.h"
#include "autograd/op.h"
#include "autograd/variable.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "ops/ops.h"

namespace wengert {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// Adds up its inputs and writes its number into a log when it runs.
struct LoggedSumOp : Op<LoggedSumOp> {
  static constexpr std::string_view kName = "logged_sum";
  static constexpr Uses kUses = Uses::None();
  static constexpr bool kDifferentiable = false;

  int number;
  std::vector<int>* log;

  Spec Infer(VariableSpan x) const { return {x[0].shape(), x[0].dtype()}; }
  void Forward(TensorSpan x, Tensor& y) const {
    log->push_back(number);
    for (int64_t i = 0; i < y.size(); ++i) {
      y.mutable_data<double>()[i] = 1;
      for (size_t k = 0; k < x.size(); ++k) {
        y.mutable_data<double>()[i] += x[k].ToVector<double>()[i];
      }
    }
  }
};

Variable Constant(std::vector<double> values) { return Tensor::FromVector(values); }

TEST(EvaluateTest, NothingIsComputedBeforeItIsAsked) {
  std::vector<int> log;
  const int64_t before = KernelCalls();
  const Variable x = Constant({1, 2});
  const Variable a = Apply(LoggedSumOp{.number = 0, .log = &log}, {x});
  const Variable b = Apply(LoggedSumOp{.number = 1, .log = &log}, {a * 2});
  const Variable c = Apply(LoggedSumOp{.number = 2, .log = &log}, {a});
  EXPECT_EQ(KernelCalls(), before);
  EXPECT_THAT(log, IsEmpty());

  EXPECT_THAT(c.value().ToVector<double>(), ElementsAre(3, 4));
  EXPECT_THAT(log, ElementsAre(0, 2));  // not 1, which nobody asked for
  EXPECT_THAT(b.value().ToVector<double>(), ElementsAre(5, 7));
  EXPECT_THAT(log, ElementsAre(0, 2, 1));
}

TEST(EvaluateTest, WhatNobodyReadsNeverRuns) {
  std::vector<int> log;
  { const Variable a = Apply(LoggedSumOp{.number = 0, .log = &log}, {Constant({1})}); }
  EXPECT_THAT(log, IsEmpty());
}

TEST(EvaluateTest, ShapesAndDtypesAreKnownAtOnce) {
  const int64_t before = KernelCalls();
  const Variable x = Tensor::Ones({2, 1, 3}, DType::kInt32);
  const Variable y = x * Tensor::Ones({4, 1}, DType::kFloat64);
  EXPECT_EQ(y.shape(), (Shape{2, 4, 3}));
  EXPECT_EQ(y.dtype(), DType::kFloat64);
  const Variable z = Permute(y, {2, 0, 1});
  EXPECT_EQ(z.shape(), (Shape{3, 2, 4}));
  EXPECT_EQ(z.rank(), 3);
  EXPECT_EQ(z.dim(-1), 4);
  EXPECT_EQ(z.size(), 24);
  EXPECT_EQ((z < 1).dtype(), DType::kBool);
  EXPECT_EQ(KernelCalls(), before);
}

TEST(EvaluateTest, RunsInTheOrderOfRecording) {
  std::vector<int> log;
  std::vector<Variable> values = {Constant({0})};
  for (int i = 0; i < 40; ++i) {  // each reads the two before it that a fixed pattern picks
    values.push_back(
        Apply(LoggedSumOp{.number = i, .log = &log}, {values[i * 7 / 8], values[i / 2]}));
  }
  const Variable last = Apply(LoggedSumOp{.number = 40, .log = &log}, VariableSpan(values));
  last.value();
  std::vector<int> expected(41);
  std::iota(expected.begin(), expected.end(), 0);
  EXPECT_EQ(log, expected);
}

TEST(EvaluateTest, EvaluateComputesSharedWorkOnce) {
  std::vector<int> log;
  const Variable shared = Apply(LoggedSumOp{.number = 0, .log = &log}, {Constant({1})});
  const Variable a = shared * 3, b = Exp(shared);
  Evaluate({{a, b, shared, a}});
  EXPECT_THAT(log, ElementsAre(0));
  const int64_t calls = KernelCalls();
  EXPECT_EQ(a.item<double>(), 6);
  EXPECT_EQ(shared.item<double>(), 2);
  EXPECT_EQ(KernelCalls(), calls);
  Evaluate({});
}

TEST(EvaluateTest, ReadingAgainGivesTheSameMemory) {
  const Variable y = Constant({1, 2}) + 1;
  const Tensor first = y.value();
  const int64_t calls = KernelCalls();
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(y.value().SharesStorage(first));
  EXPECT_EQ(KernelCalls(), calls);
}

TEST(EvaluateTest, AConstantSharesItsTensor) {
  const Tensor tensor = Tensor::Ones({3});
  const Variable x = tensor;
  EXPECT_TRUE(x.value().SharesStorage(tensor));
  EXPECT_FALSE(x.requires_grad());
}

// Five values that depend on each other in several ways.
std::vector<Variable> Program(const Variable& x) {
  const Variable a = Tanh(x * 1.5 + 0.25);
  const Variable b = Transpose(a * x, 0, 1);
  const Variable c = Exp(b) / (b + 3) - Transpose(a, 0, 1);
  const Variable d = Reshape(c, {-1}) * 0.5;
  const Variable e = Narrow(d, 0, 1, 5) + Reshape(Narrow(a, 0, 0, 1), {-1, 1});
  return {a, b, c, d, e};
}

TEST(EvaluateTest, EveryOrderOfReadingGivesTheSameBits) {
  const Tensor x = Tensor::Arange(-1, 1, 0.25, DType::kFloat64).Reshape({2, 4});
  std::vector<Tensor> expected;
  {
    const EagerGuard eager;
    for (const Variable& v : Program(x)) expected.push_back(v.value());
  }
  std::vector<int> order = {0, 1, 2, 3, 4};
  do {
    const std::vector<Variable> values = Program(x);
    for (int i : order) {
      EXPECT_TRUE(BitwiseEqual(values[i].value(), expected[i])) << i;
    }
  } while (std::next_permutation(order.begin(), order.end()));
}

TEST(EvaluateTest, AnyPartMayBeDroppedUnread) {
  const Tensor x = Tensor::Arange(-1, 1, 0.25, DType::kFloat64).Reshape({2, 4});
  std::vector<Tensor> expected;
  for (const Variable& v : Program(x)) expected.push_back(v.value().Clone());
  for (int kept = 0; kept < 32; ++kept) {
    std::vector<Variable> values = Program(x);
    for (int i = 0; i < 5; ++i) {
      if (!(kept >> i & 1)) values[i] = Variable();
    }
    for (int i = 4; i >= 0; --i) {
      if (values[i].defined()) {
        EXPECT_TRUE(BitwiseEqual(values[i].value(), expected[i])) << kept << " " << i;
      }
    }
  }
}

TEST(EvaluateTest, ZeroSizeAndRankZero) {
  const Variable empty = Tensor::Empty({0, 3});
  EXPECT_EQ((empty + Tensor::Ones({1, 3})).value().shape(), (Shape{0, 3}));
  const Variable scalar = Tensor::Full({}, 2, DType::kFloat64);
  EXPECT_EQ((scalar * scalar).item<double>(), 4);
  EXPECT_EQ((scalar * scalar).rank(), 0);
}

TEST(EvaluateTest, AViewKeepsWhatItShowsAlive) {
  Variable view;
  {
    const Variable y = Constant({1, 2, 3, 4}) * 2;
    view = Narrow(y, 0, 3, 2, -2);
  }
  EXPECT_THAT(view.value().ToVector<double>(), ElementsAre(8, 4));
}

// Kernels choose by strides, so a result must not lie otherwise because a buffer was taken over.
TEST(EvaluateTest, AResultInABufferTakenOverLiesAsAFreshOne) {
  constexpr int64_t kSize = 4096;
  const Variable column = Tensor::Ones({kSize, 1});
  const Variable held = Square(column);
  // The transposed column is row-major whatever the stride of its first axis.
  const Variable row = Tanh(Transpose(held * 2)), other = Tanh(Transpose(held));
  Evaluate({{row, other}});
  EXPECT_EQ(row.value().strides(), (Strides{kSize, 1}));
  EXPECT_EQ(other.value().strides(), (Strides{kSize, 1}));
}

TEST(EvaluateTest, HandlesCopyMoveAndAssign) {
  const int64_t live = LiveNodes();
  {
    Variable a = Constant({1}) + 1;
    Variable b = a;
    Variable& alias = a;
    a = alias;
    EXPECT_TRUE(a.SameAs(b));
    Variable c = std::move(a);
    EXPECT_FALSE(a.defined());  // NOLINT(bugprone-use-after-move)
    c = c + b;
    c = c * c;
    EXPECT_EQ(c.item<double>(), 16);
    EXPECT_EQ(b.item<double>(), 2);
    b = Variable();
    EXPECT_FALSE(b.defined());
    EXPECT_FALSE(b.requires_grad());
  }
  EXPECT_EQ(LiveNodes(), live);
}

TEST(EvaluateTest, NumbersBeyondADoubleStayExact) {
  const int64_t large = (int64_t{1} << 53) + 1;
  const Variable x = Tensor::Zeros({1}, DType::kInt64);
  EXPECT_EQ((x + large).item<int64_t>(), large);
  EXPECT_EQ((x - large).item<int64_t>(), -large);
}

TEST(EvaluateTest, PrintingEvaluates) {
  std::ostringstream stream;
  stream << Constant({1, 2}) + 1;
  EXPECT_THAT(stream.str(), HasSubstr("[2. 3.]"));
}

TEST(EvaluateTest, SubnormalsCountAsZeroInsideAndNotOutside) {
  volatile float tiny = 1e-30f, factor = 1e-10f;
  EXPECT_EQ((Variable(Tensor::Full({3}, tiny)) * factor).value().at<float>({1}), 0);
  EXPECT_GT(tiny * factor, 0);  // the caller's mode came back
  std::vector<int> log;
  const Variable bad = Apply(LoggedSumOp{.number = 0, .log = &log}, {Tensor::Ones({1})});
  EXPECT_THROW(bad.value(), Error);  // its kernel asks float32 memory for doubles
  EXPECT_GT(tiny * factor, 0);
}

}  // namespace
}  // namespace wengert
