// Misuses of losses and of recurrence over time.
#include "tests/misuse/misuse.h"

namespace wengert {
namespace {

Variable Logits() { return Reals({4, 3}); }
Tensor Ints(const std::vector<int64_t>& values) { return Tensor::FromVector(values); }
Tensor Labels(const Shape& shape) { return Tensor::Ones(shape, DType::kInt32); }

const std::vector<Misuse>& LossRows() {
  static const auto& rows = *new std::vector<Misuse>{
      OP_MISUSE("CrossEntropyOfOneHotLabels", SoftmaxCrossEntropy(Logits(), Logits()),
                "[softmax_cross_entropy]", "labels must be [4]", "[4,3]", "[4,3]"),
      OP_MISUSE("CrossEntropyOfTooFewLabels", SoftmaxCrossEntropy(Logits(), Integers({0, 1})),  //
                "[softmax_cross_entropy]", "[4,3]", "[2]"),
      OP_MISUSE("CrossEntropyOfAnImage", SoftmaxCrossEntropy(Reals({1, 2, 2, 3}), Integers({0})),
                "[softmax_cross_entropy]", "[N, classes]", "[1,2,2,3]"),
      OP_MISUSE("CrossEntropyOfLabelsFromOne",
                SoftmaxCrossEntropy(Logits(), Integers({1, 2, 3, 1})).value(),  //
                " 3 ", "out of range", "there are 3"),
      OP_MISUSE("CrossEntropyOfSmoothing",
                SoftmaxCrossEntropy(Logits(), Integers({0, 1, 2, 0}), {.label_smoothing = 2}),
                "[softmax_cross_entropy]", "label_smoothing", "0 to 1", "2"),
      OP_MISUSE("CrossEntropyOfClassWeights",
                SoftmaxCrossEntropy(Logits(), Integers({0, 1, 2, 0}),
                                    {.class_weights = Tensor::Ones({4})}),
                "[softmax_cross_entropy]", "[4]"),
      OP_MISUSE("CrossEntropyOfNoRows", SoftmaxCrossEntropy(Reals({0, 3}), Labels({0})),  //
                "[softmax_cross_entropy]", "[0,3]"),
      OP_MISUSE("CrossEntropyRowsOfLabels",
                SoftmaxCrossEntropyRows(Logits(), Integers({0, 1, 2, 0})),  //
                "[softmax_cross_entropy_rows]", "[4,3]", "[4]"),
      OP_MISUSE("CategoricalOfLabels", CategoricalCrossEntropy(Logits(), Integers({0, 1, 2, 0})),
                "[categorical_cross_entropy]", "[4,3]", "[4]"),
      OP_MISUSE("SparseCategoricalOfFloats",
                SparseCategoricalCrossEntropy(Logits(), Reals({4})),  //
                "[sparse_categorical_cross_entropy]", "float32"),
      OP_MISUSE("SparseCategoricalOfLabelsFromOne",
                SparseCategoricalCrossEntropy(Logits(), Integers({1, 2, 3, 1})).value(),
                "[take_along_last]", "index 3 at [2]", "3 entries"),
      OP_MISUSE("KlOfShapes", KlDivergence(Logits(), Reals({3})), "[kl_divergence]", "[4,3]",
                "[3]"),
      OP_MISUSE("CategoricalHingeOfLabels", CategoricalHingeLoss(Logits(), Reals({4})),  //
                "[categorical_hinge_loss]", "[4,3]", "[4]"),
      OP_MISUSE("CosineOfShapes", CosineSimilarityLoss(Logits(), Reals({4, 1})),  //
                "[cosine_similarity_loss]", "[4,3]", "[4,1]"),
      OP_MISUSE("SigmoidCrossEntropyOfAColumn", SigmoidCrossEntropy(Reals({4, 1}), Reals({4})),
                "[sigmoid_cross_entropy]", "[4,1]", "[4]"),
      OP_MISUSE("SigmoidCrossEntropyOfWeights",
                SigmoidCrossEntropy(Logits(), Logits(), {.positive_weight = Tensor::Ones({2})}),
                "[sigmoid_cross_entropy]", "[2]", "[4,3]"),
      OP_MISUSE("BinaryCrossEntropyOfAColumn", BinaryCrossEntropy(Reals({4, 1}), Reals({4})),  //
                "[binary_cross_entropy]", "[4,1]", "[4]"),
      OP_MISUSE("HingeOfShapes", HingeLoss(Reals({4, 1}), Reals({4})), "[hinge_loss]", "[4,1]",
                "[4]"),
      OP_MISUSE("MeanSquaredErrorOfAColumn", MeanSquaredError(Reals({4, 1}), Reals({4})),  //
                "[mean_squared_error]", "[4,1]", "[4]"),
      OP_MISUSE("MeanSquaredErrorOfNoRows", MeanSquaredError(Reals({0, 2}), Reals({0, 2})),  //
                "[mean_squared_error]", "[0,2]"),
      OP_MISUSE("MeanAbsoluteErrorOfABatch", MeanAbsoluteError(Reals({32}), Reals({31})),  //
                "[mean_absolute_error]", "[32]", "[31]"),
      OP_MISUSE("HuberOfDeltaZero", HuberLoss(Reals({2}), Reals({2}), {.delta = 0}),  //
                "[huber_loss]", "delta", "0"),
      OP_MISUSE("LogCoshOfShapes", LogCoshLoss(Reals({2}), Reals({3})), "[log_cosh_loss]", "[2]",
                "[3]"),
      OP_MISUSE("PoissonOfShapes", PoissonLoss(Reals({2}), Reals({3})), "[poisson_loss]", "[2]",
                "[3]"),
      MISUSE("LossOfNothing", MeanSquaredError(Reals({2}), Variable()),  //
             "undefined Variable"),
  };
  return rows;
}
MISUSES(Losses, LossRows());

const std::vector<Misuse>& CtcRows() {
  static const auto& rows = *new std::vector<Misuse>{
      OP_MISUSE("CtcOfOneSequence", CtcLoss(Reals({5, 3}), Labels({5})), "[ctc_loss]", "[5,3]"),
      OP_MISUSE("CtcOfAnotherBatch", CtcLoss(Reals({2, 5, 3}), Labels({3, 2})),  //
                "[ctc_loss]", "[2,5,3]", "[3,2]"),
      OP_MISUSE("CtcOfFloatLabels", CtcLoss(Reals({2, 5, 3}), Tensor::Ones({2, 2})),  //
                "[ctc_loss]", "float32"),
      OP_MISUSE("CtcOfUndefinedLabels", CtcLoss(Reals({2, 5, 3}), Tensor()), "[ctc_loss]",
                "labels must be integers [2, S]", "[2,5,3]"),
      OP_MISUSE("CtcOfTheBlankAmongTheLabels",
                CtcLoss(Reals({2, 5, 3}), Labels({2, 2}), {.blank = 1}).value(),  //
                "[ctc_loss]", "1"),
      OP_MISUSE("CtcOfABlankBeyondTheClasses",
                CtcLoss(Reals({2, 5, 3}), Labels({2, 2}), {.blank = 3}),  //
                "[ctc_loss]", "blank", "3"),
      OP_MISUSE("CtcOfLengthsBeyondTheSteps",
                CtcLoss(Reals({2, 5, 3}), Labels({2, 2}), {.input_lengths = Ints({5, 6})}).value(),
                "[ctc_loss]", "6"),
      OP_MISUSE("CtcOfTooFewLabelLengths",
                CtcLoss(Reals({2, 5, 3}), Labels({2, 2}), {.label_lengths = Ints({1})}),  //
                "[ctc_loss]", "[1]"),
  };
  return rows;
}
MISUSES(Ctc, CtcRows());

std::vector<Variable> Same(const Variable&, const std::vector<Variable>& state) { return state; }
std::vector<Variable> Grow(const Variable&, const std::vector<Variable>& state) {
  return {Concat({state[0], state[0]}, 1)};
}
std::vector<Variable> Forget(const Variable&, const std::vector<Variable>&) { return {}; }
Variable Sequence() { return Reals({2, 5, 3}); }
RecurrentParameters LstmWeights() { return {Reals({3, 16}), Reals({4, 16}), Reals({16})}; }
Variable Zero() { return Reals({2, 4}); }

const std::vector<Misuse>& RecurrenceRows() {
  static const auto& rows = *new std::vector<Misuse>{
      OP_MISUSE("ScanOfAVector", Scan(Reals({3}), {Zero()}, Same), "[scan]", "[N, T, ...]", "[3]"),
      OP_MISUSE("ScanOfNoSteps", Scan(Reals({2, 0, 3}), {Zero()}, Same), "[scan]", "[2,0,3]"),
      OP_MISUSE("ScanWithoutAState", Scan(Sequence(), {}, Same), "[scan]", "state"),
      OP_MISUSE("ScanOfAnotherBatch", Scan(Sequence(), {Reals({3, 4})}, Same),  //
                "[scan]", "[3,4]"),
      OP_MISUSE("ScanOfAStateThatGrows", Scan(Sequence(), {Zero()}, Grow), "[scan]", "[2,8]",
                "[2,4]"),
      OP_MISUSE("ScanOfAStateThatIsForgotten", Scan(Sequence(), {Zero()}, Forget),  //
                "[scan]", "0", "1"),
      OP_MISUSE("ScanOfLengthsZero", Scan(Sequence(), {Zero()}, Same, {.lengths = Ints({0, 5})}),
                "[scan]", "0", "1"),
      OP_MISUSE("ScanOfLengthsBeyondTheSteps",
                Scan(Sequence(), {Zero()}, Same, {.lengths = Ints({2, 6})}),  //
                "[scan]", "6", "5"),
      OP_MISUSE("ScanOfTooFewLengths", Scan(Sequence(), {Zero()}, Same, {.lengths = Ints({2})}),  //
                "[scan]", "[1]"),
      OP_MISUSE("ScanOfFloatLengths",
                Scan(Sequence(), {Zero()}, Same, {.lengths = Tensor::Ones({2})}),  //
                "[scan]", "float32"),
      OP_MISUSE("MaskOfAMatrix", SequenceMask(Reals({2, 2}), 3), "[sequence_mask]", "integers [N]",
                "float32[2,2]"),
      OP_MISUSE("MaskOfNegativeSteps", SequenceMask(Integers({1}), -3), "[sequence_mask]", "-3"),
      OP_MISUSE("ClearPaddingOfTooManyLengths", ClearPadding(Sequence(), Ints({1, 2, 3})),
                "[clear_padding]", "integers [2]", "int64[3]"),
      OP_MISUSE("LstmStepOfThreeGates", LstmStep(Reals({2, 12}), Zero()), "[lstm_step]", "[2,12]",
                "[2,4]"),
      OP_MISUSE("GruStepOfFourGates", GruStep(Reals({2, 16}), Reals({2, 16}), Zero()),  //
                "[gru_step]", "[2,16]", "[2,4]"),
      OP_MISUSE("GruStepResetBeforeOfWeights",
                GruStepResetBefore(Reals({2, 12}), Zero(), Reals({4, 16})), "[chunk]", "[4,16]",
                "3 equal parts"),
      OP_MISUSE("LstmSequenceOfFeatures",
                LstmSequence(Reals({2, 5, 7}), LstmWeights(), {Zero(), Zero()}),  //
                "[lstm_sequence]", "[2,5,7]", "[3,16]"),
      OP_MISUSE("LstmSequenceOfAnotherBatch",
                LstmSequence(Sequence(), LstmWeights(), {Reals({3, 4}), Zero()}),  //
                "[lstm_sequence]", "[3,4]"),
      OP_MISUSE("LstmSequenceWithoutAState", LstmSequence(Sequence(), LstmWeights(), {}),  //
                "[lstm_sequence]", "undefined"),
      OP_MISUSE("GruSequenceOfFourGates", GruSequence(Sequence(), LstmWeights(), {}, Zero()),  //
                "[gru_sequence]", "16"),
      OP_MISUSE("RnnSequenceOfFourGates",
                RnnSequence(Sequence(), LstmWeights(), RnnActivation::kTanh, Zero()),  //
                "[rnn_sequence]", "16"),
  };
  return rows;
}
MISUSES(Recurrence, RecurrenceRows());

}  // namespace
}  // namespace wengert
