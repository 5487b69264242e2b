// The weights of recurrent cells in the layouts of Keras, PyTorch and ONNX: round trips, the
// published equations of each, numbers from ONNX Runtime, and errors. What PyTorch computes with
// its weights is in recurrent_reference_test.
#include "nn/recurrent_layouts.h"

#include <cmath>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "nn/module.h"
#include "ops/ops.h"
#include "tests/tensor/thrown_message.h"

namespace wengert {
namespace {

using nn::ForeignWeights, nn::GruCell, nn::LstmCell, nn::RnnCell, nn::WeightLayout;

constexpr WeightLayout kLayouts[] = {WeightLayout::kKeras, WeightLayout::kPyTorch,
                                     WeightLayout::kOnnx};

Tensor Wave(const Shape& shape, double frequency, double phase, double scale = 1) {
  std::vector<float> values(static_cast<size_t>(NumElements(shape)));
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = static_cast<float>(scale * std::sin(frequency * static_cast<double>(i) + phase));
  }
  return Tensor::FromVector(values, shape);
}

template <class Cell>
void Randomize(Cell& cell, uint64_t seed) {
  Generator rng(seed);
  for (Parameter& p : Parameters(cell)) p.Set(Normal(p.shape(), rng));
}
template <class Cell>
void ExpectSame(Cell& a, Cell& b) {
  const std::vector<Parameter> left = Parameters(a), right = Parameters(b);
  ASSERT_EQ(left.size(), right.size());
  for (size_t i = 0; i < left.size(); ++i) {
    EXPECT_TRUE(BitwiseEqual(left[i].value(), right[i].value())) << left[i].name();
  }
}
template <class Cell>
void ExpectRoundTrip(const typename Cell::Variant& variant, WeightLayout layout) {
  Generator rng(1);
  Cell from({.in = 3, .hidden = 2}, variant, rng), to({.in = 3, .hidden = 2}, variant, rng);
  Randomize(from, 5);
  const ForeignWeights weights = ExportWeights(from, layout);
  ImportWeights(to, layout, weights);
  ExpectSame(from, to);
  const ForeignWeights again = ExportWeights(to, layout);
  EXPECT_TRUE(BitwiseEqual(again.weight_ih, weights.weight_ih));
  EXPECT_TRUE(BitwiseEqual(again.weight_hh, weights.weight_hh));
  EXPECT_TRUE(BitwiseEqual(again.bias, weights.bias));
  EXPECT_EQ(weights.bias_hh.defined(), layout == WeightLayout::kPyTorch);
}

TEST(RecurrentLayoutsTest, RoundTripsChangeNothing) {
  for (const WeightLayout layout : kLayouts) {
    SCOPED_TRACE(static_cast<int>(layout));
    ExpectRoundTrip<RnnCell>({}, layout);
    ExpectRoundTrip<LstmCell>({}, layout);
    ExpectRoundTrip<GruCell>({}, layout);
    if (layout != WeightLayout::kPyTorch) ExpectRoundTrip<GruCell>({.reset_after = false}, layout);
  }
}

TEST(RecurrentLayoutsTest, GatesStandInThePublishedOrder) {
  Generator rng(1);
  LstmCell lstm({.in = 1, .hidden = 1}, rng);
  lstm.weight_ih.Set(Tensor::FromVector<float>({1, 2, 3, 4}, {1, 4}));  // i, f, g, o
  lstm.bias.Set(Tensor::FromVector<float>({5, 6, 7, 8}));
  const auto values = [](const Tensor& t) { return t.ToVector<float>(); };
  using Floats = std::vector<float>;
  ForeignWeights w = ExportWeights(lstm, WeightLayout::kKeras);
  EXPECT_EQ(values(w.weight_ih), (Floats{1, 2, 3, 4}));  // i, f, c, o
  EXPECT_EQ(w.weight_ih.shape(), Shape({1, 4}));
  w = ExportWeights(lstm, WeightLayout::kPyTorch);
  EXPECT_EQ(values(w.weight_ih), (Floats{1, 2, 3, 4}));  // i, f, g, o
  EXPECT_EQ(w.weight_ih.shape(), Shape({4, 1}));
  EXPECT_EQ(values(w.bias_hh), (Floats{0, 0, 0, 0}));
  w = ExportWeights(lstm, WeightLayout::kOnnx);
  EXPECT_EQ(values(w.weight_ih), (Floats{1, 4, 2, 3}));  // i, o, f, c
  EXPECT_EQ(w.weight_ih.shape(), Shape({1, 4, 1}));
  EXPECT_EQ(values(w.bias), (Floats{5, 8, 6, 7, 0, 0, 0, 0}));
  EXPECT_EQ(w.bias.shape(), Shape({1, 8}));

  GruCell gru({.in = 1, .hidden = 1}, rng);
  gru.weight_ih.Set(Tensor::FromVector<float>({1, 2, 3}, {1, 3}));  // r, z, n
  gru.bias.Set(Tensor::FromVector<float>({5, 6, 7}));
  gru.bias_hn.Set(Tensor::FromVector<float>({9}));
  w = ExportWeights(gru, WeightLayout::kKeras);
  EXPECT_EQ(values(w.weight_ih), (Floats{2, 1, 3}));  // z, r, h
  EXPECT_EQ(values(w.bias), (Floats{6, 5, 7, 0, 0, 9}));
  EXPECT_EQ(w.bias.shape(), Shape({2, 3}));
  w = ExportWeights(gru, WeightLayout::kPyTorch);
  EXPECT_EQ(values(w.weight_ih), (Floats{1, 2, 3}));  // r, z, n
  EXPECT_EQ(values(w.bias_hh), (Floats{0, 0, 9}));
  w = ExportWeights(gru, WeightLayout::kOnnx);
  EXPECT_EQ(values(w.weight_ih), (Floats{2, 1, 3}));  // z, r, h
  EXPECT_EQ(values(w.bias), (Floats{6, 5, 7, 0, 0, 9}));
  GruCell before({.in = 1, .hidden = 1}, {.reset_after = false}, rng);
  EXPECT_EQ(ExportWeights(before, WeightLayout::kKeras).bias.shape(), Shape({3}));
}

// ONNX Runtime 1.31 (operators LSTM, GRU and RNN, opset 14) of W = Wave(., 0.7, 0.1),
// R = Wave(., 0.9, 0.3), B = Wave(., 1.3, 0.5), x = Wave(., 1.1, 0.2), transposed to [N, T, H].
const std::vector<double> kLstmOutputs = {0.2563863, -0.04262738, 0.256713,    0.1404966,
                                          0.0204269, 0.2970025,   0.2870163,   -0.0559188,
                                          0.2210272, 0.194901,    0.003952122, 0.3139738};
const std::vector<double> kGruOutputs = {-0.0398331,  0.1374272,   -0.1566211,  0.2764951,
                                         -0.07957011, -0.09878216, -0.0508472,  0.1056285,
                                         -0.1686631,  0.2310295,   -0.09741285, 0.07697685};
const std::vector<double> kGruBeforeOutputs = {0.02751351,  0.1429618, -0.005170897, 0.3175911,
                                               0.1625962,   0.143047,  0.01015479,   0.108294,
                                               0.002574786, 0.3337856, 0.1430435,    0.3380052};
const std::vector<double> kRnnOutputs = {0.8431741, 0.7613633, 0.8605859, 0.8476343,
                                         0.7898805, -0.501793, 0.8583208, 0.8674692,
                                         0.82616,   0.6591403, 0.7979386, -0.3462128};

template <class Cell>
void ExpectOnnx(const std::vector<double>& expected, const typename Cell::Variant& variant = {}) {
  constexpr int64_t kRows = 2, kSteps = 3, kIn = 2, kHidden = 2;
  Generator rng(1);
  Cell cell({.in = kIn, .hidden = kHidden}, variant, rng);
  const int64_t width = cell.weight_hh.shape()[1];
  ImportWeights(cell, WeightLayout::kOnnx,
                {.weight_ih = Wave({1, width, kIn}, 0.7, 0.1),
                 .weight_hh = Wave({1, width, kHidden}, 0.9, 0.3),
                 .bias = Wave({1, 2 * width}, 1.3, 0.5)});
  const std::vector<double> values =
      cell.Run(Wave({kRows, kSteps, kIn}, 1.1, 0.2), cell.Zero(kRows))
          .outputs.value()
          .template ToVector<double>();
  ASSERT_EQ(values.size(), expected.size());
  for (size_t i = 0; i < values.size(); ++i) EXPECT_NEAR(values[i], expected[i], 1e-6) << i;
}

TEST(RecurrentLayoutsTest, ImportedWeightsComputeWhatOnnxRuntimeDoes) {
  ExpectOnnx<LstmCell>(kLstmOutputs);
  ExpectOnnx<GruCell>(kGruOutputs);
  ExpectOnnx<GruCell>(kGruBeforeOutputs, {.reset_after = false});
  ExpectOnnx<RnnCell>(kRnnOutputs);
}

// Keras's GRU (keras.layers.GRUCell, use_bias), step by step in its own words.
TEST(RecurrentLayoutsTest, GruIsThatOfKeras) {
  constexpr int64_t kIn = 2, kUnits = 3;
  const auto sigmoid = [](double v) { return 1 / (1 + std::exp(-v)); };
  for (const bool reset_after : {true, false}) {
    Generator rng(1);
    GruCell cell({.in = kIn, .hidden = kUnits}, {.reset_after = reset_after}, rng);
    const Tensor kernel = Wave({kIn, 3 * kUnits}, 0.7, 0.1);
    const Tensor recurrent = Wave({kUnits, 3 * kUnits}, 0.9, 0.3);
    const Tensor bias =
        reset_after ? Wave({2, 3 * kUnits}, 1.3, 0.5) : Wave({3 * kUnits}, 1.3, 0.5);
    ImportWeights(cell, WeightLayout::kKeras,
                  {.weight_ih = kernel, .weight_hh = recurrent, .bias = bias});
    const Tensor x = Wave({1, kIn}, 1.1, 0.2), h = Wave({1, kUnits}, 0.8, 0.9);
    const std::vector<float> next = cell(x, {h}).h.value().ToVector<float>();
    // Column `unit` of gate z (0), r (1) or h (2) of a product.
    const auto product = [&](const Tensor& row, const Tensor& weight, int64_t gate, int64_t unit) {
      double sum = 0;
      for (int64_t k = 0; k < row.dim(1); ++k) {
        sum += row.at<double>({0, k}) * weight.at<double>({k, gate * kUnits + unit});
      }
      return sum;
    };
    const auto bias_at = [&](int64_t which, int64_t gate, int64_t unit) {
      const int64_t column = gate * kUnits + unit;
      if (reset_after) return bias.at<double>({which, column});
      return which == 0 ? bias.at<double>({column}) : 0;
    };
    const auto gate = [&](int64_t g, int64_t unit) {
      return sigmoid(product(x, kernel, g, unit) + bias_at(0, g, unit) +
                     product(h, recurrent, g, unit) + bias_at(1, g, unit));
    };
    Tensor reset = h.Clone();
    for (int64_t k = 0; k < kUnits; ++k) {
      reset.mutable_data<float>()[k] *= static_cast<float>(gate(1, k));
    }
    for (int64_t k = 0; k < kUnits; ++k) {
      const double z = gate(0, k), r = gate(1, k);
      const double from_h = reset_after ? r * (product(h, recurrent, 2, k) + bias_at(1, 2, k))
                                        : product(reset, recurrent, 2, k);
      const double hh = std::tanh(product(x, kernel, 2, k) + bias_at(0, 2, k) + from_h);
      EXPECT_NEAR(next[static_cast<size_t>(k)], z * h.at<double>({0, k}) + (1 - z) * hh, 1e-6);
    }
  }
}

TEST(RecurrentLayoutsTest, WithoutBiasesTheyAreZeros) {
  Generator rng(1);
  for (const WeightLayout layout : kLayouts) {
    GruCell cell({.in = 3, .hidden = 2}, rng);
    Randomize(cell, 3);
    ForeignWeights weights = ExportWeights(cell, layout);
    weights.bias = weights.bias_hh = Tensor();
    ImportWeights(cell, layout, weights);
    EXPECT_EQ(cell.bias.value().ToVector<float>(), std::vector<float>(6));
    EXPECT_EQ(cell.bias_hn.value().ToVector<float>(), std::vector<float>(2));
  }
}

void ExpectHas(const std::string& text, const std::string& part) {
  EXPECT_NE(text.find(part), std::string::npos) << "\"" << text << "\" lacks \"" << part << "\"";
}

TEST(RecurrentLayoutsTest, RefuseWhatDoesNotFitAndSetNothing) {
  Generator rng(1);
  LstmCell cell({.in = 3, .hidden = 2}, rng), same({.in = 3, .hidden = 2}, rng);
  Randomize(cell, 3), Randomize(same, 3);
  const auto refused = [&](const auto& change, const std::string& part) {
    ForeignWeights weights = ExportWeights(same, WeightLayout::kPyTorch);
    change(weights);
    NamedParameters(cell, "net");
    const std::string text =
        ThrownMessage([&] { ImportWeights(cell, WeightLayout::kPyTorch, weights); });
    ExpectHas(text, part);
    ExpectHas(text, absl::StrCat("(", __FILE__, ":", __LINE__ - 2, ", reading net/weight_ih)"));
    ExpectSame(cell, same);
  };
  refused([](ForeignWeights& w) { w.weight_ih = w.weight_ih.T(); },
          "[lstm] weight_ih must be float32[8,3], not float32[3,8]");
  refused([](ForeignWeights& w) { w.weight_hh = Tensor(); },
          "[lstm] weight_hh must be float32[8,2], not undefined");
  refused([](ForeignWeights& w) { w.weight_hh = w.weight_hh.To(DType::kFloat64); },
          "not float64[8,2]");
  refused(
      [](ForeignWeights& w) {
        w.bias = Tensor::Ones({2, 8});
      },
      "[lstm] bias must be float32[8], not float32[2,8]");
  refused([](ForeignWeights& w) { w.bias_hh = Tensor::Ones({4}); },
          "[lstm] bias_hh must be float32[8], not float32[4]");
  ForeignWeights keras = ExportWeights(same, WeightLayout::kKeras);
  keras.bias_hh = Tensor::Ones({8});
  ExpectHas(ThrownMessage([&] { ImportWeights(cell, WeightLayout::kKeras, keras); }),
            "[lstm] bias_hh is for PyTorch's layout");
  ExpectHas(ThrownMessage([&] { ImportWeights(cell, WeightLayout::kOnnx, keras); }),
            "[lstm] weight_ih must be float32[1,8,3], not float32[3,8]");
  GruCell before({.in = 3, .hidden = 2}, {.reset_after = false}, rng);
  ExpectHas(ThrownMessage([&] { ExportWeights(before, WeightLayout::kPyTorch); }),
            "[gru] PyTorch has no GRU that resets before the product");
  const RnnCell normalized({.in = 3, .hidden = 2, .layer_norm = true}, rng);
  ExpectHas(ThrownMessage([&] { ExportWeights(normalized, WeightLayout::kKeras); }),
            "[rnn] no other layout has the gains of layer_norm");
}

}  // namespace
}  // namespace wengert
