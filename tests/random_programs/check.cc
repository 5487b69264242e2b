#include "tests/random_programs/check.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "autograd/record.h"
#include "tensor/pool.h"
#include "tests/random_programs/differences.h"

namespace wengert::random_programs {
namespace {

using Mode = RunOptions::Mode;

// Of a composite's kernels against its Definition. Where the terms of a gradient cancel out, more
// of its own norm but no more of the largest gradient's.
constexpr double kTolerance32 = 1e-5, kTolerance64 = 1e-11, kCancelling = 10;
constexpr double kLargestGradient = 1e7;

double Norm(const std::vector<double>& elements) {
  double squares = 0;
  for (const double x : elements) squares += x * x;
  return std::sqrt(squares);
}

std::string Difference(const Tensor& a, const Tensor& b, double tolerance, double largest) {
  if (!(a.shape() == b.shape()) || a.dtype() != b.dtype()) {
    return absl::StrCat("is ", std::string(Name(a.dtype())), ToString(a.shape()), ", not ",
                        std::string(Name(b.dtype())), ToString(b.shape()));
  }
  if (BitwiseEqual(a, b)) return "";
  const std::vector<double> x = a.ToVector<double>(), y = b.ToVector<double>();
  std::vector<double> difference(x.size());
  size_t worst = 0, count = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    difference[i] = std::abs(x[i] - y[i]);
    count += difference[i] != 0;
    if (std::isnan(difference[i]) || difference[i] > difference[worst]) worst = i;
  }
  const double norm = Norm(difference);
  const double scale = std::max(Norm(y), 0.1 * std::sqrt(static_cast<double>(y.size())));
  const double allowed = tolerance * std::max(scale, std::min(kCancelling * scale, largest));
  if (norm < allowed) return "";
  return absl::StrCat("differs in ", count, " elements of ", ToString(a.shape()), "; element ",
                      worst, " is ", x[worst], ", not ", y[worst], "; ", norm / scale,
                      " of the norm");
}

std::string Difference(const std::vector<Tensor>& a, const std::vector<Tensor>& b, double tolerance,
                       const char* what, const std::vector<int>& names) {
  double largest = 0;  // norm of what is compared here
  for (const Tensor& tensor : b) {
    if (tolerance > 0 && tensor.defined()) {
      largest = std::max(largest, Norm(tensor.ToVector<double>()));
    }
  }
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    if (!a[i].defined() || !b[i].defined()) continue;
    const std::string text = Difference(a[i], b[i], tolerance, largest);
    if (!text.empty()) {
      return absl::StrCat(what, " %", i < names.size() ? names[i] : static_cast<int>(i), " ", text);
    }
  }
  return "";
}

std::string Difference(const Program& program, const Outcome& a, const Outcome& b,
                       double tolerance) {
  const std::vector<int> targets = Targets(program);
  std::string text = Difference(a.values, b.values, tolerance, "value", {});
  if (text.empty()) text = Difference(a.first, b.first, tolerance, "gradient by", targets);
  if (text.empty()) text = Difference(a.other, b.other, tolerance, "other gradient by", targets);
  if (text.empty()) text = Difference(a.second, b.second, tolerance, "second gradient by", targets);
  if (text.empty()) text = Difference(a.loss, b.loss, tolerance, "loss or its gradient", {});
  return text;
}

// What a kernel's rounding may change: `tolerance`, or where moving the leaves by about their
// rounding errors changes more, up to ten times as much as that. Leaves on a grid stand, lest what
// ties no longer does.
double ToleranceAt(const Program& program, const Reference& reference, double tolerance) {
  std::vector<Variable> given(program.values.size());
  for (const Instruction& instruction : program.instructions) {
    const int v = instruction.outputs[0];
    const ValueInfo& info = program.values[v];
    if (instruction.kind || !info.floating() || info.grid != ValueInfo::kNoGrid) continue;
    std::vector<double> elements = reference.eager.values[v].ToVector<double>();
    Random random(Mix(program.seed, v));
    const double ulps = info.dtype == DType::kFloat32 ? 0x1p-22 : 0x1p-51;
    for (double& x : elements) x *= 1 + (random.Percent(50) ? ulps : -ulps);
    const Tensor moved = Tensor::FromVector(elements, info.shape).To(info.dtype);
    given[v] = info.requires_grad ? DifferentiableLeaf(moved) : Variable(moved);
  }
  const Outcome nudged = Run(program, {.mode = Mode::kEager}, std::move(given));
  constexpr double kMost = 1e-2;
  while (tolerance < kMost && !Difference(program, nudged, reference.eager, tolerance).empty()) {
    tolerance *= 10;
  }
  return tolerance;
}

