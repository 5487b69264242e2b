// Recurrent layers against PyTorch 1.13 (torch.nn.LSTM, GRU and RNN, in float64, on packed
// sequences where there are lengths): values, states and gradients of x, of initial states and of
// weights. The weights come in PyTorch's layout, so this tests ImportWeights too.
#include <cmath>
#include <string>
#include <vector>

#include "autograd/grad.h"
#include "gtest/gtest.h"
#include "nn/recurrent.h"
#include "nn/recurrent_layouts.h"
#include "ops/ops.h"

namespace wengert {
namespace {

using nn::WeightLayout;

constexpr int64_t kRows = 3, kSteps = 4, kIn = 2, kHidden = 2;

// scale * sin(frequency i + phase) for the i-th element.
Tensor Wave(const Shape& shape, double frequency, double phase, double scale = 1) {
  std::vector<float> values(static_cast<size_t>(NumElements(shape)));
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = static_cast<float>(scale * std::sin(frequency * static_cast<double>(i) + phase));
  }
  return Tensor::FromVector(values, shape);
}

// Of cell c the weights in PyTorch's order are Wave(., 0.7, c + 0.3 j, 0.5), j = 0 to 3;
// x = Wave(., 1.1, 0.2), h = Wave(., 0.9, 0.4, 0.8), c = Wave(., 0.6, 1.4, 0.8), the states stacked
// by cell. The loss is the sum of outputs Wave(., 0.37, 0.1) + h Wave(., 0.53, 0.6) +
// c Wave(., 0.29, 0.9). `dots`: of each cell the gradients of weight_ih, weight_hh (in our layout)
// and bias (of a GRU bias_hn too), each times Wave(., 0.31, 0.2), added up.
struct Reference {
  std::vector<int64_t> lengths;
  std::vector<double> outputs, h, c, dx, dh, dc, dots;
};

const Reference kLstm = {
    .lengths = {},
    .outputs = {0.06667923, 0.06463114, -0.06910135, -0.1039644, -0.03583602, -0.296725,
                -0.1647355, -0.1528514, -0.02089816, -0.1702881, -0.0210999,  -0.3207906,
                -0.1688231, -0.1572284, -0.1315941,  -0.3621585, -0.07045459, -0.4198636,
                -0.2376329, -0.1973132, -0.1319117,  -0.4142343, -0.1242747,  -0.3479509},
    .h = {-0.1647355, -0.1528514, -0.1315941, -0.3621585, -0.1242747, -0.3479509},
    .c = {-0.5058669, -0.6203316, -0.5894104, -1.008414, -0.6227317, -1.273491},
    .dx = {0.0132423, 0.188052,  -0.06936453, 0.1254488,  -0.2312047,  0.08017608,
           0.1127175, 0.5084609, -0.02892166, -0.0283034, -0.06425932, -0.0473702,
           0.1393351, 0.2122968, -0.168532,   0.05074829, -0.1004093,  0.04575915,
           0.1145864, 0.3479553, -0.1635377,  0.1187887,  -0.2065848,  0.1637403},
    .dh = {0.0942693, 0.2395571, -0.03046618, -0.02370248, -0.03970471, 0.1058307},
    .dc = {0.4285089, 0.2130996, 0.1183805, -0.01269201, 0.3762132, 0.3199852},
    .dots = {-0.5928864, 0.4647131, 5.15213}};
const Reference kLstmDeep = {
    .lengths = {4, 1, 3},
    .outputs = {-0.1733413, 0.1235694,  0.1419486,   0.1500971,   -0.2802194, 0.1397512,
                0.09582841, 0.1822359,  -0.3193733,  0.1696547,   0.05438319, 0.2184588,
                -0.3404045, 0.09730401, -0.03267624, 0.2290439,   -0.1397525, -0.1961828,
                0.1579933,  0.3346604,  0,           0,           0,          0,
                0,          0,          0,           0,           0,          0,
                0,          0,          -0.2497574,  -0.05056517, 0.07379398, 0.202408,
                -0.3429204, 0.05243688, 0.0834036,   0.216823,    -0.3421853, 0.08472244,
                0.172236,   0.2284805,  0,           0,           0,          0},
    .h = {-0.1647355, -0.1528514, -0.02089816, -0.1702881,  -0.1319117, -0.4142343,
          -0.3080937, -0.3035368, -0.1722411,  -0.06447703, -0.2776565, -0.3717817,
          -0.3404045, 0.09730401, -0.1397525,  -0.1961828,  -0.3421853, 0.08472244,
          0.1419486,  0.1500971,  0.1579933,   0.3346604,   0.07379398, 0.202408},
    .c = {-0.5058669, -0.6203316, -0.06180879, -0.525394,  -0.7068284, -1.123363,
          -1.021948,  -0.6314514, -0.489864,   -0.1426666, -0.7776729, -0.588151,
          -0.6176159, 0.127147,   -0.2982292,  -0.2670463, -0.6039938, 0.1112299,
          0.2042976,  0.2109341,  0.2239852,   0.5029461,  0.1155856,  0.2670476},
    .dx = {-0.06662864, 0.04368247,  -0.06584181, 0.02027543,  -0.17757,    0.03322645,
           0.1638637,   0.523158,    -0.2409359,  -0.09373666, 0,           0,
           0,           0,           0,           0,           -0.09084287, -0.04686456,
           -0.1055068,  0.002512844, -0.1542989,  0.0426746,   0,           0},
    .dh = {0.034798,     0.1041631,   0.05594546,   0.2374509,   -0.04997059, 0.07973566,
           0.02622697,   0.04307062,  -0.2445866,   -0.249365,   0.05308282,  0.02650456,
           -0.004864488, -0.07069499, -0.1392851,   -0.07892347, -0.04935179, -0.04335195,
           -0.05186959,  0.06653176,  -0.006441994, -0.01702641, 0.003876916, -0.02176783},
    .dc = {0.1969442,  0.08460756,   0.9282128,  0.5960509,   0.3555427,   0.2164825,
           0.03039271, 9.562771e-05, -0.1593259, -0.1879092,  -0.2060293,  -0.1189244,
           0.08529934, 0.1319201,    -0.1404033, -0.09421253, -0.01706292, -0.0009298171,
           -0.1969511, -0.1254335,   0.01634978, 0.2602783,   0.09070521,  0.1516447},
    .dots = {0.7726177, 0.9106564, 3.902753, -0.9075715, -0.2711032, -0.854027, -0.1727827,
             0.4452064, -0.7100631, -0.1292428, 0.02655674, 1.374709}};
const Reference kGru = {
    .lengths = {2, 4, 3},
    .outputs = {0.06330331,  0.3561273,  -0.5469371, -0.3866394, -0.0875035, -0.08734826,
                -0.5365873,  -0.2496291, 0,          0,          0,          0,
                0,           0,          0,          0,          0.349084,   -0.28039,
                -0.5994512,  -0.650598,  0.2238643,  -0.4474222, -0.4730004, -0.5080639,
                0.005452274, -0.30507,   -0.2936126, -0.1246465, -0.0801776, -0.4698499,
                -0.03686123, -0.1924209, -0.433228,  -0.7984653, -0.5709558, -0.6159955,
                -0.4601153,  -0.6549401, -0.4566409, -0.3591019, -0.3998942, -0.7042034,
                -0.2519397,  -0.7454857, 0,          0,          0,          0},
    .h = {-0.0875035, -0.08734826, -0.0801776, -0.4698499, -0.3998942, -0.7042034, -0.5469371,
          -0.3866394, -0.5994512, -0.650598, -0.5709558, -0.6159955},
    .dx = {0.1400928, 0.3646127,   0.02102202,  0.2030661,   0,           0,
           0,         0,           0.004523977, 0.02128797,  -0.1622991,  -0.04083146,
           -0.124532, -0.09137132, -0.06873768, -0.07058436, -0.06561582, 0.03576727,
           0.5065086, 0.5842695,   -0.121396,   -0.03761996, 0,           0},
    .dh = {0.9258518, 0.7616608, 0.4027698, 0.379506, 0.4789647, 0.4872383, 0.4396029, 0.2146503,
           -0.4293555, -0.280685, 0.4775597, 0.03060804},
    .dots = {0.9899895, 0.7204779, 5.472203, 1.217187, 0.195374, -0.9927727, 0.7288557, 0.2617141}};
const Reference kGruDeep = {
    .lengths = {},
    .outputs = {-0.4845444, -0.2456775, -0.5982098,  -0.5416319, -0.6714196, -0.6861177,
                -0.7185608, -0.7620446, -0.03419942, -0.0610003, -0.3647804, -0.4478678,
                -0.5288744, -0.6329297, -0.6254925,  -0.7373766, -0.2514282, -0.7495668,
                -0.4236582, -0.8133255, -0.5393762,  -0.8468655, -0.6223152, -0.8624156},
    .h = {-0.174887, -0.2783487, -0.0801776, -0.4698499, -0.3093052, -0.7253781, -0.7185608,
          -0.7620446, -0.6254925, -0.7373766, -0.6223152, -0.8624156},
    .dx = {0.05020384,  0.1266207,    -0.01101182,  0.0299931,   -0.0839684,  -0.02689857,
           0.09837327,  0.2016707,    -0.004359634, -0.01091786, -0.03323728, -0.009088214,
           0.0532153,   0.09513887,   -0.07392737,  -0.02371126, -0.0203955,  0.002761982,
           -0.01456649, -0.002566226, -0.0263482,   0.00164543,  -0.04747913, 7.876814e-05},
    .dh = {0.3287668, 0.2806111, 0.02718897, -0.08541946, 0.1222478, -0.008437874, 0.5343297,
           0.5030253, -0.4812446, -0.3404422, 0.475555, 0.2456739},
    .dots = {0.1080321, 0.2117363, 2.981223, 0.6818632, -1.451922, -1.277707, -0.960232,
             -0.197677}};
const Reference kTanh = {
    .lengths = {4, 2, 1},
    .outputs = {0.8751605, 0.9570971, 0.9808539, 0.675113,  0.7979679, 0.9579304,  0.9253964,
                0.7466626, 0.7688656, 0.7502177, 0.7628388, 0.3841004, 0.8906381,  0.9797296,
                0.9280739, 0.6027418, 0.5242701, 0.8473785, 0.8821175, 0.7070355,  0.7711601,
                0.7313507, 0.7983069, 0.3612133, 0,         0,         0,          0,
                0,         0,         0,         0,         0.263703,  0.01039412, 0.3482075,
                0.3981728, 0,         0,         0,         0,         0,          0,
                0,         0,         0,         0,         0,         0},
    .h = {0.8906381, 0.9797296, 0.7711601, 0.7313507, 0.263703, 0.01039412, 0.9808539, 0.675113,
          0.8821175, 0.7070355, 0.3482075, 0.3981728},
    .dx = {0.03089111, 0.03951752, 0.1462065,  0.1975539,  -0.4006034, -0.1743718,
           -0.1946214, -0.1128739, 0.04333293, 0.09273927, 0.7464419,  0.7844806,
           0,          0,          0,          0,          -0.1008228, -0.3119759,
           0,          0,          0,          0,          0,          0},
    .dh = {0.03228225, 0.03595932, 0.1302188, 0.1523121, -0.2036902, -0.1914561, -0.1550609,
           -0.02054135, 0.276845, 0.06746977, -0.0003672468, -0.1697937},
    .dots = {-0.8085385, 2.254851, 0.5525384, -0.3869162, -0.2002184, 0.03560765}};
const Reference kRelu = {
    .lengths = {},
    .outputs = {2.458204,  1.007037,  4.503045, 1.607276, 5.544401, 2.024505, 6.993606, 2.312591,
                2.499571,  0.9370043, 3.651037, 1.472992, 5.426378, 1.82386,  6.352488, 2.209623,
                0.8220518, 0.8047408, 3.086792, 1.070235, 4.283145, 1.627972, 5.458015, 1.936556},
    .h = {2.043257, 3.16515, 1.784858, 2.390055, 1.65014, 1.990835, 6.993606, 2.312591, 6.352488,
          2.209623, 5.458015, 1.936556},
    .dx = {0.8947283,  1.371596,  0.8026069,   1.256541,   0.5010255,  0.8592701,
           0.4739739,  0.5629066, -1.127703,   -1.705879,  -1.038562,  -1.633161,
           -0.6167692, -1.043277, -0.06124381, -0.1319804, 0.7988705,  1.192125,
           0.7913263,  1.257539,  0.5763083,   0.8912428,  0.09063151, 0.3811463},
    .dh = {1.170036, 1.38113, -1.46421, -1.710895, 1.029763, 1.190679, 0.7104755, 0.3587518,
           -0.8050634, -0.4344204, 0.4428787, 0.2292684},
    .dots = {4.520857, 11.35674, 2.948886, 0.5692133, -7.364614, 0.5223641}};

void ExpectNear(const Variable& v, const std::vector<double>& expected, const std::string& what) {
  const std::vector<double> values = v.value().ToVector<double>();
  ASSERT_EQ(values.size(), expected.size()) << what;
  for (size_t i = 0; i < values.size(); ++i) {
    EXPECT_NEAR(values[i], expected[i], 2e-6 * (1 + std::abs(expected[i]))) << what << " " << i;
  }
}

std::vector<Variable*> Parts(nn::HiddenState& state) { return {&state.h}; }
std::vector<Variable*> Parts(LstmState& state) { return {&state.h, &state.c}; }

template <class Layer>
void ExpectIs(const Reference& reference, const typename Layer::Options& options) {
  Generator rng(1);
  Layer layer(options, rng);
  for (size_t c = 0; c < layer.cells.size(); ++c) {
    auto& cell = layer.cells[c];
    const int64_t width = cell.weight_hh.shape()[1];
    const auto wave = [&](const Shape& shape, int j) {
      return Wave(shape, 0.7, static_cast<double>(c) + 0.3 * j, 0.5);
    };
    ImportWeights(cell, WeightLayout::kPyTorch,
                  {.weight_ih = wave({width, cell.in()}, 0),
                   .weight_hh = wave({width, kHidden}, 1),
                   .bias = wave({width}, 2),
                   .bias_hh = wave({width}, 3)});
  }
  const auto count = static_cast<int64_t>(layer.cells.size());
  const Variable x = DifferentiableLeaf(Wave({kRows, kSteps, kIn}, 1.1, 0.2));
  const std::vector<Variable> initial = {
      DifferentiableLeaf(Wave({count, kRows, kHidden}, 0.9, 0.4, 0.8)),
      DifferentiableLeaf(Wave({count, kRows, kHidden}, 0.6, 1.4, 0.8))};
  typename Layer::Call call;
  if (!reference.lengths.empty()) call.lengths = Tensor::FromVector(reference.lengths);
  for (int64_t c = 0; c < count; ++c) {
    call.initial.emplace_back();
    const std::vector<Variable*> parts = Parts(call.initial.back());
    for (size_t p = 0; p < parts.size(); ++p) {
      *parts[p] = Squeeze(Narrow(initial[p], 0, c, 1), 0);
    }
  }
  typename Layer::Output out = layer(x, call);
  std::vector<std::vector<Variable>> states(2);  // h, then c, of each cell
  for (auto& state : out.states) {
    const std::vector<Variable*> parts = Parts(state);
    for (size_t p = 0; p < parts.size(); ++p) states[p].push_back(*parts[p]);
  }
  ExpectNear(out.sequence, reference.outputs, "outputs");
  const Variable h = Stack(states[0]);
  ExpectNear(h, reference.h, "h");
  Variable loss = Sum(out.sequence * Wave(out.sequence.shape(), 0.37, 0.1)) +
                  Sum(h * Wave(h.shape(), 0.53, 0.6));
  if (!reference.c.empty()) {
    const Variable c = Stack(states[1]);
    ExpectNear(c, reference.c, "c");
    loss = loss + Sum(c * Wave(c.shape(), 0.29, 0.9));
    ExpectNear(Grad(loss, initial[1]), reference.dc, "dc");
  }
  ExpectNear(Grad(loss, x), reference.dx, "dx");
  ExpectNear(Grad(loss, initial[0]), reference.dh, "dh");
  std::vector<Variable> dots;
  for (auto& cell : layer.cells) {
    std::vector<Parameter> parameters = {cell.weight_ih, cell.weight_hh, cell.bias};
    if constexpr (requires { cell.bias_hn; }) parameters.push_back(cell.bias_hn);
    for (const Parameter& p : parameters) {
      dots.push_back(Sum(Grad(loss, p) * Wave(p.shape(), 0.31, 0.2)));
    }
  }
  ExpectNear(Stack(dots), reference.dots, "gradient of weights");
}

TEST(RecurrentReferenceTest, LstmIsThatOfPyTorch) {
  ExpectIs<nn::Lstm>(kLstm, {.in = kIn, .hidden = kHidden});
  ExpectIs<nn::Lstm>(kLstmDeep, {.in = kIn, .hidden = kHidden, .layers = 2, .bidirectional = true});
}

TEST(RecurrentReferenceTest, GruIsThatOfPyTorch) {
  ExpectIs<nn::Gru>(kGru, {.in = kIn, .hidden = kHidden, .bidirectional = true});
  ExpectIs<nn::Gru>(kGruDeep, {.in = kIn, .hidden = kHidden, .layers = 2});
}

TEST(RecurrentReferenceTest, RnnIsThatOfPyTorch) {
  ExpectIs<nn::Rnn>(kTanh, {.in = kIn, .hidden = kHidden, .bidirectional = true});
  ExpectIs<nn::Rnn>(
      kRelu,
      {.in = kIn, .hidden = kHidden, .layers = 2, .variant = {.activation = RnnActivation::kRelu}});
}

}  // namespace
}  // namespace wengert
