#include "models/digits/autoencoders.h"

#include <algorithm>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "data/formats/file.h"
#include "data/formats/png.h"
#include "models/command_line.h"
#include "models/digits/training.h"
#include "models/pictures.h"

ABSL_FLAG(std::string, pictures, "",
          "of an autoencoder, after training: PNG file for test images over their reconstructions; "
          "of the vae, digits that it makes up too");

namespace wengert::mnist {
namespace {

constexpr uint64_t kTestNoise = 1;  // the seed of the noise outside of training

Variable WithNoise(const Vae::Posterior& q, int64_t batch) {
  Generator other(kTestNoise);
  other.counter = static_cast<uint64_t>(batch) << 32;  // far from the numbers of other batches
  Generator& generator = TrainingScope::active() ? TrainingScope::generator() : other;
  return q.mean + Exp(q.log_variance / 2) * Normal(q.mean.shape(), generator);
}

DrawingModel MakeVae(Generator& generator) {
  const auto vae = std::make_shared<Vae>(generator);
  return {.model = Wrap(*vae, {"vae", "adam", 128, 20, "cosine", 2e-3}),
          .objective =
              [vae](const Batch& batch) {
                const Vae::Posterior q = vae->Encode(batch.inputs);
                const Variable logits = vae->Decode(WithNoise(q, batch.index));
                return Outcome{.loss = Mean(PixelCrossEntropy(logits, batch.inputs) +
                                            KlFromStandardNormal(q.mean, q.log_variance)),
                               .correct = {}};
              },
          .divergence =
              [vae](const Batch& batch) {
                const Vae::Posterior q = vae->Encode(batch.inputs);
                return Outcome{.loss = Mean(KlFromStandardNormal(q.mean, q.log_variance)),
                               .correct = {}};
              },
          .decode = [vae](const Variable& codes) { return vae->Decode(codes); },
          .encode = [vae](const Variable& images) { return vae->Encode(images).mean; }};
}

DrawingModel MakeAutoencoder(Generator& generator) {
  const Model model =
      Wrap(Autoencoder(generator), {"autoencoder", "adam", 128, 10, "cosine", 2e-3});
  return {.model = model, .objective = [forward = model.forward](const Batch& batch) {
            return Outcome{.loss = Mean(PixelCrossEntropy(forward(batch.inputs), batch.inputs)),
                           .correct = {}};
          }};
}

}  // namespace

Variable PixelCrossEntropy(const Variable& logits, const Variable& images) {
  const Variable losses = SigmoidCrossEntropy(logits, images, {.reduction = LossReduction::kNone});
  return Sum(nn::Flatten()(losses), -1);
}

Variable KlFromStandardNormal(const Variable& mean, const Variable& log_variance) {
  return -0.5 * Sum(1 + log_variance - Square(mean) - Exp(log_variance), -1);
}

DrawingModel MakeDrawingModel(std::string_view name, Generator& generator) {
  return name == "vae" ? MakeVae(generator) : MakeAutoencoder(generator);
}

Tensor PictureGrid(const DrawingModel& drawing, const Tensor& images, Generator& generator) {
  constexpr int64_t kPriorRows = 4;
  const int64_t n = images.dim(0);
  const NoGradGuard no_grad;
  std::vector<Variable> rows = {images, Sigmoid(drawing.model.forward(images))};
  if (drawing.decode) {
    const Variable codes = drawing.encode(images);
    const Variable first = Narrow(codes, 0, 0, 1), last = Narrow(codes, 0, n - 1, 1);
    const Variable way = Tensor::Linspace(0, 1, n).Unsqueeze(1);
    rows.push_back(Sigmoid(drawing.decode(first + way * (last - first))));
    const Variable prior = Normal({kPriorRows * n, codes.dim(1)}, generator);
    rows.push_back(Sigmoid(drawing.decode(prior)));
  }
  return Tiles(ToGreyLevels(Concat(rows, 0).value()), n);
}

absl::StatusOr<int> TrainDrawingModel(std::string_view name, Generator& generator) {
  constexpr int64_t kColumns = 10, kEnlarged = 3;
  const std::string pictures = absl::GetFlag(FLAGS_pictures);
  if (!pictures.empty()) {  // a place that cannot be written to is an error now
    if (const auto file = OutputFile::Create(pictures); !file.ok()) return file.status();
  }
  const DrawingModel drawing = MakeDrawingModel(name, generator);
  const auto report = [&](const Loader& test, const Metrics& metrics, const FitResult& result) {
    std::string parts;
    if (drawing.divergence) {
      const double kl = EvaluateObjective(drawing.divergence, test).loss;
      parts = absl::StrFormat(" reconstruction=%.4f kl=%.4f", metrics.loss - kl, kl);
    }
    absl::Status drawn;
    if (!pictures.empty()) {
      const Tensor first = test.Epoch(0).At(0).inputs;
      const Tensor images = first.Narrow(0, 0, std::min(kColumns, first.dim(0)));
      const Tensor grid = PictureGrid(drawing, images, generator);
      drawn = WritePng(pictures, Enlarge(grid.Unsqueeze(0), kEnlarged).Squeeze(0));
      if (drawn.ok() && !absl::GetFlag(FLAGS_quiet)) {
        std::printf("Drew %s\n", pictures.c_str());
      }
    }
    std::printf("test_loss=%.4f%s epochs=%lld seconds=%.1f model=%s seed=%llu\n", metrics.loss,
                parts.c_str(), static_cast<long long>(result.epochs), result.seconds,
                drawing.model.recipe.model.c_str(),
                static_cast<unsigned long long>(absl::GetFlag(FLAGS_seed)));
    return drawn;
  };
  return Train(
      drawing.model, drawing.objective, generator, [](const Tensor& images) { return images; },
      report);
}

}  // namespace wengert::mnist
