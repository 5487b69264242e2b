// What the tape costs: kernels run no more often than needed in any order of reading, values are
// dropped after their last reader, training loops are flat, and nothing recurses.
#include <pthread.h>

#include <utility>
#include <vector>

#include "autograd/grad.h"
#include "autograd/modes.h"
#include "autograd/op.h"
#include "gtest/gtest.h"
#include "nn/layers.h"
#include "nn/module.h"
#include "nn/optimizers.h"
#include "ops/ops.h"
#include "tensor/pool.h"

namespace wengert {
namespace {

// The expensive op of these tests: it counts how often it runs.
struct CountedTwiceOp : Op<CountedTwiceOp> {
  static constexpr std::string_view kName = "counted_twice";
  static constexpr Uses kUses = Uses::None();
  int* calls;
  Spec Infer(VariableSpan x) const { return {x[0].shape(), x[0].dtype()}; }
  void Forward(TensorSpan x, Tensor& y) const {
    ++*calls;
    for (int64_t i = 0; i < y.size(); ++i) {
      y.mutable_data<double>()[i] = 2 * x[0].data<double>()[i];
    }
  }
  Gradients Vjp(VariableSpan, const Variable&, const Variable& dy, Needs) const { return {dy * 2}; }
};

// A loss whose forward pass is 7 kernels, and one gradient.
struct Loss {
  int expensive = 0;
  Variable w = DifferentiableLeaf(Tensor::Full({4, 4}, 0.25, DType::kFloat64));
  Variable x = Tensor::Full({2, 4}, 0.5, DType::kFloat64);
  Variable value, gradient;
  int64_t calls_before = KernelCalls();

