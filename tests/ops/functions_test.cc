// What docs/ops.md promises of every public function, tried on every one of them: dtypes, axes,
// scalars and tensors without elements.
#include <numeric>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "autograd/grad.h"
#include "gtest/gtest.h"
#include "ops/ops.h"
#include "tests/tensor/thrown_message.h"

namespace wengert {
namespace {

const Shape kVector = {4}, kMatrix = {3, 4}, kRow = {1, 4}, kOnes = {1, 1}, kSquare = {4, 4},
            kImage = {2, 2, 2}, kSequences = {2, 4, 2}, kImages = {1, 4, 4, 2};
constexpr DType kDTypes[] = {DType::kBool,  DType::kUInt8,   DType::kInt32,
                             DType::kInt64, DType::kFloat32, DType::kFloat64};

enum Result { kSame, kSums, kNumbers, kCounts, kReals, kFloats, kBool, kInt64, kFloat32 };

bool Refused(Result result, DType x) {
  return result == kSums ? x == DType::kBool : result == kFloats && !IsFloating(x);
}

DType ResultOf(Result result, DType x) {
  switch (result) {
    case kSame:
    case kSums:
    case kFloats:
      return x;
    case kNumbers:
      return x == DType::kBool ? DType::kInt64 : x;
    case kCounts:
      return x == DType::kBool || x == DType::kUInt8 ? DType::kInt64 : x;
    case kReals:
      return IsFloating(x) ? x : DType::kFloat32;
    case kBool:
      return DType::kBool;
    case kInt64:
      return DType::kInt64;
    case kFloat32:
      return DType::kFloat32;
  }
  return x;
}

Generator& generator = *new Generator(1);

// Of `gates` gates, 2 inputs and 3 units, and a state, as x [2, T, 2] needs them.
DType FloatOf(const Variable& x) { return IsFloating(x.dtype()) ? x.dtype() : DType::kFloat32; }
RecurrentParameters Weights(int64_t gates, const Variable& x) {
  const auto ones = [&](const Shape& shape) { return Tensor::Ones(shape, FloatOf(x)); };
  return {ones({2, 3 * gates}), ones({3, 3 * gates}), ones({3 * gates})};
}
Tensor Zeros(const Variable& x) { return Tensor::Zeros({2, 3}, FloatOf(x)); }

// 0, 1, 2, ...
Tensor Numbered(const Shape& shape) {
  std::vector<float> elements(NumElements(shape));
  std::iota(elements.begin(), elements.end(), 0.0f);
  return Tensor::FromVector(elements, shape);
}

std::vector<Variable> AddUp(const Variable& x_t, const std::vector<Variable>& state) {
  return {state[0] + x_t};
}

struct Function {
  std::string name;
  Shape shape;
  Result result;
  Variable (*call)(const Variable& x);
};
const Function kFunctions[] = {
#define FUNCTION(name, shape, result, ...) \
  {#name, shape, result, [](const Variable& x) -> Variable { return __VA_ARGS__; }},
#define ALONG(...)
#define ALONG_NEW(...)
#include "tests/ops/functions.inc"
#undef FUNCTION
#undef ALONG
#undef ALONG_NEW
};

struct Along {
  std::string name;
  Shape shape;
  int rank;  // that the axis is one of
  Variable (*call)(const Variable& x, int axis);
};
const Along kAlong[] = {
#define FUNCTION(...)
#define ALONG(name, shape, ...) \
  {#name, shape, shape.rank(), [](const Variable& x, int axis) -> Variable { return __VA_ARGS__; }},
#define ALONG_NEW(name, shape, ...) \
  {#name, shape, shape.rank() + 1,  \
   [](const Variable& x, int axis) -> Variable { return __VA_ARGS__; }},
#include "tests/ops/functions.inc"
#undef FUNCTION
#undef ALONG
#undef ALONG_NEW
};

std::string Plain(std::string_view name) {
  std::string plain;
  for (const char c : name) {
    if (c != '_') plain += absl::ascii_tolower(c);
  }
  return plain;
}

TEST(Functions, DTypesAreThoseOfTheirKind) {
  for (const Function& f : kFunctions) {
    for (const DType dtype : kDTypes) {
      SCOPED_TRACE(absl::StrCat(f.name, " of ", std::string(Name(dtype))));
      try {
        if (Refused(f.result, dtype)) {
          const std::string text = ThrownMessage([&] { f.call(Tensor::Ones(f.shape, dtype)); });
          EXPECT_TRUE(absl::StrContains(text, "bool") ||
                      absl::StrContains(text, "must be float32 or float64"))
              << text;
          continue;
        }
        const Variable y = f.call(Tensor::Ones(f.shape, dtype));
        EXPECT_EQ(Name(y.dtype()), Name(ResultOf(f.result, dtype)));
        EXPECT_EQ(Name(y.value().dtype()), Name(y.dtype()));
      } catch (const Error& error) {
        ADD_FAILURE() << error.what();
      }
    }
  }
}

TEST(Functions, OperandsMeetInTheLaterDType) {
  using Of = const Variable&;
  struct Pair {
    const char* name;
    Shape shape;
    Result result;
    Variable (*call)(const Variable& a, const Variable& b);
  };
  const Pair pairs[] = {
      {"add", kMatrix, kNumbers, [](Of a, Of b) { return a + b; }},
      {"maximum", kMatrix, kNumbers, [](Of a, Of b) { return Maximum(a, b); }},
      {"div", kMatrix, kReals, [](Of a, Of b) { return a / b; }},
      {"less", kMatrix, kBool, [](Of a, Of b) { return a < b; }},
      {"where", kMatrix, kSame, [](Of a, Of b) { return Where(NotEqual(a, 0), a, b); }},
      {"matmul", kSquare, kReals, [](Of a, Of b) { return MatMul(a, b); }},
      {"einsum", kMatrix, kReals,
       [](Of a, Of b) {
         return Einsum("ij,ij", {a, b});
       }},
      {"outer", kVector, kNumbers, [](Of a, Of b) { return Outer(a, b); }},
      {"dot", kVector, kCounts, [](Of a, Of b) { return Dot(a, b); }},
      {"concat", kMatrix, kSame,
       [](Of a, Of b) {
         return Concat({{a, b}}, 0);
       }},
      {"stack", kMatrix, kSame,
       [](Of a, Of b) {
         return Stack({{a, b}});
       }},
      {"linear_recurrence", kMatrix, kReals, [](Of a, Of b) { return LinearRecurrence(a, b, 0); }},
      {"conv2d", {2, 2, 2, 2}, kReals, [](Of a, Of b) { return Conv2d(a, b); }},
      {"conv1d", kImage, kReals, [](Of a, Of b) { return Conv1d(a, b); }},
      {"mean_squared_error", kMatrix, kReals, [](Of a, Of b) { return MeanSquaredError(a, b); }},
      {"kl_divergence", kMatrix, kReals, [](Of a, Of b) { return KlDivergence(a, b); }},
      {"gru_step", kMatrix, kReals,
       [](Of a, Of b) { return GruStep(Tile(a, {3}), Tile(b, {3}), b); }},
  };
  for (const Pair& f : pairs) {
    for (const DType a : kDTypes) {
      for (const DType b : kDTypes) {
        SCOPED_TRACE(
            absl::StrCat(f.name, " of ", std::string(Name(a)), " and ", std::string(Name(b))));
        try {
          const Variable y = f.call(Tensor::Ones(f.shape, a), Tensor::Ones(f.shape, b));
          EXPECT_EQ(Name(y.dtype()), Name(ResultOf(f.result, Promote(a, b))));
          EXPECT_EQ(Name(y.value().dtype()), Name(y.dtype()));
        } catch (const Error& error) {
          ADD_FAILURE() << error.what();
        }
      }
    }
  }
}

TEST(Functions, NegativeAxesCountFromTheEnd) {
  for (const Along& f : kAlong) {
    SCOPED_TRACE(f.name);
    const Variable x = Numbered(f.shape);
    int accepted = 0;
    for (int axis = 0; axis < f.rank; ++axis) {
      try {
        EXPECT_TRUE(BitwiseEqual(f.call(x, axis).value(), f.call(x, axis - f.rank).value()))
            << "axis " << axis;
        ++accepted;
      } catch (const Error& error) {
        // As Diagonal of an axis with itself: both ways of writing it are refused.
        EXPECT_EQ(ThrownMessage([&] { f.call(x, axis - f.rank); }), error.what());
      }
    }
    EXPECT_GT(accepted, 1) << "axes";
  }
}

TEST(Functions, AnAxisThatIsNoneIsNamed) {
  for (const Along& f : kAlong) {
    SCOPED_TRACE(f.name);
    const Variable x = Tensor::Ones(f.shape);
    for (const int axis : {f.rank, -f.rank - 1, 100}) {
      const std::string text = ThrownMessage([&] { f.call(x, axis); });
      EXPECT_EQ(Plain(text.substr(0, text.find(' '))), absl::StrCat("[", Plain(f.name), "]"));
      EXPECT_TRUE(absl::StrContains(
          text, absl::StrCat("axis ", axis, " is out of range for rank ", f.rank)))
          << text;
      EXPECT_TRUE(absl::StrContains(text, "tests/ops/functions")) << text;
    }
  }
}

// A scalar, and nothing: a value and a gradient, or an Error that names an op and the line.
TEST(Functions, ScalarsAndEmptyTensorsGiveValuesOrErrors) {
  for (const Function& f : kFunctions) {
    std::vector<Shape> shapes = {{}, {0}};
    for (int axis = 0; axis < f.shape.rank(); ++axis) {
      shapes.push_back(f.shape);
      shapes.back()[axis] = 0;
    }
    for (const Shape& shape : shapes) {
      SCOPED_TRACE(absl::StrCat(f.name, " of ", ToString(shape)));
      const Variable x = DifferentiableLeaf(Tensor::Ones(shape));
      try {
        const Variable y = f.call(x);
        y.value();
        if (y.requires_grad()) {
          EXPECT_EQ(Grad(Sum(y), x, {.unused = Unused::kZero}).value().shape(), shape);
        }
      } catch (const Error& error) {
        EXPECT_TRUE(absl::StartsWith(error.what(), "[")) << error.what();
        EXPECT_TRUE(absl::StrContains(error.what(), "tests/ops/functions")) << error.what();
      } catch (const std::exception& error) {
        ADD_FAILURE() << error.what();
      }
    }
  }
}

}  // namespace
}  // namespace wengert
