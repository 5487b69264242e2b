// digit_pictures FOLDER: writes MNIST's first ten test images there as PNG files, N.png, and again
// as large, dark on light and off the middle, N_large.png, and blank.png; prints the ten labels.
#include <cstdio>
#include <string>
#include <vector>

#include "data/formats/png.h"
#include "data/mnist.h"
#include "models/pictures.h"
#include "ops/ops.h"

int main(int, char** argv) {
  using namespace wengert;  // NOLINT(google-build-using-namespace)
  const std::string folder = argv[1];
  const MnistSplit test = LoadMnistTest().value();
  for (int64_t i = 0; i < 10; ++i) {
    const Tensor image = test.images.Narrow(0, i, 1);
    const Variable large = Pad(Cast(Enlarge(image, 12), DType::kInt32).value(),
                               std::vector<PadWidth>{{}, {90, 10}, {5, 200}, {}});
    const Tensor inverted = Cast(255 - large, DType::kUInt8).value();
    const std::string path = folder + "/" + std::to_string(i);
    if (!WritePng(path + ".png", image.Squeeze(0)).ok()) return 1;
    if (!WritePng(path + "_large.png", inverted.Squeeze(0)).ok()) return 1;
    std::printf("%d ", test.labels.at<int32_t>({i}));
  }
  std::printf("\n");
  const Tensor blank = Tensor::Full({40, 30, 3}, 255, DType::kUInt8);
  if (!WritePng(folder + "/blank.png", blank).ok()) return 1;
  return 0;
}