  Loss() {
    const Variable h = Apply(CountedTwiceOp{.calls = &expensive}, {MatMul(x, w)});
    const Variable t = Tanh(h);
    value = Sum(Square(t * h) + t);
    gradient = Grad(value, w);
  }
  int64_t calls() const { return KernelCalls() - calls_before; }
};
constexpr int64_t kForward = 7, kBoth = 22;

TEST(MemoryTest, KernelCallsOfEveryOrderOfReadingAreBounded) {
  {
    Loss both;
    Evaluate({{both.value, both.gradient}});
    EXPECT_LE(both.calls(), kBoth);
    EXPECT_EQ(both.expensive, 1);
  }
  {
    Loss value_first;
    value_first.value.value();
    EXPECT_LE(value_first.calls(), kForward);
    value_first.gradient.value();
    EXPECT_LE(value_first.calls(), kBoth);
    EXPECT_EQ(value_first.expensive, 1);
  }
  {
    Loss gradient_first;
    gradient_first.gradient.value();
    gradient_first.value.value();
    EXPECT_LE(gradient_first.calls(), kBoth + kForward);
    EXPECT_EQ(gradient_first.expensive, 1);
  }
  {
    Loss ten_times;
    for (int i = 0; i < 10; ++i) {
      ten_times.value.value();
      ten_times.gradient.value();
      Grad(ten_times.value, ten_times.w);  // recorded, never read
    }
    EXPECT_LE(ten_times.calls(), kBoth);
    EXPECT_EQ(ten_times.expensive, 1);
  }
}

TEST(MemoryTest, AGradientTakenAfterTheValueRunsNoForwardOpAgain) {
  Loss loss;
  loss.value.value();
  const Variable again = Grad(loss.value, loss.w);
  Evaluate({{loss.gradient, again}});
  EXPECT_LE(loss.calls(), 2 * kBoth - kForward);
  EXPECT_EQ(loss.expensive, 1);
}

TEST(MemoryTest, TwoThousandHeldValuesReadBackwardsRunOnce) {
  for (const bool differentiable : {false, true}) {
    const Tensor one = Tensor::Ones({3});
    std::vector<Variable> held{differentiable ? DifferentiableLeaf(one) : Variable(one)};
    for (int i = 0; i < 2000; ++i) held.push_back(held.back() + 1);
    const int64_t before = KernelCalls();
    for (int i = 2000; i >= 0; --i) EXPECT_EQ(held[i].value().at<float>({0}), 1 + i);
    EXPECT_EQ(KernelCalls() - before, 2000);
  }
}

constexpr int64_t kElements = 1 << 18;

// The most that `f` held at once, in tensors of kElements floats.
template <class F>
double PeakBuffers(F f) {
  const int64_t live = GetPoolStatistics().live_bytes;
  ResetPoolPeak();
  f();
  const int64_t peak = GetPoolStatistics().peak_bytes;
  EXPECT_EQ(GetPoolStatistics().live_bytes, live);
  return static_cast<double>(peak - live) / (kElements * sizeof(float));
}

TEST(MemoryTest, PeakOfInferenceIsTwoBuffers) {
  const Variable x = Tensor::Full({kElements}, 0.5);
  EXPECT_LE(PeakBuffers([&] {
              Variable y = x;
              for (int i = 0; i < 50; ++i) y = Tanh(y * 0.5 + 1);
              y.value();
            }),
            2.1);
}

TEST(MemoryTest, PeakOfALinearChainAndItsGradientDoesNotGrow) {
  const Variable w = DifferentiableLeaf(Tensor::Full({kElements}, 0.5));
  EXPECT_LE(PeakBuffers([&] {
              Variable y = w;
              for (int i = 0; i < 50; ++i) y = y * 0.5 + 1;  // its rule reads no value
              const Variable gradient = Grad(Sum(y), w);
              Evaluate({{y, gradient}});
            }),
            3.1);
}

TEST(MemoryTest, PeakOfAGradientIsWhatTheRulesRead) {
  Parameter w(Tensor::Full({kElements}, 0.5));
  EXPECT_LE(PeakBuffers([&] {
              ValueAndGrad(
                  [&] {
                    Variable y = w;
                    for (int i = 0; i < 20; ++i) y = Tanh(y * 0.5 + 1);
                    return Sum(y);
                  },
                  {&w, 1});
            }),
            20 + 2.1);
}

TEST(MemoryTest, InferenceKeepsNothingAlive) {
  const Variable w = DifferentiableLeaf(Tensor::Full({64, 64}, 0.01));
  const int64_t nodes = LiveNodes(), bytes = GetPoolStatistics().live_bytes;
  {
    const NoGradGuard no_grad;
    Variable state = Tensor::Zeros({8, 64});
    for (int i = 0; i < 1000; ++i) {
      state = Tanh(MatMul(state, w) + 1);
      state.value();
      EXPECT_LE(LiveNodes(), nodes + 8);
    }
    EXPECT_LE(GetPoolStatistics().live_bytes, bytes + 4 * 8 * 64 * int64_t{sizeof(float)});
  }
  EXPECT_EQ(LiveNodes(), nodes);
  EXPECT_EQ(GetPoolStatistics().live_bytes, bytes);
}

struct Mlp {
  nn::Dense fc1, fc2;
  explicit Mlp(Generator& generator)
      : fc1({.in = 4, .out = 16}, generator), fc2({.in = 16, .out = 1}, generator) {}
  Variable operator()(const Variable& x) const { return fc2(Tanh(fc1(x))); }
  template <class V>
  void Visit(V&& v) {
    v("fc1", fc1), v("fc2", fc2);
  }
};

TEST(MemoryTest, ATrainingLoopIsFlat) {
  Generator generator(1);
  Mlp model(generator);
  Adam adam(Parameters(model), {.learning_rate = 1e-3});
  const TrainingScope training(generator);
  struct State {
    int64_t live_bytes, system_bytes, system_allocations, nodes;
    bool operator==(const State&) const = default;
  };
  State early = {};
  Variable loss;
  for (int step = 0; step < 10'000; ++step) {
    const Variable x = Uniform({8, 4}, generator);
    auto [value, gradients] =
        ValueAndGrad([&] { return MeanSquaredError(Dropout(model(x), 0.1), Sum(x, 1, kKeepDims)); },
                     adam.parameters());
    adam.Step(gradients);
    loss = value;
    const PoolStatistics pool = GetPoolStatistics();
    const State state{pool.live_bytes, pool.system_bytes, pool.system_allocations, LiveNodes()};
    if (step == 1000) early = state;
    if (step == 9999) {
      EXPECT_EQ(state.live_bytes, early.live_bytes);
      EXPECT_EQ(state.system_bytes, early.system_bytes);
      EXPECT_EQ(state.system_allocations, early.system_allocations);
      EXPECT_EQ(state.nodes, early.nodes);
    }
  }
  EXPECT_LT(loss.item<float>(), 0.5);  // and it learns
}

// A state that f detaches for its next call, as a recurrent network that is trained in cuts does.
TEST(MemoryTest, ADetachedValueThatIsCarriedOnHoldsNoTape) {
  const Parameter w(Tensor::Full({4, 4}, 0.25));
  Variable state = Tensor::Ones({2, 4});
  int64_t nodes = 0;
  for (int step = 0; step < 20; ++step) {
    const auto [loss, gradients] = ValueAndGrad(
        [&] {
          const Variable h = Tanh(MatMul(state, w) + 1);
          state = h.Detach() * 0.5;  // pending still, but below it is a constant
          return Sum(h);
        },
        {&w, 1});
    if (step == 1) nodes = LiveNodes();
    if (step > 1) {
      EXPECT_EQ(LiveNodes(), nodes) << step;
    }
  }
}

TEST(MemoryTest, TrainingUpdatesParametersInTheirOwnBuffers) {
  Generator generator(2);
  Mlp model(generator);
  Adam adam(Parameters(model), {.learning_rate = 1e-3});
  std::vector<const std::byte*> addresses;
  std::vector<float> first;
  for (const Parameter& p : adam.parameters()) {
    addresses.push_back(p.value().raw());
    first.push_back(p.value().ToVector<float>()[0]);
  }
  const Variable x = Uniform({8, 4}, generator);
  for (int step = 0; step < 100; ++step) {
    auto [loss, gradients] = ValueAndGrad(
        [&] { return MeanSquaredError(model(x), Sum(x, 1, kKeepDims)); }, adam.parameters());
    adam.Step(gradients);
    for (size_t i = 0; i < addresses.size(); ++i) {
      ASSERT_EQ(adam.parameters()[i].value().raw(), addresses[i]) << step;
    }
  }
  for (size_t i = 0; i < addresses.size(); ++i) {
    EXPECT_NE(adam.parameters()[i].value().ToVector<float>()[0], first[i]);
  }
}

// The gradient of something cut into many slices is assembled once, not added up from padded
// copies: eager too, and when more waits than may.
TEST(MemoryTest, TheGradientOfManySlicesTakesOneCopy) {
  constexpr int64_t kRows = 512, kColumns = 2048;
  const PendingLimits limits = GetPendingLimits();
  for (const bool eager : {false, true}) {
    for (const int64_t bytes : {int64_t{1} << 20, limits.bytes}) {
      const EagerGuard guard(eager);
      SetPendingLimits({.nodes = limits.nodes, .bytes = bytes});
      const Variable x = DifferentiableLeaf(Tensor::Full({kRows, kColumns}, 0.5, DType::kFloat32));
      Variable sum = Tensor::Zeros({}, DType::kFloat32);
      for (int64_t i = 0; i < kRows; ++i) sum = sum + Sum(Square(Narrow(x, 0, i, 1)));
      const int64_t before = GetPoolStatistics().live_bytes;
      ResetPoolPeak();
      const Tensor gradient = Grad(sum, x).value();
      EXPECT_LT(GetPoolStatistics().peak_bytes - before, 4 * x.value().bytes())
          << eager << " " << bytes;
      EXPECT_EQ(gradient.at<float>({kRows - 1, 3}), 1);
    }
  }
  SetPendingLimits(limits);
}

TEST(MemoryTest, TheGradientOfMoreSlicesThanANodeHasInputs) {
  constexpr int64_t kSlices = 70'000;
  const Variable x = DifferentiableLeaf(Tensor::Full({kSlices}, 1, DType::kFloat32));
  Variable y = Narrow(x, 0, 0, 1) * 2;
  for (int64_t i = 1; i < kSlices; ++i) y = y + Narrow(x, 0, i, 1);
  const std::vector<float> gradient = Grad(Sum(y), x).value().ToVector<float>();
  EXPECT_EQ(gradient[0], 2);
  EXPECT_EQ(gradient[kSlices - 1], 1);
}

// A chain of a million ops recorded, evaluated, differentiated twice over and freed.
void* RunMillion(void*) {
  constexpr int kOps = 1'000'000;
  const PendingLimits limits = GetPendingLimits();
  const int64_t nodes = LiveNodes();
  // At once, and in pieces as the default limits cut it.
  for (const int64_t most : {int64_t{100'000'000}, limits.nodes}) {
    SetPendingLimits({.nodes = most, .bytes = limits.bytes});
    const Variable w = DifferentiableLeaf(Tensor::Full({}, 1, DType::kFloat64));
    Variable y = w;
    for (int i = 0; i < kOps; ++i) y = y * (i % 2 ? 2 : 0.5);
    {
      const Variable gradient = Grad(y, w);
      EXPECT_EQ(y.item<double>(), 1);
      EXPECT_EQ(gradient.item<double>(), 1);
    }
    y = Variable();
    {
      Variable unread = w;  // freed while it is pending
      for (int i = 0; i < kOps; ++i) unread = Square(unread);
    }
  }
  SetPendingLimits(limits);
  EXPECT_EQ(LiveNodes(), nodes);
  return nullptr;
}

TEST(MemoryTest, AMillionOpsNeedNoDeepStack) {
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, 8 << 20);
  pthread_t thread;
  ASSERT_EQ(pthread_create(&thread, &attributes, &RunMillion, nullptr), 0);
  pthread_join(thread, nullptr);
  pthread_attr_destroy(&attributes);
}

}  // namespace
}  // namespace wengert
