// The cells of recurrent layers over a whole sequence, as one composite each.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "autograd/composite.h"
#include "ops/kernels/recurrent.h"
#include "ops/ops.h"
#include "ops/scan.h"

namespace wengert {
namespace {

using internal::CheckLengths;
using internal::CheckSteps;
using internal::ScanOver;
using internal::ThrowAt;
using States = std::vector<Variable>;

// What the sequence ops share. Time comes first, as the kernels like it. Inputs: as kX ...
// say, then the cell's own, then perhaps lengths. Outputs: the sequence [T, N, H], the last states,
// residuals.
template <class Derived>
struct SequenceOp : Composite<Derived> {
  static constexpr Uses kUses = Uses::Inputs() | Uses::Output();
  enum Input { kX, kH0, kWeightHh, kWeightIh, kBias, kOwn };
  bool reverse;

  bool HasKernel(VariableSpan x) const { return x[0].dtype() == DType::kFloat32; }
  std::vector<Variable> Definition(VariableSpan x) const {
    const Variable lengths = masked(x) ? x[Derived::kInputs] : Variable();
    Scanned scanned = static_cast<const Derived&>(*this).Unfused(x, lengths);
    scanned.state.insert(scanned.state.begin(), Transpose(scanned.outputs, 0, 1));
    return std::move(scanned.state);
  }

 protected:
  template <class Inputs>
  static bool masked(const Inputs& x) {
    return x.size() > Derived::kInputs;
  }
  SequenceInputs KernelInputs(TensorSpan x) const {
    return {.x = &x[kX],
            .weight_ih = &x[kWeightIh],
            .weight_hh = &x[kWeightHh],
            .bias = &x[kBias],
            .h0 = &x[kH0],
            .lengths = masked(x) ? &x[Derived::kInputs] : nullptr,
            .reverse = reverse};
  }
  // Where the kernel puts the gradients that are wanted.
  static Tensor* Wanted(Needs needs, absl::Span<Tensor> dx, size_t input) {
    if (!needs[input]) return nullptr;
    size_t place = 0;
    for (size_t i = 0; i < input; ++i) place += needs[i];
    return &dx[place];
  }
  static SequenceGradients WantedGradients(Needs needs, absl::Span<Tensor> dx) {
    return {.x = Wanted(needs, dx, kX),
            .weight_ih = Wanted(needs, dx, kWeightIh),
            .weight_hh = Wanted(needs, dx, kWeightHh),
            .bias = Wanted(needs, dx, kBias),
            .h0 = Wanted(needs, dx, kH0)};
  }
  // x weight_ih + bias of all steps, as the scan takes it.
  static Variable Gates(VariableSpan x) {
    return Transpose(MatMul(x[kX], x[kWeightIh]) + x[kBias], 0, 1);
  }
  static Specs MakeSpecs(VariableSpan x, std::initializer_list<int64_t> widths, int states) {
    // widths: of the sequence, then of the residuals.
    const int64_t steps = x[0].dim(0), n = x[0].dim(1);
    Specs specs;
    for (const int64_t width : widths) {
      specs.push_back({{steps, n, width}, x[0].dtype()});
      for (; states > 0; --states) specs.push_back({x[kH0].shape(), x[kX].dtype()});
    }
    return specs;
  }
};

// Cases over sizes, directions and lengths: x, the three parameters, `states` states, perhaps
// bias_hn.
std::vector<OpCase> SequenceCases(
    int64_t gates, size_t states, bool with_bias,
    const std::function<Scanned(VariableSpan x, const ScanOptions& options)>& f) {
  std::vector<OpCase> cases;
  const struct {
    int64_t n, steps, hidden;
    std::vector<int64_t> lengths;
  } list[] = {{1, 1, 1, {}},        {1, 3, 2, {}},
              {2, 3, 3, {}},        {7, 2, 4, {}},
              {3, 2, 17, {}},       {13, 2, 5, {}},
              {0, 2, 2, {}},        {2, 4, 3, {4, 1}},
              {3, 3, 2, {2, 3, 1}}, {9, 2, 16, {1, 1, 2, 2, 1, 2, 1, 1, 2}}};
  for (const auto& [n, steps, hidden, lengths] : list) {
    for (const bool reverse : {false, true}) {
      const int64_t in = hidden % 5 + 1, width = gates * hidden;
      std::vector<Sample> samples = {{.shape = {n, steps, in}},
                                     {.shape = {in, width}},
                                     {.shape = {hidden, width}, .low = -1, .high = 1},
                                     {.shape = {width}}};
      for (size_t i = 0; i < states; ++i) samples.push_back({.shape = {n, hidden}});
      if (with_bias) samples.push_back({.shape = {hidden}});
      const ScanOptions options{
          .reverse = reverse, .lengths = lengths.empty() ? Tensor() : Tensor::FromVector(lengths)};
      OpCase of{.name = absl::StrCat(n, " rows, ", steps, " steps, ", hidden, " units",
                                     reverse ? ", reversed" : "",
                                     lengths.empty() ? "" : ", with lengths"),
                .inputs = std::move(samples),
                .f =
                    [f, options](VariableSpan x) {
                      Scanned scanned = f(x, options);
                      std::vector<Variable> all = {std::move(scanned.outputs)};
                      for (Variable& state : scanned.state) all.push_back(std::move(state));
                      return all;
                    },
                .reorders = true};
      cases.push_back(std::move(of));
    }
  }
  return cases;
}

struct LstmSequenceOp : SequenceOp<LstmSequenceOp> {
  static constexpr std::string_view kName = "lstm_sequence";
  static constexpr std::string_view kGradientName = "lstm_sequence_gradient";
  static constexpr size_t kC0 = kOwn, kInputs = kOwn + 1;
  static constexpr uint32_t kConstantInputs = 1 << kInputs;
  static constexpr int kResiduals = 2;

