// Fit: it learns, the same bits for the same seed on any number of threads; it stops at a loss that
// is not finite; what it prints where.
#include "nn/train/fit.h"

#include <cstdio>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "nn/layers.h"
#include "tensor/parallel.h"
#include "tests/nn/fit_training.h"
#include "tests/tensor/thrown_message.h"

namespace wengert {
namespace {

// What was written to a FitOptions.out that is not a terminal.
class OutputFile {
 public:
  OutputFile() : file_(std::tmpfile()) {}
  ~OutputFile() { std::fclose(file_); }
  std::FILE* file() const { return file_; }
  std::string Text() const {
    std::rewind(file_);
    std::string text;
    for (int c; (c = std::fgetc(file_)) != EOF;) text += static_cast<char>(c);
    return text;
  }

 private:
  std::FILE* file_;
};

TEST(FitTest, LearnsASeparableSet) {
  Training t;
  const Metrics before = EvaluateObjective(t.objective, t.loader);
  const FitResult result = t.Run({.epochs = 20, .quiet = true});
  const Metrics after = EvaluateObjective(t.objective, t.loader);
  EXPECT_LT(after.loss, 0.2 * before.loss);
  EXPECT_EQ(after.accuracy, 1);
  EXPECT_EQ(after.examples, 60);
  EXPECT_EQ(result.epochs, 20);
  EXPECT_EQ(result.steps, 20 * 4);
  EXPECT_EQ(t.optimizer.steps(), 20 * 4);
  EXPECT_EQ(result.training.accuracy, 1);
  EXPECT_EQ(result.training.examples, 60);
  EXPECT_GE(result.seconds, 0);
  EXPECT_FALSE(result.interrupted);
}

TEST(FitTest, WithoutEpochsDoesNothing) {
  Training t;
  const std::vector<Tensor> before = Clones(t.parameters);
  const FitResult result = t.Run({.epochs = 0, .quiet = true});
  EXPECT_EQ(result.epochs, 0);
  EXPECT_EQ(result.steps, 0);
  ExpectSameBits(Clones(t.parameters), before);
}

// The last batch is smaller: a mean of the batches' means would be another number.
TEST(FitTest, MetricsAreMeansOverTheExamples) {
  Training t;
  t.optimizer.set_learning_rate(0);
  const FitResult result = t.Run({.quiet = true});
  const Loader whole(t.data.images, t.data.labels, {.batch_size = 60});
  const Metrics all = EvaluateObjective(t.objective, whole);
  EXPECT_NEAR(result.training.loss, all.loss, 1e-6);
  EXPECT_NEAR(result.training.accuracy, all.accuracy, 1e-12);
  EXPECT_NEAR(EvaluateObjective(t.objective, t.loader).loss, all.loss, 1e-6);
}

std::vector<Tensor> TrainedWeights(uint64_t seed, int threads) {
  const int before = NumThreads();
  SetNumThreads(threads);
  const Data data = Clouds(300, 100);
  Generator rng(seed);
  Mlp model(100, 256, rng, /*rate=*/0.3);
  Adam optimizer(Parameters(model));
  const Loader loader(data.images, data.labels, {.batch_size = 128, .shuffle = true, .seed = seed});
  Fit(Classification(model), optimizer, loader, rng, {.epochs = 3, .quiet = true});
  SetNumThreads(before);
  return Clones(optimizer.parameters());
}

TEST(FitTest, OneSeedGivesOneResultOnAnyNumberOfThreads) {
  const std::vector<Tensor> weights = TrainedWeights(5, 2);
  ExpectSameBits(TrainedWeights(5, 2), weights);
  ExpectSameBits(TrainedWeights(5, 1), weights);
  ExpectSameBits(TrainedWeights(5, 3), weights);
  EXPECT_FALSE(BitwiseEqual(TrainedWeights(6, 2)[0], weights[0]));
}

TEST(FitTest, LayersTrainInFitAndInferInEvaluation) {
  Training t;
  std::vector<bool> training;
  const Objective watched = [&](const Batch& batch) {
    training.push_back(TrainingScope::active());
    return t.objective(batch);
  };
  const FitOptions options{.quiet = true,
                           .validate = [&] { return EvaluateObjective(watched, t.loader); }};
  Fit(watched, t.optimizer, t.loader, t.rng, options);
  EXPECT_EQ(training, (std::vector<bool>{1, 1, 1, 1, 0, 0, 0, 0}));
}

TEST(FitTest, AScheduleGivesTheRateOfEachStep) {
  Training t;
  class Watched : public Sgd {
   public:
    using Sgd::Sgd;
    std::vector<double> rates;

   private:
    std::vector<Variable> Update(std::vector<Variable> values, const Variable&,
                                 const Rates&) override {
      if (static_cast<int64_t>(rates.size()) < steps()) rates.push_back(learning_rate());
      return values;
    }
  };
  Watched optimizer(t.parameters, {.learning_rate = 0.25});
  const Schedule schedule = CosineDecay({.rate = 0.25, .steps = 3 * t.loader.batches()});
  const FitResult result = Fit(t.objective, optimizer, t.loader, t.rng,
                               {.epochs = 3, .schedule = schedule, .quiet = true});
  ASSERT_EQ(static_cast<int64_t>(optimizer.rates.size()), result.steps);
  for (int64_t i = 0; i < result.steps; ++i) {
    EXPECT_NEAR(optimizer.rates[i], 0.125 * (1 + std::cos(M_PI * i / result.steps)), 1e-12);
  }
  EXPECT_EQ(optimizer.learning_rate(), 0.25);  // as it was
}

// Runs t, which must fail in its step 3, and expects the parameters after two steps.
void ExpectStopsBeforeStepThree(Training& t, const std::string& op, const std::string& reading) {
  Training two;
  two.loader = Loader(two.data.images, two.data.labels, {.batch_size = 16, .limit = 32});
  two.Run({.quiet = true});
  const std::string text = ThrownMessage([&] { t.Run({.epochs = 2, .quiet = true}); });
  EXPECT_EQ(text.find(op), 0u) << text;
  EXPECT_NE(text.find(reading), std::string::npos) << text;
  EXPECT_EQ(t.optimizer.steps(), 2);
  ExpectSameBits(Clones(t.parameters), Clones(two.parameters));
}

TEST(FitTest, ANanInAnImageStopsBeforeTheStep) {
  Training t;
  t.data.images.mutable_data<float>()[4 * 40 + 1] = std::numeric_limits<float>::quiet_NaN();
  ExpectStopsBeforeStepThree(t, "[matmul]", "reading fc1/weight");
}

TEST(FitTest, TheLogarithmOfANegativeStopsBeforeTheStep) {
  Training t;
  t.objective = [&t](const Batch& batch) {
    Outcome outcome = Classification(t.model)(batch);
    if (batch.index == 2) outcome.loss = outcome.loss + Mean(Log(Mean(batch.inputs) - 5));
    return outcome;
  };
  ExpectStopsBeforeStepThree(t, "[log]", __FILE__);
}

// The square root of 0 has a value but no finite derivative: the loss looks good.
TEST(FitTest, AGradientThatIsNotFiniteStopsBeforeTheStep) {
  Training t;
  t.objective = [&t](const Batch& batch) {
    Outcome outcome = Classification(t.model)(batch);
    if (batch.index == 2) {
      outcome.loss = outcome.loss + Sum(Sqrt(t.model.fc2.bias.variable() * 0));
    }
    return outcome;
  };
  ExpectStopsBeforeStepThree(t, "[div]", __FILE__);
}

TEST(FitTest, APoisonedParameterStopsBeforeTheFirstStep) {
  Training t;
  Tensor poisoned = t.model.fc2.weight.value().Clone();
  poisoned.mutable_data<float>()[3] = std::numeric_limits<float>::infinity();
  t.model.fc2.weight.Set(poisoned);
  const std::vector<Tensor> before = Clones(t.parameters);
  const std::string text = ThrownMessage([&] { t.Run({.quiet = true}); });
  EXPECT_EQ(text.find("[matmul]"), 0u) << text;
  EXPECT_NE(text.find("reading fc2/weight"), std::string::npos) << text;
  EXPECT_EQ(t.optimizer.steps(), 0);
  ExpectSameBits(Clones(t.parameters), before);
}

// The search for the op draws what the failed step drew, else it would often find nothing.
TEST(FitTest, ARandomFailureIsFoundAgain) {
  for (uint64_t seed = 0; seed < 8; ++seed) {
    Training t;
    t.rng = Generator(seed);
    t.objective = [&t](const Batch& batch) {
      Outcome outcome = Classification(t.model)(batch);
      const Variable kept = Dropout(Variable(Tensor::Ones({1})), 0.5);  // 0 or 2
      outcome.loss = outcome.loss + Sum(Log(kept - 1));
      return outcome;
    };
    const std::string text = ThrownMessage([&] { t.Run({.epochs = 10, .quiet = true}); });
    EXPECT_EQ(text.find("[log]"), 0u) << text;
  }
}

TEST(FitTest, QuietPrintsNothing) {
  Training t;
  const OutputFile out;
  t.Run({.epochs = 2, .quiet = true, .out = out.file()});
  EXPECT_EQ(out.Text(), "");
}

TEST(FitTest, PrintsOnePlainLineAnEpochWhereThereIsNoTerminal) {
  Training t;
  const OutputFile out;
  int validations = 0;
  t.Run({.epochs = 3, .out = out.file(), .validate = [&] {
           ++validations;
           EXPECT_EQ(t.optimizer.steps(), 4 * validations);
           return Metrics{.loss = 0.5, .accuracy = 0.75, .examples = 4};
         }});
  EXPECT_EQ(validations, 3);
  const std::string text = out.Text();
  EXPECT_EQ(text.find('\r'), std::string::npos);
  EXPECT_EQ(text.find('\033'), std::string::npos);
  size_t start = 0;
  for (int epoch = 1; epoch <= 3; ++epoch) {
    const size_t end = text.find('\n', start);
    EXPECT_NE(end, std::string::npos);
    const std::string line = text.substr(start, end - start);
    EXPECT_EQ(line.find("Epoch " + std::to_string(epoch) + "/3  4/4  loss 0."), 0u) << line;
    EXPECT_NE(line.find(" %  "), std::string::npos) << line;
    EXPECT_NE(line.find(" examples/s  "), std::string::npos) << line;
    EXPECT_NE(line.find(" left  validation loss 0.5000  accuracy 75.00 %"), std::string::npos)
        << line;
    start = end + 1;
  }
  EXPECT_EQ(start, text.size());
}

TEST(FitTest, ShowsNoAccuracyWhereThereIsNone) {
  Training t;
  t.objective = [&t](const Batch& batch) {
    return Outcome{.loss = Mean(Square(t.model(batch.inputs))), .correct = {}};
  };
  const OutputFile out;
  const FitResult result = t.Run({.epochs = 1, .out = out.file()});
  EXPECT_EQ(out.Text().find("accuracy"), std::string::npos) << out.Text();
  EXPECT_GT(result.training.loss, 0);
  EXPECT_LT(result.training.accuracy, 0);
  const Metrics metrics = EvaluateObjective(t.objective, t.loader);
  EXPECT_GT(metrics.loss, 0);
  EXPECT_LT(metrics.accuracy, 0);
}

TEST(FitTest, ClipsTheGradientsOfEveryStep) {
  for (const bool clipped : {false, true}) {
    Training t;  // plain gradient descent: a step is as long as the rate times the norm
    const std::vector<Tensor> before = Clones(t.parameters);
    t.loader = Loader(t.data.images, t.data.labels, {.batch_size = 60});
    t.Run({.clip_norm = clipped ? 0.01 : 0, .quiet = true});
    double squares = 0;
    for (size_t i = 0; i < before.size(); ++i) {
      const Variable step = Variable(t.parameters[i].value()) - Variable(before[i]);
      squares += Sum(Square(step)).item<double>();
    }
    if (clipped) {
      EXPECT_NEAR(std::sqrt(squares), 0.1 * 0.01, 1e-6);
    } else {
      EXPECT_GT(std::sqrt(squares), 0.1 * 0.05);
    }
  }
  Training t;
  EXPECT_EQ(ThrownMessage([&] { t.Run({.clip_norm = -1}); }), "[fit] clip_norm is -1");
}

TEST(FitTest, KeepsTheParametersOfTheBestEpoch) {
  const std::vector<double> losses{0.9, 0.5, std::nan(""), 0.5, 0.7};
  for (const bool keep_best : {false, true}) {
    Training t;
    std::vector<std::vector<Tensor>> weights;
    const FitResult result = t.Run({.epochs = 5,
                                    .quiet = true,
                                    .validate =
                                        [&] {
                                          weights.push_back(Clones(t.parameters));
                                          return Metrics{.loss = losses[weights.size() - 1]};
                                        },
                                    .keep_best = keep_best});
    EXPECT_EQ(result.epochs, 5);
    EXPECT_EQ(result.best_epoch, keep_best ? 2 : 0);
    EXPECT_EQ(result.best.loss, keep_best ? 0.5 : 0);
    ExpectSameBits(Clones(t.parameters), weights[keep_best ? 1 : 4]);
    EXPECT_FALSE(BitwiseEqual(weights[1][0], weights[3][0]));
  }
  Training t;
  EXPECT_EQ(ThrownMessage([&] { t.Run({.keep_best = true}); }), "[fit] keep_best needs validate");
}

TEST(FitTest, KeepsTheLastParametersWhereNoEpochHasAFiniteLoss) {
  Training t, plain;
  const FitResult result = t.Run(
      {.quiet = true, .validate = [] { return Metrics{.loss = std::nan("")}; }, .keep_best = true});
  plain.Run({.quiet = true});
  EXPECT_EQ(result.best_epoch, 0);
  ExpectSameBits(Clones(t.parameters), Clones(plain.parameters));
}

// Trains for up to `losses.size()` epochs, which validate with these losses.
struct Stopping {
  FitResult result;
  std::vector<std::vector<Tensor>> weights;  // after each epoch
  std::vector<Tensor> last;                  // after the run
};
Stopping TrainWithLosses(const std::vector<double>& losses, int64_t patience, bool keep_best) {
  Training t;
  Stopping run;
  run.result = t.Run({.epochs = static_cast<int64_t>(losses.size()),
                      .quiet = true,
                      .validate =
                          [&] {
                            run.weights.push_back(Clones(t.parameters));
                            return Metrics{.loss = losses[run.weights.size() - 1]};
                          },
                      .keep_best = keep_best,
                      .patience = patience});
  run.last = Clones(t.parameters);
  return run;
}

TEST(FitTest, PatienceStopsAfterSoManyEpochsWithoutALowerLoss) {
  const std::vector<double> losses{0.9, 0.5, 0.6, 0.4, 0.4, std::nan(""), 0.3, 0.2};
  const struct {
    int64_t patience, epochs;
    bool early;
  } cases[] = {{0, 8, false}, {1, 3, true}, {2, 6, true}, {3, 8, false}};
  for (const auto& expected : cases) {
    const Stopping run = TrainWithLosses(losses, expected.patience, /*keep_best=*/false);
    EXPECT_EQ(run.result.epochs, expected.epochs) << expected.patience;
    EXPECT_EQ(run.result.steps, 4 * expected.epochs);
    EXPECT_EQ(run.result.stopped_early, expected.early) << expected.patience;
    EXPECT_FALSE(run.result.interrupted);
    EXPECT_EQ(run.result.best_epoch, 0);
    ExpectSameBits(run.last, run.weights[expected.epochs - 1]);
  }
}

TEST(FitTest, PatienceAndKeepBestLeaveTheParametersOfTheBestEpoch) {
  const Stopping run = TrainWithLosses({0.9, 0.5, 0.6, 0.7, 0.1}, 2, /*keep_best=*/true);
  EXPECT_EQ(run.result.epochs, 4);
  EXPECT_TRUE(run.result.stopped_early);
  EXPECT_EQ(run.result.best_epoch, 2);
  EXPECT_EQ(run.result.best.loss, 0.5);
  ExpectSameBits(run.last, run.weights[1]);
}

TEST(FitTest, PatienceThatEndsWithTheLastEpochDoesNotStopEarly) {
  EXPECT_FALSE(TrainWithLosses({0.5, 0.6, 0.7}, 2, false).result.stopped_early);
  // Losses that are never finite count as well.
  const Stopping run = TrainWithLosses(std::vector<double>(5, std::nan("")), 2, true);
  EXPECT_EQ(run.result.epochs, 2);
  EXPECT_TRUE(run.result.stopped_early);
}

TEST(FitTest, PatienceIsChecked) {
  Training t;
  EXPECT_EQ(ThrownMessage([&] { t.Run({.patience = 1}); }), "[fit] patience needs validate");
  EXPECT_EQ(ThrownMessage([&] { t.Run({.validate = [] { return Metrics{}; }, .patience = -1}); }),
            "[fit] patience is -1, expected 0 or more");
}

TEST(ConfusionMatrixTest, CountsLabelsByRow) {
  // The "model" takes the class that the image names.
  const Tensor images = Tensor::FromVector<float>({0, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 1}, {4, 3});
  const Tensor labels = Tensor::FromVector<int32_t>({1, 2, 0, 1});  // taken for 1, 2, 0, 2
  const Loader loader(images, labels, {.batch_size = 3});
  const Tensor matrix = ConfusionMatrix([](const Variable& x) { return x; }, loader, 3);
  EXPECT_EQ(matrix.ToVector<int64_t>(), (std::vector<int64_t>{1, 0, 0, 0, 1, 1, 0, 0, 1}));
  EXPECT_EQ(ConfusionMatrixText(matrix),
            "label     0     1     2   taken for\n"
            "    0     1     0     0\n"
            "    1     0     1     1\n"
            "    2     0     0     1\n");
}

}  // namespace
}  // namespace wengert
