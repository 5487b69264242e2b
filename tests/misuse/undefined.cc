// Undefined Variables, in each place of every function: the message names the function and the
// line. Of a function made of others, it names the op that saw it and the function around it.
#include "tests/misuse/misuse.h"

namespace wengert {
namespace {

#define UNDEFINED(op, name, call) OP_MISUSE(name, call, "[" op "]", "undefined")
#define UNDEFINED_IN(functions, name, call)                                             \
  Misuse {                                                                              \
    name, [] { return ThrownMessage([] { static_cast<void>(call); }); }, {"undefined"}, \
        " (" + ToString(SourceLocation::current()) + ", in " functions                  \
  }

const Variable kNo;  // never given a value
Variable Some() { return Reals({2, 2}); }
Variable Image() { return Reals({1, 4, 4, 2}); }
Variable Steps() { return Reals({2, 3, 4}); }
Variable Rows() { return Integers({0, 1}); }

const std::vector<Misuse>& ElementWise() {
  static const auto& rows = *new std::vector<Misuse>{
      UNDEFINED("neg", "Neg", Neg(kNo)),
      UNDEFINED("abs", "Abs", Abs(kNo)),
      UNDEFINED("sign", "Sign", Sign(kNo)),
      UNDEFINED("square", "Square", Square(kNo)),
      UNDEFINED("exp", "Exp", Exp(kNo)),
      UNDEFINED("log", "Log", Log(kNo)),
      UNDEFINED("expm1", "Expm1", Expm1(kNo)),
      UNDEFINED("log1p", "Log1p", Log1p(kNo)),
      UNDEFINED("sqrt", "Sqrt", Sqrt(kNo)),
      UNDEFINED("rsqrt", "Rsqrt", Rsqrt(kNo)),
      UNDEFINED("reciprocal", "Reciprocal", Reciprocal(kNo)),
      UNDEFINED("sin", "Sin", Sin(kNo)),
      UNDEFINED("cos", "Cos", Cos(kNo)),
      UNDEFINED("tan", "Tan", Tan(kNo)),
      UNDEFINED("asin", "Asin", Asin(kNo)),
      UNDEFINED("acos", "Acos", Acos(kNo)),
      UNDEFINED("atan", "Atan", Atan(kNo)),
      UNDEFINED("sinh", "Sinh", Sinh(kNo)),
      UNDEFINED("cosh", "Cosh", Cosh(kNo)),
      UNDEFINED("tanh", "Tanh", Tanh(kNo)),
      UNDEFINED("sigmoid", "Sigmoid", Sigmoid(kNo)),
      UNDEFINED("softplus", "Softplus", Softplus(kNo)),
      UNDEFINED("relu", "Relu", Relu(kNo)),
      UNDEFINED("floor", "Floor", Floor(kNo)),
      UNDEFINED("ceil", "Ceil", Ceil(kNo)),
      UNDEFINED("round", "Round", Round(kNo)),
      UNDEFINED("trunc", "Trunc", Trunc(kNo)),
      UNDEFINED("erf", "Erf", Erf(kNo)),
      UNDEFINED("erfc", "Erfc", Erfc(kNo)),
      UNDEFINED("normal_cdf", "NormalCdf", NormalCdf(kNo)),
      UNDEFINED("leaky_relu", "LeakyRelu", LeakyRelu(kNo, 0.1)),
      UNDEFINED("elu", "Elu", Elu(kNo)),
      UNDEFINED("elu", "Selu", Selu(kNo)),
      UNDEFINED("clip", "Clip", Clip(kNo, 0, 1)),
      UNDEFINED_IN("hard_tanh", "HardTanh", HardTanh(kNo)),
      UNDEFINED_IN("hard_sigmoid", "HardSigmoid", HardSigmoid(kNo)),
      UNDEFINED_IN("softsign", "Softsign", Softsign(kNo)),
      UNDEFINED_IN("silu", "Silu", Silu(kNo)),
      UNDEFINED_IN("mish", "Mish", Mish(kNo)),
      UNDEFINED_IN("gelu", "Gelu", Gelu(kNo)),
      UNDEFINED_IN("gelu_tanh", "GeluTanh", GeluTanh(kNo)),
      UNDEFINED("add", "AddA", Add(kNo, Some())),
      UNDEFINED("add", "AddB", Add(Some(), kNo)),
      UNDEFINED("sub", "SubA", Sub(kNo, Some())),
      UNDEFINED("sub", "SubB", Sub(Some(), kNo)),
      UNDEFINED("mul", "MulA", Mul(kNo, Some())),
      UNDEFINED("mul", "MulB", Mul(Some(), kNo)),
      UNDEFINED("div", "DivA", Div(kNo, Some())),
      UNDEFINED("div", "DivB", Div(Some(), kNo)),
      UNDEFINED("pow", "PowA", Pow(kNo, Some())),
      UNDEFINED("pow", "PowB", Pow(Some(), kNo)),
      UNDEFINED("fmod", "FmodA", Fmod(kNo, Some())),
      UNDEFINED("fmod", "FmodB", Fmod(Some(), kNo)),
      UNDEFINED("atan2", "Atan2A", Atan2(kNo, Some())),
      UNDEFINED("atan2", "Atan2B", Atan2(Some(), kNo)),
      UNDEFINED("maximum", "MaximumA", Maximum(kNo, Some())),
      UNDEFINED("maximum", "MaximumB", Maximum(Some(), kNo)),
      UNDEFINED("minimum", "MinimumA", Minimum(kNo, Some())),
      UNDEFINED("minimum", "MinimumB", Minimum(Some(), kNo)),
      UNDEFINED("where_positive", "WherePositiveA", WherePositive(kNo, Some())),
      UNDEFINED("where_positive", "WherePositiveB", WherePositive(Some(), kNo)),
      UNDEFINED("tanh_gradient", "TanhGradientA", TanhGradient(kNo, Some())),
      UNDEFINED("tanh_gradient", "TanhGradientB", TanhGradient(Some(), kNo)),
      UNDEFINED("sigmoid_gradient", "SigmoidGradientA", SigmoidGradient(kNo, Some())),
      UNDEFINED("sigmoid_gradient", "SigmoidGradientB", SigmoidGradient(Some(), kNo)),
      UNDEFINED("erf_gradient", "ErfGradientA", ErfGradient(kNo, Some())),
      UNDEFINED("erf_gradient", "ErfGradientB", ErfGradient(Some(), kNo)),
      UNDEFINED("normal_cdf_gradient", "NormalCdfGradientA", NormalCdfGradient(kNo, Some())),
      UNDEFINED("normal_cdf_gradient", "NormalCdfGradientB", NormalCdfGradient(Some(), kNo)),
      UNDEFINED("equal", "EqualA", Equal(kNo, Some())),
      UNDEFINED("equal", "EqualB", Equal(Some(), kNo)),
      UNDEFINED("not_equal", "NotEqualA", NotEqual(kNo, Some())),
      UNDEFINED("not_equal", "NotEqualB", NotEqual(Some(), kNo)),
      UNDEFINED("less", "LessA", Less(kNo, Some())),
      UNDEFINED("less", "LessB", Less(Some(), kNo)),
      UNDEFINED("less_equal", "LessEqualA", LessEqual(kNo, Some())),
      UNDEFINED("less_equal", "LessEqualB", LessEqual(Some(), kNo)),
      UNDEFINED("greater", "GreaterA", Greater(kNo, Some())),
      UNDEFINED("greater", "GreaterB", Greater(Some(), kNo)),
      UNDEFINED("greater_equal", "GreaterEqualA", GreaterEqual(kNo, Some())),
      UNDEFINED("greater_equal", "GreaterEqualB", GreaterEqual(Some(), kNo)),
      UNDEFINED("logical_and", "LogicalAndA", LogicalAnd(kNo, Some())),
      UNDEFINED("logical_and", "LogicalAndB", LogicalAnd(Some(), kNo)),
      UNDEFINED("logical_or", "LogicalOrA", LogicalOr(kNo, Some())),
      UNDEFINED("logical_or", "LogicalOrB", LogicalOr(Some(), kNo)),
      UNDEFINED("logical_xor", "LogicalXorA", LogicalXor(kNo, Some())),
      UNDEFINED("logical_xor", "LogicalXorB", LogicalXor(Some(), kNo)),
      UNDEFINED("neg", "Minus", -kNo),
      UNDEFINED("add", "PlusANumber", kNo + 1),
      UNDEFINED("sub", "ANumberMinus", 1 - kNo),
      UNDEFINED_IN("lerp", "LerpA", Lerp(kNo, Some(), 0.5)),
      UNDEFINED_IN("lerp", "LerpB", Lerp(Some(), kNo, 0.5)),
      UNDEFINED_IN("lerp", "LerpWeight", Lerp(Some(), Some(), kNo)),
      UNDEFINED_IN("logical_not", "LogicalNot", LogicalNot(kNo)),
      UNDEFINED_IN("is_nan", "IsNan", IsNan(kNo)),
      UNDEFINED_IN("is_inf", "IsInf", IsInf(kNo)),
      UNDEFINED_IN("is_finite", "IsFinite", IsFinite(kNo)),
      UNDEFINED("mul_add", "MulAddA", MulAdd(kNo, Some(), 1)),
      UNDEFINED("mul_add", "MulAddB", MulAdd(Some(), kNo, 1)),
      UNDEFINED("mul_add", "MulAddC", MulAdd(Some(), 2, kNo)),
      UNDEFINED("where", "WhereCondition", Where(kNo, Some(), Some())),
      UNDEFINED("where", "WhereA", Where(Bools({2, 2}), kNo, Some())),
      UNDEFINED("where", "WhereB", Where(Bools({2, 2}), Some(), kNo)),
      UNDEFINED("cast", "Cast", Cast(kNo, DType::kFloat64)),
      UNDEFINED("detach", "Detach", kNo.Detach()),
  };
  return rows;
}
MISUSES(UndefinedElementWise, ElementWise());

const std::vector<Misuse>& Movement() {
  static const auto& rows = *new std::vector<Misuse>{
      UNDEFINED("reshape", "Reshape", Reshape(kNo, {4})),
      UNDEFINED("permute", "Permute", Permute(kNo, {1, 0})),
      UNDEFINED("transpose", "Transpose", Transpose(kNo)),
      UNDEFINED("expand", "Expand", Expand(kNo, {2})),
      UNDEFINED("sum_to", "SumTo", SumTo(kNo, {2})),
      UNDEFINED("narrow", "Narrow", Narrow(kNo, 0, 0, 1)),
      UNDEFINED("embed", "Embed", Embed(kNo, 0, 3, 0)),
      UNDEFINED("concat", "ConcatFirst", Concat({{kNo, Some()}}, 0)),
      UNDEFINED("concat", "ConcatSecond", Concat({{Some(), kNo}}, 0)),
      UNDEFINED("stack", "StackFirst", Stack({{kNo, Some()}})),
      UNDEFINED("stack", "StackSecond", Stack({{Some(), kNo}})),
      UNDEFINED("split", "Split", Split(kNo, {{1, 1}}, 0)),
      UNDEFINED("chunk", "Chunk", Chunk<2>(kNo, 0)),
      UNDEFINED("squeeze", "Squeeze", Squeeze(kNo, 0)),
      UNDEFINED("unsqueeze", "Unsqueeze", Unsqueeze(kNo, 0)),
      UNDEFINED("flip", "Flip", Flip(kNo, 0)),
      UNDEFINED("roll", "Roll", Roll(kNo, 1, 0)),
      UNDEFINED("repeat", "Repeat", Repeat(kNo, 2, 0)),
      UNDEFINED("tile", "Tile", Tile(kNo, {{2}})),
      UNDEFINED("meshgrid", "Meshgrid", Meshgrid({{Rows(), kNo}}, GridIndexing::kIj)),
      UNDEFINED("pad", "Pad", Pad(kNo, {{PadWidth{1, 1}}})),
      UNDEFINED("tril", "Tril", Tril(kNo)),
      UNDEFINED("triu", "Triu", Triu(kNo)),
      UNDEFINED("diagonal", "Diagonal", Diagonal(kNo)),
      UNDEFINED("diagonal_matrix", "DiagonalMatrix", DiagonalMatrix(kNo)),
  };
  return rows;
}
MISUSES(UndefinedMovement, Movement());

const std::vector<Misuse>& Reductions() {
  static const auto& rows = *new std::vector<Misuse>{
      UNDEFINED("sum", "Sum", Sum(kNo)),
      UNDEFINED("mean", "Mean", Mean(kNo)),
      UNDEFINED("moments", "Moments", Moments(kNo)),
      UNDEFINED("variance", "Variance", Variance(kNo)),
      UNDEFINED("std_dev", "StdDev", StdDev(kNo)),
      UNDEFINED("prod", "Prod", Prod(kNo)),
      UNDEFINED("norm", "Norm", Norm(kNo)),
      UNDEFINED("median", "Median", Median(kNo)),
      UNDEFINED("mean_where", "MeanWhereX", MeanWhere(kNo, Bools({2, 2}))),
      UNDEFINED("mean_where", "MeanWhereMask", MeanWhere(Some(), kNo)),
      UNDEFINED("any", "Any", Any(kNo)),
      UNDEFINED("all", "All", All(kNo)),
      UNDEFINED("max", "Max", Max(kNo)),
      UNDEFINED("min", "Min", Min(kNo)),
      UNDEFINED("logsumexp", "LogSumExp", LogSumExp(kNo)),
      UNDEFINED("argmax", "ArgMax", ArgMax(kNo, 0)),
      UNDEFINED("argmin", "ArgMin", ArgMin(kNo, 0)),
      UNDEFINED("softmax", "Softmax", Softmax(kNo)),
      UNDEFINED("log_softmax", "LogSoftmax", LogSoftmax(kNo)),
      UNDEFINED("cum_sum", "CumSum", CumSum(kNo, 0)),
      UNDEFINED("cum_prod", "CumProd", CumProd(kNo, 0)),
      UNDEFINED("log_cum_sum_exp", "LogCumSumExp", LogCumSumExp(kNo, 0)),
      UNDEFINED("linear_recurrence", "LinearRecurrenceA", LinearRecurrence(kNo, Some(), 0)),
      UNDEFINED("linear_recurrence", "LinearRecurrenceB", LinearRecurrence(Some(), kNo, 0)),
      UNDEFINED("sort", "Sort", Sort(kNo)),
      UNDEFINED("arg_sort", "ArgSort", ArgSort(kNo)),
      UNDEFINED("top_k", "TopK", TopK(kNo, 1)),
      UNDEFINED("matmul", "MatMulA", MatMul(kNo, Some())),
      UNDEFINED("matmul", "MatMulB", MatMul(Some(), kNo)),
      UNDEFINED("einsum", "EinsumA", Einsum("ij,jk", {kNo, Some()})),
      UNDEFINED("einsum", "EinsumB", Einsum("ij,jk", {Some(), kNo})),
      UNDEFINED("dot", "DotA", Dot(kNo, Reals({2}))),
      UNDEFINED("dot", "DotB", Dot(Reals({2}), kNo)),
      UNDEFINED("outer", "OuterA", Outer(kNo, Reals({2}))),
      UNDEFINED("outer", "OuterB", Outer(Reals({2}), kNo)),
      UNDEFINED("trace", "Trace", Trace(kNo)),
  };
  return rows;
}
MISUSES(UndefinedReductions, Reductions());

const std::vector<Misuse>& Indexing() {
  static const auto& rows = *new std::vector<Misuse>{
      UNDEFINED("gather", "GatherX", Gather(kNo, Rows())),
      UNDEFINED("gather", "GatherIndices", Gather(Some(), kNo)),
      UNDEFINED("scatter_add", "ScatterAddX", ScatterAdd(kNo, Rows(), 2)),
      UNDEFINED("scatter_add", "ScatterAddIndices", ScatterAdd(Some(), kNo, 2)),
      UNDEFINED("segment_sum", "SegmentSumX", SegmentSum(kNo, Rows(), 2)),
      UNDEFINED("segment_sum", "SegmentSumIds", SegmentSum(Some(), kNo, 2)),
      UNDEFINED("gather_along", "GatherAlongX", GatherAlong(kNo, Rows(), 0)),
      UNDEFINED("gather_along", "GatherAlongIndices", GatherAlong(Some(), kNo, 0)),
      UNDEFINED("scatter_add_along", "ScatterAddAlongX", ScatterAddAlong(kNo, Rows(), 2, 0)),
      UNDEFINED("scatter_add_along", "ScatterAddAlongIndices", ScatterAddAlong(Some(), kNo, 2, 0)),
      UNDEFINED("take_along_last", "TakeAlongLastX", TakeAlongLast(kNo, Rows())),
      UNDEFINED("take_along_last", "TakeAlongLastIndices", TakeAlongLast(Some(), kNo)),
      UNDEFINED("put_along_last", "PutAlongLastX", PutAlongLast(kNo, Rows(), 2)),
      UNDEFINED("put_along_last", "PutAlongLastIndices", PutAlongLast(Reals({2}), kNo, 2)),
      UNDEFINED("one_hot", "OneHot", OneHot(kNo, 2)),
      UNDEFINED("nonzero", "Nonzero", Nonzero(kNo)),
      UNDEFINED("boolean_mask", "BooleanMaskX", BooleanMask(kNo, Bools({2}))),
      UNDEFINED("boolean_mask", "BooleanMaskMask", BooleanMask(Some(), kNo)),
      UNDEFINED("dropout", "Dropout", Dropout(kNo, 0.5)),
  };
  return rows;
}
MISUSES(UndefinedIndexing, Indexing());

const std::vector<Misuse>& Spatial() {
  static const auto& rows = *new std::vector<Misuse>{
      UNDEFINED("conv2d", "Conv2dX", Conv2d(kNo, Reals({1, 1, 2, 2}))),
      UNDEFINED("conv2d", "Conv2dKernel", Conv2d(Image(), kNo)),
      UNDEFINED("conv1d", "Conv1dX", Conv1d(kNo, Reals({1, 2, 2}))),
      UNDEFINED("conv1d", "Conv1dKernel", Conv1d(Steps(), kNo)),
      UNDEFINED("depthwise_conv2d", "DepthwiseX", DepthwiseConv2d(kNo, Reals({1, 1, 2, 1}))),
      UNDEFINED("depthwise_conv2d", "DepthwiseKernel", DepthwiseConv2d(Image(), kNo)),
      UNDEFINED("conv_transpose2d", "Transpose2dX", ConvTranspose2d(kNo, Reals({1, 1, 2, 2}))),
      UNDEFINED("conv_transpose2d", "Transpose2dKernel", ConvTranspose2d(Image(), kNo)),
      UNDEFINED("conv_transpose1d", "Transpose1dX", ConvTranspose1d(kNo, Reals({1, 2, 2}))),
      UNDEFINED("conv_transpose1d", "Transpose1dKernel", ConvTranspose1d(Steps(), kNo)),
      UNDEFINED("max_pool2d", "MaxPool2d", MaxPool2d(kNo)),
      UNDEFINED("avg_pool2d", "AvgPool2d", AvgPool2d(kNo)),
      UNDEFINED("max_pool1d", "MaxPool1d", MaxPool1d(kNo)),
      UNDEFINED("avg_pool1d", "AvgPool1d", AvgPool1d(kNo)),
      UNDEFINED("adaptive_max_pool2d", "AdaptiveMaxPool2d", AdaptiveMaxPool2d(kNo, 1, 1)),
      UNDEFINED("adaptive_avg_pool2d", "AdaptiveAvgPool2d", AdaptiveAvgPool2d(kNo, 1, 1)),
      UNDEFINED("global_max_pool2d", "GlobalMaxPool2d", GlobalMaxPool2d(kNo)),
      UNDEFINED("global_avg_pool2d", "GlobalAvgPool2d", GlobalAvgPool2d(kNo)),
      UNDEFINED("global_max_pool1d", "GlobalMaxPool1d", GlobalMaxPool1d(kNo)),
      UNDEFINED("global_avg_pool1d", "GlobalAvgPool1d", GlobalAvgPool1d(kNo)),
      UNDEFINED("resize", "Resize", Resize(kNo, 2, 2)),
      UNDEFINED("unfold", "Unfold", Unfold(kNo, {})),
      UNDEFINED("fold", "Fold", Fold(kNo, 2, 2, {})),
  };
  return rows;
}
MISUSES(UndefinedSpatial, Spatial());

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
