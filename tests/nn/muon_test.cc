// Muon against a plain loop in double, and what orthogonalizing does to singular values.
#include "nn/muon.h"

#include <cmath>
#include <vector>

#include "autograd/grad.h"
#include "gtest/gtest.h"
#include "ops/ops.h"
#include "tests/nn/optimizer_cases.h"
#include "tests/tensor/thrown_message.h"

namespace wengert {
namespace {

using Matrix = std::vector<std::vector<double>>;

Matrix Product(const Matrix& a, const Matrix& b) {
  Matrix c(a.size(), std::vector<double>(b[0].size()));
  for (size_t i = 0; i < a.size(); ++i) {
    for (size_t j = 0; j < b[0].size(); ++j) {
      for (size_t k = 0; k < b.size(); ++k) c[i][j] += a[i][k] * b[k][j];
    }
  }
  return c;
}
Matrix Transposed(const Matrix& a) {
  Matrix t(a[0].size(), std::vector<double>(a.size()));
  for (size_t i = 0; i < a.size(); ++i) {
    for (size_t j = 0; j < a[0].size(); ++j) t[j][i] = a[i][j];
  }
  return t;
}
Matrix Sum3(double a, const Matrix& x, double b, const Matrix& y, double c, const Matrix& z) {
  Matrix sum = x;
  for (size_t i = 0; i < x.size(); ++i) {
    for (size_t j = 0; j < x[0].size(); ++j) sum[i][j] = a * x[i][j] + b * y[i][j] + c * z[i][j];
  }
  return sum;
}
// a X + b (X X') X + c (X X')^2 X, as it stands in the article.
Matrix NewtonSchulz(Matrix x) {
  double square = 0;
  for (const auto& row : x) {
    for (const double v : row) square += v * v;
  }
  for (auto& row : x) {
    for (double& v : row) v /= std::sqrt(square) + 1e-7;
  }
  for (int i = 0; i < 5; ++i) {
    const Matrix gram = Product(x, Transposed(x));
    const Matrix third = Product(gram, x);
    x = Sum3(3.4445, x, -4.7750, third, 2.0315, Product(gram, third));
  }
  return x;
}

Matrix ToMatrix(const Tensor& t) {
  const std::vector<double> values = t.ToVector<double>();
  Matrix m(t.dim(0), std::vector<double>(t.dim(1)));
  for (int64_t i = 0; i < t.size(); ++i) m[i / t.dim(1)][i % t.dim(1)] = values[i];
  return m;
}

const std::vector<Shape> kShapes = {{3, 5}, {5, 3}, {4, 4}, {1, 6}, {7}};

void ExpectFollowsTheArticle(bool nesterov, DType dtype, double tolerance) {
  constexpr double kRate = 0.02, kMomentum = 0.9, kDecay = 0.1, kL1 = 0.01, kL2 = 0.02;
  const std::vector<Parameter> parameters = MakeParameters(kShapes, dtype);
  Muon muon({{.parameters = parameters, .weight_decay = kDecay, .l1 = kL1, .l2 = kL2}},
            {.learning_rate = kRate, .momentum = kMomentum, .nesterov = nesterov});
  std::vector<Matrix> w, sum;
  for (size_t p = 0; p < 4; ++p) {
    w.push_back(ToMatrix(parameters[p].value()));
    sum.push_back(Sum3(0, w[p], 0, w[p], 0, w[p]));
  }
  // The last one is trained by Adam.
  std::vector<double> v = parameters[4].value().ToVector<double>(), m(7), square(7);
  for (int step = 1; step <= 12; ++step) {
    const std::vector<Variable> gradients = MakeGradients(kShapes, step, dtype);
    muon.Step(gradients);
    for (size_t p = 0; p < 4; ++p) {
      Matrix g = ToMatrix(gradients[p].value());
      for (size_t i = 0; i < g.size(); ++i) {
        for (size_t j = 0; j < g[0].size(); ++j) {
          g[i][j] += std::copysign(kL1, w[p][i][j]) + 2 * kL2 * w[p][i][j];
        }
      }
      sum[p] = Sum3(kMomentum, sum[p], 1, g, 0, g);
      const Matrix direction =
          NewtonSchulz(nesterov ? Sum3(1, g, kMomentum, sum[p], 0, g) : sum[p]);
      const double ratio = static_cast<double>(g[0].size()) / static_cast<double>(g.size());
      const double scale = std::sqrt(std::max(1.0, ratio));
      w[p] = Sum3(1 - kRate * kDecay, w[p], -kRate * scale, direction, 0, g);
      const Matrix found = ToMatrix(parameters[p].value());
      for (size_t i = 0; i < g.size(); ++i) {
        for (size_t j = 0; j < g[0].size(); ++j) {
          ASSERT_NEAR(found[i][j], w[p][i][j], tolerance) << "step " << step << " tensor " << p;
        }
      }
    }
    const std::vector<double> given = gradients[4].value().ToVector<double>();
    const std::vector<double> found = parameters[4].value().ToVector<double>();
    for (size_t i = 0; i < v.size(); ++i) {
      const double g = given[i] + std::copysign(kL1, v[i]) + 2 * kL2 * v[i];
      m[i] = 0.9 * m[i] + 0.1 * g;
      square[i] = 0.95 * square[i] + 0.05 * g * g;
      const double rate = kRate * 0.015;
      v[i] = v[i] * (1 - 0.015 * kRate * kDecay) -
             rate * m[i] / (1 - std::pow(0.9, step)) /
                 (std::sqrt(square[i] / (1 - std::pow(0.95, step))) + 1e-10);
      ASSERT_NEAR(found[i], v[i], std::max(tolerance, 1e-10)) << "step " << step;
    }
  }
}

TEST(MuonTest, FollowsTheArticle) {
  ExpectFollowsTheArticle(true, DType::kFloat64, 1e-11);
  ExpectFollowsTheArticle(false, DType::kFloat64, 1e-11);
  ExpectFollowsTheArticle(true, DType::kFloat32, 2e-5);
}

// diag(3, 1, 0.3) turned by rotations: all singular values come close to 1.
TEST(MuonTest, OrthogonalizeMakesSingularValuesAlike) {
  Generator rng(3);
  for (const Shape& shape : {Shape{6, 20}, Shape{20, 6}}) {
    const Variable x = Normal(shape, rng, 0, 1, DType::kFloat64);
    const Variable y = Orthogonalize(x);
    const Variable rows = shape[0] < shape[1] ? y : Transpose(y);
    const Matrix gram = ToMatrix(MatMul(rows, Transpose(rows)).value());
    for (size_t i = 0; i < gram.size(); ++i) {
      EXPECT_GT(gram[i][i], 0.4);
      EXPECT_LT(gram[i][i], 1.6);
      for (size_t j = 0; j < i; ++j) EXPECT_LT(std::abs(gram[i][j]), 0.35);
    }
    EXPECT_GT(Sum(x * y).item<double>(), 0);
  }
  EXPECT_EQ(Orthogonalize(Tensor::Zeros({2, 3})).value().ToVector<float>(),
            std::vector<float>(6, 0));
  EXPECT_EQ(Orthogonalize(Tensor::Zeros({0, 3})).shape(), (Shape{0, 3}));
}

// Least squares with a matrix of condition 100.
TEST(MuonTest, Converges) {
  const Tensor scale = Tensor::FromVector<double>({1, 0.1, 0.01}, {3, 1});
  const Tensor target = Filled({3, 4}, DType::kFloat64, Initial);
  const Parameter w(Tensor::Zeros({3, 4}, DType::kFloat64));
  const auto loss = [&] { return Sum(Square((w - target) * scale)); };
  const double start = loss().item<double>();
  Muon muon({w}, {.learning_rate = 0.05});
  for (int step = 0; step < 300; ++step) {
    muon.set_learning_rate(0.05 * (1 - step / 300.0));
    muon.Step(ValueAndGrad(loss, muon.parameters()).gradients);
  }
  EXPECT_LT(loss().item<double>(), 1e-3 * start);
}

TEST(MuonTest, WhatIsOrthogonalizedMayBeChosen) {
  const Parameter embedding(Tensor::Ones({4, 3})), hidden(Tensor::Ones({4, 3}));
  Muon muon({embedding, hidden},
            {.orthogonalize = [&](const Parameter& p) { return p.SharesWith(hidden); }});
  const Tensor g = Filled({4, 3}, DType::kFloat32, [](int64_t i) { return i + 1.0; });
  muon.Step({g, g});
  for (const float w : embedding.value().ToVector<float>()) EXPECT_NEAR(w, 1 - 3e-4, 1e-6);
  EXPECT_GT(hidden.value().ToVector<float>()[11], hidden.value().ToVector<float>()[0] - 1);
  EXPECT_NE(hidden.value().ToVector<float>()[0], hidden.value().ToVector<float>()[11]);
}

TEST(MuonTest, Misuse) {
  const Parameter p(Tensor::Ones({2}));
  const auto all = [](const Parameter&) { return true; };
  EXPECT_EQ(ThrownMessage([&] { Muon({p}, {.orthogonalize = all}); }),
            "[muon] to be orthogonalized, but not a matrix:  [2]");
  EXPECT_EQ(ThrownMessage([&] { Muon({p}, {.momentum = 1}); }),
            "[muon] momentum is 1, expected from 0 to below 1");
  EXPECT_EQ(ThrownMessage([&] { Muon({p}, {.learning_rate = -1}); }),
            "[optimizer] learning_rate is -1, expected a finite number, 0 or above");
  const std::string text = ThrownMessage([&] { Orthogonalize(p); });
  EXPECT_NE(text.find("[orthogonalize] expected a matrix, not [2] (tests/nn/muon_test.cc:"),
            std::string::npos)
      << text;
}

TEST(MuonTest, AsksOfParametersWhatTheyHold) {
  const Parameter p(Tensor::Ones({3, 4}));
  Muon muon({p}, {.orthogonalize = [](const Parameter& q) { return q.value().rank() == 2; }});
  muon.Step({Tensor::Ones({3, 4})});
  EXPECT_EQ(p.value().shape(), Shape({3, 4}));
  EXPECT_EQ(muon.steps(), 1);
}

TEST(MuonTest, WhatSomebodyHoldsKeepsItsValue) {
  const Parameter p(Filled({3, 4}, DType::kFloat32, Initial));
  Muon muon({p});
  const Tensor held = p.value(), before = held.Clone();
  muon.Step({Tensor::Ones({3, 4})});
  EXPECT_TRUE(BitwiseEqual(held, before));
  EXPECT_FALSE(BitwiseEqual(p.value(), before));
}

}  // namespace
}  // namespace wengert
