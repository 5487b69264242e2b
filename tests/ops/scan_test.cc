// Scan, its mask, and the errors of all recurrence over time.
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "ops/ops.h"
#include "tests/tensor/thrown_message.h"

namespace wengert {
namespace {

TEST(SequenceMaskTest, IsTrueBeforeTheEnd) {
  const Variable mask = SequenceMask(Tensor::FromVector<int64_t>({2, 1, 3}), 3);
  EXPECT_EQ(mask.dtype(), DType::kBool);
  EXPECT_EQ(mask.value().ToVector<int64_t>(), (std::vector<int64_t>{1, 1, 0, 1, 0, 0, 1, 1, 1}));
}

TEST(ScanTest, CarriesStatesOfItsOwnThroughTime) {
  // A running sum and a product, of rows of one number: any step is a cell.
  const Variable x = Tensor::FromVector<float>({1, 2, 3, 4, 5, 6}, {2, 3, 1});
  const auto step = [](const Variable& x_t, const std::vector<Variable>& state) {
    return std::vector<Variable>{state[0] + x_t, state[1] * x_t};
  };
  const std::vector<Variable> initial = {Tensor::Zeros({2, 1}), Tensor::Ones({2, 1})};
  const auto values = [](const Variable& v) { return v.value().ToVector<float>(); };
  Scanned run = Scan(x, initial, step);
  EXPECT_EQ(run.outputs.shape(), Shape({2, 3, 1}));
  EXPECT_EQ(values(run.outputs), (std::vector<float>{1, 3, 6, 4, 9, 15}));
  EXPECT_EQ(values(run.state[0]), (std::vector<float>{6, 15}));
  EXPECT_EQ(values(run.state[1]), (std::vector<float>{6, 120}));
  run = Scan(x, initial, step, {.reverse = true});
  EXPECT_EQ(values(run.outputs), (std::vector<float>{6, 5, 3, 15, 11, 6}));
  run = Scan(x, initial, step, {.reverse = true, .lengths = Tensor::FromVector<int64_t>({2, 3})});
  EXPECT_EQ(values(run.outputs), (std::vector<float>{3, 2, 0, 15, 11, 6}));
  EXPECT_EQ(values(run.state[1]), (std::vector<float>{2, 120}));
}

void ExpectHas(const std::string& text, const std::string& part) {
  EXPECT_NE(text.find(part), std::string::npos) << "\"" << text << "\" lacks \"" << part << "\"";
}
// What f throws says `part` and names the line that the macro stands on.
#define EXPECT_THROWS_HERE(statement, part)                           \
  do {                                                                \
    const std::string text = ThrownMessage([&] { (void)statement; }); \
    ExpectHas(text, part);                                            \
    ExpectHas(text, absl::StrCat(__FILE__, ":", __LINE__));           \
  } while (false)

TEST(SequenceErrorsTest, NameOpShapesAndTheCallersLine) {
  const auto zeros = [](const Shape& shape) { return Variable(Tensor::Zeros(shape)); };
  const LstmState state = {zeros({2, 3}), zeros({2, 3})};
  const auto parameters = [&](int64_t gates) {
    return RecurrentParameters{zeros({5, gates * 3}), zeros({3, gates * 3}), zeros({gates * 3})};
  };
  const Variable x = zeros({2, 4, 5});
  const RecurrentParameters p = parameters(4);
  EXPECT_THROWS_HERE(LstmSequence(zeros({2, 12}), p, state),
                     "[lstm_sequence] wants x [N, T, F], weight_ih [F, 4H], weight_hh [H, 4H] and "
                     "bias [4H], not [2,12], [5,12], [3,12] and [12]");
  EXPECT_THROWS_HERE(LstmSequence(zeros({2, 0, 5}), p, state),
                     "[lstm_sequence] wants [N, T, ...] with T >= 1, not [2,0,5]");
  EXPECT_THROWS_HERE(LstmSequence(zeros({2, 4, 6}), p, state), "not [2,4,6], [5,12], [3,12]");
  EXPECT_THROWS_HERE(LstmSequence(x, {p.weight_ih, zeros({3, 9}), p.bias}, state),
                     "not [2,4,5], [5,12], [3,9] and [12]");
  EXPECT_THROWS_HERE(LstmSequence(x, {p.weight_ih, p.weight_hh, zeros({9})}, state), "and [9]");
  EXPECT_THROWS_HERE(GruSequence(x, p, zeros({3}), state.h),
                     "[gru_sequence] wants x [N, T, F], weight_ih [F, 3H]");
  EXPECT_THROWS_HERE(GruSequence(x, parameters(3), zeros({9}), state.h),
                     "[gru_sequence] bias_hn must be [3], not [9]");
  EXPECT_THROWS_HERE(RnnSequence(x, parameters(1), RnnActivation::kTanh, zeros({1, 3})),
                     "the initial state must be float32[2,3], not float32[1,3]");
  EXPECT_THROWS_HERE(LstmSequence(x, p, {state.h, zeros({2, 4})}), "not float32[2,4]");
  EXPECT_THROWS_HERE(LstmSequence(x, p, {Cast(state.h, DType::kFloat64), state.c}),
                     "must be float32[2,3], not float64[2,3]");
  EXPECT_THROWS_HERE(
      LstmSequence(x, {p.weight_ih, Cast(p.weight_hh, DType::kFloat64), p.bias}, state),
      "x is float32, weight_hh is float64");
  EXPECT_THROWS_HERE(LstmSequence(x, p, {state.h, Variable()}),
                     "[lstm_sequence] the initial state is undefined");
  const auto with = [&](const Tensor& lengths, SourceLocation where) {
    LstmSequence(x, p, state, {.lengths = lengths}, where);
  };
  const auto here = SourceLocation(__FILE__, 0);
  const auto of = [&](const Tensor& lengths) {
    return ThrownMessage([&] { with(lengths, here); });
  };
  ExpectHas(of(Tensor::FromVector<int64_t>({4, 0})),
            "[lstm_sequence] lengths[1] is 0, but must be 1 to 4, the steps of [2,4,5]");
  ExpectHas(of(Tensor::FromVector<int64_t>({5, 1})), "lengths[0] is 5");
  ExpectHas(of(Tensor::FromVector<int64_t>({1, 2, 3})),
            "lengths must be integers [2], not int64[3]");
  ExpectHas(of(Tensor::FromVector<float>({1, 2})), "not float32[2]");
  ExpectHas(of(Tensor::Ones({2}, DType::kBool)), "not bool[2]");
}

TEST(SequenceErrorsTest, OfAScan) {
  const Variable x = Tensor::Zeros({2, 3, 1}), h = Tensor::Zeros({2, 1});
  const auto keep = [](const Variable&, const std::vector<Variable>& state) { return state; };
  const auto drop = [&](const Variable&, const std::vector<Variable>&) {
    return std::vector<Variable>();
  };
  const auto widen = [](const Variable&, const std::vector<Variable>& state) {
    return std::vector<Variable>{Concat(std::vector<Variable>{state[0], state[0]}, 1)};
  };
  EXPECT_THROWS_HERE(Scan(Tensor::Zeros({3}), {h}, keep), "[scan] wants [N, T, ...] with T >= 1");
  EXPECT_THROWS_HERE(Scan(x, {}, keep), "[scan] there is no state");
  EXPECT_THROWS_HERE(Scan(x, {Tensor::Zeros({1, 1})}, keep),
                     "[scan] state 0 is [1,1], but must have the 2 rows of [2,3,1]");
  EXPECT_THROWS_HERE(Scan(x, {h}, drop), "[scan] the step gives 0 states for 1");
  EXPECT_THROWS_HERE(Scan(x, {h}, widen), "[scan] the step makes [2,2] of state 0, which is [2,1]");
}

}  // namespace
}  // namespace wengert
