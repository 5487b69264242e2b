// Composites that are found: where the plain ops become one, where they stay, and that nobody can
// tell the difference but by the kernels that run.
#include "autograd/pattern.h"

#include <limits>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "autograd/grad.h"
#include "autograd/modes.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "ops/ops.h"
#include "tests/autograd/pattern_ops.h"
#include "tests/tensor/thrown_message.h"

namespace wengert {
namespace {

using ::testing::HasSubstr;

TEST_F(PatternTest, EvaluateFindsIt) {
  const Variable y = Square(Triple(x));
  EXPECT_EQ(Values(y), (Doubles{9.5, 36.25}));
  EXPECT_EQ(Ran(), kFound);
  EXPECT_EQ(Values(y * 2), (Doubles{19, 72.5}));
  EXPECT_EQ(Ran(), kFound);
}

TEST_F(PatternTest, GradFindsItWhateverIsReadFirst) {
  for (const int order : {0, 1, 2}) {
    calls = {};
    const Variable y = Sum(Square(Triple(x)));
    if (order == 0) y.value();
    const std::vector<Variable> slopes = Grad({&y, 1}, {{x, b}});
    EXPECT_EQ(Ran(), order == 0 ? kFound : kNothing);
    if (order == 1) Evaluate(slopes);
    Evaluate({{y, slopes[0], slopes[1]}});
    EXPECT_EQ(y.item<double>(), 45.75);
    EXPECT_EQ(Values(slopes[0]), (Doubles{18, -36}));
    EXPECT_EQ(Values(slopes[1]), (Doubles{1, 1}));
    EXPECT_EQ(Ran(), kFoundWithGradient);
  }
}

TEST_F(PatternTest, EveryOrderOfDerivativeExists) {
  const Variable y = Square(Triple(x * x));  // 9 x^4 + b
  Variable d = y;
  for (const Doubles& expected :
       {Doubles{36, -288}, Doubles{108, 432}, Doubles{216, -432}, Doubles{216, 216}}) {
    d = Grad(Sum(d), x, {.create_graph = true});
    EXPECT_EQ(Values(d), expected);
  }
}

TEST_F(PatternTest, AHeldIntermediateStaysAsItWasWritten) {
  const Variable inner = Triple(x), y = Square(inner);
  EXPECT_EQ(Values(Grad(Sum(y), x)), (Doubles{18, -36}));
  EXPECT_EQ(Values(y), (Doubles{9.5, 36.25}));
  EXPECT_EQ(Values(inner), (Doubles{3, -6}));
  EXPECT_EQ(Ran(), kAsWritten);
}

TEST_F(PatternTest, AnIntermediateWithAnotherReaderStays) {
  Variable y, z;
  {
    const Variable inner = Triple(x);
    y = Square(inner);
    z = inner * 2;
  }
  EXPECT_EQ(Values(y + z), (Doubles{15.5, 24.25}));
  EXPECT_EQ(Ran(), kAsWritten);
}

TEST_F(PatternTest, AnInputOfGradStays) {
  Variable inner = Triple(x);
  const Variable y = Sum(Square(inner));
  const std::vector<Variable> slopes = Grad({&y, 1}, {{inner, x}});
  inner = Variable();
  EXPECT_EQ(Values(slopes[0]), (Doubles{6, -12}));
  EXPECT_EQ(Values(slopes[1]), (Doubles{18, -36}));
  EXPECT_EQ(Ran(), kAsWritten);
}

// What was differentiated op by op is evaluated op by op, though the handle is gone by then: the
// gradient reads a residual that the composite would not compute.
TEST_F(PatternTest, ANodeIsLookedAtOnce) {
  Variable inner = Triple(x), y = Square(inner);
  const Variable slope = Grad(Sum(y), x);
  inner = Variable();
  EXPECT_EQ(Values(y), (Doubles{9.5, 36.25}));
  EXPECT_EQ(Values(slope), (Doubles{18, -36}));
  EXPECT_EQ(Ran(), kAsWritten);
}

TEST_F(PatternTest, WhatIsComputedAlreadyStays) {
  Variable inner = Triple(x);
  inner.value();
  const Variable y = Square(inner);
  inner = Variable();
  EXPECT_EQ(Values(Grad(Sum(y), x)), (Doubles{18, -36}));
  EXPECT_EQ(Values(y), (Doubles{9.5, 36.25}));
  EXPECT_EQ(Ran(), kAsWritten);
}

TEST_F(PatternTest, ALastNodeWithSeveralReadersIsComputedOnce) {
  Variable sum;
  {
    const Variable y = Square(Triple(x));
    sum = Sum(y * y + y);
  }
  const Variable slope = Grad(sum, x);
  Evaluate({{sum, slope}});
  EXPECT_EQ(sum.item<double>(), 9.5 * 9.5 + 9.5 + 36.25 * 36.25 + 36.25);
  EXPECT_EQ(Values(slope), (Doubles{18 * 20, -36 * 73.5}));
  EXPECT_EQ(Ran(), kFoundWithGradient);
}

TEST_F(PatternTest, AnInputYoungerThanTheChainKeepsTheOrderOfRecording) {
  Variable inner = Triple(x);
  b = b * 2;
  const Variable y = Square(inner);
  inner = Variable();
  EXPECT_EQ(Values(y), (Doubles{10, 36.5}));
  EXPECT_EQ(Ran(), kAsWritten);
}

// A gradient is a sum over the readers of x, in the order in which they were recorded.
TEST_F(PatternTest, GradientsAreAddedUpInTheOrderOfTheOpsAsWritten) {
  Variable inner = Triple(x);
  const Variable large = Sum(x * 1e17), less = Sum(x * -1e17), y = Square(inner);
  inner = Variable();
  EXPECT_EQ(Values(Grad(Sum(y) + large + less, x)), (Doubles{18, -36}));
  EXPECT_EQ(Ran(), (std::vector<int>{0, 0, 1}));
}

TEST_F(PatternTest, OneFollowsAnother) {
  const Variable y = Square(Triple(Square(Triple(x))));
  EXPECT_EQ(Values(Grad(Sum(y), x)), (Doubles{18 * 9.5 * 18, 18 * 36.25 * -36}));
  EXPECT_EQ(Ran(), (std::vector<int>{0, 1, 2}));  // y is not read
}

TEST_F(PatternTest, EagerAndAnomalyModeRunWhatIsWritten) {
  {
    const EagerGuard eager;
    const Variable y = Square(Triple(x));
    EXPECT_EQ(Values(y), (Doubles{9.5, 36.25}));
  }
  EXPECT_EQ(Ran(), kAsWritten);
  {
    const Variable y = Square(Triple(x));
    const EagerGuard eager;
    EXPECT_EQ(Values(y), (Doubles{9.5, 36.25}));
  }
  EXPECT_EQ(Ran(), (std::vector<int>{2, 0, 0}));
  const DetectAnomaly anomaly;
  const Variable y = Square(Triple(x));
  EXPECT_EQ(Values(y), (Doubles{9.5, 36.25}));
  EXPECT_EQ(Ran(), (std::vector<int>{3, 0, 0}));
  const Variable infinite = Square(Triple(Leaf({std::numeric_limits<double>::infinity(), 1})));
  EXPECT_THAT(ThrownMessage([&] { infinite.value(); }),
              HasSubstr("[triple] the first value that is not finite"));
}

TEST_F(PatternTest, WithoutGradientsItIsFoundToo) {
  const NoGradGuard no_grad;
  const Variable y = Square(Triple(x));
  EXPECT_FALSE(y.requires_grad());
  EXPECT_EQ(Values(y), (Doubles{9.5, 36.25}));
  EXPECT_EQ(Ran(), kFound);
}

TEST_F(PatternTest, WhatWasRecordedWithoutGradientsGetsNone) {
  Variable y;
  {
    std::vector<Variable> inner;
    {
      const NoGradGuard no_grad;
      inner.push_back(Triple(x));
    }
    y = Square(inner[0]);
  }
  EXPECT_TRUE(y.requires_grad());  // by b
  const std::vector<Variable> slopes = Grad({{Sum(y)}}, {{x, b}}, {.unused = Unused::kZero});
  EXPECT_EQ(Values(slopes[0]), (Doubles{0, 0}));
  EXPECT_EQ(Values(slopes[1]), (Doubles{1, 1}));
  EXPECT_EQ(Values(y), (Doubles{9.5, 36.25}));
  EXPECT_EQ(Ran(), kAsWritten);
}

TEST_F(PatternTest, ADetachedIntermediateEndsTheGradient) {
  const Variable y = Square(Triple(x).Detach());
  const std::vector<Variable> slopes = Grad({{Sum(y)}}, {{x, b}}, {.unused = Unused::kZero});
  EXPECT_EQ(Values(slopes[0]), (Doubles{0, 0}));
  EXPECT_EQ(Values(y), (Doubles{9.5, 36.25}));
  EXPECT_EQ(Ran(), kAsWritten);
}

TEST_F(PatternTest, AGradientWithoutGraphIsStillAnError) {
  const Variable slope = Grad(Sum(Square(Triple(x))), x);  // 18 x
  const Variable y = Square(Triple(slope));
  EXPECT_THAT(ThrownMessage([&] { Grad({{Sum(y)}}, {{b, x}}); }), HasSubstr("create_graph"));

  // Nor is the gradient itself taken for an op of the user's.
  Variable triple = Grad(Apply(OddOp{.calls = &calls}, {x}), x, {.cotangents = {b.value()}});
  EXPECT_EQ(triple.node()->op, &kOpTable<TripleOp>);
  const Variable z = Sum(Square(triple));
  triple = Variable();
  EXPECT_THAT(ThrownMessage([&] { Grad(z, b); }), HasSubstr("create_graph"));
}

TEST_F(PatternTest, ACheckpointIsFoundForwardAndBackward) {
  const auto f = [&](VariableSpan v) { return Square(Triple(v[0])) * v[0]; };  // 9 x^3 + b x
  const Variable y = Sum(Checkpoint(f, {x}));
  EXPECT_EQ(y.item<double>(), 9.5 - 72.5);
  EXPECT_EQ(Ran(), kFound);
  EXPECT_EQ(Values(Grad(y, x)), (Doubles{27.5, 108.25}));
  EXPECT_EQ(Ran(), (std::vector<int>{0, 2, 1}));
  const Variable first = Grad(y, x, {.create_graph = true});
  EXPECT_EQ(Values(Grad(Sum(first), x)), (Doubles{54, -108}));
}

TEST_F(PatternTest, ErrorsNameTheLineOfTheOpThatItStandsFor) {
  b = Leaf({-1, 0});
  const auto triple = [&](const Variable& v) { return Triple(v); };
  const uint32_t line = SourceLocation::current().line() - 1;
  const Variable y = Square(triple(x));
  const std::string place = absl::StrCat("pattern_test.cc:", line);
  EXPECT_THAT(ThrownMessage([&] { y.value(); }), HasSubstr(place));
  // The program can go on: it is pending still.
  const std::string message = ThrownMessage([&] { y.value(); });
  EXPECT_THAT(message, HasSubstr("[nine_squares] b is negative"));
  const Variable z = Square(triple(x));
  // And so where a layer evaluates while it records.
  const WhereScope scope(SourceLocation::current());
  EXPECT_THAT(ThrownMessage([&] { z.value(); }), HasSubstr(place));
}

TEST_F(PatternTest, LimitsOnPendingWorkFindItAndLeaveNothingBehind) {
  const PendingLimits before = GetPendingLimits();
  SetPendingLimits({.nodes = 100});
  const int64_t nodes = LiveNodes();
  {
    Variable y = Leaf({0.125, 0.0625});
    Variable expected = y;
    b = Leaf({0.015625, 0});
    for (int i = 0; i < 1000; ++i) y = Square(Triple(y * 0.25));
    EXPECT_GT(calls.fused, 800);  // but for those that a limit cut
    y.value();
    EXPECT_EQ(calls.fused + calls.square, 1000);
    EXPECT_EQ(calls.triple, calls.square);
    for (int i = 0; i < 1000; ++i) {
      expected = expected * 0.25;
      expected = expected * expected * 9 + b;
    }
    EXPECT_EQ(Values(y), Values(expected));
    b = Leaf({0, 0});
  }
  EXPECT_EQ(LiveNodes(), nodes);
  SetPendingLimits(before);
}

TEST_F(PatternTest, NothingLeaks) {
  const int64_t nodes = LiveNodes();
  for (const bool create_graph : {false, true}) {
    const Variable y = Sum(Square(Triple(x * 1)));
    const Variable slope = Grad(y, x, {.create_graph = create_graph});
    if (create_graph) Grad(Sum(slope), x).value();
    Evaluate({{y, slope}});
  }
  EXPECT_EQ(LiveNodes(), nodes);
  {  // Recorded and never read.
    const Variable y = Square(Triple(x));
    Grad(Sum(y), x);
  }
  EXPECT_EQ(LiveNodes(), nodes);
  const Parameter w(Tensor::Full({2}, 1, DType::kFloat64));
  const int64_t with_parameter = LiveNodes();
  const ValueAndGradients step = ValueAndGrad([&] { return Sum(Square(Triple(w))); }, {{w}});
  EXPECT_EQ(LiveNodes(), with_parameter + 2);
}

}  // namespace
}  // namespace wengert
