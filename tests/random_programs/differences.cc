#include "tests/random_programs/differences.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/random_programs/run.h"

namespace wengert::random_programs {
namespace {

using Mode = RunOptions::Mode;

constexpr double kTolerance = 1e-5;  // of the sum of the terms' sizes
constexpr size_t kMostBetween = 3;   // values between that are moved
constexpr double kNoise = 0.05;

double Dot(const Tensor& a, const Tensor& b) {
  const std::vector<double> x = a.ToVector<double>(), y = b.ToVector<double>();
  double sum = 0;
  for (size_t i = 0; i < x.size(); ++i) sum += x[i] * y[i];
  return sum;
}

// `v` plus step times the direction.
Tensor Moved(const Tensor& v, const Tensor& direction, double step) {
  Tensor moved = v.Clone();
  const std::vector<double> towards = direction.ToVector<double>();
  double* const elements = moved.mutable_data<double>();
  for (size_t i = 0; i < towards.size(); ++i) elements[i] += step * towards[i];
  return moved;
}

class Differences {
 public:
  // At the point of the program's leaves and, of values between, the given ones.
  Differences(const Program& program, std::vector<Variable> given)
      : program_(program),
        base_(Run(program, {.mode = Mode::kEager}, given)),
        targets_(Targets(program)),
        fixed_(std::move(given)) {
    fixed_.resize(program.values.size());
    for (const Instruction& instruction : program.instructions) {
      for (const int v : instruction.outputs) Fix(instruction, v);
    }
  }

  bool Moves(int v) const { return !fixed_[v].defined(); }
  const Tensor& At(int v) const { return base_.values[v]; }
  Tensor Direction(int value, uint64_t direction) const {
    ValueInfo info = program_.values[value];
    info.low = -1;
    info.high = 1;
    return LeafTensor(info, Mix(direction, value));
  }

  std::string Compare(const std::vector<int>& moving, uint64_t direction, int order) const {
    const Slope analytic = Analytic(moving, direction, order);
    double best = 0, error = INFINITY;
    // A smaller step crosses fewer kinks and rounds more. Of thousands of pooled windows one may
    // tie to 1e-7.
    for (const double step : {1e-5, 1e-6, 1e-4, 1e-7, 1e-8, 1e-9}) {
      const double numeric =
          (ValueAt(moving, direction, step, order) - ValueAt(moving, direction, -step, order)) /
          (2 * step);
      if (std::abs(numeric - analytic.value) < error) {
        error = std::abs(numeric - analytic.value);
        best = numeric;
      }
      if (error <= kTolerance * (1 + analytic.magnitude)) return "";
    }
    return absl::StrCat("derivative of order ", order, " by ",
                        moving.size() == 1 ? absl::StrCat("%", moving[0]) : "all leaves",
                        " along direction ", direction, ": ", analytic.value,
                        ", but the values' difference gives ", best);
  }

 private:
  struct Slope {
    double value = 0, magnitude = 0;
  };

  // What no gradient flows through does not move: constants, decisions, what is detached.
  void Fix(const Instruction& instruction, int v) {
    if (!program_.values[v].requires_grad) {
      fixed_[v] = base_.values[v];
    } else if (instruction.kind && instruction.kind->nature == Nature::kJumps) {
      fixed_[v] = DifferentiableLeaf(base_.values[v]);
    }
  }

  // The scalar whose gradient is checked: of order 2, a sum over the first gradients.
  double ValueAt(const std::vector<int>& moving, uint64_t direction, double step, int order) const {
    std::vector<Variable> given = fixed_;
    for (const int v : moving) {
      given[v] = DifferentiableLeaf(Moved(At(v), Direction(v, direction), step));
    }
    const Outcome outcome =
        Run(program_, {.mode = Mode::kEager, .derivatives = order == 2}, std::move(given));
    double sum = 0;
    if (order == 1) {
      for (const int sink : Sinks(program_)) {
        sum += Dot(outcome.values[sink], Cotangent(program_, sink));
      }
      return sum;
    }
    for (size_t i = 0; i < outcome.first.size(); ++i) {
      sum += Dot(outcome.first[i], Cotangent(program_, targets_[i]));
    }
    return sum;
  }

  Slope Analytic(const std::vector<int>& moving, uint64_t direction, int order) const {
    Slope slope;
    const auto add = [&](const std::vector<Tensor>& gradients) {
      for (size_t i = 0; i < gradients.size(); ++i) {
        if (std::find(moving.begin(), moving.end(), targets_[i]) == moving.end()) continue;
        const double term = Dot(gradients[i], Direction(targets_[i], direction));
        slope.value += term;
        slope.magnitude += std::abs(term);
      }
    };
    if (order == 1) {
      add(base_.first);
      add(base_.other);
    } else {
      add(base_.second);
    }
    return slope;
  }

  const Program& program_;
  const Outcome base_;
  const std::vector<int> targets_;
  std::vector<Variable> fixed_;
};

}  // namespace

std::string CompareDifferences(Program program) {
  // On a grid, arguments of relu are exactly 0 and maxima tie: there is no derivative there.
  for (ValueInfo& info : program.values) info.grid = ValueInfo::kNoGrid;
  const Differences differences(program, {});
  std::vector<int> leaves, between;
  for (const Instruction& instruction : program.instructions) {
    for (const int v : instruction.outputs) {
      if (!program.values[v].requires_grad || !differences.Moves(v)) continue;
      // What can move alone: nothing else of the instruction is computed from it.
      const bool alone = instruction.outputs.size() == 1 && !program.values[v].alias;
      if (!instruction.kind) leaves.push_back(v);
      if (instruction.kind && alone) between.push_back(v);
    }
  }
  for (const uint64_t direction : {1, 2}) {
    std::string text = differences.Compare(leaves, direction, 1);
    if (text.empty() && program.smooth && program.second_order) {
      text = differences.Compare(leaves, direction, 2);
    }
    if (!text.empty()) return text;
  }
  const std::vector<int> targets = Targets(program);
  size_t compared = 0;
  for (const int v : between) {
    if (std::find(targets.begin(), targets.end(), v) == targets.end()) continue;
    if (++compared > kMostBetween) break;
    // Off its value, which may be a relu's 0 or a tanh's 1 many times over.
    std::vector<Variable> given(program.values.size());
    given[v] = DifferentiableLeaf(Moved(differences.At(v), differences.Direction(v, 3), kNoise));
    std::string text = Differences(program, std::move(given)).Compare({v}, 1, 1);
    if (!text.empty()) return text;
  }
  return "";
}

}  // namespace wengert::random_programs
