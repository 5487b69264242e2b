#include "nn/initializers.h"

#include <cmath>

#include "absl/strings/str_cat.h"
#include "ops/ops.h"

namespace wengert::nn {
namespace {

Tensor SymmetricUniform(const Shape& shape, double limit, Generator& generator) {
  return Uniform(shape, generator, -limit, limit).value();
}

}  // namespace

Fans FansOf(const Shape& weight) {
  if (weight.rank() < 2) {
    throw Error("initializer", absl::StrCat("a weight has rank 2 or more, not ", ToString(weight)));
  }
  double area = 1;
  for (int i = 0; i < weight.rank() - 2; ++i) area *= static_cast<double>(weight[i]);
  return {area * static_cast<double>(weight[weight.rank() - 2]),
          area * static_cast<double>(weight[weight.rank() - 1])};
}

Tensor GlorotUniform(const Shape& shape, Generator& generator) {
  const Fans fans = FansOf(shape);
  return SymmetricUniform(shape, std::sqrt(6 / (fans.in + fans.out)), generator);
}

Tensor HeNormal(const Shape& shape, Generator& generator) {
  return Normal(shape, generator, 0, std::sqrt(2 / FansOf(shape).in)).value();
}

Tensor HeUniform(const Shape& shape, Generator& generator) {
  return SymmetricUniform(shape, std::sqrt(6 / FansOf(shape).in), generator);
}

Tensor Zeros(const Shape& shape, Generator&) { return Tensor::Zeros(shape); }

}  // namespace wengert::nn
