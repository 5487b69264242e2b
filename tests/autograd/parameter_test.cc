// Parameter: a named value that training changes; copies share it, and a graph that was recorded
// before a change keeps the old value.
#include "autograd/parameter.h"

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "autograd/grad.h"
#include "autograd/modes.h"
#include "gtest/gtest.h"
#include "ops/ops.h"
#include "tests/tensor/thrown_message.h"

namespace wengert {
namespace {

using Doubles = std::vector<double>;
Tensor Of(Doubles values) { return Tensor::FromVector(values); }
Doubles Values(const Variable& v) { return v.value().ToVector<double>(); }

TEST(ParameterTest, IsALeafThatGradientsAreTakenOf) {
  const Parameter p(Of({1, 2}));
  EXPECT_TRUE(p.defined());
  EXPECT_TRUE(p.variable().requires_grad());
  EXPECT_TRUE(p.variable().SameAs(p.variable()));
  EXPECT_EQ(p.shape(), (Shape{2}));
  EXPECT_EQ(p.dtype(), DType::kFloat64);
  EXPECT_EQ(p.size(), 2);
  EXPECT_EQ(Values(Grad(Sum(p * p), p)), (Doubles{2, 4}));
}

TEST(ParameterTest, StandsWhereverAVariableDoes) {
  const Parameter a(Of({1, 2})), b(Of({3, 4}));
  EXPECT_EQ(Values(a + b), (Doubles{4, 6}));
  EXPECT_EQ(Values(1 - a), (Doubles{0, -1}));
  EXPECT_EQ(Values(-a / b), (Doubles{-1. / 3, -0.5}));
  EXPECT_EQ(Values(a < b), (Doubles{1, 1}));
  EXPECT_EQ(Sum(a).item<double>(), 3);
  EXPECT_EQ(Values(Maximum(a, Of({5, 0}))), (Doubles{5, 2}));
  EXPECT_EQ(Values(Concat({{a, b}}, 0)), (Doubles{1, 2, 3, 4}));
}

TEST(ParameterTest, AGraphRecordedBeforeSetKeepsTheOldValue) {
  Parameter p(Of({1, 2}));
  const Variable old = p;
  const Variable unread = p * 10, read = p * p;
  EXPECT_EQ(Values(read), (Doubles{1, 4}));
  p.Set(Of({7, 8}));
  EXPECT_EQ(p.value().ToVector<double>(), (Doubles{7, 8}));
  EXPECT_EQ(Values(unread), (Doubles{10, 20}));
  EXPECT_EQ(Values(Grad(Sum(read), old)), (Doubles{2, 4}));
  EXPECT_EQ(Values(p * 10), (Doubles{70, 80}));
  EXPECT_THROW(Grad(Sum(read), p), Error);  // the new leaf is not in that graph
}

TEST(ParameterTest, SetEvaluatesAndHoldsNoTape) {
  Parameter p(Of({1, 2}));
  const int64_t nodes = LiveNodes();
  for (int i = 0; i < 10; ++i) p.Set(p * 2);
  EXPECT_EQ(LiveNodes(), nodes);
  EXPECT_EQ(p.value().ToVector<double>(), (Doubles{1024, 2048}));
  EXPECT_EQ(Values(Grad(Sum(p * p), p)), (Doubles{2048, 4096}));
  const NoGradGuard no_grad;
  p.Set(p + 1);
  EXPECT_TRUE(p.variable().requires_grad());
}

TEST(ParameterTest, SetOfTheWrongShapeOrDtypeChangesNothing) {
  Parameter p(Of({1, 2}));
  p.SetName("net/w");
  EXPECT_EQ(ThrownMessage([&] {
              p.Set(Of({1, 2, 3}));
            }),
            "[parameter] net/w is float64[2], not float64[3]");
  EXPECT_EQ(ThrownMessage([&] { p.Set(Tensor::Ones({2})); }),
            "[parameter] net/w is float64[2], not float32[2]");
  EXPECT_THROW(p.Set(Of({1, 2}).Reshape({1, 2})), Error);
  EXPECT_THROW(p.Set(Variable()), Error);
  EXPECT_EQ(p.value().ToVector<double>(), (Doubles{1, 2}));
}

TEST(ParameterTest, AValueThatCannotBeComputedChangesNothing) {
  Parameter p(Of({1, 2}));
  const Variable index = Tensor::FromVector(std::vector<int64_t>{0, 5});
  EXPECT_THROW(p.Set(Gather(p, index)), Error);
  EXPECT_EQ(p.value().ToVector<double>(), (Doubles{1, 2}));
}

TEST(ParameterTest, TakeHandsTheOnlyReferenceOut) {
  Parameter p(Of({1, 2}));
  p.SetName("net/w");
  const std::byte* address = p.value().raw();
  Variable taken = p.Take();
  EXPECT_EQ(taken.value().raw(), address);
  EXPECT_TRUE(p.defined());
  EXPECT_EQ(p.shape(), (Shape{2}));  // known while it is taken, too
  EXPECT_EQ(p.dtype(), DType::kFloat64);
  EXPECT_EQ(p.name(), "net/w");
  EXPECT_EQ(ThrownMessage([&] { p.value(); }),
            "[parameter] net/w: a parameter is used before it was set");
  EXPECT_THROW(p.Take(), Error);
  p.Set(taken);
  EXPECT_EQ(p.value().raw(), address);
  EXPECT_EQ(p.value().ToVector<double>(), (Doubles{1, 2}));
}

TEST(ParameterTest, AnUnsetParameterIsAnError) {
  Parameter p;
  EXPECT_FALSE(p.defined());
  EXPECT_EQ(p.name(), "");
  for (const auto& f : std::vector<std::function<void()>>{
           [&] { p.value(); }, [&] { p.shape(); }, [&] { p + 1; }, [&] { p.Set(Of({1})); },
           [&] { p.Take(); }, [&] { p.SetName("w"); }, [&] { p.SetFrozen(true); },
           [&] { p.frozen(); }}) {
    EXPECT_EQ(ThrownMessage(f).substr(0, 11), "[parameter]") << ThrownMessage(f);
  }
  EXPECT_THROW(Parameter{Tensor()}, Error);
  EXPECT_THROW(Parameter(Tensor::Ones({2}, DType::kInt64)), Error);
}

TEST(ParameterTest, CopiesShareOneValueAndName) {
  Parameter p(Of({1, 2}));
  Parameter copy = p, other(Of({1, 2}));
  EXPECT_TRUE(copy.SharesWith(p));
  EXPECT_FALSE(other.SharesWith(p));
  copy.Set(Of({3, 4}));
  copy.SetName("net/w");
  EXPECT_EQ(p.value().ToVector<double>(), (Doubles{3, 4}));
  EXPECT_EQ(p.name(), "net/w");
  EXPECT_EQ(other.value().ToVector<double>(), (Doubles{1, 2}));
  // Tied weights: one gradient, the sum over both uses.
  EXPECT_EQ(Values(Grad(Sum(p * 2 + copy * 3), p)), (Doubles{5, 5}));
}

TEST(ParameterTest, AFrozenOneIsAConstantUntilItIsThawed) {
  Parameter p(Of({1, 2}));
  p.SetName("net/w");
  const std::byte* address = p.value().raw();
  const Variable old = p, before = Sum(p * p);
  Parameter(p).SetFrozen(true);  // copies share this too
  EXPECT_TRUE(p.frozen());
  EXPECT_FALSE(p.trained());
  EXPECT_FALSE((p * p).requires_grad());
  EXPECT_EQ(p.value().raw(), address);
  EXPECT_EQ(Values(Grad(before, old)), (Doubles{2, 4}));  // recorded before
  p.Set(Of({3, 4}));
  p.SetName("net/v");
  EXPECT_EQ(Values(p * p), (Doubles{9, 16}));
  EXPECT_FALSE(p.variable().requires_grad());
  p.SetFrozen(false);
  EXPECT_TRUE(p.trained());
  EXPECT_EQ(p.name(), "net/v");
  EXPECT_EQ(Values(Grad(Sum(p * p), p)), (Doubles{6, 8}));

  Parameter state = Parameter::Untrained(Of({1}));
  state.SetFrozen(true);
  state.SetFrozen(false);
  EXPECT_FALSE(state.trained());
  EXPECT_FALSE(state.variable().requires_grad());
}

TEST(ParameterTest, NamesReachErrors) {
  Parameter p(Tensor::Ones({2, 3}));
  p.SetName("cnn/fc1/weight");
  p.SetName("cnn/fc1/weight");  // the same again keeps the leaf
  p.Set(p * 2);                 // and Set the name
  EXPECT_EQ(p.name(), "cnn/fc1/weight");
  const std::string text = ThrownMessage([&] { MatMul(p, p); });
  EXPECT_NE(text.find("reading cnn/fc1/weight"), std::string::npos) << text;
  const std::string unused = ThrownMessage([&] { Grad(Sum(Parameter(Of({1})) * 2), p); });
  EXPECT_NE(unused.find("no output depends on input 0, float32[2,3] cnn/fc1/weight"),
            std::string::npos)
      << unused;
}

TEST(ParameterTest, RenamingKeepsTheValuesBuffer) {
  Parameter p(Of({1, 2}));
  const std::byte* address = p.value().raw();
  for (const char* name : {"a", "b", ""}) {
    p.SetName(name);
    EXPECT_EQ(p.name(), name);
    EXPECT_EQ(p.value().raw(), address);
  }
}

}  // namespace
}  // namespace wengert
