// Element-wise ops of every kind, on floats, integers and bools, with operands that broadcast.
#include <algorithm>
#include <vector>

#include "ops/ops.h"
#include "tests/random_programs/op_kinds.h"

namespace wengert::random_programs {
namespace {

constexpr Nature kSmooth = Nature::kSmooth, kKinked = Nature::kKinked, kJumps = Nature::kJumps;

bool IsAny(const ValueInfo&) { return true; }
bool IsBool(const ValueInfo& x) { return x.dtype == DType::kBool; }
bool IsSigned(const ValueInfo& x) { return x.dtype == DType::kInt32 || x.dtype == DType::kInt64; }

std::vector<Wanted> Partner(Random& random, const ValueInfo& x) {
  Wanted wanted = Like(x, PartnerShape(random, x.shape));
  if (x.dtype == DType::kBool) {
    wanted.low = 0;
    wanted.high = 1;
  } else if (!x.floating()) {
    wanted.low = -4;
    wanted.high = 4;
  } else if (random.Percent(4)) {
    wanted.dtype = x.dtype == DType::kFloat32 ? DType::kFloat64 : DType::kFloat32;
  }
  return {wanted};
}

std::vector<Wanted> ConstantPartner(Random& random, const ValueInfo& x) {
  Wanted wanted = Like(x, PartnerShape(random, x.shape));
  wanted.constant = true;
  return {wanted};
}

std::vector<Wanted> TwoPartners(Random& random, const ValueInfo& x) {
  std::vector<Wanted> wanted = Partner(random, x);
  wanted.push_back(wanted[0]);
  wanted[1].shape = random.Percent(30) ? Shape() : x.shape;
  return wanted;
}

// A condition and what is chosen where it is false.
std::vector<Wanted> ConditionAndPartner(Random& random, const ValueInfo& x) {
  return {{.shape = PartnerShape(random, x.shape), .dtype = DType::kBool, .low = 0, .high = 1},
          Like(x, random.Percent(30) ? Shape() : x.shape)};
}
std::vector<Wanted> Condition(Random& random, const ValueInfo& x) {
  return {{.shape = PartnerShape(random, x.shape), .dtype = DType::kBool, .low = 0, .high = 1}};
}

// Arguments are kept where a function is defined and does not grow fast. What the text says is what
// is recorded.
const OpKind kKinds[] = {
    {"tanh", 4, kSmooth, IsReal, nullptr, WENGERT_RECORDS(Tanh(x[0]))},
    {"sigmoid", 3, kSmooth, IsReal, nullptr, WENGERT_RECORDS(Sigmoid(x[0]))},
    {"softplus", 2, kSmooth, IsReal, nullptr, WENGERT_RECORDS(Softplus(x[0]))},
    {"square", 2, kSmooth, IsReal, nullptr, WENGERT_RECORDS(Square(x[0]))},
    {"exp", 2, kSmooth, IsReal, nullptr, WENGERT_RECORDS(Exp(-Square(x[0])))},
    {"log", 1, kSmooth, IsReal, nullptr, WENGERT_RECORDS(Log(Square(x[0]) + 0.5))},
    {"sqrt", 1, kSmooth, IsReal, nullptr, WENGERT_RECORDS(Sqrt(Square(x[0]) + 0.25))},
    {"rsqrt", 1, kSmooth, IsReal, nullptr, WENGERT_RECORDS(Rsqrt(Square(x[0]) + 0.5))},
    {"reciprocal", 1, kSmooth, IsReal, nullptr, WENGERT_RECORDS(Reciprocal(Square(x[0]) + 1))},
    {"pow", 1, kSmooth, IsReal, nullptr, WENGERT_RECORDS(Pow(Square(x[0]) + 0.5, 1.25))},
    {"sin", 2, kSmooth, IsReal, nullptr, WENGERT_RECORDS(Sin(x[0]))},
    {"cos", 1, kSmooth, IsReal, nullptr, WENGERT_RECORDS(Cos(x[0]))},
    {"atan", 1, kSmooth, IsReal, nullptr, WENGERT_RECORDS(Atan(x[0]))},
    {"sinh", 1, kSmooth, IsReal, nullptr, WENGERT_RECORDS(Sinh(Tanh(x[0])))},
    {"expm1", 1, kSmooth, IsReal, nullptr, WENGERT_RECORDS(Expm1(-Square(x[0])))},
    {"log1p", 1, kSmooth, IsReal, nullptr, WENGERT_RECORDS(Log1p(Square(x[0])))},
    {"silu", 1, kSmooth, IsReal, nullptr, WENGERT_RECORDS(Silu(x[0]))},
    {"neg", 2, kSmooth, IsReal, nullptr, WENGERT_RECORDS(-x[0]), OpKind::Composite::kNo, true},
    {"times number", 2, kSmooth, IsReal, nullptr, WENGERT_RECORDS(x[0] * 0.75)},
    {"plus number", 2, kSmooth, IsReal, nullptr, WENGERT_RECORDS(x[0] + 0.375)},
    {"number minus", 1, kSmooth, IsReal, nullptr, WENGERT_RECORDS(0.5 - x[0])},
    {"over number", 1, kSmooth, IsReal, nullptr, WENGERT_RECORDS(x[0] / 1.5)},
    {"number over", 1, kSmooth, IsReal, nullptr, WENGERT_RECORDS(2 / (Square(x[0]) + 1.5))},
    {"times itself", 1, kSmooth, IsReal, nullptr, WENGERT_RECORDS(x[0] * x[0])},
    {"gelu", 1, kSmooth, IsReal, nullptr,
     WENGERT_RECORDS(x[0] * 0.5 *
                     (1 + Tanh(0.7978845608 * (x[0] + 0.044715 * x[0] * x[0] * x[0]))))},

    {"abs", 2, kKinked, IsReal, nullptr, WENGERT_RECORDS(Abs(x[0])), OpKind::Composite::kNo, true},
    {"relu", 4, kKinked, IsReal, nullptr, WENGERT_RECORDS(Relu(x[0])), OpKind::Composite::kNo,
     true},
    {"leaky_relu", 2, kKinked, IsReal, nullptr, WENGERT_RECORDS(LeakyRelu(x[0], 0.1))},
    {"clip", 2, kKinked, IsReal, nullptr, WENGERT_RECORDS(Clip(x[0], -1, 1.25))},
    {"elu", 2, kKinked, IsReal, nullptr, WENGERT_RECORDS(Elu(x[0], 0.75))},
    {"floor", 1, kJumps, IsReal, nullptr, WENGERT_RECORDS(Floor(x[0] * 2))},
    {"sign", 1, kJumps, IsReal, nullptr, WENGERT_RECORDS(Sign(x[0]))},

    {"add", 6, kSmooth, IsReal, Partner, WENGERT_RECORDS(x[0] + x[1])},
    {"sub", 4, kSmooth, IsReal, Partner, WENGERT_RECORDS(x[1] - x[0])},
    {"mul", 6, kSmooth, IsReal, Partner, WENGERT_RECORDS(x[0] * x[1])},
    {"mul_add", 4, kSmooth, IsReal, TwoPartners, WENGERT_RECORDS(MulAdd(x[0], x[1], x[2]))},
    {"add product", 2, kSmooth, IsReal, TwoPartners, WENGERT_RECORDS(MulAdd(x[1], x[2], x[0]))},
    {"scale and shift", 1, kSmooth, IsReal, nullptr, WENGERT_RECORDS(MulAdd(x[0], 0.75, 0.25))},
    {"scale and add", 2, kSmooth, IsReal, Partner, WENGERT_RECORDS(MulAdd(0.75, x[1], x[0]))},
    {"div", 3, kSmooth, IsReal, Partner, WENGERT_RECORDS(x[0] / (Square(x[1]) + 1))},
    {"divided by", 2, kSmooth, IsReal, Partner, WENGERT_RECORDS(x[1] / (Square(x[0]) + 1))},
    {"power", 1, kSmooth, IsReal, Partner, WENGERT_RECORDS(Pow(Square(x[0]) + 0.5, Tanh(x[1])))},
    {"tanh_gradient", 1, kSmooth, IsReal, Partner, WENGERT_RECORDS(TanhGradient(x[0], Tanh(x[1])))},
    {"sigmoid_gradient", 1, kSmooth, IsReal, Partner,
     WENGERT_RECORDS(SigmoidGradient(x[0], Sigmoid(x[1])))},
    {"erf_gradient", 1, kSmooth, IsReal, Partner, WENGERT_RECORDS(ErfGradient(x[0], x[1]))},
    {"gate", 2, kSmooth, IsReal, Partner, WENGERT_RECORDS(Sigmoid(x[0]) * Tanh(x[1]))},
    {"atan2", 1, kSmooth, IsReal, Partner, WENGERT_RECORDS(Atan2(x[0], Square(x[1]) + 0.5))},
    {"maximum", 3, kKinked, IsReal, Partner, WENGERT_RECORDS(Maximum(x[0], x[1])),
     OpKind::Composite::kNo, true},
    {"minimum", 3, kKinked, IsReal, Partner, WENGERT_RECORDS(Minimum(x[1], x[0])),
     OpKind::Composite::kNo, true},
    {"where_positive", 2, kSmooth, IsReal, ConstantPartner,
     WENGERT_RECORDS(WherePositive(x[0], x[1]))},
    {"where", 4, kSmooth, IsReal, ConditionAndPartner, WENGERT_RECORDS(Where(x[1], x[0], x[2]))},
    {"where number", 2, kSmooth, IsReal, Condition, WENGERT_RECORDS(Where(x[1], 0.25, x[0]))},

    {"less", 2, kKinked, IsAny, Partner, WENGERT_RECORDS(x[0] < x[1])},
    {"less_equal", 1, kKinked, IsAny, Partner, WENGERT_RECORDS(x[0] <= x[1])},
    {"greater", 2, kKinked, IsAny, Partner, WENGERT_RECORDS(x[0] > x[1])},
    {"greater_equal", 1, kKinked, IsAny, Partner, WENGERT_RECORDS(x[0] >= x[1])},
    {"equal", 1, kKinked, IsAny, Partner, WENGERT_RECORDS(Equal(x[0], x[1]))},
    {"not_equal", 1, kKinked, IsAny, Partner, WENGERT_RECORDS(NotEqual(x[0], x[1]))},
    {"positive", 2, kKinked, IsReal, nullptr, WENGERT_RECORDS(x[0] > 0)},

    {"and", 2, kSmooth, IsBool, Partner, WENGERT_RECORDS(LogicalAnd(x[0], x[1]))},
    {"or", 1, kSmooth, IsAny, Partner, WENGERT_RECORDS(LogicalOr(x[0], x[1]))},
    {"count", 1, kSmooth, IsBool, Partner, WENGERT_RECORDS(x[0] + x[1])},
    {"add integers", 2, kSmooth, IsSigned, Partner, WENGERT_RECORDS(x[0] + x[1])},
    {"multiply integers", 1, kSmooth, IsSigned, Partner, WENGERT_RECORDS(x[0] * x[1] - 1)},
    {"mul_add integers", 1, kSmooth, IsSigned, TwoPartners,
     WENGERT_RECORDS(MulAdd(x[0], x[1], x[2]))},
    {"largest integer", 1, kSmooth, IsSigned, Partner, WENGERT_RECORDS(Maximum(x[0], x[1]))},
    {"abs of integers", 1, kSmooth, IsSigned, nullptr, WENGERT_RECORDS(Abs(x[0]) * 2)},
    {"exp of integers", 1, kSmooth, IsSigned, nullptr, WENGERT_RECORDS(Exp(-Abs(x[0])))},

    {"to int32", 3, kKinked, IsAny, nullptr, WENGERT_RECORDS(Cast(x[0] * 3, DType::kInt32))},
    {"to int64", 2, kKinked, IsAny, nullptr, WENGERT_RECORDS(Cast(x[0], DType::kInt64))},
    {"to uint8", 1, kKinked, IsAny, nullptr, WENGERT_RECORDS(Cast(Abs(x[0]), DType::kUInt8))},
    {"to bool", 1, kKinked, IsAny, nullptr, WENGERT_RECORDS(Cast(x[0], DType::kBool))},
    {"to float32", 4, kSmooth, IsAny, nullptr, WENGERT_RECORDS(Cast(x[0], DType::kFloat32))},
    {"to float64", 4, kSmooth, IsAny, nullptr, WENGERT_RECORDS(Cast(x[0], DType::kFloat64))},
};

const OpKind kSquashKinds[] = {
    {"squash tanh", 1, kSmooth, IsReal, nullptr, WENGERT_RECORDS(Tanh(x[0]))},
    {"squash scale", 1, kSmooth, IsReal, nullptr, WENGERT_RECORDS(x[0] * 0.125)},
    {"squash sigmoid", 1, kSmooth, IsReal, nullptr, WENGERT_RECORDS(Sigmoid(x[0]) * 2 - 1)},
    {"squash norm", 1, kSmooth, IsReal, nullptr, WENGERT_RECORDS(x[0] * Rsqrt(Square(x[0]) + 1))},
};
const OpKind kClipIntegers = {"clip integers", 1,       kSmooth,
                              IsNumeric,       nullptr, WENGERT_RECORDS(Clip(x[0], -4, 5))};

}  // namespace

absl::Span<const OpKind> ElementwiseKinds() { return kKinds; }
absl::Span<const OpKind> SquashKinds() { return kSquashKinds; }
const OpKind& ClipIntegersKind() { return kClipIntegers; }

Shape PartnerShape(Random& random, const Shape& shape) {
  const int64_t choice = random.Below(20);
  if (choice < 11) return shape;
  if (choice < 13) return {};
  if (choice < 15 && shape.rank() > 1) {  // a row
    return Shape(
        absl::MakeConstSpan(shape.begin() + 1 + random.Below(shape.rank() - 1), shape.end()));
  }
  if (choice == 19 && shape.rank() < 4 && NumElements(shape) < 3000) {
    Shape larger = shape;
    larger.Insert(0, random.Of({2, 3, 7}));
    return larger;
  }
  Shape some = shape;  // a column, or whatever lies between
  for (int axis = 0; axis < shape.rank(); ++axis) {
    if (random.Percent(50)) some[axis] = 1;
  }
  return some;
}

std::vector<const OpKind*> Vocabulary() {
  std::vector<const OpKind*> kinds;
  for (const absl::Span<const OpKind> family :
       {ElementwiseKinds(), ViewKinds(), ReductionKinds(), DenseKinds(), TapeKinds()}) {
    for (const OpKind& kind : family) kinds.push_back(&kind);
  }
  return kinds;
}

}  // namespace wengert::random_programs
