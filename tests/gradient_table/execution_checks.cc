// The checks that run a case in another way and want the same result, and those of what an op
// declares.
#include <algorithm>
#include <cctype>
#include <limits>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "autograd/grad.h"
#include "autograd/modes.h"
#include "tensor/parallel.h"
#include "tensor/pool.h"
#include "tests/gradient_table/checks.h"

namespace wengert::gradient_table {
namespace {

// The kernels of a composite and its Definition.
constexpr double kCompositeTolerance32 = 1e-5, kCompositeTolerance64 = 1e-11;
constexpr double kReorderTolerance32 = 2e-6, kReorderTolerance64 = 1e-12;
constexpr int64_t kWrongDim = 23, kExtraDim = 17;

// The inputs as they are, and in float32.
std::vector<std::vector<Tensor>> InBothTypes(const TestedCase& tested) {
  std::vector<std::vector<Tensor>> both{SampleInputs(tested)};
  both.push_back(WithDType(both[0], DType::kFloat32));
  return both;
}

std::string In(std::string_view what, const std::string& text) {
  return text.empty() ? text : absl::StrCat(std::string(what), ": ", text);
}

}  // namespace

std::string CheckStrides(const TestedCase& tested, Figures&) {
  for (const bool single : {false, true}) {
    const std::vector<Tensor> inputs = InBothTypes(tested)[single];
    const Outcome contiguous = Run(tested, inputs);
    const double reordered = single ? kReorderTolerance32 : kReorderTolerance64;
    for (size_t first = 0; first < std::size(kLayouts); ++first) {
      std::vector<Tensor> moved;
      for (size_t i = 0; i < inputs.size(); ++i) {
        moved.push_back(WithLayout(inputs[i], kLayouts[(first + i) % std::size(kLayouts)]));
      }
      std::string text =
          Difference(Run(tested, moved), contiguous, tested.of.reorders ? reordered : 0);
      if (!text.empty()) return In("inputs in other layouts", text);
      // Sums that undo broadcasting may run in another order on other strides.
      text = Difference(Run(tested, moved, {.cotangents = kLayouts[first]}), contiguous, reordered);
      if (!text.empty()) return In("cotangents in other layouts", text);
    }
  }
  return "";
}

std::string CheckEager(const TestedCase& tested, Figures&) {
  for (const std::vector<Tensor>& inputs : InBothTypes(tested)) {
    const bool single = std::any_of(inputs.begin(), inputs.end(), [](const Tensor& tensor) {
      return tensor.dtype() == DType::kFloat32;
    });
    const double tolerance =
        tested.composite ? (single ? kCompositeTolerance32 : kCompositeTolerance64) : 0;
    for (const bool second_order : {false, true}) {
      const RunOptions options{.reading = Reading::kValueFirst, .second_order = second_order};
      const Outcome lazy = Run(tested, inputs, options);
      const EagerGuard guard;
      const std::string text = Difference(lazy, Run(tested, inputs, options), tolerance);
      if (!text.empty()) return In("lazy against eager", text);
    }
  }
  return "";
}

std::string CheckReadingOrder(const TestedCase& tested, Figures&) {
  for (const std::vector<Tensor>& inputs : InBothTypes(tested)) {
    const Outcome together = Run(tested, inputs, {.second_order = true});
    for (const bool second_order : {false, true}) {
      for (const Reading reading :
           {Reading::kTogether, Reading::kValueFirst, Reading::kGradientFirst}) {
        const std::string text = Difference(
            Run(tested, inputs, {.reading = reading, .second_order = second_order}), together, 0);
        const char* const names[] = {"read together", "value first", "gradient first"};
        if (!text.empty()) return In(names[static_cast<int>(reading)], text);
      }
    }
  }
  return "";
}

std::string CheckThreads(const TestedCase& tested, Figures&) {
  const struct Restore {
    int threads = NumThreads();
    ~Restore() { SetNumThreads(threads); }
  } restore;
  for (const std::vector<Tensor>& inputs : InBothTypes(tested)) {
    SetNumThreads(1);
    const Outcome serial = Run(tested, inputs, {.second_order = true});
    for (const int threads : {2, 3, 8}) {
      SetNumThreads(threads);
      const std::string text = Difference(Run(tested, inputs, {.second_order = true}), serial, 0);
      if (!text.empty()) return In(absl::StrCat(threads, " threads"), text);
    }
  }
  return "";
}

// The recorded shape and dtype are those that the kernel gives, of the forward pass and of all that
// its derivatives consist of.
std::string CheckInferred(const TestedCase& tested, Figures&) {
  for (const std::vector<Tensor>& tensors : InBothTypes(tested)) {
    const Inputs inputs(tensors);
    std::vector<Variable> roots = tested.of.f(inputs.all);
    const std::vector<Variable> outputs = FloatingOnly(roots);
    if (tested.differentiable && !outputs.empty() && !inputs.differentiable.empty()) {
      const std::vector<Variable> gradients =
          Grad(outputs, inputs.differentiable,
               {.cotangents = Cotangents(outputs, /*differentiable=*/true),
                .create_graph = true,
                .unused = Unused::kZero});
      roots.insert(roots.end(), gradients.begin(), gradients.end());
    }
    const std::vector<Variable> values = AllValues(roots);
    std::vector<std::pair<Shape, DType>> inferred;
    for (const Variable& v : values) inferred.emplace_back(v.shape(), v.dtype());
    Evaluate(values);
    for (size_t i = 0; i < values.size(); ++i) {
      const Tensor value = values[i].value();
      if (value.shape() == inferred[i].first && value.dtype() == inferred[i].second) continue;
      const OpTable* op = values[i].node()->op;
      return absl::StrCat(op ? std::string(op->name) : "a leaf", " output ", values[i].index(),
                          ": inferred ", std::string(Name(inferred[i].second)),
                          ToString(inferred[i].first), ", computed ",
                          std::string(Name(value.dtype())), ToString(value.shape()));
    }
  }
  return "";
}

namespace {

// Overwrites every value that no gradient rule of the graph declares to read. Constants that ops
// brought along are left alone, as other graphs may share them. Each node gets a tensor of its own,
// so that a declared view of the same memory keeps its elements.
class Poison {
 public:
  Poison(VariableSpan roots, VariableSpan inputs) : values_(AllValues(roots)) {
    for (const Variable& input : inputs) ours_.insert(input.node());
    for (const Variable& v : values_) {
      const Node* node = v.node();
      if (!node->op || !node->requires_grad()) continue;
      if (v.index() >= node->num_public || node->op->uses.output) Declare(v);
      if (v.index() > 0) continue;
      for (size_t i = 0; i < node->inputs().size(); ++i) {
        if (node->op->uses.input(i)) Declare(node->inputs()[i]);
      }
    }
    Evaluate(values_);
  }

