// Modes: what each scope changes, that it ends with its scope (by an exception too), that it is its
// thread's own, and that pending work is bounded.
#include "autograd/modes.h"

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "autograd/grad.h"
#include "autograd/op.h"
#include "gtest/gtest.h"
#include "ops/ops.h"
#include "tensor/pool.h"

namespace wengert {
namespace {

Variable Ones(const Shape& shape = {2}) { return Tensor::Ones(shape); }

// Whether an op runs as it is recorded.
bool RunsEagerly() {
  const int64_t before = KernelCalls();
  const Variable y = Ones() + 1;
  return KernelCalls() > before;
}
bool ChecksForAnomalies() {
  try {
    Log(Ones() - 1).value();
    return false;
  } catch (const Error&) {
    return true;
  }
}

// Calls `f` in a scope that an exception ends.
void Interrupted(const std::function<void()>& f) { EXPECT_THROW(f(), std::runtime_error); }
[[noreturn]] void Interrupt() { throw std::runtime_error("interrupt"); }

TEST(ModesTest, EagerGuardRunsEachOpAsItIsRecorded) {
  EXPECT_FALSE(RunsEagerly());
  {
    const EagerGuard eager;
    EXPECT_TRUE(RunsEagerly());
    {
      const EagerGuard lazy(false);
      EXPECT_FALSE(RunsEagerly());
    }
    EXPECT_TRUE(RunsEagerly());
    // An error at run time is thrown where the op is called.
    const Variable index = Tensor::FromVector(std::vector<int64_t>{7});
    EXPECT_THROW(Gather(Ones(), index), Error);
  }
  EXPECT_FALSE(RunsEagerly());
  Interrupted([] {
    const EagerGuard eager;
    Interrupt();
  });
  EXPECT_FALSE(RunsEagerly());
}

TEST(ModesTest, EagerAndLazyGiveTheSameBits) {
  const auto gradients = [] {
    const Variable w = DifferentiableLeaf(Tensor::Arange(-1, 1, 0.1, DType::kFloat32));
    const Variable y = Sum(Tanh(w * 3) / (Square(w) + 1));
    const Variable first = Grad(y, w, {.create_graph = true});
    return std::vector<Tensor>{y.value(), first.value(), Grad(Sum(first), w).value()};
  };
  const std::vector<Tensor> lazy = gradients();
  const EagerGuard eager;
  const std::vector<Tensor> eagerly = gradients();
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(BitwiseEqual(lazy[i], eagerly[i])) << i;
}

TEST(ModesTest, TheEnvironmentTurnsEagerOn) {
  bool eager = false, guarded = true;
  ASSERT_EQ(setenv("WENGERT_EAGER", "1", 1), 0);
  std::thread([&] {
    eager = RunsEagerly();
    const EagerGuard lazy(false);
    guarded = RunsEagerly();
  }).join();
  unsetenv("WENGERT_EAGER");
  EXPECT_TRUE(eager);
  EXPECT_FALSE(guarded);
}

TEST(ModesTest, NoGradGuardRecordsNoGradientEdges) {
  const Variable w = DifferentiableLeaf(Tensor::Ones({2}));
  EXPECT_TRUE(GradEnabled());
  Variable inside, again;
  {
    const NoGradGuard no_grad;
    EXPECT_FALSE(GradEnabled());
    inside = w * 2;
    const NoGradGuard with_grad(/*no_grad=*/false);
    EXPECT_TRUE(GradEnabled());
    again = w * 3;
  }
  EXPECT_TRUE(GradEnabled());
  EXPECT_FALSE(inside.requires_grad());
  EXPECT_TRUE(again.requires_grad());
  EXPECT_THROW(Grad(Sum(inside), w), Error);
  EXPECT_EQ(Grad(Sum(again * inside), w).value().at<float>({0}), 6);
  Interrupted([] {
    const NoGradGuard no_grad;
    Interrupt();
  });
  EXPECT_TRUE(GradEnabled());
}

TEST(ModesTest, DetachStopsTheGradientComputedOrNot) {
  const Variable w = DifferentiableLeaf(Tensor::Full({2}, 3));
  for (const bool computed : {false, true}) {
    const Variable h = w * 2;
    if (computed) h.value();
    const int64_t before = KernelCalls();
    const Variable constant = h.Detach();
    EXPECT_EQ(KernelCalls(), before);
    EXPECT_FALSE(constant.requires_grad());
    EXPECT_EQ(Grad(Sum(w * constant), w).value().at<float>({0}), 6);
  }
}

struct BadRuleOp : Op<BadRuleOp> {
  static constexpr std::string_view kName = "bad_rule";
  Spec Infer(VariableSpan x) const { return {x[0].shape(), x[0].dtype()}; }
  void Forward(TensorSpan x, Tensor& y) const { y.CopyFrom(x[0]); }
  Gradients Vjp(VariableSpan, const Variable&, const Variable&, Needs) const { Interrupt(); }
};

TEST(ModesTest, AnErrorInARuleRestoresEveryMode) {
  const Variable w = DifferentiableLeaf(Tensor::Ones({2}));
  const Variable y = Apply(BadRuleOp{}, {w});
  for (const bool create_graph : {false, true}) {
    Interrupted([&] { Grad(Sum(y), w, {.create_graph = create_graph}); });
    EXPECT_TRUE(GradEnabled());
    EXPECT_TRUE((w * 2).requires_grad());
  }
  try {
    MatMul(w, w);  // the line of a later op is its own again
    ADD_FAILURE();
  } catch (const Error& error) {
    const std::string line = ":" + std::to_string(__LINE__ - 3) + ")";
    EXPECT_NE(std::string(error.what()).find(line), std::string::npos) << error.what();
  }
}

TEST(ModesTest, DetectAnomalyEndsWithItsScope) {
  EXPECT_FALSE(ChecksForAnomalies());
  {
    const DetectAnomaly outer;
    {
      const DetectAnomaly inner;
      EXPECT_TRUE(ChecksForAnomalies());
    }
    EXPECT_TRUE(ChecksForAnomalies());
  }
  EXPECT_FALSE(ChecksForAnomalies());
  Interrupted([] {
    const DetectAnomaly anomaly;
    Interrupt();
  });
  EXPECT_FALSE(ChecksForAnomalies());
}

TEST(ModesTest, TrainingScope) {
  Generator outer(1), inner(2);
  const Variable x = Ones({100});
  EXPECT_FALSE(TrainingScope::active());
  EXPECT_THROW(TrainingScope::generator(), Error);
  EXPECT_TRUE(BitwiseEqual(Dropout(x, 0.5).value(), x.value()));  // outside layers infer
  {
    const TrainingScope training(outer);
    EXPECT_TRUE(TrainingScope::active());
    EXPECT_EQ(&TrainingScope::generator(), &outer);
    {
      const TrainingScope other(inner);
      EXPECT_EQ(&TrainingScope::generator(), &inner);
    }
    EXPECT_EQ(&TrainingScope::generator(), &outer);
    EXPECT_FALSE(BitwiseEqual(Dropout(x, 0.5).value(), x.value()));
  }
  EXPECT_FALSE(TrainingScope::active());
  Interrupted([&] {
    const TrainingScope training(outer);
    Interrupt();
  });
  EXPECT_FALSE(TrainingScope::active());
}

TEST(ModesTest, WhatIsDrawnIsFixedWhenItIsRecorded) {
  Generator generator(5), same(5);
  const Variable a = Uniform({10}, generator), b = Uniform({10}, generator);
  const Variable c = Uniform({10}, same), d = Uniform({10}, same);
  b.value();  // in another order
  a.value();
  EXPECT_TRUE(BitwiseEqual(c.value(), a.value()));
  EXPECT_TRUE(BitwiseEqual(d.value(), b.value()));
  EXPECT_FALSE(BitwiseEqual(a.value(), b.value()));
  EXPECT_EQ(generator.counter, 6u);  // ten numbers are three counts of four
  Generator resumed(5);
  resumed.counter = 3;
  EXPECT_TRUE(BitwiseEqual(Uniform({10}, resumed).value(), b.value()));
}

TEST(ModesTest, WhereScopeNamesTheOutermostLine) {
  const auto place = [] {
    try {
      MatMul(Ones(), Ones());
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  const SourceLocation layer("layer.cc", 7), inside("inside.cc", 8);
  {
    const WhereScope outer(layer);
    const WhereScope inner(inside);
    EXPECT_NE(place().find("(layer.cc:7)"), std::string::npos) << place();
  }
  EXPECT_NE(place().find(__FILE__), std::string::npos) << place();
  Interrupted([&] {
    const WhereScope outer(layer);
    Interrupt();
  });
  EXPECT_NE(place().find(__FILE__), std::string::npos) << place();
}

TEST(ModesTest, ModesAreTheThreadsOwn) {
  Generator generator(1);
  const EagerGuard eager;
  const NoGradGuard no_grad;
  const DetectAnomaly anomaly;
  const TrainingScope training(generator);
  bool other[4] = {};
  std::thread([&] {
    other[0] = RunsEagerly();
    other[1] = !GradEnabled();
    other[2] = ChecksForAnomalies();
    other[3] = TrainingScope::active();
  }).join();
  for (const bool on : other) EXPECT_FALSE(on);
}

// Sets limits and restores them.
class Limits {
 public:
  explicit Limits(const PendingLimits& limits) { SetPendingLimits(limits); }
  ~Limits() { SetPendingLimits(before_); }

 private:
  PendingLimits before_ = GetPendingLimits();
};

TEST(ModesTest, ALongLoopIsBoundedByNodes) {
  const Variable x = Ones({4});
  const int64_t nodes = LiveNodes(), live = GetPoolStatistics().live_bytes;
  ResetPoolPeak();
  int64_t most = 0;
  {
    Variable sum = x;
    for (int i = 0; i < 300'000; ++i) {
      sum = sum + x;
      most = std::max(most, LiveNodes() - nodes);
    }
    EXPECT_GT(most, 50'000);  // not one at a time either
    EXPECT_LE(most, 200'000);
    EXPECT_LT(GetPoolStatistics().peak_bytes - live, 1 << 20);
    EXPECT_EQ(sum.value().at<float>({3}), 300'001);
  }
  EXPECT_EQ(LiveNodes(), nodes);
}

TEST(ModesTest, LargePendingValuesAreBoundedByBytes) {
  const Limits limits({.nodes = 1'000'000, .bytes = 1 << 20});
  const Variable x = Ones({1 << 10});
  const int64_t before = KernelCalls();
  Variable sum = x;
  for (int i = 0; i < 1000; ++i) sum = sum + x;  // 4 MB are recorded
  EXPECT_GE(KernelCalls() - before, 500);
  EXPECT_EQ(sum.value().at<float>({5}), 1001);
}

TEST(ModesTest, TheNewestNodesAreSpared) {
  const Limits limits({.nodes = 1000, .bytes = 1 << 30});
  std::vector<Variable> held{Ones()};
  for (int i = 0; i < 3000; ++i) {
    const int64_t before = KernelCalls();
    held.push_back(held.back() + 1);
    if (KernelCalls() == before) continue;
    EXPECT_FALSE(held.back().output().defined());  // what a layer still records is not cut
    EXPECT_TRUE(held[i / 2].output().defined());
  }
  EXPECT_EQ(held.back().value().at<float>({0}), 3001);
}

// Records and evaluates ops of its own while it runs, as a composite without a kernel does.
struct NestedOp : Op<NestedOp> {
  static constexpr std::string_view kName = "nested";
  static constexpr bool kDifferentiable = false;
  int* calls;
  Spec Infer(VariableSpan x) const { return {x[0].shape(), x[0].dtype()}; }
  void Forward(TensorSpan x, Tensor& y) const {
    ++*calls;
    Variable v = x[0];
    for (int i = 0; i < 300; ++i) v = v + 1;
    y.CopyFrom(v.value());
  }
};

TEST(ModesTest, LimitsPassedInsideAnEvaluationDisturbNothing) {
  int calls = 0;
  std::vector<Variable> held{Apply(NestedOp{.calls = &calls}, {Tensor::Zeros({4})})};
  for (int i = 0; i < 200; ++i) held.push_back(held.back() + 1);
  const Limits limits({.nodes = 100, .bytes = 1 << 30});
  EXPECT_EQ(held.back().value().at<float>({0}), 500);
  EXPECT_EQ(calls, 1);
  for (int i = 0; i <= 200; ++i) EXPECT_EQ(held[i].value().at<float>({0}), 300 + i);
}

}  // namespace
}  // namespace wengert
