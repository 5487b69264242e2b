// Recurrence over time by any step, the steps of the cells, and what their users may get wrong.
#include "ops/scan.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "autograd/op.h"

namespace wengert {
namespace {

using States = std::vector<Variable>;

// mask: [N, T], to meet [N, T, ...] or, for one step, [N, 1] to meet [N, ...].
Variable Widened(const Variable& mask, const Variable& like) {
  Shape shape = like.shape();
  for (int i = 0; i < shape.rank(); ++i) shape[i] = i < mask.rank() ? mask.dim(i) : 1;
  return Reshape(mask, shape);
}

}  // namespace

namespace internal {

Scanned ScanOver(Variable x, States state, ScanStep step, bool reverse, const Variable& lengths) {
  const int64_t steps = x.dim(1);
  Variable mask;
  if (lengths.defined()) {
    mask = SequenceMask(lengths, steps);
    x = Where(Widened(mask, x), x, 0);  // see ClearPadding
  }
  States outputs(static_cast<size_t>(steps));
  for (int64_t i = 0; i < steps; ++i) {
    const int64_t t = reverse ? steps - 1 - i : i;
    States next = step(Squeeze(Narrow(x, 1, t, 1), 1), state);
    Variable& output = outputs[static_cast<size_t>(t)];
    output = next[0];
    if (mask.defined()) {
      const Variable has_step = Narrow(mask, 1, t, 1);
      output = Where(Widened(has_step, output), output, 0);
      for (size_t k = 0; k < state.size(); ++k) {
        next[k] = Where(Widened(has_step, next[k]), next[k], state[k]);
      }
    }
    state = std::move(next);
  }
  return {Stack(outputs, 1), std::move(state)};
}

Tensor CheckLengths(std::string_view op, const Variable& x, const Tensor& lengths,
                    const Variable& reads, SourceLocation where) {
  if (!lengths.defined()) return lengths;
  const int64_t n = x.dim(0), steps = x.dim(1);
  if (lengths.shape() != Shape{n} || IsFloating(lengths.dtype()) ||
      lengths.dtype() == DType::kBool) {
    ThrowAt(op,
            absl::StrCat("lengths must be integers [", n, "], not ",
                         std::string(Name(lengths.dtype())), ToString(lengths.shape())),
            reads, where);
  }
  const std::vector<int64_t> values = lengths.ToVector<int64_t>();
  for (size_t i = 0; i < values.size(); ++i) {
    if (values[i] < 1 || values[i] > steps) {
      ThrowAt(op,
              absl::StrCat("lengths[", i, "] is ", values[i], ", but must be 1 to ", steps,
                           ", the steps of ", ToString(x.shape())),
              reads, where);
    }
  }
  return Tensor::FromVector(values);
}

void CheckSteps(std::string_view op, const Variable& x, const Variable& reads,
                SourceLocation where) {
  if (x.rank() < 2 || x.dim(1) < 1) {
    ThrowAt(op, absl::StrCat("wants [N, T, ...] with T >= 1, not ", ToString(x.shape())), reads,
            where);
  }
}

}  // namespace internal

using internal::CheckLengths;
using internal::CheckSteps;
using internal::ScanOver;
using internal::ThrowAt;

Variable SequenceMask(const Variable& lengths, int64_t steps, SourceLocation where) {
  const WhereScope scope(where, "sequence_mask");
  if (lengths.rank() != 1 || IsFloating(lengths.dtype()) || lengths.dtype() == DType::kBool) {
    ThrowAt("sequence_mask",
            absl::StrCat("lengths must be integers [N], not ", std::string(Name(lengths.dtype())),
                         ToString(lengths.shape())),
            lengths, where);
  }
  if (steps < 0) ThrowAt("sequence_mask", absl::StrCat(steps, " steps"), lengths, where);
  const Tensor numbers = Tensor::Arange(0, static_cast<double>(steps)).Reshape({1, steps});
  return Variable(numbers) < Reshape(lengths, {lengths.size(), 1});
}

Variable ClearPadding(const Variable& x, const Tensor& lengths, SourceLocation where) {
  const WhereScope scope(where, "clear_padding");
  if (!lengths.defined()) return x;
  CheckSteps("clear_padding", x, x, where);
  const Tensor checked = CheckLengths("clear_padding", x, lengths, x, where);
  return Where(Widened(SequenceMask(checked, x.dim(1)), x), x, 0);
}

Scanned Scan(const Variable& x, std::vector<Variable> state, ScanStep step,
             const ScanOptions& options, SourceLocation where) {
  const WhereScope scope(where, "scan");
  CheckSteps("scan", x, x, where);
  if (state.empty()) ThrowAt("scan", "there is no state", x, where);
  for (size_t i = 0; i < state.size(); ++i) {
    if (state[i].rank() > 0 && state[i].dim(0) == x.dim(0)) continue;
    ThrowAt("scan",
            absl::StrCat("state ", i, " is ", ToString(state[i].shape()), ", but must have the ",
                         x.dim(0), " rows of ", ToString(x.shape())),
            x, where);
  }
  const Tensor lengths = CheckLengths("scan", x, options.lengths, x, where);
  const auto checked = [&](const Variable& x_t, const States& before) {
    States next = step(x_t, before);
    if (next.size() != before.size()) {
      ThrowAt("scan", absl::StrCat("the step gives ", next.size(), " states for ", before.size()),
              x, where);
    }
    for (size_t i = 0; i < next.size(); ++i) {
      if (next[i].shape() == before[i].shape()) continue;
      ThrowAt("scan",
              absl::StrCat("the step makes ", ToString(next[i].shape()), " of state ", i,
                           ", which is ", ToString(before[i].shape())),
              x, where);
    }
    return next;
  };
  return ScanOver(x, std::move(state), checked, options.reverse,
                  lengths.defined() ? Variable(lengths) : Variable());
}

namespace {

// Throws unless a state [N, H] has gates [N, count H].
void CheckGates(std::string_view op, const Variable& gates, const Variable& state, int64_t count,
                SourceLocation where) {
  if (state.rank() == 2 && gates.shape() == Shape{state.dim(0), count * state.dim(1)}) return;
  ThrowAt(op,
          absl::StrCat("gates ", ToString(gates.shape()), " for the state ",
                       ToString(state.shape()), ": not [N, ", count, " H] for [N, H]"),
          gates, where);
}

}  // namespace

LstmState LstmStep(const Variable& gates, const Variable& c, SourceLocation where) {
  const WhereScope scope(where, "lstm_step");
  CheckGates("lstm_step", gates, c, 4, where);
  const auto [i, f, g, o] = Chunk<4>(gates, -1);
  Variable next = Sigmoid(f) * c + Sigmoid(i) * Tanh(g);
  Variable h = Sigmoid(o) * Tanh(next);
  return {std::move(h), std::move(next)};
}

Variable GruStep(const Variable& x_gates, const Variable& h_gates, const Variable& h,
                 SourceLocation where) {
  const WhereScope scope(where, "gru_step");
  CheckGates("gru_step", x_gates, h, 3, where);
  CheckGates("gru_step", h_gates, h, 3, where);
  const auto [x_r, x_z, x_n] = Chunk<3>(x_gates, -1);
  const auto [h_r, h_z, h_n] = Chunk<3>(h_gates, -1);
  const Variable n = Tanh(x_n + Sigmoid(x_r + h_r) * h_n);
  return n + Sigmoid(x_z + h_z) * (h - n);
}

Variable GruStepResetBefore(const Variable& x_gates, const Variable& h, const Variable& weight_hh,
                            SourceLocation where) {
  const WhereScope scope(where, "gru_step_reset_before");
  const auto [x_r, x_z, x_n] = Chunk<3>(x_gates, -1);
  const auto [weight_r, weight_z, weight_n] = Chunk<3>(weight_hh, -1);
  const Variable r = Sigmoid(x_r + MatMul(h, weight_r));
  const Variable z = Sigmoid(x_z + MatMul(h, weight_z));
  const Variable n = Tanh(x_n + MatMul(r * h, weight_n));
  return n + z * (h - n);
}

}  // namespace wengert
