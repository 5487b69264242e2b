// Einsum against loops over every index, its notation and its errors, and the products of vectors.
#include <cstdint>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "autograd/check_gradients.h"
#include "autograd/grad.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "ops/ops.h"
#include "tests/tensor/thrown_message.h"

namespace wengert {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

Tensor Random(const Shape& shape, uint32_t seed) {
  std::mt19937 engine(seed);
  std::vector<double> values(NumElements(shape));
  for (double& value : values) value = static_cast<double>(engine()) * 4e-10 - 0.8;
  return Tensor::FromVector(values, shape);
}

std::vector<Variable> Operands(const std::vector<Shape>& shapes) {
  std::vector<Variable> operands;
  for (const Shape& shape : shapes) operands.push_back(Random(shape, operands.size() + 1));
  return operands;
}

// "ab,bc->ac" by one loop over the values of all letters.
std::vector<double> ByLoops(const std::string& equation, const std::vector<Variable>& operands) {
  std::vector<std::string> terms{""};
  const size_t arrow = equation.find("->");
  for (const char c : equation.substr(0, arrow)) {
    if (c == ',') {
      terms.emplace_back();
    } else {
      terms.back() += c;
    }
  }
  const std::string output = equation.substr(arrow + 2);
  std::map<char, int64_t> lengths, at;
  for (size_t i = 0; i < terms.size(); ++i) {
    for (size_t axis = 0; axis < terms[i].size(); ++axis) {
      lengths[terms[i][axis]] = operands[i].dim(static_cast<int>(axis));
    }
  }
  int64_t total = 1, size = 1;
  for (const auto& [letter, length] : lengths) total *= length;
  for (const char letter : output) size *= lengths[letter];
  std::vector<std::vector<double>> values;
  for (const Variable& operand : operands) values.push_back(operand.value().ToVector<double>());
  std::vector<double> result(size, 0);
  const auto position = [&](const std::string& term) {
    int64_t place = 0;
    for (const char letter : term) place = place * lengths[letter] + at[letter];
    return place;
  };
  for (int64_t i = 0; i < total; ++i) {
    int64_t rest = i;
    for (const auto& [letter, length] : lengths) {
      at[letter] = rest % length;
      rest /= length;
    }
    double product = 1;
    for (size_t k = 0; k < terms.size(); ++k) product *= values[k][position(terms[k])];
    result[position(output)] += product;
  }
  return result;
}

const struct {
  std::string equation;
  std::vector<Shape> shapes;
} kCases[] = {
    {"i->i", {{4}}},
    {"ij->ji", {{3, 4}}},
    {"ij->", {{3, 4}}},
    {"ijk->ki", {{2, 3, 4}}},
    {"->", {{}}},
    {"ii->i", {{3, 3}}},
    {"ii->", {{3, 3}}},
    {"iji->j", {{3, 4, 3}}},
    {"iii->i", {{3, 3, 3}}},
    {"ijij->ij", {{2, 3, 2, 3}}},
    {"ij,jk->ik", {{2, 3}, {3, 4}}},
    {"ij,jk->ki", {{2, 3}, {3, 4}}},
    {"ji,kj->ik", {{3, 2}, {4, 3}}},
    {"bij,bjk->bik", {{2, 3, 4}, {2, 4, 5}}},
    {"bij,jk->bik", {{2, 3, 4}, {4, 5}}},
    {"ij,bjk->bik", {{3, 4}, {2, 4, 5}}},
    {"bqhd,bkhd->bhqk", {{2, 3, 2, 4}, {2, 5, 2, 4}}},
    {"bhqk,bkhd->bqhd", {{2, 2, 3, 5}, {2, 5, 2, 4}}},
    {"i,i->", {{4}, {4}}},
    {"i,j->ij", {{3}, {4}}},
    {"i,j->ji", {{3}, {4}}},
    {"ij,ij->ij", {{3, 4}, {3, 4}}},
    {"ij,ji->", {{3, 4}, {4, 3}}},
    {"ij,ij->i", {{3, 4}, {3, 4}}},
    {"ij,j->i", {{3, 4}, {4}}},
    {"ij,i->ij", {{3, 4}, {3}}},
    {",ij->ij", {{}, {3, 4}}},
    {"ij,kl->", {{2, 3}, {4, 2}}},
    {"ij,kl->ik", {{2, 3}, {4, 2}}},
    {"ijkl,kjm->iml", {{2, 3, 4, 2}, {4, 3, 2}}},
    {"ij,jk,kl->il", {{2, 3}, {3, 4}, {4, 2}}},
    {"i,ij,j->", {{3}, {3, 4}, {4}}},
    {"bi,bj,bk->ijk", {{2, 3}, {2, 2}, {2, 4}}},
    {"ij,ik,il->jkl", {{3, 2}, {3, 2}, {3, 2}}},
    {"iij,jk->ik", {{3, 3, 2}, {2, 4}}},
    {"aB,Bc->ac", {{2, 3}, {3, 2}}},
    {"ij,jk->ik", {{2, 0}, {0, 3}}},
    {"ij,jk->ik", {{0, 2}, {2, 3}}},
    {"ii->i", {{0, 0}}},
    {"ij,jk->ik", {{1, 1}, {1, 1}}},
};

TEST(EinsumTest, AgreesWithLoops) {
  for (const auto& [equation, shapes] : kCases) {
    SCOPED_TRACE(equation);
    const std::vector<Variable> operands = Operands(shapes);
    const std::vector<double> found = Einsum(equation, operands).value().ToVector<double>();
    const std::vector<double> expected = ByLoops(equation, operands);
    ASSERT_EQ(found.size(), expected.size());
    for (size_t i = 0; i < found.size(); ++i) EXPECT_NEAR(found[i], expected[i], 1e-13);
  }
}

TEST(EinsumTest, Derivatives) {
  for (const auto& [equation, shapes] : kCases) {
    const std::vector<Variable> operands = Operands(shapes);
    const GradientReport report =
        CheckGradients([&](VariableSpan x) { return Einsum(equation, x); }, operands);
    EXPECT_TRUE(report.ok) << equation << "\n" << report.text;
  }
}

TEST(EinsumTest, ShapesFollowTheResult) {
  const std::vector<Variable> x = Operands({{2, 3, 4}, {2, 4, 5}});
  EXPECT_EQ(Einsum("bij,bjk->kib", x).shape(), Shape({5, 3, 2}));
  EXPECT_EQ(Einsum(" b i j , b j k -> b i k ", x).shape(), Shape({2, 3, 5}));
}

void ExpectSame(const Variable& a, const Variable& b) {
  ASSERT_EQ(ToString(a.shape()), ToString(b.shape()));
  const std::vector<double> x = a.value().ToVector<double>(), y = b.value().ToVector<double>();
  for (size_t i = 0; i < x.size(); ++i) EXPECT_NEAR(x[i], y[i], 1e-13);
}

TEST(EinsumTest, WithoutAnArrowLettersThatOccurOnceAreKeptInOrder) {
  const std::vector<Variable> x = Operands({{2, 3}, {3, 4}, {3, 3}});
  ExpectSame(Einsum("ij,jk", {x[0], x[1]}), MatMul(x[0], x[1]));
  ExpectSame(Einsum("ba", {x[0]}), Transpose(x[0]));
  ExpectSame(Einsum("aB", {x[0]}), Transpose(x[0]));  // capital letters come first
  ExpectSame(Einsum("ii", {x[2]}), Trace(x[2]));
  ExpectSame(Einsum("kj,ik", {x[1], x[0]}), MatMul(x[0], x[1]));
  ExpectSame(Einsum("ki,jk", {x[1], x[0]}), Transpose(MatMul(x[0], x[1])));
  ExpectSame(Einsum("...j,jk", {x[0], x[1]}), MatMul(x[0], x[1]));
}

TEST(EinsumTest, EllipsisStandsForOtherAxes) {
  const std::vector<Variable> x = Operands({{2, 3, 4, 5}, {5, 6}, {3, 5, 6}, {2, 1, 5, 6}});
  ExpectSame(Einsum("...ij->...ji", {x[0]}), Transpose(x[0]));
  ExpectSame(Einsum("i...->...i", {x[0]}), Permute(x[0], {1, 2, 3, 0}));
  ExpectSame(Einsum("...ij,jk->...ik", {x[0], x[1]}), MatMul(x[0], x[1]));
  // Those of several operands broadcast, from the last on.
  ExpectSame(Einsum("...ij,...jk->...ik", {x[0], x[2]}), MatMul(x[0], x[2]));
  ExpectSame(Einsum("...ij,...jk->...ik", {x[0], x[3]}), MatMul(x[0], x[3]));
  ExpectSame(Einsum("...jk,...ij->...ik", {x[3], x[0]}), MatMul(x[0], x[3]));
  ExpectSame(Einsum("...,...", {x[2], x[3]}), x[2] * x[3]);
  ExpectSame(Einsum("...,...->...", {x[3], x[2]}), x[2] * x[3]);
  ExpectSame(Einsum("...i,...i->...", {x[2], x[3]}), Sum(x[2] * x[3], -1));
  // "..." may stand for nothing.
  ExpectSame(Einsum("...ij,...jk->...ik", {x[1], Transpose(x[1])}), MatMul(x[1], Transpose(x[1])));
  for (const auto& [a, b] : {std::pair{0, 2}, {0, 3}}) {
    const std::vector<Variable> operands{x[a], x[b]};
    const GradientReport report =
        CheckGradients([&](VariableSpan v) { return Einsum("...ij,...jk->i...k", v); }, operands);
    EXPECT_TRUE(report.ok) << report.text;
  }
}

TEST(EinsumTest, DTypesMeet) {
  const Tensor integers = Tensor::Ones({2, 2}, DType::kInt64);
  EXPECT_EQ(Einsum("ij,ij->", {integers, integers}).dtype(), DType::kFloat32);
  EXPECT_EQ(Einsum("ij->ji", {integers}).dtype(), DType::kFloat32);
  EXPECT_EQ(Einsum("ij,jk", {integers, Random({2, 2}, 1)}).dtype(), DType::kFloat64);
}

TEST(EinsumTest, ErrorsNameTheEquation) {
  const auto message = [](std::string_view equation, const std::vector<Shape>& shapes) {
    return ThrownMessage([&] { Einsum(equation, Operands(shapes)); });
  };
  EXPECT_THAT(message("ij,jk->ik", {{2, 3}, {4, 5}}),
              AllOf(HasSubstr("[einsum] j has two lengths, 3 and 4: \"ij,jk->ik\" of [2,3], [4,5]"),
                    HasSubstr("einsum_test.cc")));
  EXPECT_THAT(message("ij", {{2}}), HasSubstr("operand 0 has rank 1 and its term 2 letters"));
  EXPECT_THAT(message("ij...", {{2}}), HasSubstr("operand 0 has rank 1 and its term 2 letters"));
  EXPECT_THAT(message("ij,jk", {{2, 3}}), HasSubstr("2 terms for 1 operands: \"ij,jk\" of [2,3]"));
  EXPECT_THAT(message("", {}), HasSubstr("1 terms for 0 operands"));
  EXPECT_THAT(message("i1->i", {{2, 3}}), HasSubstr("'1' is neither a letter nor"));
  EXPECT_THAT(message("i..->i", {{2, 3}}), HasSubstr("'.' is neither a letter nor"));
  EXPECT_THAT(message("...i...->i", {{2, 3}}), HasSubstr("'.' is neither a letter nor"));
  EXPECT_THAT(message("ij->ik", {{2, 3}}), HasSubstr("k of the result is in no term"));
  EXPECT_THAT(message("ij->ii", {{2, 3}}), HasSubstr("i is twice in the result"));
  EXPECT_THAT(message("...j->j", {{2, 3}}), HasSubstr("the result lacks the axes of ..."));
  EXPECT_THAT(message("...,...->...", {{2, 3}, {4, 3}}),
              HasSubstr("the axes of ... do not broadcast, 2 and 4"));
  EXPECT_THAT(message("ii->i", {{2, 3}}), HasSubstr("i has two lengths, 2 and 3"));
  EXPECT_THAT(message("i->i->i", {{2}}), HasSubstr("'-' is neither a letter nor"));
}

TEST(ProductsOfVectorsTest, ClosedForms) {
  const Tensor a = Tensor::FromVector(std::vector<float>{1, 2, 3}),
               b = Tensor::FromVector(std::vector<float>{4, 5, 6});
  EXPECT_EQ(Dot(a, b).item<float>(), 32);
  EXPECT_EQ(Dot(Tensor::Ones({3}, DType::kInt32), a).item<float>(), 6);
  EXPECT_EQ(Dot(Tensor::Ones({0}), Tensor::Ones({0})).item<float>(), 0);
  EXPECT_THAT(Outer(a, b.Narrow(0, 0, 2)).value().ToVector<float>(),
              ElementsAre(4, 5, 8, 10, 12, 15));
  EXPECT_EQ(Outer(a, Tensor::Ones({0})).value().shape(), Shape({3, 0}));
  const Tensor x = Tensor::Arange(0, 12).Reshape({2, 2, 3});
  EXPECT_THAT(Trace(x).value().ToVector<int64_t>(), ElementsAre(0 + 4, 6 + 10));
  EXPECT_THAT(Trace(Transpose(x)).value().ToVector<int64_t>(), ElementsAre(0 + 4, 6 + 10));
  EXPECT_EQ(Trace(Tensor::Ones({0, 0})).item<float>(), 0);
  EXPECT_EQ(Trace(Tensor::Ones({2, 0, 3})).value().shape(), Shape({2}));
}

TEST(ProductsOfVectorsTest, Derivatives) {
  const std::vector<Variable> x = Operands({{4}, {4}, {2, 3, 4}});
  const Function functions[] = {
      [](VariableSpan v) { return Dot(v[0], v[1]); },
      [](VariableSpan v) { return Outer(v[0], v[1]); },
      [](VariableSpan v) { return Trace(Square(v[2])); },
      [](VariableSpan v) { return Trace(MatMul(Outer(v[0], v[1]), Outer(v[1], v[0]))); }};
  for (const Function& f : functions) {
    const GradientReport report = CheckGradients(f, x);
    EXPECT_TRUE(report.ok) << report.text;
  }
}

TEST(ProductsOfVectorsTest, Errors) {
  const Tensor a = Tensor::Ones({2}), b = Tensor::Ones({3}), m = Tensor::Ones({2, 2});
  EXPECT_THAT(ThrownMessage([&] { Dot(a, b); }),
              AllOf(HasSubstr("[dot] needs two vectors of one length, not [2] and [3]"),
                    HasSubstr("einsum_test.cc")));
  EXPECT_THAT(ThrownMessage([&] { Dot(a, m); }), HasSubstr("[dot]"));
  EXPECT_THAT(ThrownMessage([&] { Outer(m, b); }),
              HasSubstr("[outer] needs two vectors, not [2,2] and [3]"));
  EXPECT_THAT(ThrownMessage([&] { Trace(a); }), HasSubstr("[trace] needs rank 2 or more, not [2]"));
}

}  // namespace
}  // namespace wengert
