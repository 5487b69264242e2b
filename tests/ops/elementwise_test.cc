// Element-wise ops over whole tensors: broadcasting, strides, numbers and dtypes against a loop
// over indices; sizes on both sides of the limits where blocks and threads begin; the same bits for
// any number of threads.
#include <cmath>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "autograd/variable.h"
#include "gtest/gtest.h"
#include "ops/ops.h"
#include "tensor/parallel.h"
#include "tests/ops/kernel_test.h"

namespace wengert {
namespace {

class Random : public RandomIntegers {
 public:
  using RandomIntegers::RandomIntegers;

  // Small integers: what the ops below make of them is exact in float32.
  Tensor Values(const Shape& shape, DType dtype) {
    std::vector<double> values(NumElements(shape));
    for (double& value : values) value = static_cast<double>(Int(-50, 50));
    return Tensor::FromVector(values, shape).To(dtype);
  }
  // The same behind strides: an axis stepped over, reversed, or stored last.
  Tensor View(const Shape& shape, DType dtype) {
    if (shape.rank() == 0 || Int(0, 1)) return Values(shape, dtype);
    const int axis = static_cast<int>(Int(0, shape.rank() - 1));
    switch (Int(0, 2)) {
      case 0: {
        Shape stored = shape;
        stored[axis] = 2 * shape[axis] + 1;
        return Values(stored, dtype).Narrow(axis, 1, shape[axis], 2);
      }
      case 1:
        return Values(shape, dtype).Flip(axis);
      default: {
        Shape stored = shape;
        std::swap(stored[axis], stored[shape.rank() - 1]);
        return Values(stored, dtype).Transpose(axis, shape.rank() - 1);
      }
    }
  }
  // Broadcasts to `shape`: some axes are 1, leading ones may be missing.
  Tensor Operand(const Shape& shape, DType dtype) {
    Shape own;
    const int dropped = Int(0, 3) ? 0 : static_cast<int>(Int(0, shape.rank()));
    for (int i = dropped; i < shape.rank(); ++i) own.Append(Int(0, 3) ? shape[i] : 1);
    return View(own, dtype);
  }
};

struct Binary {
  std::string name;
  Variable (*op)(const Operand&, const Operand&);
  std::function<double(double, double)> value;
};
const std::vector<Binary>& Binaries() {
  static const auto& binaries = *new std::vector<Binary>{
      {"add", &Add, [](double a, double b) { return a + b; }},
      {"sub", &Sub, [](double a, double b) { return a - b; }},
      {"mul", &Mul, [](double a, double b) { return a * b; }},
      {"maximum", &Maximum, [](double a, double b) { return a < b ? b : a; }},
      {"less", &Less, [](double a, double b) { return a < b; }},
      {"greater_equal", &GreaterEqual, [](double a, double b) { return a >= b; }},
  };
  return binaries;
}

std::vector<double> Broadcast(const Tensor& x, const Shape& shape) {
  return x.Expand(shape).ToVector<double>();
}

std::vector<double> Expected(const Binary& binary, const Tensor& a, const Tensor& b,
                             const Shape& shape) {
  std::vector<double> left = Broadcast(a, shape);
  const std::vector<double> right = Broadcast(b, shape);
  for (size_t i = 0; i < left.size(); ++i) left[i] = binary.value(left[i], right[i]);
  return left;
}

class ElementwiseTest : public testing::TestWithParam<DType> {
 protected:
  KernelSettings settings_;
};
INSTANTIATE_TEST_SUITE_P(DTypes, ElementwiseTest,
                         testing::Values(DType::kInt32, DType::kInt64, DType::kFloat32,
                                         DType::kFloat64),
                         [](const auto& info) { return std::string(Name(info.param)); });

// One block, many blocks, many tasks; inner dimensions from 1 up.
const std::vector<Shape>& Shapes() {
  static const auto& shapes = *new std::vector<Shape>{
      {},       {1},        {3},        {2047},       {2049},          {5, 1},
      {7, 300}, {300, 7},   {4, 1, 5},  {2, 3, 4, 5}, {2, 1, 3, 1, 2}, {0, 4},
      {32769},  {40000, 3}, {181, 182}, {3, 50, 900}, {2, 70000},
  };
  return shapes;
}

TEST_P(ElementwiseTest, BinaryOpsBroadcastAnyStrides) {
  Random random(1);
  for (const Shape& shape : Shapes()) {
    for (int trial = 0; trial < 12; ++trial) {
      const Binary& binary = Binaries()[trial % Binaries().size()];
      const Tensor a = random.Operand(shape, GetParam()), b = random.Operand(shape, GetParam());
      const Shape result = BroadcastShapes(a.shape(), b.shape(), "test");
      SetNumThreads(1 + trial % 3);
      const Tensor y = binary.op(a, b).value();
      ASSERT_EQ(y.shape(), result);
      ASSERT_EQ(y.ToVector<double>(), Expected(binary, a, b, result))
          << binary.name << " of " << ToString(a.shape()) << " and " << ToString(b.shape());
    }
  }
}

TEST_P(ElementwiseTest, NumbersOnEitherSide) {
  Random random(2);
  for (const Shape& shape : Shapes()) {
    const Tensor x = random.View(shape, GetParam());
    for (const Binary& binary : Binaries()) {
      const Tensor number = Tensor::Full({}, 3, DType::kFloat64);
      ASSERT_EQ(binary.op(x, 3).value().ToVector<double>(), Expected(binary, x, number, shape));
      ASSERT_EQ(binary.op(3, x).value().ToVector<double>(), Expected(binary, number, x, shape));
    }
  }
}

TEST_P(ElementwiseTest, WhereChoosesElementByElement) {
  Random random(3);
  for (const Shape& shape : Shapes()) {
    for (int trial = 0; trial < 6; ++trial) {
      const Tensor choice = Greater(random.Operand(shape, GetParam()), 0).value();
      const Tensor a = random.Operand(shape, GetParam()), b = random.Operand(shape, GetParam());
      const Shape result =
          BroadcastShapes(choice.shape(), BroadcastShapes(a.shape(), b.shape(), "test"), "test");
      std::vector<double> expected = Broadcast(a, result);
      const std::vector<double> chosen = Broadcast(choice, result), other = Broadcast(b, result);
      for (size_t i = 0; i < expected.size(); ++i) {
        if (!chosen[i]) expected[i] = other[i];
      }
      SetNumThreads(1 + trial % 2);
      ASSERT_EQ(Where(choice, a, b).value().ToVector<double>(), expected) << ToString(result);
    }
  }
}

// With values that round.
// As C's fma, in whole vectors and in parts of one, with each set of numbers.
template <class T>
void ExpectRoundsOnce() {
  KernelSettings settings;
  ForEachTarget([] {
    Random random(5);
    const auto reals = [&](int64_t n) {
      std::vector<T> values(static_cast<size_t>(n));
      for (T& value : values) value = static_cast<T>(random.Int(-30000, 30000)) / T{7};
      return values;
    };
    const T p = T{1} / T{3}, q = T{-10} / T{7};
    int64_t differ = 0;  // from two roundings
    for (const int64_t n : {1, 3, 16, 37, 5000}) {
      const std::vector<T> a = reals(n), b = reals(n), c = reals(n);
      const Variable x = Tensor::FromVector(a), y = Tensor::FromVector(b),
                     z = Tensor::FromVector(c);
      const auto expect = [&](const Variable& result, auto of) {
        const std::vector<T> found = result.value().template ToVector<T>();
        for (size_t i = 0; i < found.size(); ++i) ASSERT_EQ(found[i], of(i)) << i << " of " << n;
      };
      expect(MulAdd(x, y, z), [&](size_t i) { return std::fma(a[i], b[i], c[i]); });
      expect(MulAdd(p, y, z), [&](size_t i) { return std::fma(p, b[i], c[i]); });
      expect(MulAdd(x, p, z), [&](size_t i) { return std::fma(a[i], p, c[i]); });
      expect(MulAdd(x, y, p), [&](size_t i) { return std::fma(a[i], b[i], p); });
      expect(MulAdd(p, q, z), [&](size_t i) { return std::fma(p, q, c[i]); });
      expect(MulAdd(p, y, q), [&](size_t i) { return std::fma(p, b[i], q); });
      expect(MulAdd(x, p, q), [&](size_t i) { return std::fma(a[i], p, q); });
      for (size_t i = 0; i < a.size(); ++i) {
        const T product = a[i] * b[i];
        differ += product + c[i] != std::fma(a[i], b[i], c[i]);
      }
    }
    EXPECT_GT(differ, 100);
  });
}

TEST(MulAddTest, RoundsOnce) {
  ExpectRoundsOnce<float>();
  ExpectRoundsOnce<double>();
}

TEST(MulAddTest, OfIntegersAndMixedTypes) {
  const Variable a = Tensor::FromVector(std::vector<int32_t>{3, -4}),
                 b = Tensor::FromVector(std::vector<int32_t>{5, 6}),
                 half = Tensor::FromVector(std::vector<double>{0.5, 0.25});
  EXPECT_EQ(MulAdd(a, b, 1).value().ToVector<int32_t>(), (std::vector<int32_t>{16, -23}));
  EXPECT_EQ(MulAdd(a, b, 0.5).dtype(), DType::kFloat32);
  EXPECT_EQ(MulAdd(a, half, b).value().ToVector<double>(), (std::vector<double>{6.5, 5}));
  EXPECT_EQ(MulAdd(Tensor::Ones({2}, DType::kBool), 2, 3).value().ToVector<int64_t>(),
            (std::vector<int64_t>{5, 5}));
}

TEST(ElementwiseThreadsTest, TheSameBitsForAnyNumberOfThreads) {
  KernelSettings settings;
  Generator generator(4);
  const Shape shape = {3, 250, 301};
  for (const DType dtype : {DType::kFloat32, DType::kFloat64}) {
    const Tensor a = Normal(shape, generator, 0, 1, dtype).value();
    const Tensor row = Normal({301}, generator, 0, 1, dtype).value();
    const Tensor column = Normal({250, 1}, generator, 0, 1, dtype).value();
    const auto run = [&](int threads) {
      SetNumThreads(threads);
      return (Tanh(a * row + column) / (1 + Exp(a.Flip(1) - row)) - Sigmoid(column * 0.3)).value();
    };
    const Tensor one = run(1);
    for (const int threads : {2, 3, 8}) {
      EXPECT_TRUE(BitwiseEqual(run(threads), one)) << threads << " threads";
    }
  }
}

// An element's bits do not depend on where it stands in a block or a vector.
TEST(ElementwiseThreadsTest, TheSameBitsAtEveryPosition) {
  Generator generator(5);
  const Tensor values = Normal({5000}, generator, 0, 2).value();
  const Tensor all = Tanh(values).value();
  for (const int64_t start : {1, 3, 15, 16, 17, 2047, 2048, 4999}) {
    const int64_t length = 5000 - start;
    EXPECT_TRUE(
        BitwiseEqual(Tanh(values.Narrow(0, start, length)).value(), all.Narrow(0, start, length)))
        << "from " << start;
    EXPECT_TRUE(BitwiseEqual(Tanh(values.Narrow(0, start, 1)).value(), all.Narrow(0, start, 1)));
  }
}

}  // namespace
}  // namespace wengert
