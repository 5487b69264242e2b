// A training step of the MNIST CNN cnn32_64_d128 written by hand on oneDNN primitives, with no
// framework: the mark that a framework without kernels of its own can reach.
#ifndef WENGERT_BENCHMARKS_COMPARE_RAW_ONEDNN_H_
#define WENGERT_BENCHMARKS_COMPARE_RAW_ONEDNN_H_

#include <cstdint>
#include <memory>

namespace wengert {

// Conv 32 3x3, relu, max-pool 2, conv 64 3x3, relu, max-pool 2, dense 128, relu, dense 10, softmax
// cross entropy, Adam (Keras' defaults). oneDNN's own threading. Primitives are created once;
// weights live in the formats that they ask for.
class RawOneDnnCnn {
 public:
  struct Options {
    int64_t batch = 128;
    int threads = 1;
    bool blocked = false;  // activations in oneDNN's blocked layout rather than NHWC
    uint32_t seed = 1;
  };
  explicit RawOneDnnCnn(const Options& options);
  ~RawOneDnnCnn();

  // Forward, loss, backward and update. images: [batch, 28, 28, 1], labels: [batch], read in place.
  // Returns the mean loss before the update.
  float Step(const float* images, const int32_t* labels);

  // How many of `batch` images the network classifies as labelled.
  int64_t CountCorrect(const float* images, const int32_t* labels);

 private:
  struct Network;
  std::unique_ptr<Network> network_;
};

}  // namespace wengert

#endif  // WENGERT_BENCHMARKS_COMPARE_RAW_ONEDNN_H_
