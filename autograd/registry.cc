#include "autograd/registry.h"

#include <utility>

namespace wengert {
namespace {

std::vector<RegisteredOp>& Ops() {
  static auto& ops = *new std::vector<RegisteredOp>;
  return ops;
}

}  // namespace

const std::vector<RegisteredOp>& RegisteredOps() { return Ops(); }

OpCase OpCase::Linear(std::string name, std::vector<Shape> shapes,
                      std::function<Variable(VariableSpan)> f) {
  std::vector<Sample> inputs;
  inputs.reserve(shapes.size());
  for (Shape& shape : shapes) inputs.push_back({.shape = std::move(shape)});
  OpCase made = Of(std::move(name), std::move(inputs), std::move(f));
  made.linear = true;
  return made;
}

std::vector<OpCase> OpCase::LinearOverShapes(const std::function<Variable(const Variable&)>& f) {
  std::vector<OpCase> cases;
  for (const Shape& shape : {Shape{}, Shape{1}, Shape{7}, Shape{3, 4}, Shape{2, 3, 5}, Shape{0, 3},
                             Shape{2, 1, 3, 2}, Shape{2, 1, 2, 1, 3}}) {
    cases.push_back(Linear(ToString(shape), {shape}, [f](VariableSpan x) { return f(x[0]); }));
  }
  return cases;
}

OpCase OpCase::Of(std::string name, std::vector<Sample> inputs,
                  std::function<Variable(VariableSpan)> f) {
  OpCase made{.name = std::move(name), .inputs = std::move(inputs)};
  made.f = [f = std::move(f)](VariableSpan x) { return std::vector<Variable>{f(x)}; };
  return made;
}

namespace internal {

bool RegisterOp(RegisteredOp op) {
  Ops().push_back(std::move(op));
  return true;
}

}  // namespace internal
}  // namespace wengert
