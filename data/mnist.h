// MNIST: 70,000 handwritten digits, which come with the source (data/mnist). Any data set in the
// same four files will do, such as Fashion-MNIST.
#ifndef WENGERT_DATA_MNIST_H_
#define WENGERT_DATA_MNIST_H_

#include <string>

#include "absl/status/statusor.h"
#include "tensor/tensor.h"

namespace wengert {

struct MnistSplit {
  Tensor images;  // uint8 [N,28,28,1]: 0 is background, 255 ink
  Tensor labels;  // int32 [N]: 0 to 9
};

struct Mnist {
  MnistSplit train, test;
};

// Reads train-images-idx3-ubyte.gz and train-labels-idx1-ubyte.gz (or t10k-...) in `folder`, or the
// files without .gz where those are absent. An empty `folder` stands for the embedded data. A file
// that is missing, damaged or not what MNIST has is an error that names file and offset.
absl::StatusOr<MnistSplit> LoadMnistTrain(const std::string& folder = "");
absl::StatusOr<MnistSplit> LoadMnistTest(const std::string& folder = "");
absl::StatusOr<Mnist> LoadMnist(const std::string& folder = "");

}  // namespace wengert

#endif  // WENGERT_DATA_MNIST_H_