  Scanned Unfused(VariableSpan x, const Variable& lengths) const {
    const auto step = [&](const Variable& x_t, const States& state) -> States {
      LstmState next = LstmStep(x_t + MatMul(state[0], x[kWeightHh]), state[1]);
      return {std::move(next.h), std::move(next.c)};
    };
    return ScanOver(Gates(x), {x[kH0], x[kC0]}, step, reverse, lengths);
  }
  Specs Infer(VariableSpan x) const {
    const int64_t hidden = x[kH0].dim(1);
    return MakeSpecs(x, {hidden, 4 * hidden, hidden}, 2);
  }
  void Kernel(TensorSpan x, absl::Span<Tensor> y) const {
    LstmForward(KernelInputs(x), x[kC0], y[0], y[1], y[2], y[3], y[4]);
  }
  void GradientKernel(TensorSpan x, TensorSpan y, TensorSpan dy, Needs needs,
                      absl::Span<Tensor> dx) const {
    LstmBackward(KernelInputs(x), x[kC0], y[0], y[3], y[4], dy[0], dy[1], dy[2],
                 WantedGradients(needs, dx), Wanted(needs, dx, kC0));
  }
  static std::vector<OpCase> Cases() {
    return SequenceCases(4, 2, false, [](VariableSpan x, const ScanOptions& options) {
      return LstmSequence(x[0], {x[1], x[2], x[3]}, {x[4], x[5]}, options);
    });
  }
};

struct GruSequenceOp : SequenceOp<GruSequenceOp> {
  static constexpr std::string_view kName = "gru_sequence";
  static constexpr std::string_view kGradientName = "gru_sequence_gradient";
  static constexpr size_t kBiasHn = kOwn, kInputs = kOwn + 1;
  static constexpr uint32_t kConstantInputs = 1 << kInputs;
  static constexpr int kResiduals = 2;

  Scanned Unfused(VariableSpan x, const Variable& lengths) const {
    const Variable none = Tensor::Zeros({2 * x[kH0].dim(1)}, x[kX].dtype());
    const Variable bias = Concat(std::vector<Variable>{none, x[kBiasHn]}, 0);
    const auto step = [&](const Variable& x_t, const States& state) -> States {
      return {GruStep(x_t, MatMul(state[0], x[kWeightHh]) + bias, state[0])};
    };
    return ScanOver(Gates(x), {x[kH0]}, step, reverse, lengths);
  }
  Specs Infer(VariableSpan x) const {
    const int64_t hidden = x[kH0].dim(1);
    return MakeSpecs(x, {hidden, 3 * hidden, hidden}, 1);
  }
  void Kernel(TensorSpan x, absl::Span<Tensor> y) const {
    GruForward(KernelInputs(x), x[kBiasHn], y[0], y[1], y[2], y[3]);
  }
  void GradientKernel(TensorSpan x, TensorSpan y, TensorSpan dy, Needs needs,
                      absl::Span<Tensor> dx) const {
    GruBackward(KernelInputs(x), y[0], y[2], y[3], dy[0], dy[1], WantedGradients(needs, dx),
                Wanted(needs, dx, kBiasHn));
  }
  static std::vector<OpCase> Cases() {
    return SequenceCases(3, 1, true, [](VariableSpan x, const ScanOptions& options) {
      return GruSequence(x[0], {x[1], x[2], x[3]}, x[5], x[4], options);
    });
  }
};

struct GruResetBeforeSequenceOp : SequenceOp<GruResetBeforeSequenceOp> {
  static constexpr std::string_view kName = "gru_reset_before_sequence";
  static constexpr std::string_view kGradientName = "gru_reset_before_sequence_gradient";
  static constexpr size_t kInputs = kOwn;
  static constexpr uint32_t kConstantInputs = 1 << kInputs;
  static constexpr int kResiduals = 2;

