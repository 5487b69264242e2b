// Shared by the attributions: checked inputs, and the scores that a model gives many of them.
#ifndef WENGERT_NN_EXPLAIN_SCORES_H_
#define WENGERT_NN_EXPLAIN_SCORES_H_

#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "nn/explain/target.h"
#include "tensor/error.h"

namespace wengert::explain::internal {

[[noreturn]] void Fail(std::string_view op, std::string_view message, SourceLocation where);
void CheckAtLeast(std::string_view op, std::string_view what, int64_t value, int64_t least,
                  SourceLocation where);
void CheckFloating(std::string_view op, const Tensor& x, SourceLocation where);

// A model and x, with the class of each row and what stands for an absent input.
class Explained {
 public:
  // Throws Error on an x without rows, a class that does not exist or a baseline that does not
  // broadcast to x. An undefined baseline: zeros.
  Explained(std::string_view op, Model model, const Tensor& x, const Target& target,
            const Tensor& baseline, int64_t batch_size, SourceLocation where);

  const Tensor& x() const { return x_; }
  const Tensor& baseline() const { return baseline_; }  // of x's shape and dtype
  int64_t rows() const { return x_.dim(0); }
  // How many copies of x fit a forward pass; at least one.
  int64_t copies() const;

  // The scores of `copies` copies of x, one after the other: [copies * N].
  Variable Scores(const Variable& inputs, int64_t copies = 1) const;
  // These scores and the gradient of their sum, [copies * N, ...], computed.
  std::pair<Tensor, Tensor> ScoresAndGradient(const Tensor& inputs, int64_t copies) const;
  Tensor Gradient(const Tensor& inputs, int64_t copies = 1) const {
    return ScoresAndGradient(inputs, copies).second;
  }
  // F(x), F(baseline): one per row.
  std::vector<double> OfX() const { return ToDoubles(Scores(x_)); }
  std::vector<double> OfBaseline() const { return ToDoubles(Scores(baseline_)); }
  // F of one row with the baseline wherever a mask is false, for `count` masks. `keep(start, n)`
  // gives masks start .. start + n - 1 as bools, [n] + the first dimensions of a row.
  std::vector<double> OfMasked(int64_t row, int64_t count,
                               absl::FunctionRef<Tensor(int64_t start, int64_t n)> keep) const;

 private:
  Variable Select(const Variable& inputs, const std::vector<int64_t>& classes) const;
  Variable Checked(const Variable& inputs) const;
  static std::vector<double> ToDoubles(const Variable& scores);

  std::string_view op_;
  Model model_;
  Tensor x_, baseline_;
  std::vector<int64_t> classes_;
  int64_t batch_size_;
  SourceLocation where_;
};

}  // namespace wengert::explain::internal

#endif  // WENGERT_NN_EXPLAIN_SCORES_H_
