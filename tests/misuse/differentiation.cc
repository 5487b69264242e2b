// Misuses of differentiation: Grad, the transforms, Checkpoint, CheckGradients.
#include "tests/misuse/misuse.h"

namespace wengert {
namespace {

Parameter Weight() {
  Parameter weight(Tensor::Ones({2, 3}));
  weight.SetName("net/weight");
  return weight;
}
Variable Leaf(const Shape& shape = {3}) { return DifferentiableLeaf(Tensor::Ones(shape)); }
Variable Total(VariableSpan x) { return Sum(x[0]); }
Variable Nothing(VariableSpan) { return {}; }

const std::vector<Misuse>& Rows() {
  static const auto& rows = *new std::vector<Misuse>{
      MISUSE(
          "GradOfAVector",
          [] {
            const Variable x = Leaf();
            Grad(x * 2, x);
          }(),
          "[grad]", "[3]", "cotangent"),
      MISUSE("GradByAConstant", Grad(Sum(Reals({3})), Reals({3})),
             "[grad] input float32[3] does not require gradients"),
      MISUSE("GradByIntegers", Grad(Sum(Leaf()), Integers({1})),
             "[grad] input int64[1] does not require gradients"),
      MISUSE("GradByWhatIsNotRead", Grad(Sum(Leaf()), Leaf()), "[grad]", "depends on input 0"),
      MISUSE("GradOfAConstant", Grad(Sum(Reals({3})), Leaf()), "[grad]"),
      MISUSE("GradOfNothing", Grad(Variable(), Leaf()), "[grad]", "output", "undefined"),
      MISUSE("GradByNothing", Grad(Sum(Leaf()), Variable()), "[grad]", "input", "undefined"),
      MISUSE("GradByNoInputs", Grad(std::vector<Variable>{Sum(Leaf())}, VariableSpan()), "[grad]",
             "no inputs"),
      MISUSE("GradOfNoOutputs", Grad(VariableSpan(), std::vector<Variable>{Leaf()}), "[grad]",
             "no outputs"),
      MISUSE(
          "GradOfTooManyCotangents",
          [] {
            const Variable x = Leaf();
            Grad(x * 2, x, {.cotangents = {Reals({3}), Reals({3})}});
          }(),
          "[grad]", "2 cotangents", "1 output"),
      MISUSE(
          "GradOfACotangentOfAnotherShape",
          [] {
            const Variable x = Leaf();
            Grad(x * 2, x, {.cotangents = {Reals({2})}});
          }(),
          "[grad]", "cotangent", "[2]", "[3]"),
      MISUSE(
          "SecondGradWithoutAGraph",
          [] {
            const Variable x = Leaf();
            Grad(Sum(Grad(Sum(x * x), x)), x);
          }(),
          "[grad]", "create_graph"),
      MISUSE(
          "GradOfAnArgMax",
          [] {
            const Variable x = Leaf();
            Grad(ArgMax(x, 0), x);
          }(),
          "[grad]", "depends on input 0"),
      MISUSE(
          "GradThroughDetach",
          [] {
            const Variable x = Leaf();
            Grad(Sum(x.Detach()), x);
          }(),
          "[grad]", "input"),
      MISUSE(
          "GradInANoGradGuard",
          [] {
            const NoGradGuard guard;
            const Variable x = Leaf();
            Grad(Sum(x), x);
          }(),
          "[grad]"),
      MISUSE("LeafOfIntegers", DifferentiableLeaf(Tensor::Ones({2}, DType::kInt32)), "floating",
             "int32"),
      MISUSE(
          "ValueAndGradOfAVector",
          [] {
            const Parameter w = Weight();
            ValueAndGrad([&] { return w * 2; }, {{w}});
          }(),
          "[", "[2,3]"),
      MISUSE("ValueAndGradOfNothing", ValueAndGrad([] { return Variable(); }, {{Weight()}}),  //
             "[", "undefined"),
      MISUSE(
          "ValueAndGradOfAFrozenParameter",
          [] {
            Parameter w = Weight();
            w.SetFrozen(true);
            ValueAndGrad([&] { return Sum(w); }, {{w}});
          }(),
          "net/weight", "frozen"),
      MISUSE(
          "ValueAndGradOfAnUntrainedParameter",
          [] {
            const Parameter w = Parameter::Untrained(Tensor::Ones({2}));
            ValueAndGrad([&] { return Sum(w); }, {{w}});
          }(),
          "[grad] parameter 0", "not trained"),
      MISUSE(
          "GradOfAGraphThatWasFreed",
          [] {
            const Parameter w = Weight();
            Variable loss;
            ValueAndGrad([&] { return loss = Sum(w * w); }, {{w}});
            Grad(loss, w);
          }(),
          "[grad]", "freed", "ValueAndGrad"),
      MISUSE("JvpOfATangentOfAnotherShape", Jvp(Total, {{Reals({3})}}, {{Reals({2})}}), "[jvp]",
             "[2]", "[3]"),
      OP_MISUSE("JvpOfIntegers", Jvp(Total, {{Integers({1})}}, {{Integers({1})}}), "[jvp]",
                "int64[1]", "floats"),
      OP_MISUSE("HvpOfIntegers", Hvp(Total, {{Integers({1})}}, {{Integers({1})}}), "[hvp]",
                "int64[1]", "floats"),
      OP_MISUSE("JacobianOfIntegers", Jacobian([](const Variable& x) { return x; }, Integers({1})),
                "[jacobian]", "int64[1]", "floats"),
      OP_MISUSE("HessianOfBools", Hessian([](const Variable& x) { return Sum(x); }, Bools({1})),
                "[hessian]", "bool[1]", "floats"),
      OP_MISUSE("JvpOfATangentOfIntegers", Jvp(Total, {{Reals({1})}}, {{Integers({1})}}), "[jvp]",
                "int64[1]", "float32[1]"),
      MISUSE("JvpOfTooFewTangents", Jvp(Total, {{Reals({3})}}, {}),
             "[jvp] 0 directions for 1 inputs"),
      MISUSE("HvpOfAVectorOfAnotherShape", Hvp(Total, {{Reals({3})}}, {{Reals({2})}}),  //
             "[hvp]", "[2]", "[3]"),
      MISUSE("HvpOfAVectorFunction",
             Hvp([](VariableSpan x) { return x[0] * x[0]; }, {{Reals({3})}}, {{Reals({3})}}), "[",
             "[3]"),
      MISUSE("JacobianOfNothing", Jacobian([](const Variable&) { return Variable(); }, Reals({3})),
             "undefined"),
      MISUSE("HessianOfAVectorFunction",
             Hessian([](const Variable& x) { return x * x; }, Reals({3})), "[", "[3]"),
      OP_MISUSE("CheckpointOfNothing", Checkpoint(Nothing, {Leaf()}), "[checkpoint]", "undefined"),
      OP_MISUSE("CheckpointOfAnUndefinedInput", Checkpoint(Total, {Variable()}), "[checkpoint]", "undefined"),
      OP_MISUSE("CheckpointOfANullFunction", Checkpoint(nullptr, {Leaf()}), "[checkpoint]", "null"),
      MISUSE("CheckGradientsOfFloat32", CheckGradients(Total, {{Reals({3})}}), "[check_gradients]",
             "float32", "float64"),
      MISUSE("CheckGradientsOfIntegers", CheckGradients(Total, {{Integers({3})}}),
             "[check_gradients]", "floating"),
      MISUSE(
          "AnomalyOfALogarithm",
          [] {
            const DetectAnomaly detect;
            Log(Reals({2}) * -1).value();
          }(),
          "[log]", "differentiation.cc:"),
  };
  return rows;
}
MISUSES(Differentiation, Rows());

}  // namespace
}  // namespace wengert
