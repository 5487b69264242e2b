#include "nn/explain/scores.h"

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "autograd/grad.h"
#include "autograd/modes.h"
#include "ops/ops.h"

namespace wengert::explain::internal {

void Fail(std::string_view op, std::string_view message, SourceLocation where) {
  Error error(op, message);
  error.AddPlace(where, "");
  throw error;
}

void CheckAtLeast(std::string_view op, std::string_view what, int64_t value, int64_t least,
                  SourceLocation where) {
  if (value < least) {
    Fail(op, absl::StrCat(std::string(what), " is ", value, ", expected at least ", least), where);
  }
}

void CheckFloating(std::string_view op, const Tensor& x, SourceLocation where) {
  if (!x.defined() || IsFloating(x.dtype())) return;
  Fail(
      op,
      absl::StrCat("x is ", std::string(Name(x.dtype())), ToString(x.shape()), ", expected floats"),
      where);
}

Explained::Explained(std::string_view op, Model model, const Tensor& x, const Target& target,
                     const Tensor& baseline, int64_t batch_size, SourceLocation where)
    : op_(op), model_(model), x_(x), batch_size_(batch_size), where_(where) {
  CheckAtLeast(op, "batch_size", batch_size, 1, where);
  if (!x.defined()) Fail(op, "x is undefined", where);
  if (x.rank() < 1 || x.size() == 0) {
    Fail(op, absl::StrCat("x is ", ToString(x.shape()), ", expected [N, ...] with elements"),
         where);
  }
  if (!baseline.defined()) {
    baseline_ = Tensor::Full({1}, 0, x.dtype()).Expand(x.shape());
  } else {
    try {
      baseline_ = baseline.To(x.dtype()).Expand(x.shape());
    } catch (const Error&) {
      Fail(op,
           absl::StrCat("the baseline ", ToString(baseline.shape()), " does not expand to x ",
                        ToString(x.shape())),
           where);
    }
  }
  if (target.largest()) {
    const NoGradGuard no_grad;
    classes_ = ArgMax(Checked(x), -1).value().ToVector<int64_t>();
  } else if (target.per_row().empty()) {
    classes_.assign(static_cast<size_t>(rows()), target.all());
  } else {
    classes_ = target.per_row();
    if (static_cast<int64_t>(classes_.size()) != rows()) {
      Fail(op,
           absl::StrCat("the target has ", classes_.size(), " classes for the ", rows(),
                        " rows of x ", ToString(x.shape())),
           where);
    }
  }
}

int64_t Explained::copies() const { return std::max<int64_t>(1, batch_size_ / rows()); }

// [rows, classes] from either form of model.
Variable Explained::Checked(const Variable& inputs) const {
  const Variable y = model_(inputs);
  if (y.rank() < 1 || y.rank() > 2 || y.dim(0) != inputs.dim(0) || y.dim(-1) == 0) {
    Fail(op_,
         absl::StrCat("the model gives ", ToString(y.shape()), " for inputs ",
                      ToString(inputs.shape()), ", expected [", inputs.dim(0), ", classes] or [",
                      inputs.dim(0), "]"),
         where_);
  }
  return y.rank() == 1 ? Unsqueeze(y, -1) : y;
}

Variable Explained::Select(const Variable& inputs, const std::vector<int64_t>& classes) const {
  const Variable y = Checked(inputs);
  for (const int64_t index : classes) {
    if (index < 0 || index >= y.dim(1)) {
      Fail(op_,
           absl::StrCat("class ", index, " is not one of the ", y.dim(1), " that the model gives"),
           where_);
    }
  }
  return TakeAlongLast(y, Tensor::FromVector(classes));
}

Variable Explained::Scores(const Variable& inputs, int64_t copies) const {
  std::vector<int64_t> classes;
  for (int64_t i = 0; i < copies; ++i) {
    classes.insert(classes.end(), classes_.begin(), classes_.end());
  }
  return Select(inputs, classes);
}

std::pair<Tensor, Tensor> Explained::ScoresAndGradient(const Tensor& inputs, int64_t copies) const {
  const NoGradGuard with_grad(/*no_grad=*/false);
  const Variable leaf = DifferentiableLeaf(inputs);
  const Variable scores = Scores(leaf, copies);
  const Variable gradient = Grad(Sum(scores), leaf);
  Evaluate({{scores, gradient}});
  return {scores.value(), gradient.value()};
}

std::vector<double> Explained::ToDoubles(const Variable& scores) {
  return scores.value().ToVector<double>();
}

std::vector<double> Explained::OfMasked(
    int64_t row, int64_t count, absl::FunctionRef<Tensor(int64_t start, int64_t n)> keep) const {
  const NoGradGuard no_grad;
  const Variable present = x_.Narrow(0, row, 1), absent = baseline_.Narrow(0, row, 1);
  std::vector<double> outputs;
  for (int64_t start = 0; start < count; start += batch_size_) {
    const int64_t n = std::min(batch_size_, count - start);
    const Tensor mask = keep(start, n);
    Shape shape = mask.shape();
    while (shape.rank() < x_.rank()) shape.Append(1);
    const Variable inputs = Where(mask.Reshape(shape), present, absent);
    const std::vector<double> some = ToDoubles(Select(
        inputs, std::vector<int64_t>(static_cast<size_t>(n), classes_[static_cast<size_t>(row)])));
    outputs.insert(outputs.end(), some.begin(), some.end());
  }
  return outputs;
}

}  // namespace wengert::explain::internal
