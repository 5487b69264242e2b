#include "nn/initializers.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "ops/ops.h"

namespace wengert::nn {
namespace {

// The standard deviation that is left of the standard normal distribution within +-2:
// sqrt(1 - 4 phi(2) / (Phi(2) - Phi(-2))).
constexpr double kTruncatedStddev = 0.87962566103423978;

Tensor SymmetricUniform(const Shape& shape, double limit, Generator& generator) {
  return Uniform(shape, generator, -limit, limit).value();
}

Tensor DrawTruncatedNormal(const Shape& shape, double stddev, Generator& generator) {
  constexpr float kLimit = 2;
  Tensor tensor = Normal(shape, generator).value().Clone();
  float* const data = tensor.mutable_data<float>();
  std::vector<int64_t> outside;
  for (int64_t i = 0; i < tensor.size(); ++i) {
    if (std::abs(data[i]) > kLimit) outside.push_back(i);
  }
  while (!outside.empty()) {
    const Tensor drawn = Normal({static_cast<int64_t>(outside.size())}, generator).value();
    size_t left = 0;
    for (size_t k = 0; k < outside.size(); ++k) {
      const float value = drawn.data<float>()[k];
      data[outside[k]] = value;
      if (std::abs(value) > kLimit) outside[left++] = outside[k];
    }
    outside.resize(left);
  }
  for (int64_t i = 0; i < tensor.size(); ++i) data[i] *= static_cast<float>(stddev);
  return tensor;
}

// Truncated, with this variance.
Tensor NormalOfVariance(const Shape& shape, double variance, Generator& generator) {
  return DrawTruncatedNormal(shape, std::sqrt(variance) / kTruncatedStddev, generator);
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

Tensor GlorotNormal(const Shape& shape, Generator& generator) {
  const Fans fans = FansOf(shape);
  return NormalOfVariance(shape, 2 / (fans.in + fans.out), generator);
}

Tensor HeUniform(const Shape& shape, Generator& generator) {
  return SymmetricUniform(shape, std::sqrt(6 / FansOf(shape).in), generator);
}

Tensor HeNormal(const Shape& shape, Generator& generator) {
  return NormalOfVariance(shape, 2 / FansOf(shape).in, generator);
}

Tensor LecunUniform(const Shape& shape, Generator& generator) {
  return SymmetricUniform(shape, std::sqrt(3 / FansOf(shape).in), generator);
}

Tensor LecunNormal(const Shape& shape, Generator& generator) {
  return NormalOfVariance(shape, 1 / FansOf(shape).in, generator);
}

Initializer TruncatedNormal(double stddev) {
  if (!(stddev >= 0 && std::isfinite(stddev))) {
    throw Error("initializer",
                absl::StrCat("stddev = ", stddev, ", but must be finite and not ", "negative"));
  }
  return [stddev](const Shape& shape, Generator& generator) {
    return DrawTruncatedNormal(shape, stddev, generator);
  };
}

Tensor Orthogonal(const Shape& shape, Generator& generator) {
  if (shape.rank() < 2) {
    throw Error("initializer",
                absl::StrCat("an orthogonal weight has rank 2 or more, not ", ToString(shape)));
  }
  const int64_t columns = shape[shape.rank() - 1];
  int64_t rows = 1;
  for (int i = 0; i < shape.rank() - 1; ++i) rows *= shape[i];
  const int64_t count = std::min(rows, columns), length = std::max(rows, columns);
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
  return (rows <= columns ? q : Transpose(q)).value().Contiguous().Reshape(shape);
}

Tensor Eye(const Shape& shape, Generator&) {
  if (shape.rank() != 2) {
    throw Error("initializer", absl::StrCat("an identity has rank 2, not ", ToString(shape)));
  }
  Tensor eye = Tensor::Zeros(shape);
  const int64_t length = std::min(shape[0], shape[1]);
  for (int64_t i = 0; i < length; ++i) eye.mutable_data<float>()[i * shape[1] + i] = 1;
  return eye;
}

Tensor Zeros(const Shape& shape, Generator&) { return Tensor::Zeros(shape); }
Tensor Ones(const Shape& shape, Generator&) { return Tensor::Ones(shape); }

Initializer Constant(double value) {
  return [value](const Shape& shape, Generator&) { return Tensor::Full(shape, value); };
}

Tensor Initialized(std::string_view layer, const Initializer& initializer, const Shape& shape,
                   Generator& generator) {
  if (!initializer) throw Error(layer, "the initializer is null");
  Tensor initial = initializer(shape, generator);
  if (initial.shape() != shape) {
    throw Error(layer, absl::StrCat("the initializer gives ", ToString(initial.shape()),
                                    ", not the weight's ", ToString(shape)));
  }
  return initial;
}

Initializer Scaled(Initializer initializer, double gain) {
  return [initializer = std::move(initializer), gain](const Shape& shape, Generator& generator) {
    return (Variable(Initialized("initializer", initializer, shape, generator)) * gain).value();
  };
}

}  // namespace wengert::nn
