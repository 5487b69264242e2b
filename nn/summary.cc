#include "nn/summary.h"

#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "autograd/modes.h"
#include "autograd/op.h"

namespace wengert {
namespace {

// Stands for an input that is never given: the graph is recorded, not computed.
struct SummaryInputOp : Op<SummaryInputOp> {
  static constexpr std::string_view kName = "summary_input";
  static constexpr bool kDifferentiable = false;
  Spec spec;
  Spec Infer(VariableSpan) const { return spec; }
  void Forward(TensorSpan, Tensor&) const {
    throw Error(kName, "a summary computes nothing, so its model cannot read values");
  }
  static std::vector<OpCase> Cases() { return {}; }
};

double Flops(const Node& node) {
  const Tensor& out = node.outputs()[0];
  const double size = static_cast<double>(out.size());
  if (node.op->makes_outputs) return 0;  // views
  const VariableSpan in = node.inputs();
  if (node.op->name == "matmul") return 2 * size * static_cast<double>(in[0].dim(-1));
  if (node.op->name == "conv2d") {
    return 2 * size * static_cast<double>(in[1].size() / std::max<int64_t>(1, in[1].dim(-1)));
  }
  if (node.op->name == "conv2d_input_gradient") {  // a transposed convolution
    const int64_t reads = in[1].size() / std::max<int64_t>(1, in[1].dim(-1));
    return 2 * static_cast<double>(in[0].size()) * static_cast<double>(reads);
  }
  if (node.op->elementwise()) return size;
  double read = 0;  // reductions, pooling and the like: about one operation per element read
  for (const Variable& input : in) read = std::max(read, static_cast<double>(input.size()));
  return std::max(read, size);
}

// "conv1" of "conv1/weight".
std::string LayerOf(std::string_view path) {
  const size_t slash = path.rfind('/');
  return std::string(slash == std::string_view::npos ? path : path.substr(0, slash));
}

// 1,234,567 as users read it.
std::string Grouped(int64_t number) {
  const std::string digits = absl::StrCat(number);
  std::string grouped;
  for (size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && (digits.size() - i) % 3 == 0) grouped += ',';
    grouped += digits[i];
  }
  return grouped;
}

std::string Scaled(double value) {
  if (value < 1000) return absl::StrFormat("%.0f ", value);
  constexpr const char* kUnits[] = {"k", "M", "G", "T"};
  int unit = 0;
  for (value /= 1000; value >= 1000 && unit < 3; ++unit) value /= 1000;
  return absl::StrFormat("%.2f %s", value, kUnits[unit]);
}

}  // namespace

ModelSummary SummarizeGraph(absl::FunctionRef<Variable(const Variable&)> forward,
                            const Shape& input, DType dtype) {
  const EagerGuard lazy(false);
  const NoGradGuard no_grad;
  SummaryInputOp stand_in;
  stand_in.spec = {input, dtype};
  const Variable x = Apply(stand_in, {});
  const Variable y = forward(x);
  if (!y.defined() || y.node()->leaf()) return {};  // nothing is computed

  std::vector<const Node*> nodes{y.node()};
  absl::flat_hash_set<const Node*> seen{y.node()};
  for (size_t i = 0; i < nodes.size(); ++i) {
    for (const Variable& v : nodes[i]->inputs()) {
      if (!v.node()->leaf() && seen.insert(v.node()).second) nodes.push_back(v.node());
    }
  }
  std::sort(nodes.begin(), nodes.end(),
            [](const Node* a, const Node* b) { return a->sequence < b->sequence; });

  ModelSummary summary;
  absl::flat_hash_set<const Node*> counted;
  bool starts_with_view = false;  // of a parameter, as its op reads it
  for (const Node* node : nodes) {
    if (node == x.node()) continue;
    const std::string name = LayerOf(LayerPath(*node));
    // A layer's further ops (its bias) belong to its row.
    const bool continues =
        !name.empty() && !summary.layers.empty() && summary.layers.back().name == name;
    if (!continues) {
      summary.layers.push_back({.name = name, .op = std::string(node->op->name), .output = {}});
    }
    LayerSummary& layer = summary.layers.back();
    if (starts_with_view) layer.op = node->op->name;
    starts_with_view = node->op->makes_outputs && (starts_with_view || !continues);
    layer.output = node->outputs()[0].shape();
    layer.flops += Flops(*node);
    if (!node->op->makes_outputs) {
      for (int o = 0; o < node->num_outputs; ++o) {
        layer.activation_bytes += node->outputs()[o].bytes();
      }
    }
    for (const Variable& v : node->inputs()) {
      const bool parameter = v.node()->leaf() && v.node()->attributes_as<LeafAttributes>().name;
      if (parameter && counted.insert(v.node()).second) {
        layer.parameters += v.size();
        if (v.requires_grad()) summary.trained_parameters += v.size();
      }
    }
  }
  for (const LayerSummary& layer : summary.layers) {
    summary.parameters += layer.parameters;
    summary.flops += layer.flops;
    summary.activation_bytes += layer.activation_bytes;
  }
  return summary;
}

std::string ModelSummary::ToString() const {
  std::string table;
  const auto row = [&](std::string_view name, std::string_view op, std::string_view output,
                       std::string_view count, std::string_view flop_count,
                       std::string_view bytes) {
    absl::StrAppend(&table, absl::StrFormat("%-16s %-14s %-20s %12s %10s %14s\n", name, op, output,
                                            count, flop_count, bytes));
  };
  const auto bytes = [](int64_t n) { return Scaled(static_cast<double>(n)) + "B"; };
  row("layer", "op", "output", "parameters", "FLOPs", "activations");
  for (const LayerSummary& layer : layers) {
    row(layer.name, layer.op, wengert::ToString(layer.output), Grouped(layer.parameters),
        Scaled(layer.flops), bytes(layer.activation_bytes));
  }
  row("total", "", "", Grouped(parameters), Scaled(flops), bytes(activation_bytes));
  if (trained_parameters != parameters) row("trained", "", "", Grouped(trained_parameters), "", "");
  return table;
}

}  // namespace wengert
