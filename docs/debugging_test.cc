// The snippets of docs/debugging.md, run (see concepts_test.cc), and the messages that it quotes.
#include <cmath>
#include <cstdint>
#include <fstream>
#include <functional>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "gtest/gtest.h"
#include "wengert.h"

namespace wengert {
namespace {

using Doubles = std::vector<double>;
Doubles Values(const Variable& v) { return v.value().ToVector<double>(); }

// Whether the guide has this text.
bool Quoted(std::string_view text) {
  static const std::string guide = [] {
    std::ifstream in("docs/debugging.md");
    std::stringstream all;
    all << in.rdbuf();
    return all.str();
  }();
  return guide.find(text) != std::string::npos;
}

// "[op] message" of the Error that f throws, without the place.
std::string Message(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& error) {
    return "[" + error.op() + "] " + error.message();
  }
  return "nothing was thrown";
}

TEST(Debugging, Printing) {
  std::stringstream out;
  // [printing]
  const Variable x = Tensor::FromVector(std::vector<float>{1, 2, 3, 4.5}, {2, 2});
  const Variable y = x / 3;
  out << y << "\n" << Name(y.dtype()) << ToString(y.shape()) << "\n";
  out << "lowest " << Min(y).item<float>() << ", any NaN: " << Any(IsNan(y)).item<bool>() << "\n";
  // [/printing]
  int lines = 0;
  for (std::string line; std::getline(out, line); ++lines)
    EXPECT_TRUE(Quoted("    " + line + "\n")) << line;
  EXPECT_EQ(lines, 4);
}

TEST(Debugging, Catch) {
  std::string text;
  Generator rng(1);
  nn::Sequential net(nn::Dense({.in = 3, .out = 8}, rng), Relu,
                     nn::Dense({.in = 9, .out = 2}, rng));
  // [catch]
  Parameters(net, "net");
  try {
    net(Tensor::Ones({5, 3}));
  } catch (const Error& error) {
    text = error.what();  // error.op() is "matmul", error.message() what follows it
  }
  // [/catch]
  EXPECT_EQ(text, "[matmul] inner dimensions differ: [5,8] x [9,2] (" + std::string(__FILE__) +
                      ":" + std::to_string(__LINE__ - 6) +
                      ", in sequential > dense, reading net/2/weight)");
  EXPECT_TRUE(Quoted("[matmul] inner dimensions differ: [5,8] x [9,2] ("));
}

TEST(Debugging, Messages) {
  Generator rng(1);
  const Variable x = DifferentiableLeaf(Tensor::Ones({3}));
  const Variable other = DifferentiableLeaf(Tensor::Ones({3}));
  const Variable indices = Tensor::FromVector(std::vector<int64_t>{0, 4});
  Parameter p(Tensor::Ones({3}));
  p.SetName("fc/bias");
  Sgd sgd({p});
  for (const std::string& message : {
           Message([&] { x + Tensor::Ones({4}); }),
           Message([&] {
             Reshape(x, {2, 2});
           }),
           Message([&] { Gather(x, indices).value(); }),
           Message([&] {
             SoftmaxCrossEntropy(Tensor::Ones({1, 3}), Tensor::FromVector<int64_t>({3})).value();
           }),
           Message([&] { x.item<float>(); }),
           Message([&] { x.value().data<double>(); }),
           Message([&] { Grad(Square(x), x); }),
           Message([&] { Grad(Sum(x), other); }),
           Message([&] { Grad(Sum(x), Tensor::Ones({3})); }),
           Message([&] { Grad(Sum(Grad(Sum(Square(x)), x)), x); }),
           Message([&] { sgd.Step({}); }),
           Message([&] { p.Set(Tensor::Ones({4})); }),
           Message([&] { Parameter() * 2; }),
           Message([&] { TrainingScope::generator(); }),
           Message([&] {
             CheckGradients([](VariableSpan in) { return Sum(in[0]); }, {&x, 1});
           }),
       }) {
    EXPECT_TRUE(Quoted("`" + message + "`")) << message;
  }
}

TEST(Debugging, AnomalyInTheGradient) {
  std::string text;
  // [anomaly]
  const DetectAnomaly anomaly;
  const Variable x = DifferentiableLeaf(Tensor::FromVector(std::vector<float>{4, 0, 1}));
  const Variable y = Sum(Sqrt(x));  // 0 + 1 + 2: finite
  const Variable slope = Grad(y, x);
  try {
    slope.value();
  } catch (const Error& error) {
    text = error.what();
  }
  // [/anomaly]
  const std::string place = std::string(__FILE__) + ":" + std::to_string(__LINE__ - 8) + ")";
  EXPECT_TRUE(text.ends_with(place)) << text;
  EXPECT_TRUE(Quoted(text.substr(0, text.find('(')))) << text;
}

TEST(Debugging, FirstNotFinite) {
  // [finite]
  const Variable x = Tensor::FromVector(std::vector<float>{1, INFINITY, NAN});
  const bool fine = All(IsFinite(x)).item<bool>();          // false
  const Variable where = Nonzero(LogicalNot(IsFinite(x)));  // [[1], [2]]
  const Variable mended = Where(IsFinite(x), x, 0);         // 1, 0, 0
  // [/finite]
  EXPECT_FALSE(fine);
  EXPECT_EQ(Values(where), (Doubles{1, 2}));
  EXPECT_EQ(Values(mended), (Doubles{1, 0, 0}));
}

TEST(Debugging, CheckGradients) {
  // [check]
  Generator rng(1);
  const Variable x = Normal({3, 2}, rng, 0, 1, DType::kFloat64);
  const Variable scale = Normal({2}, rng, 1, 0.1, DType::kFloat64);
  const auto scaled = [](VariableSpan in) {
    const Variable size = Sqrt(Mean(Square(in[0]), 1, kKeepDims)).Detach();  // wrong: it varies
    return in[0] / size * in[1];
  };
  const GradientReport report = CheckGradients(scaled, {{x, scale}}, {.orders = 1});
  // [/check]
  EXPECT_FALSE(report.ok);
  EXPECT_TRUE(Quoted("    " + report.text.substr(0, report.text.find('\n')))) << report.text;
}

TEST(Debugging, GradientNorms) {
  Generator rng(1);
  const Variable x = Normal({16, 8}, rng);
  const auto dense = [&] { return nn::Dense({.in = 8, .out = 8}, rng); };
  nn::Sequential model{dense(), Sigmoid, dense(), Sigmoid, dense(), Sigmoid, dense(), Sigmoid};
  std::stringstream out;
  // [norms]
  const auto [loss, gradients] = ValueAndGrad([&] { return Mean(model(x)); }, Parameters(model));
  for (const GradientNorm& of : GradientNorms(model, gradients)) {
    out << of.name << " " << of.norm << "\n";
  }
  // [/norms]
  const std::vector<GradientNorm> norms = GradientNorms(model, gradients);
  ASSERT_EQ(norms.size(), 8u);
  EXPECT_EQ(norms[0].name, "0/weight");
  EXPECT_LT(norms[0].norm, norms[6].norm / 50);  // it vanishes
}

TEST(Debugging, PoolStatistics) {
  const Variable x = Tensor::Ones({1 << 18});
  Parameter w(Tensor::Ones({1 << 18}));
  std::vector<Variable> losses;
  std::vector<double> numbers;
  const auto step = [&] {
    const Variable loss = Mean(Square(Exp(x) * w));
    losses.push_back(loss);                  // holds all that its gradient would read
    numbers.push_back(loss.item<double>());  // holds a number
  };
  // [pool]
  const int64_t before = GetPoolStatistics().live_bytes;
  step();
  const int64_t kept = GetPoolStatistics().live_bytes - before;  // of a step that leaks: above 0
  // [/pool]
  EXPECT_GE(kept, 1 << 20);
  losses.clear();
  EXPECT_LT(GetPoolStatistics().live_bytes - before, 1 << 12);
}

TEST(Debugging, OnePass) {
  Generator rng(1);
  nn::Dense model({.in = 4, .out = 1}, rng);
  std::vector<Variable> batches;
  for (int i = 0; i < 4; ++i) batches.push_back(Normal({8, 4}, rng));
  // [one_pass]
  std::vector<Variable> means;
  for (const Variable& batch : batches) means.push_back(Mean(model(batch)));  // recorded
  const Variable mean = Mean(Stack(means)), largest = Max(Stack(means));
  Evaluate({{mean, largest}});  // the models' results are computed once, for both
  // [/one_pass]
  EXPECT_LE(mean.item<double>(), largest.item<double>());
}

}  // namespace
}  // namespace wengert
