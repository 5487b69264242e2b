// Misuses of layers, of models and of initializers.
#include "tests/misuse/misuse.h"

namespace wengert {
namespace {

nn::Dense Hidden() { return Named("network/hidden", nn::Dense({.in = 4, .out = 3}, Rng())); }
nn::Conv2d Conv() { return Named("net/conv", nn::Conv2d({.in = 3, .out = 4, .kernel = 3}, Rng())); }
nn::MultiHeadAttention Attention() {
  return Named("net/attention", nn::MultiHeadAttention({.size = 8, .heads = 2}, Rng()));
}
nn::Lstm Lstm() { return Named("net/lstm", nn::Lstm({.in = 3, .hidden = 4}, Rng())); }

const std::vector<Misuse>& LayerRows() {
  static const auto& rows = *new std::vector<Misuse>{
      OP_MISUSE("DenseOfFeatures", Hidden()(Reals({2, 5})), "[matmul]", "[2,5]", "[4,3]"),
      OP_MISUSE("DenseOfOneExample", Hidden()(Reals({4})), "[matmul]", "rank 2", "[4]", "[4,3]"),
      MISUSE("DenseOfFeaturesNamesTheWeight", Hidden()(Reals({2, 5})),
             "layers.cc:", "in dense, reading network/hidden/weight)"),
      MISUSE("DenseInAModelNamesTheWeight",
             Named("net", nn::Sequential(nn::Flatten(), nn::Dense({.in = 9, .out = 2}, Rng())))(
                 Reals({2, 2, 2})),
             "[matmul]", "[2,4]", "[9,2]",
             "layers.cc:", "in sequential > dense, reading net/1/weight)"),
      MISUSE("ConvOfChannelsNamesTheWeight", Conv()(Reals({2, 8, 8, 1})),  //
             "[conv2d]", "[2,8,8,1]", "[3,3,3,4]", "layers.cc:", "reading net/conv/weight)"),
      OP_MISUSE("ConvOfOneImage", Conv()(Reals({8, 8, 3})), "[conv2d]", "[8,8,3]"),
      OP_MISUSE("UnflattenToAnotherSize", (nn::Unflatten{{2, 2}}(Reals({3, 5}))), "[reshape]",
                "[3,5]", "[3,2,2]"),
      OP_MISUSE("ActivationWithoutAFunction", nn::Activation()(Reals({2})),  //
                "[activation]", "no function"),
      OP_MISUSE("EmbeddingOfFloats",
                Named("net/words", nn::Embedding({.count = 5, .size = 2}, Rng()))(Reals({2})),
                "[gather]", "float32", "int64 or int32"),
      MISUSE(
          "EmbeddingBeyondTheCountNamesTheWeight",
          Named("net/words", nn::Embedding({.count = 5, .size = 2}, Rng()))(Integers({5})).value(),
          "index 5 at [0]", "5 entries", "layers.cc:", "reading net/words/weight)"),
      OP_MISUSE("DropoutOfPercent", nn::Dropout{50}(Reals({2})), "[dropout]", "50"),
      OP_MISUSE("SpatialDropoutOfAMatrix", nn::SpatialDropout{0.5}(Reals({2, 3})),  //
                "[spatial_dropout]", "[2,3]"),
      OP_MISUSE("AlphaDropoutOfPercent", nn::AlphaDropout{5}(Reals({2})), "[alpha_dropout]", "5"),
      OP_MISUSE("LayerNormOfFeatures", nn::LayerNorm({.size = 4})(Reals({2, 3})),  //
                "[layer_norm]", "[2,3]", "4"),
      OP_MISUSE("LayerNormThatIsUnset", nn::LayerNorm()(Reals({2, 3})), "[layer_norm]", "[2,3]"),
      OP_MISUSE("RmsNormOfFeatures", nn::RmsNorm({.size = 4})(Reals({2, 3})),  //
                "[rms_norm]", "[2,3]", "4"),
      OP_MISUSE("GroupNormOfFeatures", nn::GroupNorm({.size = 4, .groups = 2})(Reals({2, 3})),  //
                "[group_norm]", "[2,3]", "4"),
      OP_MISUSE("BatchNormOfFeatures", nn::BatchNorm({.size = 4})(Reals({2, 3})),  //
                "[batch_norm]", "[2,3]", "4"),
      MISUSE("BatchNormNamesTheWeight",
             Named("net/norm", nn::BatchNorm({.size = 4}))(Reals({2, 3})), "[batch_norm]",
             "layers.cc:", "reading net/norm/running_mean)"),
      OP_MISUSE("AttentionOfFeatures", Attention()(Reals({2, 5, 6})),  //
                "[multi_head_attention]", "[2,5,6]", "8"),
      OP_MISUSE("AttentionOfOneSequence", Attention()(Reals({5, 8})),  //
                "[multi_head_attention]", "[5,8]"),
      OP_MISUSE("AttentionToAnotherBatch", Attention()(Reals({2, 5, 8}), Reals({3, 5, 8})),  //
                "[multi_head_attention]", "[2,5,8]", "[3,5,8]"),
      OP_MISUSE("ResidualOfAnotherShape", nn::Residual(Hidden())(Reals({2, 4})),  //
                "[residual]", "[2,3]", "[2,4]"),
      OP_MISUSE("ConcatenateOfShapes",
                nn::Concatenate(0, Hidden(), nn::Identity())(Reals({2, 4})),  //
                "[concat]", "[2,3]", "[2,4]"),
      OP_MISUSE("UpsampleByZero", nn::Upsample{0}(Reals({1, 2, 2, 1})), "[upsample]", "0"),
      OP_MISUSE("UpsampleOfASequence", nn::Upsample()(Reals({1, 2, 2})), "[upsample]", "[1,2,2]"),
      OP_MISUSE("LstmOfOneSequence", Lstm()(Reals({5, 3})), "[lstm]", "[N, T, 3]", "[5,3]"),
      MISUSE("LstmOfFeaturesNamesTheWeight", Lstm()(Reals({2, 5, 7})),  //
             "[lstm", "[2,5,7]", "layers.cc:", "reading net/lstm/cells/0/weight_ih)"),
      OP_MISUSE("LstmOfTooManyStates",
                Lstm()(Reals({2, 5, 3}), {.initial = {LstmState(), LstmState()}}),  //
                "[lstm]", "2", "1"),
      OP_MISUSE("LstmOfUndefinedStates", Lstm()(Reals({2, 5, 3}), {.initial = {LstmState()}}),  //
                "[lstm", "undefined"),
      OP_MISUSE("LstmOfLengthsBeyondTheSteps",
                Lstm()(Reals({2, 5, 3}), {.lengths = Tensor::FromVector<int64_t>({5, 6})}),  //
                "[lstm", "6", "5"),
      OP_MISUSE("GruCellOfFeatures",
                nn::GruCell({.in = 3, .hidden = 4}, Rng())(Reals({2, 7}), {Reals({2, 4})}),
                "[matmul]", "[2,7]", "[3,12]"),
      OP_MISUSE("RnnCellOfAnotherState",
                nn::RnnCell({.in = 3, .hidden = 4}, Rng())(Reals({2, 3}), {Reals({2, 5})}),
                "[matmul]", "[2,5]", "[4,4]"),
  };
  return rows;
}
MISUSES(Layers, LayerRows());

const std::vector<Misuse>& ConstructorRows() {
  static const auto& rows = *new std::vector<Misuse>{
      MISUSE("DenseWithoutAnInput", nn::Dense({.out = 3}, Rng()), "[dense]", "in = 0"),
      MISUSE("ConvOfGroupsThatDoNotDivide",
             nn::Conv2d({.in = 3, .out = 4, .kernel = 3, .groups = 2}, Rng()),  //
             "[conv2d]", "groups", "3"),
      MISUSE("Conv1dWithoutAKernel", nn::Conv1d({.in = 3, .out = 4}, Rng()),  //
             "[conv1d]", "kernel = 0"),
      MISUSE("ConvTransposeOfGroups",
             nn::ConvTranspose2d({.in = 4, .out = 3, .kernel = 3, .groups = 2}, Rng()),  //
             "[conv_transpose2d]", "groups", "3"),
      MISUSE("DepthwiseConvOfMultiplierZero",
             nn::DepthwiseConv2d({.in = 4, .kernel = 3, .multiplier = 0}, Rng()),  //
             "[depthwise_conv2d]", "multiplier = 0"),
      MISUSE("EmbeddingOfPaddingBeyondTheCount",
             nn::Embedding({.count = 5, .size = 2, .padding_index = 5}, Rng()),  //
             "[embedding]", "padding_index = 5", "5"),
      MISUSE("AttentionOfHeadsThatDoNotDivide",
             nn::MultiHeadAttention({.size = 8, .heads = 3}, Rng()), "[multi_head_attention]", "3 heads", "size = 8"),
      MISUSE("LayerNormOfSizeZero", nn::LayerNorm({.size = 0}), "[layer_norm]", "size = 0"),
      MISUSE("LayerNormOfNegativeEpsilon", nn::LayerNorm({.size = 2, .epsilon = -1}),  //
             "[layer_norm]", "epsilon", "-1"),
      MISUSE("GroupNormOfGroups", nn::GroupNorm({.size = 4, .groups = 3}),  //
             "[group_norm]", "3 groups", "4"),
      MISUSE("BatchNormOfMomentum", nn::BatchNorm({.size = 4, .momentum = 99}),  //
             "[batch_norm]", "momentum = 99", "[0, 1]"),
      MISUSE("LstmOfNoLayers", nn::Lstm({.in = 3, .hidden = 4, .layers = 0}, Rng()),  //
             "[lstm]", "layers = 0"),
      MISUSE("LstmOfDropoutInPercent", nn::Lstm({.in = 3, .hidden = 4, .dropout = 20}, Rng()),  //
             "[lstm]", "dropout = 20", "[0, 1)"),
      MISUSE("GruOfBothDirectionsInReverse",
             nn::Gru({.in = 3, .hidden = 4, .bidirectional = true, .reverse = true}, Rng()),  //
             "[gru]", "bidirectional", "reverse"),
      MISUSE("GruCellOfLayerNormThatResetsBefore",
             nn::GruCell({.in = 3, .hidden = 4, .layer_norm = true}, {.reset_after = false}, Rng()),
             "[gru]", "layer_norm", "reset_after"),
      MISUSE("DenseWithAnInitializerOfAnotherShape",
             nn::Dense({.in = 2,
                        .out = 3,
                        .initializer = [](const Shape&,
                                          Generator&) { return Tensor::Zeros({3, 2}); }},
                       Rng()),
             "[dense]", "[3,2]", "[2,3]"),
      MISUSE("DenseWithANullInitializer",
             nn::Dense({.in = 2, .out = 3, .initializer = nullptr}, Rng()),  //
             "[dense]", "initializer"),
      MISUSE("GlorotOfAVector", nn::GlorotUniform({3}, Rng()), "[initializer]", "rank 2", "[3]"),
      MISUSE("HeOfAScalar", nn::HeNormal({}, Rng()), "[initializer]", "rank 2", "[]"),
      MISUSE("OrthogonalOfAVector", nn::Orthogonal({3}, Rng()), "[initializer]", "rank 2", "[3]"),
      MISUSE("EyeOfAKernel", nn::Eye({3, 3, 1, 1}, Rng()), "[initializer]", "rank 2", "[3,3,1,1]"),
      MISUSE("TruncatedNormalOfNegativeDeviation", nn::TruncatedNormal(-1), "[initializer]", "-1"),
      MISUSE("ScaledOfANullInitializer", nn::Scaled(nullptr, 2)({2, 2}, Rng()),  //
             "[initializer]", "null"),
      MISUSE("ImportOfAnotherShape",
             [] {
               nn::LstmCell cell({.in = 3, .hidden = 4}, Rng());
               nn::ImportWeights(
                   cell, nn::WeightLayout::kPyTorch,
                   {.weight_ih = Tensor::Zeros({3, 16}), .weight_hh = Tensor::Zeros({16, 4})});
             }(), "[lstm]", "weight_ih", "[16,3]", "[3,16]"),
      MISUSE("SummaryOfAModelThatReadsValues",
             SummarizeGraph(
                 [](const Variable& x) {
                   return x.item<float>() > 0 ? x : -x;
                 },
                 {1}), "a summary computes nothing", "read"),
  };
  return rows;
}
MISUSES(Constructors, ConstructorRows());

}  // namespace
}  // namespace wengert
