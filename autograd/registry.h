// The table of ops: every op that can be called is in it, because calling it registers it. The
// gradient table (tests) walks it.
#ifndef WENGERT_AUTOGRAD_REGISTRY_H_
#define WENGERT_AUTOGRAD_REGISTRY_H_

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "autograd/variable.h"

namespace wengert {

// How a test samples one input: distinct values, spread over [low, high) in random order, so that
// no two tie and none sits on a kink at 0. Integer dtypes give random integers in [low, high).
struct Sample {
  Shape shape;
  double low = -2, high = 2;
  DType dtype = DType::kFloat64;
};

// One way to call an op. `f` applies it to the sampled inputs (attributes are bound inside) and
// returns its public outputs.
struct OpCase {
  std::string name;
  std::vector<Sample> inputs;
  std::function<std::vector<Variable>(VariableSpan)> f;
  bool linear = false;    // in all of its floating inputs: tested by <Ax, u> = <x, A'u>
  bool reorders = false;  // sums in another order on other strides: equal to a tolerance only

  // A linear op with one result, on inputs of these shapes.
  static OpCase Linear(std::string name, std::vector<Shape> shapes,
                       std::function<Variable(VariableSpan)> f);
  // One-input linear cases over shapes of every kind (rank 0 to 5, zero-size).
  static std::vector<OpCase> LinearOverShapes(const std::function<Variable(const Variable&)>& f);
  // An op with one result.
  static OpCase Of(std::string name, std::vector<Sample> inputs,
                   std::function<Variable(VariableSpan)> f);
};

struct RegisteredOp {
  std::string_view name;
  bool differentiable;
  bool composite;
  std::function<std::vector<OpCase>()> cases;  // empty: none given
  std::string_view rule = "";                  // of an element-wise row: its gradient as written
};

const std::vector<RegisteredOp>& RegisteredOps();

namespace internal {
bool RegisterOp(RegisteredOp op);
}  // namespace internal

}  // namespace wengert

#endif  // WENGERT_AUTOGRAD_REGISTRY_H_
