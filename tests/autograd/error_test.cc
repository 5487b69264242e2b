// Errors name the op, the shapes, the user's line and the layer path, forward and backward; and a
// program can go on after one: every value is then either computed or pending.
#include "tensor/error.h"

#include <cmath>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "autograd/grad.h"
#include "autograd/modes.h"
#include "autograd/op.h"
#include "gtest/gtest.h"
#include "nn/layers.h"
#include "nn/module.h"
#include "ops/ops.h"
#include "tensor/pool.h"
#include "tests/tensor/thrown_message.h"

namespace wengert {
namespace {

bool Has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}
std::string Here(int line) { return absl::StrCat(__FILE__, ":", line); }
Variable Ones(const Shape& shape) { return Tensor::Ones(shape); }

TEST(ErrorTest, FunctionsNameOpShapesAndTheUsersLine) {
  const Variable a = Ones({2, 3}), b = Ones({4, 5});
  const int line = __LINE__ + 1;
  const std::string product = ThrownMessage([&] { MatMul(a, b); });
  EXPECT_EQ(product, "[matmul] inner dimensions differ: [2,3] x [4,5] (" + Here(line) + ")");
  for (const auto& f :
       std::vector<std::function<void()>>{[&] { Sum(a, 2); }, [&] { Reshape(a, {7}); },
                                          [&] {
                                            Permute(a, {0, 0});
                                          },
                                          [&] { Narrow(a, 1, 2, 2); },
                                          [&] {
                                            Concat({{a, b}}, 0);
                                          },
                                          [&] { Tanh(Variable()); }}) {
    const std::string text = ThrownMessage(f);
    EXPECT_EQ(text.front(), '[');
    EXPECT_TRUE(Has(text, __FILE__)) << text;
  }
}

TEST(ErrorTest, OperatorsNameTheUsersLine) {
  const Variable a = Ones({2, 3}), b = Ones({4});
  const std::string sum = ThrownMessage([&] { a + b; });
  EXPECT_TRUE(Has(sum, "[add]")) << sum;
  EXPECT_TRUE(Has(sum, "[2,3]")) << sum;
  EXPECT_TRUE(Has(sum, "[4]")) << sum;
  EXPECT_TRUE(Has(sum, Here(__LINE__ - 4))) << sum;
  const std::string deep = ThrownMessage([&] { -(a * 2 - Tanh(a) / b); });
  EXPECT_TRUE(Has(deep, "[div]")) << deep;
  EXPECT_TRUE(Has(deep, Here(__LINE__ - 2))) << deep;
  const std::string undefined = ThrownMessage([&] { Variable() + a; });
  EXPECT_TRUE(Has(undefined, "undefined")) << undefined;
  const std::string unset = ThrownMessage([&] { a* Parameter(); });
  EXPECT_TRUE(Has(unset, "[parameter]")) << unset;
}

struct Cnn {
  nn::Dense fc1;
  template <class V>
  void Visit(V&& v) {
    v("fc1", fc1);
  }
};

TEST(ErrorTest, TheLayerPathIsThatOfTheParameter) {
  Generator generator(1);
  Cnn model{.fc1 = nn::Dense({.in = 3, .out = 2}, generator)};
  Parameters(model, "cnn");
  const std::string inside = ThrownMessage([&] { model.fc1(Ones({5, 4})); });
  EXPECT_EQ(inside, "[matmul] inner dimensions differ: [5,4] x [3,2] (" + Here(__LINE__ - 1) +
                        ", in dense, reading cnn/fc1/weight)");
  const Variable w = model.fc1.weight;
  const std::string through = ThrownMessage([&] { Ones({7, 7}) - Transpose(w * 2); });
  EXPECT_TRUE(Has(through, ", reading cnn/fc1/weight)")) << through;
}

// Fails as its attributes say: 'v' its rule, 'w' its rule's shape, 'm' its rule's number of
// cotangents, 'k' its kernel (while `*on`), 's' the same with an exception of another type.
struct FailingOp : Op<FailingOp> {
  static constexpr std::string_view kName = "failing";
  char how;
  const bool* on;
  Spec Infer(VariableSpan x) const { return {x[0].shape(), x[0].dtype()}; }
  void Forward(TensorSpan x, Tensor& y) const {
    if (*on && how == 'k') throw Error("failing", absl::StrCat("kernel on ", x[0].dim(0)));
    if (*on && how == 's') throw std::runtime_error("another");
    y.CopyFrom(x[0]);
  }
  Gradients Vjp(VariableSpan x, const Variable&, const Variable& dy, Needs) const {
    if (how == 'v') return {MatMul(Variable(Tensor::Ones({2, 3})), x[0])};
    if (how == 'w') return {Sum(dy)};
    if (how == 'm') return {dy, dy};
    return {Apply(FailingOp{.how = how, .on = on}, {dy})};
  }
};

TEST(ErrorTest, RulesNameTheLineOfTheOpThatTheyDifferentiate) {
  const bool on = true;
  const Variable w =
      DifferentiableLeaf(Tensor::Ones({4, 4}), std::make_shared<const std::string>("net/w"));
  const auto expect = [&](char how, std::string_view message) {
    const Variable y = Apply(FailingOp{.how = how, .on = &on}, {w});
    const int line = __LINE__ - 1;
    const std::string text = ThrownMessage([&] { Grad(y, w, {.cotangents = {w}}).value(); });
    EXPECT_TRUE(Has(text, message)) << text;
    EXPECT_TRUE(Has(text, Here(line))) << text;
    EXPECT_TRUE(how == 'k' || Has(text, "reading net/w")) << text;
  };
  expect('v', "[matmul] inner dimensions differ: [2,3] x [4,4]");
  expect('w', "[failing] the gradient rule gives float32[] net/w for input 0");
  expect('m', "[failing] the gradient rule gives too many cotangents");
  expect('k', "[failing] kernel on 4");
}

TEST(ErrorTest, AnIndexOutOfRangeNamesItsLineWhenItIsComputed) {
  const Variable index = Tensor::FromVector(std::vector<int64_t>{0, 9});
  const Variable y = Gather(Ones({3, 2}), index);
  const std::string text = ThrownMessage([&] { (y * 2).value(); });
  EXPECT_TRUE(Has(text, "[gather] index 9 at [1] is out of range")) << text;
  EXPECT_TRUE(Has(text, Here(__LINE__ - 3))) << text;
  EXPECT_EQ(ThrownMessage([&] { y.value(); }), text);  // again
}

TEST(ErrorTest, AThrowingKernelLeavesEverythingComputedOrPending) {
  for (const char how : {'k', 's'}) {
    for (const bool differentiable : {false, true}) {
      bool on = true;
      const int64_t nodes = LiveNodes();
      {
        // Large enough that buffers are donated along the way.
        const Tensor half = Tensor::Full({4096}, 0.5);
        const Variable x = differentiable ? DifferentiableLeaf(half) : Variable(half);
        const Variable before = Tanh(x * 2 + 1);
        const Variable middle = Apply(FailingOp{.how = how, .on = &on}, {Square(before) - 1});
        const Variable after = Exp(middle * 3) + before, other = before * 4;
        for (int i = 0; i < 3; ++i) {
          EXPECT_ANY_THROW(Evaluate({{other, after}}));
          EXPECT_ANY_THROW(middle.value());
          EXPECT_FLOAT_EQ(other.value().at<float>({7}), 4 * std::tanh(2.f));
        }
        on = false;
        const float t = std::tanh(2.f);
        EXPECT_FLOAT_EQ(after.value().at<float>({7}), std::exp(3 * (t * t - 1)) + t);
        EXPECT_FLOAT_EQ(middle.value().at<float>({4095}), t * t - 1);
        EXPECT_FLOAT_EQ(before.value().at<float>({0}), t);
        if (differentiable) {
          const float expected = (std::exp(3 * (t * t - 1)) * 6 * t + 1) * (1 - t * t) * 2;
          EXPECT_NEAR(Grad(Sum(after), x).value().at<float>({1}), expected, 1e-5);
        }
      }
      EXPECT_EQ(LiveNodes(), nodes);
    }
  }
}

TEST(ErrorTest, OutOfMemoryInTheMiddleThenSuccess) {
  constexpr int64_t kElements = 1 << 20, kBytes = 4 * kElements;
  for (const bool differentiable : {false, true}) {
    const Tensor half = Tensor::Full({kElements}, 0.5);
    const Variable x = differentiable ? DifferentiableLeaf(half) : Variable(half);
    std::vector<Variable> held{x};
    for (int i = 0; i < 12; ++i) held.push_back(Tanh(held.back() * 2));
    TrimPool();
    const int64_t live = GetPoolStatistics().live_bytes;
    SetPoolLimit(GetPoolStatistics().system_bytes + 6 * kBytes);
    const std::string text = ThrownMessage([&] { Evaluate(held); });
    SetPoolLimit(0);
    EXPECT_TRUE(Has(text, "[allocate]")) << text;
    EXPECT_TRUE(Has(text, "limit")) << text;
    EXPECT_TRUE(Has(text, Here(__LINE__ - 8))) << text;
    EXPECT_GT(GetPoolStatistics().live_bytes, live);  // what was computed stays
    float expected = 0.5;
    for (const Variable& v : held) {
      EXPECT_FLOAT_EQ(v.value().at<float>({kElements - 1}), expected);
      expected = std::tanh(expected * 2);
    }
    if (!differentiable) continue;
    EXPECT_GT(Grad(Sum(held.back()), x).value().at<float>({3}), 0);
  }
}

TEST(ErrorTest, DetectAnomalyNamesTheFirstValueThatIsNotFinite) {
  Parameter w(Tensor::FromVector(std::vector<float>{4, 0, 1}));
  w.SetName("net/scale");
  const DetectAnomaly anomaly;
  const Variable y = Log(w) * 2;
  const std::string forward = ThrownMessage([&] { y.value(); });
  EXPECT_TRUE(Has(forward, "[log] the first value that is not finite")) << forward;
  EXPECT_TRUE(Has(forward, "[3] in [0, 4]")) << forward;
  EXPECT_TRUE(Has(forward, Here(__LINE__ - 4) + ", reading net/scale")) << forward;

  const Variable root = Sqrt(w);  // finite; its derivative is not
  const std::string backward = ThrownMessage([&] { Grad(Sum(root), w).value(); });
  EXPECT_TRUE(Has(backward, "not finite")) << backward;
  EXPECT_TRUE(Has(backward, Here(__LINE__ - 3))) << backward;
  EXPECT_EQ(root.value().at<float>({0}), 2);
}

TEST(ErrorTest, AnAnomalyLeavesThePendingValuesRight) {
  Tensor x = Tensor::Full({2000}, 5);
  x.mutable_data<float>()[3] = 0;
  const Variable y = Log(Variable(x) * 2) + 1;
  {
    const DetectAnomaly anomaly;
    EXPECT_THROW(y.value(), Error);
  }
  EXPECT_FLOAT_EQ(y.value().at<float>({0}), std::log(10.f) + 1);
  EXPECT_TRUE(std::isinf(y.value().at<float>({3})));
}

// Takes its input's buffer; fails before it writes while `*on`.
struct InPlaceOp : Op<InPlaceOp> {
  static constexpr std::string_view kName = "in_place";
  static constexpr bool kDonates = true;
  static constexpr bool kDifferentiable = false;
  const bool* on;
  Spec Infer(VariableSpan x) const { return {x[0].shape(), x[0].dtype()}; }
  void Forward(TensorSpan x, Tensor& y) const {
    if (*on) throw Error(kName, "not yet");
    for (int64_t i = 0; i < y.size(); ++i) {
      y.mutable_data<float>()[i] = x[0].data<float>()[i] + 1;
    }
  }
};

TEST(ErrorTest, ADonatedBufferIsGivenBack) {
  for (const bool leaf : {false, true}) {
    bool on = true;
    Variable y;
    {
      Variable x = Tensor::Full({2048}, 5);  // no other handle: its buffer is free to be taken
      if (!leaf) {
        x = x * 2;
        x.value();
      }
      y = Apply(InPlaceOp{.on = &on}, {x});
    }
    for (int i = 0; i < 2; ++i)
      EXPECT_EQ(ThrownMessage([&] { y.value(); }).substr(0, 10), "[in_place]");
    on = false;
    EXPECT_EQ(y.value().at<float>({2047}), leaf ? 6 : 11);
  }
}

}  // namespace
}  // namespace wengert
