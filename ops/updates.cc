#include "ops/updates.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "autograd/composite.h"
#include "ops/kernels/updates.h"
#include "ops/ops.h"

namespace wengert {
namespace {

// Inputs: parameter, states, gradient; outputs: parameter, states.
template <class Derived>
struct UpdateOp : Composite<Derived> {
  static constexpr bool kDifferentiable = false;
  static constexpr bool kDonates = true;

  Specs Infer(VariableSpan x) const {
    for (const Variable& input : x) {
      if (!(input.shape() == x[0].shape())) {
        throw Error(Derived::kName,
                    absl::StrCat("shapes differ: parameter ", ToString(x[0].shape()),
                                 ", state or gradient ", ToString(input.shape())));
      }
    }
    return Specs(x.size() - 1, {x[0].shape(), x[0].dtype()});
  }
  bool HasKernel(VariableSpan x) const {
    bool all = true;
    for (const Variable& input : x) all &= input.dtype() == DType::kFloat32;
    return all;
  }
  void Kernel(TensorSpan x, absl::Span<Tensor> y) const {
    const Tensor gradient = x[x.size() - 1].Contiguous();
    Tensor inputs[4];
    const float* in[4];
    float* out[4];
    for (size_t i = 0; i + 1 < x.size(); ++i) {
      inputs[i] = x[i].Contiguous();
      in[i] = inputs[i].data<float>();
      out[i] = y[i].mutable_data<float>();
    }
    static_cast<const Derived&>(*this).Update(in, gradient.data<float>(), out, gradient.size());
  }
  // One step of three parameters, in the table's float64: runs the Definition.
  static OpCase Case(std::string name, Shape shape, int states, Derived op) {
    std::vector<Sample> samples(states + 2, Sample{.shape = shape});
    for (int i = 1; i <= states; ++i) samples[i].low = 0.1;  // running squares are positive
    return {.name = std::move(name), .inputs = samples, .f = [op](VariableSpan x) {
              return ApplyComposite(op, x);
            }};
  }
  static std::vector<OpCase> ShapeCases(int states, const Derived& op) {
    std::vector<OpCase> cases;
    for (const Shape& shape : {Shape{}, Shape{1}, Shape{7}, Shape{17}, Shape{3, 4}, Shape{0, 3},
                               Shape{2, 3, 5}, Shape{2, 1, 3, 2}}) {
      cases.push_back(Case(ToString(shape), shape, states, op));
    }
    return cases;
  }
};

struct SgdUpdateOp : UpdateOp<SgdUpdateOp> {
  static constexpr std::string_view kName = "sgd_update";
  double rate;
  std::vector<Variable> Definition(VariableSpan x) const { return {x[0] - x[1] * rate}; }
  void Update(const float* const* in, const float* gradient, float* const* out, int64_t n) const {
    SgdKernel({rate}, in, gradient, out, n);
  }
  static std::vector<OpCase> Cases() { return ShapeCases(0, {.rate = 0.1}); }
};

struct MomentumUpdateOp : UpdateOp<MomentumUpdateOp> {
  static constexpr std::string_view kName = "momentum_update";
  double rate, momentum;
  std::vector<Variable> Definition(VariableSpan x) const {
    const Variable velocity = x[1] * momentum - x[2] * rate;
    return {x[0] + velocity, velocity};
  }
  void Update(const float* const* in, const float* gradient, float* const* out, int64_t n) const {
    MomentumKernel({rate, momentum}, in, gradient, out, n);
  }
  static std::vector<OpCase> Cases() { return ShapeCases(1, {.rate = 0.1, .momentum = 0.9}); }
};

struct RmsPropUpdateOp : UpdateOp<RmsPropUpdateOp> {
  static constexpr std::string_view kName = "rmsprop_update";
  double rate, rho, epsilon;
  std::vector<Variable> Definition(VariableSpan x) const {
    const Variable mean_square = x[1] * rho + Square(x[2]) * (1 - rho);
    return {x[0] - (x[2] * rate) / Sqrt(mean_square + epsilon), mean_square};
  }
  void Update(const float* const* in, const float* gradient, float* const* out, int64_t n) const {
    RmsPropKernel({rate, rho, 1 - rho, epsilon}, in, gradient, out, n);
  }
  static std::vector<OpCase> Cases() {
    return ShapeCases(1, {.rate = 0.1, .rho = 0.9, .epsilon = 1e-7});
  }
};

struct AdamUpdateOp : UpdateOp<AdamUpdateOp> {
  static constexpr std::string_view kName = "adam_update";
  double rate, beta1, beta2, epsilon;
  std::vector<Variable> Definition(VariableSpan x) const {
    const Variable m = x[1] * beta1 + x[3] * (1 - beta1);
    const Variable v = x[2] * beta2 + Square(x[3]) * (1 - beta2);
    return {x[0] - (m * rate) / (Sqrt(v) + epsilon), m, v};
  }
  void Update(const float* const* in, const float* gradient, float* const* out, int64_t n) const {
    AdamKernel({rate, beta1, 1 - beta1, beta2, 1 - beta2, epsilon}, in, gradient, out, n);
  }
  static std::vector<OpCase> Cases() {
    return ShapeCases(2, {.rate = 0.1, .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-7});
  }
};

// The handles go into the node, so that it may take the buffers over.
template <class Op>
std::vector<Variable> ApplyUpdate(const Op& op, std::vector<Variable> inputs) {
  const NoGradGuard no_grad;
  return ApplyComposite(op, inputs);
}

}  // namespace

Variable SgdUpdate(Variable parameter, const Variable& gradient, double rate) {
  return ApplyUpdate(SgdUpdateOp{.rate = rate}, {std::move(parameter), gradient})[0];
}

std::vector<Variable> MomentumUpdate(Variable parameter, Variable velocity,
                                     const Variable& gradient, double rate, double momentum) {
  return ApplyUpdate(MomentumUpdateOp{.rate = rate, .momentum = momentum},
                     {std::move(parameter), std::move(velocity), gradient});
}

std::vector<Variable> RmsPropUpdate(Variable parameter, Variable mean_square,
                                    const Variable& gradient, double rate, double rho,
                                    double epsilon) {
  return ApplyUpdate(RmsPropUpdateOp{.rate = rate, .rho = rho, .epsilon = epsilon},
                     {std::move(parameter), std::move(mean_square), gradient});
}

std::vector<Variable> AdamUpdate(Variable parameter, Variable m, Variable v,
                                 const Variable& gradient, double rate, double beta1, double beta2,
                                 double epsilon) {
  return ApplyUpdate(AdamUpdateOp{.rate = rate, .beta1 = beta1, .beta2 = beta2, .epsilon = epsilon},
                     {std::move(parameter), std::move(m), std::move(v), gradient});
}

}  // namespace wengert
