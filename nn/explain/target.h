// What is explained: a model, and which of its outputs.
#ifndef WENGERT_NN_EXPLAIN_TARGET_H_
#define WENGERT_NN_EXPLAIN_TARGET_H_

#include <cstdint>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "autograd/variable.h"

// Attributions: how much each input of a model contributed to an output. F is the output that is
// explained. In every function here, x is a batch, [N, ...], and each row is explained on its own.
namespace wengert::explain {

// A batch [N, ...] -> scores [N, classes], or one score per row, [N]. Row i of the result depends
// on row i of the batch alone. It is called several times, with batches of other sizes too. Whether
// it trains (TrainingScope) is the caller's matter: outside of one, dropout keeps everything.
using Model = absl::FunctionRef<Variable(const Variable&)>;

// Which score of each row: the largest that the model gives x, the same class for all rows, or one
// class for each. Of a model that gives [N]: the default or class 0.
class Target {
 public:
  Target() = default;                                   // the largest
  Target(int64_t index) : fixed_(true), all_(index) {}  // NOLINT(google-explicit-constructor)
  // A name, for Target({3}) would be one class for all rows.
  static Target PerRow(std::vector<int64_t> classes) {
    Target target(-1);  // which no model has
    target.per_row_ = std::move(classes);
    return target;
  }

  bool largest() const { return !fixed_; }
  // One per row; empty if it is the same for all, and then `all`.
  const std::vector<int64_t>& per_row() const { return per_row_; }
  int64_t all() const { return all_; }

 private:
  bool fixed_ = false;
  int64_t all_ = -1;
  std::vector<int64_t> per_row_;
};

}  // namespace wengert::explain

#endif  // WENGERT_NN_EXPLAIN_TARGET_H_
