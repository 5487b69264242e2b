// Misuses of optimizers, schedules, clipping, averages, loaders and files.
#include <memory>

#include "data/text.h"
#include "tests/misuse/misuse.h"

namespace wengert {
namespace {

Parameter Weight() {
  Parameter weight(Tensor::Ones({2, 3}));
  weight.SetName("net/weight");
  return weight;
}
std::vector<Parameter> One() { return {Weight()}; }
std::vector<Variable> Gradients(const Shape& shape) { return {Reals(shape)}; }
template <class O>
void Step(O&& optimizer, const std::vector<Variable>& gradients) {
  optimizer.Step(gradients);
}
template <class Call>
void Clip(Call call, double limit) {
  std::vector<Variable> gradients = {Reals({2})};
  call(gradients, limit);
}
Loader Batches(const LoaderOptions& options) {
  return Loader(Tensor::Ones({6, 2}), Tensor::Ones({6}), options);
}

const std::vector<Misuse>& OptimizerRows() {
  static const auto& rows = *new std::vector<Misuse>{
      MISUSE("SgdOfNegativeRate", Sgd(One(), {.learning_rate = -0.1}), "[", "rate", "-0.1"),
      MISUSE("SgdOfNanForRate", Sgd(One(), {.learning_rate = NAN}), "[", "rate", "nan"),
      MISUSE("SgdOfMomentumOne", Sgd(One(), {.momentum = 1}), "[sgd]", "momentum is 1", "below 1"),
      MISUSE("SgdOfNesterovWithoutMomentum", Sgd(One(), {.nesterov = true}), "[sgd]", "nesterov",
             "momentum"),
      MISUSE("SgdOfNegativeDecay", Sgd(One(), {.weight_decay = -1}), "weight_decay", "-1"),
      MISUSE(
          "SgdOfAParameterTwice",
          [] {
            const Parameter weight = Weight();
            Sgd sgd({weight, weight});
          }(),
          "[optimizer]", "parameter 1 net/weight is parameter 0 again"),
      MISUSE("SgdOfAParameterThatWasNeverSet", Sgd({Parameter()}), "never"),
      MISUSE("SgdOfNegativePenalty", Sgd({ParameterGroup{.parameters = One(), .l2 = -1}}), "l2",
             "-1"),
      MISUSE("AdamOfBeta", Adam(One(), {.beta1 = 2}), "[adam]", "beta1 is 2", "below 1"),
      MISUSE("AdamOfNegativeEpsilon", Adam(One(), {.epsilon = -1}), "[adam]", "epsilon is -1"),
      MISUSE("AdamWOfBeta", AdamW(One(), {.beta2 = 1}), "[adam", "beta2 is 1"),
      MISUSE("RmsPropOfRho", RmsProp(One(), {.rho = -1}), "[rmsprop]", "rho is -1"),
      MISUSE("AdagradOfInitialSum", Adagrad(One(), {.initial_sum = -1}), "[adagrad]",
             "initial_sum is -1"),
      MISUSE("AdadeltaOfRho", Adadelta(One(), {.rho = 1.5}), "[adadelta]", "rho is 1.5"),
      MISUSE("LionOfBeta", Lion(One(), {.beta1 = 1}), "[lion]", "beta1 is 1"),
      MISUSE("NadamOfBeta", Nadam(One(), {.beta2 = 1}), "[nadam]", "beta2 is 1"),
      MISUSE("AdamaxOfBeta", Adamax(One(), {.beta1 = -0.1}), "[adamax]", "beta1 is -0.1"),
      MISUSE("MuonOfNegativeSteps", Muon(One(), {.steps = -1}), "[muon]", "steps", "-1"),
      MISUSE("MuonOfAVector",
             Muon({Parameter(Tensor::Ones({3}))},
                  {.orthogonalize = [](const Parameter&) { return true; }}),
             "[muon]", "matrix", "[3]"),
      MISUSE("OrthogonalizeOfAVector", Orthogonalize(Reals({3})), "[orthogonalize]", "matrix",
             "[3]"),
      MISUSE("StepOfTooManyGradients", Step(Sgd(One()), {Reals({2, 3}), Reals({2, 3})}),  //
             "[optimizer]", "2 gradients", "1 parameter"),
      MISUSE("StepOfAnotherShape", Step(Sgd(One()), Gradients({3, 2})),  //
             "[optimizer]", "[3,2]", "net/weight", "[2,3]"),
      MISUSE("StepOfAnotherType", Step(Adam(One()), {Reals({2, 3}, DType::kFloat64)}),  //
             "[optimizer]", "float64", "float32"),
      MISUSE("StepOfNothing", Step(Sgd(One()), {Variable()}), "undefined"),
      MISUSE("SetNegativeRate", Sgd(One()).set_learning_rate(-1), "rate", "-1"),
      MISUSE("LbfgsOfCurvature", Lbfgs(One(), {.c1 = 0.9, .c2 = 0.1}), "[lbfgs]", "c1", "0.9",
             "0.1"),
      MISUSE("LbfgsOfNoHistory", Lbfgs(One(), {.history = 0}), "[lbfgs]", "history", "0"),
      MISUSE("LbfgsOfALossThatIsNan", Lbfgs(One()).Step([] {
        return ValueAndGradients{Tensor::Full({}, NAN), Gradients({2, 3})};
      }),
             "[lbfgs]", "nan"),
      MISUSE("SetOfAnotherShape", Weight().Set(Tensor::Ones({3})), "[parameter]", "net/weight",
             "float32[2,3]", "float32[3]"),
      MISUSE("SetOfAnotherType", Weight().Set(Tensor::Ones({2, 3}, DType::kFloat64)), "[parameter]",
             "net/weight", "float32[2,3]", "float64[2,3]"),
      MISUSE("SetOfNoParameter", Parameter().Set(Tensor::Ones({3})), "[parameter]", "never"),
      MISUSE("ParameterOfIntegers", Parameter(Tensor::Ones({3}, DType::kInt32)),  //
             "floating", "int32"),
  };
  return rows;
}
MISUSES(Optimizers, OptimizerRows());

const std::vector<Misuse>& ScheduleRows() {
  static const auto& rows = *new std::vector<Misuse>{
      MISUSE("NegativeRate", ConstantRate(-1), "[constant_rate]", "-1"),
      MISUSE("StepDecayOfEveryZero", StepDecay({.rate = 1, .every = 0}), "[step_decay]", "every",
             "0"),
      MISUSE("ExponentialDecayOfNegativeSteps",
             ExponentialDecay({.rate = 1, .steps = -1, .factor = 0.5}),  //
             "[exponential_decay]", "steps", "-1"),
      MISUSE("PolynomialDecayOfNegativePower",
             PolynomialDecay({.rate = 1, .steps = 10, .power = -1}),  //
             "[polynomial_decay]", "power", "-1"),
      MISUSE("CosineDecayOfNegativeEnd", CosineDecay({.rate = 1, .steps = 10, .end = -1}),  //
             "[cosine_decay]", "end", "-1"),
      MISUSE("CosineRestartsOfNoSteps", CosineRestarts({.rate = 1, .steps = 0}),  //
             "[cosine_restarts]", "steps", "0"),
      MISUSE("CosineRestartsThatShrink", CosineRestarts({.rate = 1, .steps = 10, .longer = 0.5}),
             "[cosine_restarts]", "longer", "0.5"),
      MISUSE("OneCycleOfRiseInPercent", OneCycle({.rate = 1, .steps = 10, .rise = 30}),  //
             "[one_cycle]", "rise is 30", "between 0 and 1"),
      MISUSE("ChainOfNull", Chain(nullptr, 10, ConstantRate(1)), "[chain]", "null"),
      MISUSE("WarmUpOfNegativeSteps", WarmUp(-1, ConstantRate(1)), "[warm_up]", "-1"),
      MISUSE("WarmUpOfNull", WarmUp(10, nullptr), "[warm_up]", "null"),
      MISUSE("ReduceOnPlateauOfFactorTen", ReduceOnPlateau({.factor = 10}),  //
             "[reduce_on_plateau]", "factor", "10"),
      MISUSE("ClipByNegativeValue", Clip(ClipByValue, -1), "[clip_by_value]", "-1", "> 0"),
      MISUSE("ClipByNormZero", Clip(ClipByNorm, 0), "[clip_by_norm]", "0", "> 0"),
      MISUSE("ClipByGlobalNormOfNan", Clip(ClipByGlobalNorm, NAN), "[clip_by_global_norm]", "nan",
             "> 0"),
      MISUSE("AccumulateNoExamples", GradientAccumulator().Add(Gradients({2}), 0),  //
             "[gradient_accumulator]", "0 examples"),
      MISUSE("TakeBeforeAdd", GradientAccumulator().Take(), "[gradient_accumulator]", "Take",
             "Add"),
      MISUSE(
          "AccumulateOtherShapes",
          [] {
            GradientAccumulator sum;
            sum.Add(Gradients({2}));
            sum.Add(Gradients({3}));
          }(),
          "[gradient_accumulator]", "[3]", "[2]"),
      MISUSE("NormsOfTooFewGradients", GradientNorms(One(), {}), "[gradient_norms]", "0 gradients",
             "1 parameter"),
      MISUSE("NormsOfOtherShapes", GradientNorms(One(), Gradients({3})), "[gradient_norms]", "[3]",
             "net/weight", "[2,3]"),
      MISUSE("AverageOfDecayOne", WeightAverage(One(), {.decay = 1}), "[weight_average]",
             "decay is 1", "below 1"),
      MISUSE("AverageRestoredBeforeItIsApplied", WeightAverage(One()).Restore(),  //
             "[weight_average]", "Restore", "Apply"),
      MISUSE(
          "AverageAppliedTwice",
          [] {
            WeightAverage average(One());
            average.Apply();
            average.Apply();
          }(),
          "[weight_average]", "Apply", "Restore"),
  };
  return rows;
}
MISUSES(Schedules, ScheduleRows());

Outcome LossPerRow(const Batch& batch) { return {MatMul(batch.inputs, Reals({2, 1})), {}}; }
Outcome NoLoss(const Batch&) { return {}; }
Outcome NoParameter(const Batch& batch) { return {Sum(batch.inputs), {}}; }
FitResult FitOnce(const Objective& objective, FitOptions options = {}) {
  Sgd sgd(One());
  options.quiet = true;
  return Fit(objective, sgd, Batches({}), Rng(), options);
}
std::string Path(const char* name) { return testing::TempDir() + "/" + name; }

const std::vector<Misuse>& DataRows() {
  static const auto& rows = *new std::vector<Misuse>{
      MISUSE("LoaderOfCounts", Loader(Tensor::Ones({6, 2}), Tensor::Ones({5})), "[loader]", "[6,2]",
             "[5]"),
      MISUSE("LoaderOfNothing", Loader(Tensor(), Tensor()), "[loader]", "undefined"),
      MISUSE("LoaderOfNoExamples", Loader(Tensor::Ones({0, 2}), Tensor::Ones({0})), "[loader]",
             "[0,2]"),
      MISUSE("LoaderOfScalars", Loader(Tensor::Ones({}), Tensor::Ones({})), "[loader]", "[]"),
      MISUSE("LoaderOfBatchSizeZero", Batches({.batch_size = 0}), "[loader]", "batch_size", "0"),
      MISUSE("LoaderOfNoWholeBatch", Batches({.batch_size = 7, .keep_partial = false}),  //
             "[loader]", "7", "6"),
      MISUSE("LoaderThatScalesFloats", Batches({.scale = true}), "[loader]", "uint8", "float32"),
      MISUSE("LoaderOfNegativeLimit", Batches({.limit = -1}), "[loader]", "limit", "-1"),
      MISUSE("LoaderThatAugmentsRows", Batches({.augment = {.shift = 1}}), "[loader]", "augment",
             "[6,2]"),
      MISUSE("LoaderOfNegativePrefetch", Batches({.prefetch = -1}), "[loader]", "prefetch", "-1"),
      MISUSE("BatchBeyondTheEpoch", Batches({.batch_size = 2}).Epoch(0).At(3), "[loader]", "3"),
      MISUSE("FitOfALossPerRow", FitOnce(LossPerRow), "[grad]", "[6,1]", "not a scalar"),
      MISUSE("FitOfNoLoss", FitOnce(NoLoss), "[grad]", "an output is undefined"),
      MISUSE("FitOfANullObjective", FitOnce(nullptr), "[fit]", "null"),
      MISUSE("FitOfNegativeEpochs", FitOnce(NoParameter, {.epochs = -1}), "[fit]", "epochs", "-1"),
      MISUSE("FitOfAccumulateZero", FitOnce(NoParameter, {.accumulate = 0}), "[fit]", "accumulate",
             "0"),
      MISUSE("FitThatKeepsTheBestOfNothing", FitOnce(NoParameter, {.keep_best = true}), "[fit]",
             "keep_best", "validate"),
      MISUSE("FitOfNegativePatience", FitOnce(NoParameter, {.patience = -1}), "[fit]", "patience",
             "-1"),
      MISUSE("FitWithPatienceForNothing", FitOnce(NoParameter, {.patience = 1}), "[fit]",
             "patience", "validate"),
      STATUS_MISUSE("LoadOfNoFile", Load({{"w", Weight()}}, Path("absent.safetensors")),  //
                    "absent.safetensors"),
      STATUS_MISUSE("SaveToNoFolder", Save({{"w", Weight()}}, Path("absent/w.safetensors")),  //
                    "absent/w.safetensors"),
      STATUS_MISUSE(
          "LoadOfAnotherShape",
          [] {
            const std::string path = Path("shape.safetensors");
            EXPECT_TRUE(Save({{"w", Weight()}}, path).ok());
            return Load({{"w", Parameter(Tensor::Ones({3, 2}))}}, path);
          }(),
          "shape.safetensors", "\"w\"", "float32[2,3]", "float32[3,2]"),
      STATUS_MISUSE(
          "LoadOfAnotherName",
          [] {
            const std::string path = Path("name.safetensors");
            EXPECT_TRUE(Save({{"old", Weight()}}, path).ok());
            return Load({{"new", Weight()}}, path);
          }(),
          "name.safetensors", "missing", "\"new\"", "\"old\""),
      MISUSE("SaveOfOneNameTwice",
             Save({{"w", Weight()}, {"w", Weight()}}, Path("twice.safetensors")).ok(),  //
             "[safetensors]", "comes twice"),
      STATUS_MISUSE("TextOfNoFile", LoadText(Path("absent.txt")).status(), "absent.txt"),
      STATUS_MISUSE("EncodeOfAnUnknownCharacter", Vocabulary(U"abc").Encode(U"abd").status(),  //
                    "U+0064", "position 2", "3 characters"),
      STATUS_MISUSE("StreamsOfTooFewTokens", CutIntoStreams({1, 2, 3}, 2, 4).status(),
                    "3 characters", "2 streams of 4 steps"),
  };
  return rows;
}
MISUSES(Data, DataRows());

}  // namespace
}  // namespace wengert
