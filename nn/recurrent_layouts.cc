#include "nn/recurrent_layouts.h"

#include <string>
#include <type_traits>
#include <vector>

#include "absl/strings/str_cat.h"
#include "autograd/op.h"

namespace wengert::nn {
namespace {

constexpr int64_t kBiasGate = 2;  // n of a GRU: bias_hn is added inside its reset

// How one layout writes down one cell.
struct Form {
  std::string_view cell;
  int64_t in, hidden;
  DType dtype;
  std::vector<int64_t> order;                 // of gates: its k-th is our order[k]-th
  bool transposed;                            // [G H, in]
  bool leading_axis;                          // of one direction
  enum { kOne, kRows, kEnds, kPair } biases;  // one; [2, G H]; [1, 2 G H]; two tensors
  bool resets_after;                          // and has bias_hn

  int64_t width() const { return static_cast<int64_t>(order.size()) * hidden; }
  Shape Weight(int64_t rows) const {
    const Shape shape = transposed ? Shape{width(), rows} : Shape{rows, width()};
    return leading_axis ? Shape{1, shape[0], shape[1]} : shape;
  }
  Shape Bias() const {
    if (biases == kRows) return {2, width()};
    if (biases == kEnds) return {1, 2 * width()};
    return {width()};
  }
};

const Parameter& BiasHn(const GruCell& cell) { return cell.bias_hn; }
const Parameter& BiasHn(const RecurrentWeights&) {
  static const Parameter& none = *new Parameter();
  return none;
}

template <class Cell>
Form FormOf(const Cell& cell, WeightLayout layout) {
  if (cell.norm_hh.weight.defined()) {
    throw Error(Cell::kName, "no other layout has the gains of layer_norm");
  }
  Form form{.cell = Cell::kName,
            .in = cell.in(),
            .hidden = cell.hidden(),
            .dtype = cell.weight_hh.dtype(),
            .order = {0},
            .transposed = layout != WeightLayout::kKeras,
            .leading_axis = layout == WeightLayout::kOnnx,
            .biases = layout == WeightLayout::kPyTorch ? Form::kPair
                      : layout == WeightLayout::kOnnx  ? Form::kEnds
                                                       : Form::kOne,
            .resets_after = BiasHn(cell).defined()};
  if constexpr (std::is_same_v<Cell, LstmCell>) {
    form.order = {0, 1, 2, 3};
    if (layout == WeightLayout::kOnnx) form.order = {0, 3, 1, 2};
  }
  if constexpr (std::is_same_v<Cell, GruCell>) {
    form.order = {1, 0, 2};
    if (layout == WeightLayout::kPyTorch) form.order = {0, 1, 2};
    if (layout == WeightLayout::kPyTorch && !form.resets_after) {
      throw Error(Cell::kName, "PyTorch has no GRU that resets before the product");
    }
    if (layout == WeightLayout::kKeras && form.resets_after) form.biases = Form::kRows;
  }
  return form;
}

// [..., G H] with gate k taken from gate from[k].
Variable Reordered(const Variable& w, const std::vector<int64_t>& from, int64_t hidden) {
  std::vector<Variable> gates;
  for (const int64_t gate : from) gates.push_back(Narrow(w, -1, gate * hidden, hidden));
  return Concat(gates, -1);
}

// Two biases, in our order of gates.
struct Biases {
  Variable ih, hh;  // [G H]
};

Tensor Dense(const Variable& v) { return v.value().Contiguous(); }

ForeignWeights Export(const Form& form, const RecurrentWeights& cell, const Parameter& bias_hn) {
  const auto weight = [&](const Parameter& ours, int64_t rows) {
    const Variable ordered = Reordered(ours, form.order, form.hidden);
    return Dense(Reshape(form.transposed ? Transpose(ordered) : ordered, form.Weight(rows)));
  };
  Variable hh = Tensor::Zeros({form.width()}, form.dtype);
  if (bias_hn.defined()) hh = Embed(bias_hn, 0, form.width(), kBiasGate * form.hidden);
  const Biases biases{.ih = Reordered(cell.bias, form.order, form.hidden),
                      .hh = Reordered(hh, form.order, form.hidden)};
  ForeignWeights out{.weight_ih = weight(cell.weight_ih, form.in),
                     .weight_hh = weight(cell.weight_hh, form.hidden)};
  if (form.biases == Form::kRows || form.biases == Form::kEnds) {
    out.bias = Dense(Reshape(Concat(std::vector<Variable>{biases.ih, biases.hh}, 0), form.Bias()));
  } else {
    out.bias = Dense(biases.ih);
    if (form.biases == Form::kPair) out.bias_hh = Dense(biases.hh);
  }
  return out;
}

void Check(const Form& form, std::string_view name, const Tensor& t, const Shape& shape) {
  if (t.defined() && t.shape() == shape && t.dtype() == form.dtype) return;
  throw Error(form.cell,
              absl::StrCat(std::string(name), " must be ", std::string(Name(form.dtype)),
                           ToString(shape), ", not ",
                           t.defined() ? std::string(Name(t.dtype())) + ToString(t.shape())
                                       : std::string("undefined")));
}

void Import(const Form& form, const ForeignWeights& weights, RecurrentWeights& cell,
            Parameter bias_hn) {
  Check(form, "weight_ih", weights.weight_ih, form.Weight(form.in));
  Check(form, "weight_hh", weights.weight_hh, form.Weight(form.hidden));
  if (weights.bias.defined()) Check(form, "bias", weights.bias, form.Bias());
  if (weights.bias_hh.defined()) {
    if (form.biases != Form::kPair) throw Error(form.cell, "bias_hh is for PyTorch's layout");
    Check(form, "bias_hh", weights.bias_hh, form.Bias());
  }
  std::vector<int64_t> back(form.order.size());
  for (size_t k = 0; k < back.size(); ++k) {
    back[static_cast<size_t>(form.order[k])] = static_cast<int64_t>(k);
  }
  const auto weight = [&](const Tensor& theirs, int64_t rows) {
    const Variable matrix = form.transposed ? Transpose(Reshape(theirs, {form.width(), rows}))
                                            : Reshape(theirs, {rows, form.width()});
    return Dense(Reordered(matrix, back, form.hidden));
  };
  // One after the other as [2, G H], whatever they were.
  const Tensor zeros = Tensor::Zeros({form.width()}, form.dtype);
  Variable pair = weights.bias.defined() ? weights.bias : zeros;
  if (form.biases == Form::kOne || form.biases == Form::kPair) {
    const Variable second = weights.bias_hh.defined() ? weights.bias_hh : zeros;
    pair = Concat(std::vector<Variable>{pair, second}, 0);
  } else if (!weights.bias.defined()) {
    pair = Tensor::Zeros({2 * form.width()}, form.dtype);
  }
  pair = Reordered(Reshape(pair, {2, form.width()}), back, form.hidden);
  Variable ih = Narrow(pair, 0, 0, 1), hh = Narrow(pair, 0, 1, 1);
  Tensor hn;
  if (form.resets_after) {
    const int64_t at = kBiasGate * form.hidden;
    hn = Dense(Reshape(Narrow(hh, 1, at, form.hidden), {form.hidden}));
    hh = Embed(Narrow(hh, 1, 0, at), 1, form.width(), 0);
  }
  const Tensor weight_ih = weight(weights.weight_ih, form.in);
  const Tensor weight_hh = weight(weights.weight_hh, form.hidden);
  const Tensor bias = Dense(Reshape(ih + hh, {form.width()}));
  cell.weight_ih.Set(weight_ih), cell.weight_hh.Set(weight_hh), cell.bias.Set(bias);
  if (hn.defined()) bias_hn.Set(hn);
}

// f(), and on an error the place.
template <class F>
auto WithPlace(const RecurrentWeights& cell, SourceLocation where, const F& f) {
  try {
    return f();
  } catch (Error& error) {
    internal::RethrowWithPlace(error, {&cell.weight_ih.variable(), 1}, where);
  }
}

}  // namespace

template <class Cell>
ForeignWeights ExportWeights(const Cell& cell, WeightLayout layout, SourceLocation where) {
  return WithPlace(cell, where, [&] { return Export(FormOf(cell, layout), cell, BiasHn(cell)); });
}

template <class Cell>
void ImportWeights(Cell& cell, WeightLayout layout, const ForeignWeights& weights,
                   SourceLocation where) {
  WithPlace(cell, where, [&] { Import(FormOf(cell, layout), weights, cell, BiasHn(cell)); });
}

template ForeignWeights ExportWeights(const RnnCell&, WeightLayout, SourceLocation);
template ForeignWeights ExportWeights(const LstmCell&, WeightLayout, SourceLocation);
template ForeignWeights ExportWeights(const GruCell&, WeightLayout, SourceLocation);
template void ImportWeights(RnnCell&, WeightLayout, const ForeignWeights&, SourceLocation);
template void ImportWeights(LstmCell&, WeightLayout, const ForeignWeights&, SourceLocation);
template void ImportWeights(GruCell&, WeightLayout, const ForeignWeights&, SourceLocation);

}  // namespace wengert::nn
