// The MNIST models' gradients at full size, through the fast float32 kernels, against float64,
// which runs the plain loops: on a real batch, and on the smaller batch that ends an epoch.
#include <cmath>
#include <string>
#include <vector>

#include "autograd/grad.h"
#include "data/loader.h"
#include "data/mnist.h"
#include "gtest/gtest.h"
#include "models/digits/classifiers.h"
#include "ops/ops.h"

namespace wengert {
namespace {

// Replaces every parameter by the same numbers in float64.
struct ToFloat64 {
  template <class Member>
  void operator()(std::string_view, Member& member) const {
    if constexpr (std::is_same_v<Member, Parameter>) {
      if (!member.defined()) return;
      const Tensor value = member.value().To(DType::kFloat64);
      member = member.trained() ? Parameter(value) : Parameter::Untrained(value);
    } else if constexpr (requires { member.Visit(*this); }) {
      member.Visit(*this);
    }
  }
};

template <class Model>
std::vector<Tensor> Gradients(Model& model, const Tensor& images, const Tensor& labels) {
  const ValueAndGradients step = ValueAndGrad(
      [&] { return SoftmaxCrossEntropy(model(images), Variable(labels)); }, Parameters(model));
  std::vector<Tensor> gradients{step.value.value()};
  for (const Variable& gradient : step.gradients) gradients.push_back(gradient.value());
  return gradients;
}

template <class Model>
void ExpectGradientsAgree(Model fast, Model exact, int64_t batch_size) {
  const absl::StatusOr<MnistSplit> data = LoadMnistTrain();
  ASSERT_TRUE(data.ok()) << data.status();
  const Loader loader(data->images, data->labels, {.batch_size = batch_size, .scale = true});
  const Batch batch = loader.Epoch(0).At(0);
  exact.Visit(ToFloat64());
  const std::vector<Parameter> parameters = Parameters(fast);
  const std::vector<Tensor> a = Gradients(fast, batch.inputs, batch.targets);
  const std::vector<Tensor> b = Gradients(exact, batch.inputs.To(DType::kFloat64), batch.targets);
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    const std::vector<double> x = a[i].ToVector<double>(), y = b[i].ToVector<double>();
    double difference = 0, norm = 0;
    for (size_t k = 0; k < x.size(); ++k) {
      difference += (x[k] - y[k]) * (x[k] - y[k]);
      norm += y[k] * y[k];
    }
    EXPECT_LT(std::sqrt(difference / norm), 1e-4)
        << (i == 0 ? "loss" : parameters[i - 1].name()) << ", batch " << batch_size;
  }
}

TEST(MnistGradientsTest, Cnn32) {
  for (const int64_t batch : {128, 96}) {
    Generator a(1), b(1);
    ExpectGradientsAgree(mnist::Cnn32(a, true), mnist::Cnn32(b, true), batch);
  }
}

TEST(MnistGradientsTest, Cnn32WithoutPooling) {
  Generator a(1), b(1);
  ExpectGradientsAgree(mnist::Cnn32(a, false), mnist::Cnn32(b, false), 32);
}

TEST(MnistGradientsTest, Cnn32_64_D128) {
  Generator a(1), b(1);
  ExpectGradientsAgree(mnist::Cnn32_64_D128(a), mnist::Cnn32_64_D128(b), 128);
}

TEST(MnistGradientsTest, Cnn32_64_64_D64) {
  Generator a(1), b(1);
  ExpectGradientsAgree(mnist::Cnn32_64_64_D64(a), mnist::Cnn32_64_64_D64(b), 64);
}

TEST(MnistGradientsTest, ResNet) {
  Generator a(1), b(1);
  ExpectGradientsAgree(mnist::ResNet(a), mnist::ResNet(b), 32);
}

TEST(MnistGradientsTest, Mlp) {
  Generator a(1), b(1);
  ExpectGradientsAgree(mnist::Mlp(a, &Tanh), mnist::Mlp(b, &Tanh), 128);
}

}  // namespace
}  // namespace wengert
