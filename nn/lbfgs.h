// L-BFGS: a quasi-Newton method for losses that are computed over all of the data.
#ifndef WENGERT_NN_LBFGS_H_
#define WENGERT_NN_LBFGS_H_

#include <cstdint>
#include <deque>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "autograd/grad.h"
#include "autograd/parameter.h"

namespace wengert {

// Limited-memory BFGS with a line search for the strong Wolfe conditions (Nocedal and Wright,
// Numerical Optimization, 2nd ed., algorithms 7.4, 7.5, 3.5 and 3.6). Computes in float64 over one
// vector of all parameters, whatever their dtype. The loss must be a function of the parameters
// alone: the whole data set, the same random numbers.
//
//   Lbfgs lbfgs(Parameters(model));
//   const Lbfgs::Result result = lbfgs.Step(
//       [&] { return ValueAndGrad([&] { return Loss(model); }, lbfgs.parameters()); });
class Lbfgs {
 public:
  struct Options {
    int64_t max_iterations = 100;      // of one Step
    int history = 10;                  // how many pairs of differences are kept
    double gradient_tolerance = 1e-7;  // converged: no element of the gradient is larger,
    double change_tolerance = 1e-12;   // or the loss fell by less than this part of max(1, |loss|)
    // Strong Wolfe: sufficient decrease, curvature; 0 < c1 < c2 < 1.
    double c1 = 1e-4, c2 = 0.9;
    int max_evaluations = 25;  // of the closure, in one line search
  };
  struct Result {
    double loss = 0;
    double largest_gradient = 0;  // of all elements
    int64_t iterations = 0, evaluations = 0;
    bool converged = false;  // false also where the line search finds no lower loss
  };
  using Closure = absl::FunctionRef<ValueAndGradients()>;

  // Throws Error where options are out of range or parameters stand twice.
  explicit Lbfgs(std::vector<Parameter> parameters) : Lbfgs(std::move(parameters), Options()) {}
  Lbfgs(std::vector<Parameter> parameters, const Options& options);

  const std::vector<Parameter>& parameters() const { return parameters_; }

  // Goes down from where the parameters are, which never end where the loss is higher. The
  // differences of earlier calls still count: a loss that has changed wants a new Lbfgs. They are
  // not saved. Throws Error where the loss, or a gradient, is not finite at the start; what the
  // closure throws leaves the parameters at the last point that was accepted.
  Result Step(Closure closure);

 private:
  using Vector = std::vector<double>;
  struct Point {  // on the line x + at * direction
    double at = 0, loss = 0, slope = 0;
    Vector gradient;
  };
  struct Pair {
    Vector s, y;  // differences of parameters and of gradients
    double rho;   // 1 / (s y)
  };

  Vector Values() const;
  void Set(const Vector& x);
  Point Evaluate(Closure closure, const Vector& x, const Vector& direction, double at,
                 Result& result);
  // The negative gradient times the inverse Hessian that the history tells.
  Vector Direction(const Vector& gradient) const;
  Point LineSearch(Closure closure, const Vector& x, const Vector& direction, Point start,
                   double first, Result& result);
  void Remember(const Vector& direction, const Point& from, const Point& to);

  std::vector<Parameter> parameters_;
  Options options_;
  std::deque<Pair> history_;
};

}  // namespace wengert

#endif  // WENGERT_NN_LBFGS_H_