  Scanned Unfused(VariableSpan x, const Variable& lengths) const {
    const auto step = [&](const Variable& x_t, const States& state) -> States {
      return {GruStepResetBefore(x_t, state[0], x[kWeightHh])};
    };
    return ScanOver(Gates(x), {x[kH0]}, step, reverse, lengths);
  }
  Specs Infer(VariableSpan x) const {
    const int64_t hidden = x[kH0].dim(1);
    return MakeSpecs(x, {hidden, 3 * hidden, hidden}, 1);
  }
  void Kernel(TensorSpan x, absl::Span<Tensor> y) const {
    GruResetBeforeForward(KernelInputs(x), y[0], y[1], y[2], y[3]);
  }
  void GradientKernel(TensorSpan x, TensorSpan y, TensorSpan dy, Needs needs,
                      absl::Span<Tensor> dx) const {
    GruResetBeforeBackward(KernelInputs(x), y[0], y[2], y[3], dy[0], dy[1],
                           WantedGradients(needs, dx));
  }
  static std::vector<OpCase> Cases() {
    return SequenceCases(3, 1, false, [](VariableSpan x, const ScanOptions& options) {
      return GruSequence(x[0], {x[1], x[2], x[3]}, Variable(), x[4], options);
    });
  }
};

struct RnnSequenceOp : SequenceOp<RnnSequenceOp> {
  static constexpr std::string_view kName = "rnn_sequence";
  static constexpr std::string_view kGradientName = "rnn_sequence_gradient";
  static constexpr size_t kInputs = kOwn;
  static constexpr uint32_t kConstantInputs = 1 << kInputs;
  bool relu;

