#include "nn/initializers.h"

#include <algorithm>
#include <cmath>
#include <numeric>

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

Tensor Orthogonal(const Shape& shape, Generator& generator) {
  if (shape.rank() != 2) {
    throw Error("initializer",
                absl::StrCat("an orthogonal weight has rank 2, not ", ToString(shape)));
  }
  const int64_t count = std::min(shape[0], shape[1]), length = std::max(shape[0], shape[1]);
  Tensor vectors = Normal({count, length}, generator, 0, 1, DType::kFloat64).value().Clone();
  double* const data = vectors.mutable_data<double>();
  // Gram and Schmidt's, modified. Normal vectors are far from dependent unless the matrix is
  // square, and even then float64 leaves float32 nothing to see.
  for (int64_t i = 0; i < count; ++i) {
    double* const v = data + i * length;
    const double norm = std::sqrt(std::inner_product(v, v + length, v, 0.0));
    for (int64_t k = 0; k < length; ++k) v[k] /= norm;
    for (int64_t j = i + 1; j < count; ++j) {
      double* const other = data + j * length;
      const double dot = std::inner_product(v, v + length, other, 0.0);
      for (int64_t k = 0; k < length; ++k) other[k] -= dot * v[k];
    }
  }
  const Variable q = Cast(vectors, DType::kFloat32);
  return (shape[0] <= shape[1] ? q : Transpose(q)).value().Contiguous();
}

Tensor Zeros(const Shape& shape, Generator&) { return Tensor::Zeros(shape); }

}  // namespace wengert::nn
