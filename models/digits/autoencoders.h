// Models that draw digits: an autoencoder and a variational autoencoder. Images are floats
// [N, 28, 28, 1] in [0, 1]; a pixel is the probability of ink.
#ifndef WENGERT_MODELS_DIGITS_AUTOENCODERS_H_
#define WENGERT_MODELS_DIGITS_AUTOENCODERS_H_

#include <cstdint>
#include <functional>
#include <string_view>

#include "absl/status/statusor.h"
#include "models/digits/recipe.h"
#include "nn/layers.h"
#include "nn/train/fit.h"

namespace wengert::mnist {

// Images to the logits of their reconstructions, through `kCode` numbers.
struct Autoencoder {
  static constexpr int64_t kHidden = 256, kCode = 32;
  nn::Dense encoder1, encoder2, decoder1, decoder2;

  explicit Autoencoder(Generator& rng)
      : encoder1({.in = 28 * 28, .out = kHidden}, rng),
        encoder2({.in = kHidden, .out = kCode}, rng),
        decoder1({.in = kCode, .out = kHidden}, rng),
        decoder2({.in = kHidden, .out = 28 * 28}, rng) {}
  Variable operator()(const Variable& images) const {
    const Variable codes = encoder2(Relu(encoder1(nn::Flatten()(images))));
    return nn::Unflatten{{28, 28, 1}}(decoder2(Relu(decoder1(codes))));
  }
  template <class V>
  void Visit(V&& v) {
    v("encoder1", encoder1), v("encoder2", encoder2), v("decoder1", decoder1);
    v("decoder2", decoder2);
  }
};

// Kingma & Welling 2014, "Auto-Encoding Variational Bayes", appendix C, with a Bernoulli decoder:
// z has the standard normal distribution; q(z | image) is normal with the mean and the log variance
// that the encoder gives; the decoder gives the pixels' logits.
struct Vae {
  static constexpr int64_t kHidden = 500, kCode = 20;
  nn::Dense encoder, mean, log_variance, decoder1, decoder2;

  explicit Vae(Generator& rng)
      : encoder({.in = 28 * 28, .out = kHidden}, rng),
        mean({.in = kHidden, .out = kCode}, rng),
        log_variance({.in = kHidden, .out = kCode}, rng),
        decoder1({.in = kCode, .out = kHidden}, rng),
        decoder2({.in = kHidden, .out = 28 * 28}, rng) {}
  struct Posterior {
    Variable mean, log_variance;  // [N, kCode]
  };
  Posterior Encode(const Variable& images) const {
    const Variable h = Relu(encoder(nn::Flatten()(images)));
    return {mean(h), log_variance(h)};
  }
  // codes: [N, kCode] -> logits [N, 28, 28, 1].
  Variable Decode(const Variable& codes) const {
    return nn::Unflatten{{28, 28, 1}}(decoder2(Relu(decoder1(codes))));
  }
  // From the mean of the codes, without noise.
  Variable operator()(const Variable& images) const { return Decode(Encode(images).mean); }
  template <class V>
  void Visit(V&& v) {
    v("encoder", encoder), v("mean", mean), v("log_variance", log_variance);
    v("decoder1", decoder1), v("decoder2", decoder2);
  }
};

// The parts of the negative evidence lower bound, in nats, of each example: [N]. The cross entropy
// of the pixels, added up; and the divergence of q from the standard normal distribution,
// -1/2 sum(1 + log_variance - mean^2 - exp(log_variance)), of which q has [N, code] each (appendix
// B).
Variable PixelCrossEntropy(const Variable& logits, const Variable& images);
Variable KlFromStandardNormal(const Variable& mean, const Variable& log_variance);

// A model, how it learns and what can be drawn with it.
struct DrawingModel {
  Model model;          // images to the logits of their reconstructions
  Objective objective;  // the mean over the batch of the cross entropy; of the vae, and the KL
  // Of the vae alone: the mean KL as the loss, and the decoder.
  Objective divergence = nullptr;
  std::function<Variable(const Variable& codes)> decode = nullptr;
  std::function<Variable(const Variable& images)> encode = nullptr;  // to the mean codes
};
// autoencoder or vae. z = mean + exp(log_variance / 2) noise; in a TrainingScope the noise is drawn
// from its generator, else it is the same for the same batch each time.
inline constexpr const char* kDrawingModels[] = {"autoencoder", "vae"};
DrawingModel MakeDrawingModel(std::string_view name, Generator& generator);

// uint8 [H, W, 1], tiles (see Tiles) in rows of as many as there are images: the images (floats
// [N, 28, 28, 1]); their reconstructions; and of the vae a walk on a straight line from the code of
// the first image to that of the last, and four rows of digits drawn from the prior.
Tensor PictureGrid(const DrawingModel& drawing, const Tensor& images, Generator& generator);

// Trains it with Train, prints a last line with the losses, in nats per image, and draws a grid of
// test images to --pictures, if that is given.
absl::StatusOr<int> TrainDrawingModel(std::string_view name, Generator& generator);

}  // namespace wengert::mnist

#endif  // WENGERT_MODELS_DIGITS_AUTOENCODERS_H_
