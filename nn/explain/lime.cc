#include "nn/explain/lime.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "nn/explain/scores.h"
#include "ops/ops.h"

namespace wengert::explain {
namespace {

using Vector = std::vector<double>;

// The lower triangle L of a = L L^T (Cholesky) in place, row-major [n, n]; false if a is singular.
bool Factorize(size_t n, Vector& a) {
  for (size_t i = 0; i < n; ++i) {
    const double scale = a[i * n + i];
    for (size_t k = 0; k <= i; ++k) {
      double sum = a[i * n + k];
      for (size_t j = 0; j < k; ++j) sum -= a[i * n + j] * a[k * n + j];
      if (k < i) {
        a[i * n + k] = sum / a[k * n + k];
      } else {
        if (!(sum > 1e-12 * scale)) return false;
        a[i * n + i] = std::sqrt(sum);
      }
    }
  }
  return true;
}

// b becomes the solution of L L^T x = b.
void Solve(size_t n, const Vector& l, Vector& b) {
  for (size_t i = 0; i < n; ++i) {
    for (size_t k = 0; k < i; ++k) b[i] -= l[i * n + k] * b[k];
    b[i] /= l[i * n + i];
  }
  for (size_t i = n; i-- > 0;) {
    for (size_t k = i + 1; k < n; ++k) b[i] -= l[k * n + i] * b[k];
    b[i] /= l[i * n + i];
  }
}

// The samples, which all rows share: what each keeps, centered, and how much it counts.
struct Design {
  Vector centered;  // [samples, n]: 1 or 0, less the mean
  Vector mean;      // [n]
  Vector weights;   // [samples]; they add up to total
  double total = 0;
};

Design MakeDesign(const Tensor& kept, double kernel_width) {
  const auto samples = static_cast<size_t>(kept.dim(0)), n = static_cast<size_t>(kept.dim(1));
  Design design;
  design.centered = kept.ToVector<double>();
  design.mean.resize(n);
  for (size_t i = 0; i < samples; ++i) {
    double count = 0;
    for (size_t k = 0; k < n; ++k) count += design.centered[i * n + k];
    const double distance = 1 - std::sqrt(count / static_cast<double>(n));
    design.weights.push_back(std::exp(-std::pow(distance / kernel_width, 2)));
    design.total += design.weights[i];
    for (size_t k = 0; k < n; ++k) {
      design.mean[k] += design.weights[i] * design.centered[i * n + k];
    }
  }
  for (double& v : design.mean) v /= design.total;
  for (size_t i = 0; i < samples; ++i) {
    for (size_t k = 0; k < n; ++k) design.centered[i * n + k] -= design.mean[k];
  }
  return design;
}

// The factor of the normal equations, centered^T weights centered + ridge; empty if singular.
Vector NormalEquations(const Design& design, double ridge) {
  const size_t n = design.mean.size();
  Vector a(n * n);
  for (size_t i = 0; i < design.weights.size(); ++i) {
    const double* row = &design.centered[i * n];
    for (size_t j = 0; j < n; ++j) {
      const double factor = design.weights[i] * row[j];
      for (size_t k = 0; k <= j; ++k) a[j * n + k] += factor * row[k];
    }
  }
  for (size_t j = 0; j < n; ++j) a[j * n + j] += ridge;
  return Factorize(n, a) ? a : Vector();
}

void CheckPositive(std::string_view what, double value, bool or_zero, SourceLocation where) {
  if (std::isfinite(value) && (value > 0 || (or_zero && value == 0))) return;
  internal::Fail("lime",
                 absl::StrCat(std::string(what), " is ", value, ", expected a finite number ",
                              or_zero ? "0 or above" : "above 0"),
                 where);
}

}  // namespace

LimeExplanation Lime(Model model, const Tensor& x, const Target& target, Generator& generator,
                     const LimeOptions& options, SourceLocation where) {
  internal::CheckAtLeast("lime", "samples", options.samples, 2, where);
  CheckPositive("kernel_width", options.kernel_width, false, where);
  CheckPositive("ridge", options.ridge, true, where);
  if (!(options.keep_probability > 0 && options.keep_probability < 1)) {
    internal::Fail("lime",
                   absl::StrCat("keep_probability is ", options.keep_probability,
                                ", expected a number between 0 and 1"),
                   where);
  }
  const internal::Explained explained("lime", model, x, target, options.baseline,
                                      options.batch_size, where);
  const internal::Segments segments("lime", options.segments, x, where);
  Tensor kept = Bernoulli({options.samples, segments.count}, generator, options.keep_probability,
                          DType::kBool)
                    .value()
                    .Clone();
  kept.Narrow(0, 0, 1).Fill(1);
  const Design design = MakeDesign(kept, options.kernel_width);
  const Vector factor = NormalEquations(design, options.ridge);
  const size_t n = design.mean.size(), samples = design.weights.size();
  if (factor.empty()) {
    internal::Fail("lime",
                   absl::StrCat(samples, " samples do not determine the weights of ", n,
                                " segments: there must be more of them, or a ridge"),
                   where);
  }
  const auto keep = [&](int64_t start, int64_t count) {
    return segments.Spread(kept.Narrow(0, start, count));
  };
  LimeExplanation explanation{
      .weights = Tensor::Empty({explained.rows(), segments.count}, DType::kFloat64),
      .intercept = Tensor::Empty({explained.rows()}, DType::kFloat64),
      .r_squared = Tensor::Empty({explained.rows()}, DType::kFloat64)};
  for (int64_t row = 0; row < explained.rows(); ++row) {
    const Vector outputs = explained.OfMasked(row, options.samples, keep);
    double mean = 0;
    for (size_t i = 0; i < samples; ++i) mean += design.weights[i] * outputs[i] / design.total;
    Vector w(n);
    for (size_t i = 0; i < samples; ++i) {
      const double y = design.weights[i] * (outputs[i] - mean);
      for (size_t k = 0; k < n; ++k) w[k] += y * design.centered[i * n + k];
    }
    Solve(n, factor, w);
    double intercept = mean, variance = 0, unexplained = 0;
    for (size_t k = 0; k < n; ++k) intercept -= w[k] * design.mean[k];
    for (size_t i = 0; i < samples; ++i) {
      double residual = outputs[i] - mean;
      variance += design.weights[i] * residual * residual;
      for (size_t k = 0; k < n; ++k) residual -= w[k] * design.centered[i * n + k];
      unexplained += design.weights[i] * residual * residual;
    }
    std::copy(w.begin(), w.end(),
              explanation.weights.mutable_data<double>() + row * segments.count);
    explanation.intercept.mutable_data<double>()[row] = intercept;
    // Of a constant function nothing is left to explain, but for the rounding of its mean.
    const bool constant = variance <= design.total * std::pow(1e-12 * mean, 2);
    explanation.r_squared.mutable_data<double>()[row] = constant ? 1 : 1 - unexplained / variance;
  }
  return explanation;
}

}  // namespace wengert::explain