struct Footprint {
  int64_t nodes = LiveNodes();
  int64_t bytes = GetPoolStatistics().live_bytes;
  int64_t pending = static_cast<int64_t>(internal::PendingList::Get().nodes.size()) - 1;
};

std::string Compare(const Program& program, const Check& check, const Reference& reference) {
  RunOptions options = check.options;
  options.threads = 1;
  const Outcome serial = Run(program, options);
  const double tolerance = !program.HasComposites() ? 0
                           : program.IsFloat64()    ? kTolerance64
                                                    : kTolerance32;
  const Outcome& eager = options.as_loss ? reference.as_loss : reference.eager;
  std::string text = Difference(program, serial, eager, tolerance);
  if (!text.empty() && tolerance > 0) {
    text = Difference(program, serial, eager, ToleranceAt(program, reference, tolerance));
  }
  if (!text.empty()) return absl::StrCat("against eager execution: ", text);
  for (const int threads : check.more_threads) {
    options.threads = threads;
    text = Difference(program, Run(program, options), serial, 0);
    if (!text.empty()) {
      return absl::StrCat("with ", threads, " threads, against one thread: ", text);
    }
  }
  return "";
}

}  // namespace

Reference::Reference(const Program& program)
    : eager(Run(program, {.mode = Mode::kEager})),
      as_loss(Run(program, {.mode = Mode::kEager, .as_loss = true})) {}

bool Reference::Explodes() const {
  for (const std::vector<Tensor>* tensors :
       {&eager.first, &eager.other, &eager.second, &as_loss.loss}) {
    for (const Tensor& tensor : *tensors) {
      for (const double x : tensor.ToVector<double>()) {
        if (!(std::abs(x) < kLargestGradient)) return true;
      }
    }
  }
  return false;
}

std::string ToString(const Check& check) {
  return check.differences ? "directional differences" : ToString(check.options);
}

std::vector<Check> ChecksOf(const Program& program) {
  Random random(Mix(program.seed, 17));
  const auto choices = [&] { return random.Next() | 1; };
  const PendingLimits usual;
  std::vector<Check> checks = {
      {.options = {.mode = Mode::kEager}, .more_threads = {3}},
      {.options = {.mode = Mode::kNodeByNode}, .more_threads = {2}},
      {.options = {.mode = Mode::kLazy}, .more_threads = {1, 2, 3, 8}},
      {.options = {.mode = Mode::kLazy, .choices = choices()}, .more_threads = {1, 3}},
      {.options = {.mode = Mode::kLazy, .cache = 64, .code = true, .choices = choices()}},
      {.options = {.mode = Mode::kLazy, .cache = 64}, .more_threads = {3}},
      {.options = {.mode = Mode::kMixed, .cache = 64, .choices = choices()}},
      {.options = {.mode = Mode::kLazy, .as_loss = true}, .more_threads = {2}},
      {.options = {.mode = Mode::kLazy, .as_loss = true, .cache = 64, .code = true}},
      {.options = {.mode = Mode::kLazy, .as_loss = true, .code = true}, .more_threads = {2}},
  };
  const int64_t nodes = random.Of({1, 2, 3, 8, 21, 70, 100, 200});
  checks.push_back({.options = {.mode = Mode::kLazy,
                                .limits = {.nodes = nodes, .bytes = usual.bytes},
                                .cache = 64,
                                .choices = choices()},
                    .more_threads = {2}});
  checks.push_back(
      {.options = {.mode = Mode::kLazy,
                   .limits = {.nodes = usual.nodes, .bytes = random.Of({2000, 100'000})},
                   .choices = choices()},
       .more_threads = {8}});
  if (program.IsFloat64()) checks.push_back({.differences = true});
  return checks;
}

std::string Perform(const Program& program, const Check& check, const Reference& reference) {
  std::string text;
  for (int attempt = 0; attempt < 2; ++attempt) {
    const Footprint before;
    try {
      text = check.differences ? CompareDifferences(program) : Compare(program, check, reference);
    } catch (const std::exception& error) {
      text = absl::StrCat("throws ", error.what());
    }
    if (!text.empty()) return text;
    const Footprint after;
    if (after.pending != 0) return absl::StrCat(after.pending, " nodes are still pending");
    if (after.nodes == before.nodes && after.bytes == before.bytes) return "";
    text = absl::StrCat(after.nodes - before.nodes, " nodes and ", after.bytes - before.bytes,
                        " bytes leak");
    // Once more: the first time something may have been made that is kept.
  }
  return text;
}

}  // namespace wengert::random_programs
