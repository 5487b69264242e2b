// Connectionist temporal classification (Graves et al. 2006): the forward recursion of its section
// 4.1, over logarithms. Derivatives of every order are those of the recursion.
#include <limits>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "autograd/op.h"
#include "ops/loss_terms.h"
#include "ops/ops.h"

namespace wengert {
namespace {

constexpr std::string_view kName = "ctc_loss";
// The logarithm of a probability of 0. Infinity would become NaN in gradients, as inf - inf; this
// can be added up over 1e8 steps.
constexpr double kNever = -1e30;

// What the labels say, as constants. Row n of `extended` is its labels with a blank before, between
// and behind them, U = 2 S + 1 in all.
struct Alignment {
  Tensor places;   // [N U]: where a row's extended labels stand among the N C classes of a step
  Tensor skips;    // [N, U]: 0 where an extended label may follow the one two before it, or kNever
  Tensor lengths;  // [N] labels
};

[[noreturn]] void Throw(const std::string& message, const Variable& logits, SourceLocation where) {
  internal::ThrowAt(kName, message, logits, where);
}

// [N] integers from `low` to `high`; those that are not given are `high`.
std::vector<int64_t> Lengths(std::string_view name, const Tensor& lengths, int64_t rows,
                             int64_t low, int64_t high, const Variable& logits,
                             SourceLocation where) {
  if (!lengths.defined()) return std::vector<int64_t>(rows, high);
  if (lengths.shape() != Shape{rows} || IsFloating(lengths.dtype()) ||
      lengths.dtype() == DType::kBool) {
    Throw(absl::StrCat(std::string(name), " must be integers [", rows, "], not ",
                       std::string(Name(lengths.dtype())), ToString(lengths.shape())),
          logits, where);
  }
  std::vector<int64_t> values = lengths.ToVector<int64_t>();
  for (size_t n = 0; n < values.size(); ++n) {
    if (values[n] >= low && values[n] <= high) continue;
    Throw(absl::StrCat(std::string(name), "[", n, "] is ", values[n], ", but must be ", low, " to ",
                       high),
          logits, where);
  }
  return values;
}

Alignment Align(const Variable& logits, const Tensor& labels, const CtcOptions& options,
                SourceLocation where) {
  const int64_t rows = logits.dim(0), classes = logits.dim(2), most = labels.dim(1);
  const int64_t width = 2 * most + 1;
  const std::vector<int64_t> lengths =
      Lengths("label_lengths", options.label_lengths, rows, 0, most, logits, where);
  const std::vector<int64_t> label = labels.ToVector<int64_t>();
  std::vector<int64_t> places(rows * width);
  std::vector<double> skips(rows * width, kNever);
  for (int64_t n = 0; n < rows; ++n) {
    for (int64_t u = 0; u < width; ++u) places[n * width + u] = n * classes + options.blank;
    for (int64_t s = 0; s < lengths[n]; ++s) {
      const int64_t c = label[n * most + s];
      if (c < 0 || c >= classes || c == options.blank) {
        const std::string what =
            c == options.blank ? "the blank"
                               : absl::StrCat("out of range: there are ", classes, " classes");
        Throw(absl::StrCat("label ", c, " at [", n, ",", s, "] is ", what), logits, where);
      }
      const int64_t u = n * width + 2 * s + 1;
      places[u] = n * classes + c;
      // Between different labels there need not be a blank.
      if (s > 0 && c != label[n * most + s - 1]) skips[u] = 0;
    }
  }
  return {.places = Tensor::FromVector(places),
          .skips = Tensor::FromVector(skips, {rows, width}),
          .lengths = Tensor::FromVector(lengths)};
}

void Check(const Variable& logits, const Tensor& labels, const CtcOptions& options,
           SourceLocation where) {
  const Shape& shape = logits.shape();
  if (shape.rank() != 3 || shape[1] < 1 || shape[2] < 1) {
    Throw(absl::StrCat("logits must be [N, T, classes] with T and classes >= 1, not ",
                       ToString(shape)),
          logits, where);
  }
  if (shape[0] == 0 && options.reduction == LossReduction::kMean) {
    Throw(absl::StrCat("the batch is empty: ", ToString(shape)), logits, where);
  }
  if (labels.rank() != 2 || labels.dim(0) != shape[0] || IsFloating(labels.dtype()) ||
      labels.dtype() == DType::kBool) {
    Throw(absl::StrCat("labels must be integers [", shape[0], ", S] for logits ", ToString(shape),
                       ", not ", labels.defined() ? std::string(Name(labels.dtype())) : "undefined",
                       ToString(labels.shape())),
          logits, where);
  }
  if (options.blank < 0 || options.blank >= shape[2]) {
    Throw(
        absl::StrCat("blank ", options.blank, " is out of range: there are ", shape[2], " classes"),
        logits, where);
  }
}

}  // namespace

Variable CtcLoss(const Variable& logits, const Tensor& labels, const CtcOptions& options,
                 SourceLocation where) {
  const WhereScope scope(where, "ctc_loss");
  Check(logits, labels, options, where);
  const Variable x = internal::RealLoss(logits, where);
  const int64_t rows = x.dim(0), steps = x.dim(1), classes = x.dim(2);
  const int64_t width = 2 * labels.dim(1) + 1;
  Tensor input_lengths;
  if (options.input_lengths.defined()) {
    input_lengths = Tensor::FromVector(
        Lengths("input_lengths", options.input_lengths, rows, 1, steps, logits, where));
  }
  const Alignment alignment = Align(x, labels, options, where);

  // The log-probability of each extended label at each step: [N, T, U].
  const Variable log_p = Maximum(LogSoftmax(ClearPadding(x, input_lengths)), kNever);
  const Variable by_step = Reshape(Transpose(log_p, 0, 1), {steps, rows * classes});
  // In float64, as rounding adds up over the steps: in float32, gradients of a thousand steps would
  // be off by a percent.
  const Variable gathered = Cast(Gather(by_step, alignment.places, 1), DType::kFloat64);
  const Variable read = Transpose(Reshape(gathered, {steps, rows, width}), 0, 1);

  // alpha[n, 2 + u]: of all ways to have read the extended labels up to the u-th. Two columns that
  // are never reached stand in front, so that what comes from u - 1 and u - 2 are views. Before the
  // first step all is at the first blank, so that the first two can be reached.
  const Variable front = Tensor::Full({rows, 2}, kNever, DType::kFloat64);
  Tensor start = Tensor::Full({rows, width + 2}, kNever, DType::kFloat64);
  start.Narrow(1, 2, 1).Fill(0);
  const auto step = [&](const Variable& read_t, const std::vector<Variable>& state) {
    const Variable& alpha = state[0];
    const Variable stay = Narrow(alpha, 1, 2, width), advance = Narrow(alpha, 1, 1, width);
    const Variable skip = Narrow(alpha, 1, 0, width) + alignment.skips;
    // Their LogSumExp, element by element. The sum does not depend on `most`.
    const Variable most = Maximum(Maximum(stay, advance), skip).Detach();
    const Variable sum = Exp(stay - most) + Exp(advance - most) + Exp(skip - most);
    const Variable next[] = {front, Log(sum) + most + read_t};
    return std::vector<Variable>{Concat(next, 1)};
  };
  const Variable alpha =
      internal::ScanOver(read, {start}, step, /*reverse=*/false,
                         input_lengths.defined() ? Variable(input_lengths) : Variable())
          .state[0];

  // A reading ends in the last label or in the blank behind it. Without labels there is no last one
  // and the column is the second in front.
  const Variable behind = Variable(alignment.lengths) * 2 + 2;
  const Variable ends[] = {TakeAlongLast(alpha, behind), TakeAlongLast(alpha, behind - 1)};
  const Variable losses = -LogSumExp(Stack(ends), 0);
  const Variable impossible = losses > -kNever / 10;
  const Variable infinite = Where(impossible, std::numeric_limits<double>::infinity(), losses);
  return internal::Reduced(Cast(infinite, x.dtype()), options.reduction);
}

}  // namespace wengert