  Scanned Unfused(VariableSpan x, const Variable& lengths) const {
    const auto step = [&](const Variable& x_t, const States& state) -> States {
      const Variable sum = x_t + MatMul(state[0], x[kWeightHh]);
      return {relu ? Relu(sum) : Tanh(sum)};
    };
    return ScanOver(Gates(x), {x[kH0]}, step, reverse, lengths);
  }
  Specs Infer(VariableSpan x) const { return MakeSpecs(x, {x[kH0].dim(1)}, 1); }
  void Kernel(TensorSpan x, absl::Span<Tensor> y) const {
    RnnForward(KernelInputs(x), relu, y[0], y[1]);
  }
  void GradientKernel(TensorSpan x, TensorSpan y, TensorSpan dy, Needs needs,
                      absl::Span<Tensor> dx) const {
    RnnBackward(KernelInputs(x), relu, y[0], dy[0], dy[1], WantedGradients(needs, dx));
  }
  static std::vector<OpCase> Cases() {
    std::vector<OpCase> cases;
    for (const RnnActivation activation : {RnnActivation::kTanh, RnnActivation::kRelu}) {
      for (OpCase& of :
           SequenceCases(1, 1, false, [activation](VariableSpan x, const ScanOptions&options) {
             return RnnSequence(x[0], {x[1], x[2], x[3]}, activation, x[4], options);
           })) {
        if (activation == RnnActivation::kRelu) absl::StrAppend(&of.name, ", relu");
        cases.push_back(std::move(of));
      }
    }
    return cases;
  }
};

// Shapes and dtypes of a sequence op with this many gates.
template <class O>
void CheckSequence(int64_t gates, const Variable& x, const RecurrentParameters& p,
                   std::initializer_list<const Variable*> states, SourceLocation where) {
  constexpr std::string_view kName = O::kName;
  CheckSteps(kName, x, p.weight_hh, where);
  const int64_t hidden = p.weight_hh.rank() == 2 ? p.weight_hh.dim(0) : 0;
  const int64_t width = gates * hidden;
  if (hidden < 1 || p.weight_hh.dim(1) != width || x.rank() != 3 ||
      p.weight_ih.shape() != Shape{x.dim(2), width} || p.bias.shape() != Shape{width}) {
    const std::string gh = absl::StrCat(gates == 1 ? "" : std::to_string(gates), "H");
    ThrowAt(kName,
            absl::StrCat("wants x [N, T, F], weight_ih [F, ", gh, "], weight_hh [H, ", gh,
                         "] and bias [", gh, "], not ", ToString(x.shape()), ", ",
                         ToString(p.weight_ih.shape()), ", ", ToString(p.weight_hh.shape()),
                         " and ", ToString(p.bias.shape())),
            p.weight_hh, where);
  }
  const auto check_dtype = [&](std::string_view name, const Variable& v) {
    if (IsFloating(x.dtype()) && v.dtype() == x.dtype()) return;
    ThrowAt(kName,
            absl::StrCat("x is ", std::string(Name(x.dtype())), ", ", std::string(name), " is ",
                         std::string(Name(v.dtype())), "; both must be float32 or float64"),
            p.weight_hh, where);
  };
  check_dtype("weight_ih", p.weight_ih);
  check_dtype("weight_hh", p.weight_hh);
  check_dtype("bias", p.bias);
  for (const Variable* state : states) {
    if (!state->defined()) ThrowAt(kName, "the initial state is undefined", p.weight_hh, where);
    if (state->shape() != Shape{x.dim(0), hidden} || state->dtype() != x.dtype()) {
      ThrowAt(kName,
              absl::StrCat("the initial state must be ", std::string(Name(x.dtype())),
                           ToString(Shape{x.dim(0), hidden}), ", not ",
                           std::string(Name(state->dtype())), ToString(state->shape())),
              p.weight_hh, where);
    }
  }
}

// `own`: the op's inputs past the shared ones.
template <class O>
Scanned RecordSequence(const O& op, const Variable& x, const RecurrentParameters& p,
                       const Variable& h0, std::vector<Variable> own, const ScanOptions& options,
                       SourceLocation where) {
  const Tensor lengths = CheckLengths(O::kName, x, options.lengths, /*reads=*/p.weight_hh, where);
  std::vector<Variable> inputs = {Transpose(ClearPadding(x, lengths), 0, 1), h0, p.weight_hh,
                                  p.weight_ih, p.bias};
  inputs.insert(inputs.end(), own.begin(), own.end());
  if (lengths.defined()) inputs.push_back(lengths);
  std::vector<Variable> outputs = ApplyComposite(op, inputs);
  Scanned scanned{.outputs = Transpose(outputs[0], 0, 1)};
  scanned.state.assign(std::make_move_iterator(outputs.begin() + 1),
                       std::make_move_iterator(outputs.end()));
  return scanned;
}

}  // namespace

Scanned LstmSequence(const Variable& x, const RecurrentParameters& parameters,
                     const LstmState& initial, const ScanOptions& options, SourceLocation where) {
  const WhereScope scope(where, "lstm_sequence");
  CheckSequence<LstmSequenceOp>(4, x, parameters, {&initial.h, &initial.c}, where);
  LstmSequenceOp op;
  op.reverse = options.reverse;
  return RecordSequence(op, x, parameters, initial.h, {initial.c}, options, where);
}

Scanned GruSequence(const Variable& x, const RecurrentParameters& parameters,
                    const Variable& bias_hn, const Variable& initial, const ScanOptions& options,
                    SourceLocation where) {
  const WhereScope scope(where, "gru_sequence");
  CheckSequence<GruSequenceOp>(3, x, parameters, {&initial}, where);
  if (!bias_hn.defined()) {
    GruResetBeforeSequenceOp op;
    op.reverse = options.reverse;
    return RecordSequence(op, x, parameters, initial, {}, options, where);
  }
  if (bias_hn.shape() != Shape{parameters.weight_hh.dim(0)} || bias_hn.dtype() != x.dtype()) {
    ThrowAt(GruSequenceOp::kName,
            absl::StrCat("bias_hn must be [", parameters.weight_hh.dim(0), "], not ",
                         ToString(bias_hn.shape())),
            bias_hn, where);
  }
  GruSequenceOp op;
  op.reverse = options.reverse;
  return RecordSequence(op, x, parameters, initial, {bias_hn}, options, where);
}

Scanned RnnSequence(const Variable& x, const RecurrentParameters& parameters,
                    RnnActivation activation, const Variable& initial, const ScanOptions& options,
                    SourceLocation where) {
  const WhereScope scope(where, "rnn_sequence");
  CheckSequence<RnnSequenceOp>(1, x, parameters, {&initial}, where);
  RnnSequenceOp op;
  op.reverse = options.reverse;
  op.relu = activation == RnnActivation::kRelu;
  return RecordSequence(op, x, parameters, initial, {}, options, where);
}

}  // namespace wengert
