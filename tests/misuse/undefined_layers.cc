// Undefined Variables, in each place of every recurrence, loss, layer and transform.
#include "tests/misuse/undefined.h"

namespace wengert {
namespace {

RecurrentParameters Weights() { return {Reals({4, 2}), Reals({2, 2}), Reals({2})}; }
RecurrentParameters WithoutInputWeights() { return {kNo, Reals({2, 2}), Reals({2})}; }
RecurrentParameters WithoutHiddenWeights() { return {Reals({4, 2}), kNo, Reals({2})}; }
RecurrentParameters WithoutBias() { return {Reals({4, 2}), Reals({2, 2}), kNo}; }
LstmState NoState() { return {kNo, kNo}; }
std::vector<Variable> Same(const Variable&, const std::vector<Variable>& state) { return state; }
std::vector<Variable> Lost(const Variable&, const std::vector<Variable>&) { return {kNo}; }

const std::vector<Misuse>& Recurrence() {
  static const auto& rows = *new std::vector<Misuse>{
      UNDEFINED("sequence_mask", "SequenceMask", SequenceMask(kNo, 2)),
      UNDEFINED("clear_padding", "ClearPadding",
                ClearPadding(kNo, Tensor::FromVector<int64_t>({1, 1}))),
      UNDEFINED("scan", "ScanX", Scan(kNo, {Some()}, Same)),
      UNDEFINED("scan", "ScanState", Scan(Steps(), {kNo}, Same)),
      UNDEFINED("scan", "ScanStep", Scan(Steps(), {Some()}, Lost)),
      UNDEFINED("lstm_step", "LstmStepGates", LstmStep(kNo, Some())),
      UNDEFINED("lstm_step", "LstmStepC", LstmStep(Reals({2, 8}), kNo)),
      UNDEFINED("gru_step", "GruStepX", GruStep(kNo, Reals({2, 6}), Some())),
      UNDEFINED("gru_step", "GruStepH", GruStep(Reals({2, 6}), kNo, Some())),
      UNDEFINED("gru_step", "GruStepState", GruStep(Reals({2, 6}), Reals({2, 6}), kNo)),
      UNDEFINED_IN("gru_step_reset_before", "ResetBeforeX",
                   GruStepResetBefore(kNo, Some(), Reals({2, 6}))),
      UNDEFINED_IN("gru_step_reset_before", "ResetBeforeH",
                   GruStepResetBefore(Reals({2, 6}), kNo, Reals({2, 6}))),
      UNDEFINED_IN("gru_step_reset_before", "ResetBeforeWeights",
                   GruStepResetBefore(Reals({2, 6}), Some(), kNo)),
      UNDEFINED("lstm_sequence", "LstmSequenceX", LstmSequence(kNo, Weights(), NoState())),
      UNDEFINED("lstm_sequence", "LstmSequenceState",
                LstmSequence(Steps(), {Reals({4, 8}), Reals({2, 8}), Reals({8})}, NoState())),
      UNDEFINED("gru_sequence", "GruSequenceX", GruSequence(kNo, Weights(), kNo, Some())),
      UNDEFINED("gru_sequence", "GruSequenceState",
                GruSequence(Steps(), {Reals({4, 6}), Reals({2, 6}), Reals({6})}, kNo, kNo)),
      UNDEFINED("rnn_sequence", "RnnSequenceX", RnnSequence(kNo, Weights(), {}, Some())),
      UNDEFINED("rnn_sequence", "RnnSequenceInputWeights",
                RnnSequence(Steps(), WithoutInputWeights(), {}, Some())),
      UNDEFINED("rnn_sequence", "RnnSequenceHiddenWeights",
                RnnSequence(Steps(), WithoutHiddenWeights(), {}, Some())),
      UNDEFINED("rnn_sequence", "RnnSequenceBias", RnnSequence(Steps(), WithoutBias(), {}, Some())),
      UNDEFINED("rnn_sequence", "RnnSequenceState", RnnSequence(Steps(), Weights(), {}, kNo)),
  };
  return rows;
}
MISUSES(UndefinedRecurrence, Recurrence());

const std::vector<Misuse>& Losses() {
  static const auto& rows = *new std::vector<Misuse>{
      UNDEFINED("softmax_cross_entropy", "SoftmaxLogits", SoftmaxCrossEntropy(kNo, Rows())),
      UNDEFINED("softmax_cross_entropy", "SoftmaxLabels", SoftmaxCrossEntropy(Some(), kNo)),
      UNDEFINED("softmax_cross_entropy_rows", "RowsLogits", SoftmaxCrossEntropyRows(kNo, Some())),
      UNDEFINED("softmax_cross_entropy_rows", "RowsTargets", SoftmaxCrossEntropyRows(Some(), kNo)),
      UNDEFINED("ctc_loss", "CtcLogits", CtcLoss(kNo, Tensor::Ones({2, 1}, DType::kInt64))),
      UNDEFINED("ctc_loss", "CtcLabels", CtcLoss(Steps(), Tensor())),
      UNDEFINED("sparse_categorical_cross_entropy", "SparseProbabilities",
                SparseCategoricalCrossEntropy(kNo, Rows())),
      UNDEFINED("sparse_categorical_cross_entropy", "SparseLabels",
                SparseCategoricalCrossEntropy(Some(), kNo)),
      UNDEFINED("categorical_cross_entropy", "CategoricalCrossEntropyPrediction",
                CategoricalCrossEntropy(kNo, Some())),
      UNDEFINED("categorical_cross_entropy", "CategoricalCrossEntropyTarget",
                CategoricalCrossEntropy(Some(), kNo)),
      UNDEFINED("kl_divergence", "KlDivergencePrediction", KlDivergence(kNo, Some())),
      UNDEFINED("kl_divergence", "KlDivergenceTarget", KlDivergence(Some(), kNo)),
      UNDEFINED("categorical_hinge_loss", "CategoricalHingeLossPrediction",
                CategoricalHingeLoss(kNo, Some())),
      UNDEFINED("categorical_hinge_loss", "CategoricalHingeLossTarget",
                CategoricalHingeLoss(Some(), kNo)),
      UNDEFINED("cosine_similarity_loss", "CosineSimilarityLossPrediction",
                CosineSimilarityLoss(kNo, Some())),
      UNDEFINED("cosine_similarity_loss", "CosineSimilarityLossTarget",
                CosineSimilarityLoss(Some(), kNo)),
      UNDEFINED("sigmoid_cross_entropy", "SigmoidCrossEntropyPrediction",
                SigmoidCrossEntropy(kNo, Some())),
      UNDEFINED("sigmoid_cross_entropy", "SigmoidCrossEntropyTarget",
                SigmoidCrossEntropy(Some(), kNo)),
      UNDEFINED("binary_cross_entropy", "BinaryCrossEntropyPrediction",
                BinaryCrossEntropy(kNo, Some())),
      UNDEFINED("binary_cross_entropy", "BinaryCrossEntropyTarget",
                BinaryCrossEntropy(Some(), kNo)),
      UNDEFINED("hinge_loss", "HingeLossPrediction", HingeLoss(kNo, Some())),
      UNDEFINED("hinge_loss", "HingeLossTarget", HingeLoss(Some(), kNo)),
      UNDEFINED("squared_hinge_loss", "SquaredHingeLossPrediction", SquaredHingeLoss(kNo, Some())),
      UNDEFINED("squared_hinge_loss", "SquaredHingeLossTarget", SquaredHingeLoss(Some(), kNo)),
      UNDEFINED("mean_squared_error", "MeanSquaredErrorPrediction", MeanSquaredError(kNo, Some())),
      UNDEFINED("mean_squared_error", "MeanSquaredErrorTarget", MeanSquaredError(Some(), kNo)),
      UNDEFINED("mean_absolute_error", "MeanAbsoluteErrorPrediction",
                MeanAbsoluteError(kNo, Some())),
      UNDEFINED("mean_absolute_error", "MeanAbsoluteErrorTarget", MeanAbsoluteError(Some(), kNo)),
      UNDEFINED("huber_loss", "HuberLossPrediction", HuberLoss(kNo, Some())),
      UNDEFINED("huber_loss", "HuberLossTarget", HuberLoss(Some(), kNo)),
      UNDEFINED("log_cosh_loss", "LogCoshLossPrediction", LogCoshLoss(kNo, Some())),
      UNDEFINED("log_cosh_loss", "LogCoshLossTarget", LogCoshLoss(Some(), kNo)),
      UNDEFINED("poisson_loss", "PoissonLossPrediction", PoissonLoss(kNo, Some())),
      UNDEFINED("poisson_loss", "PoissonLossTarget", PoissonLoss(Some(), kNo)),
  };
  return rows;
}
MISUSES(UndefinedLosses, Losses());

Generator& Seed() { return Rng(); }
nn::CellOptions Cell() { return {.in = 4, .hidden = 2}; }

const std::vector<Misuse>& Layers() {
  static const auto& rows = *new std::vector<Misuse>{
      UNDEFINED_IN("dense", "Dense", nn::Dense({.in = 2, .out = 2}, Seed())(kNo)),
      UNDEFINED_IN("sequential > dense", "Sequential",
                   nn::Sequential(nn::Dense({.in = 2, .out = 2}, Seed()))(kNo)),
      UNDEFINED("conv2d", "Conv2d", nn::Conv2d({.in = 2, .out = 2, .kernel = 1}, Seed())(kNo)),
      UNDEFINED("conv1d", "Conv1d", nn::Conv1d({.in = 2, .out = 2, .kernel = 1}, Seed())(kNo)),
      UNDEFINED("depthwise_conv2d", "DepthwiseConv2d",
                nn::DepthwiseConv2d({.in = 2, .kernel = 1}, Seed())(kNo)),
      UNDEFINED("conv_transpose2d", "ConvTranspose2d",
                nn::ConvTranspose2d({.in = 2, .out = 2, .kernel = 1}, Seed())(kNo)),
      UNDEFINED("conv_transpose1d", "ConvTranspose1d",
                nn::ConvTranspose1d({.in = 2, .out = 2, .kernel = 1}, Seed())(kNo)),
      UNDEFINED("max_pool2d", "MaxPool2d", nn::MaxPool2d()(kNo)),
      UNDEFINED("avg_pool2d", "AvgPool2d", nn::AvgPool2d()(kNo)),
      UNDEFINED("max_pool1d", "MaxPool1d", nn::MaxPool1d()(kNo)),
      UNDEFINED("avg_pool1d", "AvgPool1d", nn::AvgPool1d()(kNo)),
      UNDEFINED("adaptive_max_pool2d", "AdaptiveMaxPool2d", (nn::AdaptiveMaxPool2d{1, 1}(kNo))),
      UNDEFINED("adaptive_avg_pool2d", "AdaptiveAvgPool2d", (nn::AdaptiveAvgPool2d{1, 1}(kNo))),
      UNDEFINED("global_max_pool2d", "GlobalMaxPool2d", nn::GlobalMaxPool2d()(kNo)),
      UNDEFINED("global_avg_pool2d", "GlobalAvgPool2d", nn::GlobalAvgPool2d()(kNo)),
      UNDEFINED("global_max_pool1d", "GlobalMaxPool1d", nn::GlobalMaxPool1d()(kNo)),
      UNDEFINED("global_avg_pool1d", "GlobalAvgPool1d", nn::GlobalAvgPool1d()(kNo)),
      UNDEFINED("resize", "Resize", (nn::Resize{2, 2}(kNo))),
      UNDEFINED("upsample", "Upsample", nn::Upsample()(kNo)),
      UNDEFINED("flatten", "Flatten", nn::Flatten()(kNo)),
      UNDEFINED("unflatten", "Unflatten", (nn::Unflatten{{1, 2}}(kNo))),
      UNDEFINED_IN("activation", "Activation", nn::Activation{Relu}(kNo)),
      UNDEFINED_IN("embedding", "Embedding", nn::Embedding({.count = 2, .size = 2}, Seed())(kNo)),
      UNDEFINED("dropout", "DropoutLayer", nn::Dropout{0.5}(kNo)),
      UNDEFINED("spatial_dropout", "SpatialDropout", nn::SpatialDropout{0.5}(kNo)),
      UNDEFINED("layer_norm", "LayerNorm", nn::LayerNorm({.size = 2})(kNo)),
      UNDEFINED("rms_norm", "RmsNorm", nn::RmsNorm({.size = 2})(kNo)),
      UNDEFINED("group_norm", "GroupNorm", nn::GroupNorm({.size = 2, .groups = 1})(kNo)),
      UNDEFINED("batch_norm", "BatchNorm", nn::BatchNorm({.size = 2})(kNo)),
      UNDEFINED("multi_head_attention", "AttentionX",
                nn::MultiHeadAttention({.size = 4, .heads = 2}, Seed())(kNo)),
      UNDEFINED("multi_head_attention", "AttentionSource",
                nn::MultiHeadAttention({.size = 4, .heads = 2}, Seed())(Steps(), kNo)),
      UNDEFINED_IN("residual > dense", "Residual",
                   nn::Residual(nn::Dense({.in = 2, .out = 2}, Seed()))(kNo)),
      UNDEFINED_IN("concatenate", "Concatenate", nn::Concatenate(0, nn::Identity())(kNo)),
      UNDEFINED("rnn", "Rnn", nn::Rnn({.in = 4, .hidden = 2}, Seed())(kNo)),
      UNDEFINED("lstm", "Lstm", nn::Lstm({.in = 4, .hidden = 2}, Seed())(kNo)),
      UNDEFINED("gru", "Gru", nn::Gru({.in = 4, .hidden = 2}, Seed())(kNo)),
      UNDEFINED_IN("rnn_cell", "RnnCellX", nn::RnnCell(Cell(), {}, Seed())(kNo, {Some()})),
      UNDEFINED_IN("rnn_cell", "RnnCellState",
                   nn::RnnCell(Cell(), {}, Seed())(Reals({2, 4}), {kNo})),
      UNDEFINED_IN("lstm_cell", "LstmCellX",
                   nn::LstmCell(Cell(), {}, Seed())(kNo, {Some(), Some()})),
      UNDEFINED_IN("lstm_cell", "LstmCellState",
                   nn::LstmCell(Cell(), {}, Seed())(Reals({2, 4}), {kNo, kNo})),
      UNDEFINED_IN("gru_cell", "GruCellX", nn::GruCell(Cell(), {}, Seed())(kNo, {Some()})),
      UNDEFINED_IN("gru_cell", "GruCellState",
                   nn::GruCell(Cell(), {}, Seed())(Reals({2, 4}), {kNo})),
  };
  return rows;
}
MISUSES(UndefinedLayers, Layers());

Variable LeafOfTwo() { return DifferentiableLeaf(Tensor::Ones({2, 2})); }
Variable Total(VariableSpan x) { return Sum(x[0]); }
Variable Gone(VariableSpan) { return {}; }

const std::vector<Misuse>& Transforms() {
  static const auto& rows = *new std::vector<Misuse>{
      UNDEFINED("grad", "GradOutput", Grad(kNo, LeafOfTwo())),
      UNDEFINED("grad", "GradInput", Grad(Sum(LeafOfTwo()), kNo)),
      UNDEFINED("grad", "ValueAndGrad",
                ValueAndGrad([] { return Variable(); }, {{Parameter(Tensor::Ones({2}))}})),
      UNDEFINED("jvp", "JvpX", Jvp(Total, {{kNo}}, {{Some()}})),
      UNDEFINED("jvp", "JvpTangent", Jvp(Total, {{Some()}}, {{kNo}})),
      UNDEFINED("jvp", "JvpResult", Jvp(Gone, {{Some()}}, {{Some()}})),
      UNDEFINED("hvp", "HvpX", Hvp(Total, {{kNo}}, {{Some()}})),
      UNDEFINED("hvp", "HvpVector", Hvp(Total, {{Some()}}, {{kNo}})),
      UNDEFINED("hvp", "HvpResult", Hvp(Gone, {{Some()}}, {{Some()}})),
      UNDEFINED("jacobian", "Jacobian", Jacobian([](const Variable& x) { return x * x; }, kNo)),
      UNDEFINED("hessian", "Hessian", Hessian([](const Variable& x) { return Sum(x); }, kNo)),
      UNDEFINED("checkpoint", "CheckpointInput", Checkpoint(Total, {kNo})),
      UNDEFINED("checkpoint", "CheckpointResult", Checkpoint(Gone, {Some()})),
      UNDEFINED("orthogonalize", "Orthogonalize", Orthogonalize(kNo)),
  };
  return rows;
}
MISUSES(UndefinedTransforms, Transforms());

}  // namespace
}  // namespace wengert