  void Spread() {
    for (const Variable& v : values_) {
      Node* node = v.node();
      if (declared_.contains({node, v.index()}) || (node->leaf() && !ours_.contains(node))) {
        continue;
      }
      Tensor& value = node->outputs()[v.index()];
      if (IsFloating(value.dtype())) {
        value =
            Tensor::Full(value.shape(), std::numeric_limits<double>::quiet_NaN(), value.dtype());
      } else {
        value = Tensor::Zeros(value.shape(), value.dtype());  // an index that is in range
      }
    }
  }

 private:
  void Declare(const Variable& v) { declared_.insert({v.node(), v.index()}); }

  std::vector<Variable> values_;
  absl::flat_hash_set<const Node*> ours_;
  absl::flat_hash_set<std::pair<const Node*, int>> declared_;
};

std::vector<Tensor> GradientsOfPoisoned(const TestedCase& tested, absl::Span<const Tensor> tensors,
                                        int order, bool poisoned) {
  const Inputs inputs(tensors);
  std::vector<Variable> roots = tested.of.f(inputs.all), ours = inputs.all;
  const std::vector<Variable> outputs = FloatingOnly(roots);
  std::vector<Variable> by = inputs.differentiable, differentiated = outputs;
  if (outputs.empty() || by.empty()) return {};
  if (order == 2) {
    const std::vector<Variable> u = Cotangents(outputs, /*differentiable=*/true);
    differentiated =
        Grad(outputs, by, {.cotangents = u, .create_graph = true, .unused = Unused::kZero});
    roots.insert(roots.end(), differentiated.begin(), differentiated.end());
    by.insert(by.end(), u.begin(), u.end());
    ours.insert(ours.end(), u.begin(), u.end());
  }
  Poison poison(roots, ours);
  if (poisoned) poison.Spread();
  const std::vector<Variable> gradients =
      Grad(differentiated, by,
           {.cotangents = Cotangents(differentiated, /*differentiable=*/false),
            .unused = Unused::kZero});
  Evaluate(gradients);
  std::vector<Tensor> values;
  for (const Variable& gradient : gradients) values.push_back(gradient.value());
  return values;
}

}  // namespace

std::string CheckUses(const TestedCase& tested, Figures&) {
  if (!tested.differentiable) return "";
  for (const std::vector<Tensor>& inputs : InBothTypes(tested)) {
    for (const int order : {1, 2}) {
      const std::string text =
          Difference(GradientsOfPoisoned(tested, inputs, order, /*poisoned=*/true),
                     GradientsOfPoisoned(tested, inputs, order, /*poisoned=*/false), 0, "gradient");
      if (!text.empty()) {
        return In(absl::StrCat("a rule reads what kUses does not declare, at order ", order), text);
      }
    }
  }
  return "";
}

std::string CheckReleases(const TestedCase& tested, Figures&) {
  const std::vector<Tensor> inputs = SampleInputs(tested);
  Run(tested, inputs, {.second_order = true});  // what is made once and kept exists now
  const int64_t nodes = LiveNodes(), bytes = GetPoolStatistics().live_bytes;
  for (const Reading reading :
       {Reading::kTogether, Reading::kValueFirst, Reading::kGradientFirst}) {
    Run(tested, inputs, {.reading = reading, .second_order = true});
    if (LiveNodes() != nodes) return absl::StrCat(LiveNodes() - nodes, " nodes leak");
    const int64_t more = GetPoolStatistics().live_bytes - bytes;
    if (more != 0) return absl::StrCat(more, " bytes leak");
  }
  // What needs no gradient keeps nothing alive once it is computed.
  std::vector<Variable> constants(inputs.begin(), inputs.end());
  const std::vector<Variable> outputs = tested.of.f(constants);
  Evaluate(outputs);
  const int64_t held = static_cast<int64_t>(constants.size() + outputs.size());
  if (LiveNodes() - nodes > held) {
    return absl::StrCat("inference keeps ", LiveNodes() - nodes - held, " nodes too many");
  }
  return "";
}

namespace {

// "[op] ... [2,23] ...", with the place of the call.
std::string CheckMessage(const Error& error, int64_t dim) {
  const std::string text = error.what();
  const size_t end = text.find("] ");
  bool named = absl::StartsWith(text, "[") && end != std::string::npos && end > 1;
  for (size_t i = 1; named && i < end; ++i) {
    named = std::islower(text[i]) || std::isdigit(text[i]) || text[i] == '_';
  }
  if (!named) return absl::StrCat("the error does not start with an op: ", text);
  if (!error.has_place()) return absl::StrCat("the error has no place: ", text);
  if (dim == 0) return "";
  for (const char* const before : {"[", ","}) {
    for (const char* const after : {"]", ","}) {
      if (absl::StrContains(text, absl::StrCat(before, dim, after))) return "";
    }
  }
  return absl::StrCat("the error does not give the shape with ", dim, ": ", text);
}

// Calls the op; fine is a value or an Error with a good text.
std::string Provoke(const TestedCase& tested, std::vector<Tensor> inputs, size_t i, Tensor wrong,
                    int64_t dim) {
  inputs[i] = std::move(wrong);
  std::vector<Variable> outputs;
  std::string text;
  try {
    outputs = tested.of.f(Inputs(inputs).all);
    dim = 0;  // an error of the evaluation need not show a shape that was accepted
    Evaluate(outputs);
  } catch (const Error& error) {
    text = CheckMessage(error, dim);
  } catch (const std::exception& error) {
    text = absl::StrCat("throws another exception than Error: ", error.what());
  }
  return In(absl::StrCat("input ", i, " is ", std::string(Name(inputs[i].dtype())),
                         ToString(inputs[i].shape())),
            text);
}

}  // namespace

std::string CheckWrongInputs(const TestedCase& tested, Figures&) {
  const std::vector<Tensor> inputs = SampleInputs(tested);
  for (size_t i = 0; i < inputs.size(); ++i) {
    const DType dtype = inputs[i].dtype();
    const Shape& shape = inputs[i].shape();
    Shape extra = shape;
    extra.Append(kExtraDim);
    std::string text = Provoke(tested, inputs, i, Tensor::Ones(extra, dtype), kExtraDim);
    for (int axis = 0; axis < shape.rank() && text.empty(); ++axis) {
      Shape changed = shape;
      changed[axis] = kWrongDim;
      text = Provoke(tested, inputs, i, Tensor::Ones(changed, dtype), kWrongDim);
      changed = shape;
      changed.Remove(axis);
      if (text.empty()) text = Provoke(tested, inputs, i, Tensor::Ones(changed, dtype), 0);
    }
    for (const DType other : {DType::kBool, DType::kInt64, DType::kFloat32}) {
      if (text.empty()) text = Provoke(tested, inputs, i, Tensor::Ones(shape, other), 0);
    }
    if (!text.empty()) return text;
  }
  return "";
}

}  // namespace wengert::gradient_table
