// The fused sequences: kernels against definitions on every SIMD target, rows alone against rows in
// a batch, what padding may hold, threads, memory layouts, directions.
#include <cmath>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "autograd/grad.h"
#include "autograd/modes.h"
#include "gtest/gtest.h"
#include "ops/ops.h"
#include "tests/ops/kernel_test.h"
#include "tests/tensor/thrown_message.h"

namespace wengert {
namespace {

enum class Kind { kLstm, kGru, kGruBefore, kTanh, kRelu };
constexpr Kind kKinds[] = {Kind::kLstm, Kind::kGru, Kind::kGruBefore, Kind::kTanh, Kind::kRelu};
constexpr const char* kNames[] = {"lstm", "gru", "gru, reset before", "rnn, tanh", "rnn, relu"};
std::string NameOf(Kind kind) { return kNames[static_cast<int>(kind)]; }

int64_t GatesOf(Kind kind) {
  return kind == Kind::kLstm ? 4 : kind == Kind::kGru || kind == Kind::kGruBefore ? 3 : 1;
}

// Multiplying with it changes no bit, however many rows are multiplied at once and in what order.
Tensor Identity(int64_t size) {
  return OneHot(Tensor::Arange(0, static_cast<double>(size)), size).value();
}

// x: what the input gives to the gates, weight_hh, h, then c or bias_hn. Gives the outputs, then
// the states.
std::vector<Variable> Record(Kind kind, VariableSpan x, const ScanOptions& options) {
  const int64_t width = x[0].dim(2);
  const RecurrentParameters parameters{.weight_ih = Cast(Identity(width), x[0].dtype()),
                                       .weight_hh = x[1],
                                       .bias = Tensor::Zeros({width}, x[0].dtype())};
  Scanned run;
  switch (kind) {
    case Kind::kLstm:
      run = LstmSequence(x[0], parameters, {x[2], x[3]}, options);
      break;
    case Kind::kGru:
      run = GruSequence(x[0], parameters, x[3], x[2], options);
      break;
    case Kind::kGruBefore:
      run = GruSequence(x[0], parameters, Variable(), x[2], options);
      break;
    case Kind::kTanh:
    case Kind::kRelu:
      run = RnnSequence(x[0], parameters,
                        kind == Kind::kTanh ? RnnActivation::kTanh : RnnActivation::kRelu, x[2],
                        options);
  }
  std::vector<Variable> all = {run.outputs};
  all.insert(all.end(), run.state.begin(), run.state.end());
  return all;
}

struct Problem {
  std::vector<Tensor> inputs;      // as Record takes them
  std::vector<Tensor> cotangents;  // of what it gives
};
Problem MakeProblem(Kind kind, int64_t n, int64_t steps, int64_t hidden, uint64_t seed = 1) {
  Generator rng(seed);
  const int64_t width = GatesOf(kind) * hidden;
  const auto normal = [&](const Shape& shape, double deviation = 1) {
    return Normal(shape, rng, 0, deviation).value();
  };
  Problem p{.inputs = {normal({n, steps, width}),
                       normal({hidden, width}, 1 / std::sqrt(static_cast<double>(hidden))),
                       normal({n, hidden})},
            .cotangents = {normal({n, steps, hidden}), normal({n, hidden})}};
  if (kind == Kind::kLstm) {
    p.inputs.push_back(normal({n, hidden}));
    p.cotangents.push_back(normal({n, hidden}));
  }
  if (kind == Kind::kGru) p.inputs.push_back(normal({hidden}));
  return p;
}

// The values, then the gradients of all inputs.
std::vector<Tensor> Solve(Kind kind, const Problem& p, const ScanOptions& options) {
  std::vector<Variable> inputs;
  for (const Tensor& t : p.inputs) inputs.push_back(DifferentiableLeaf(t));
  std::vector<Variable> all = Record(kind, inputs, options);
  const std::vector<Variable> cotangents(p.cotangents.begin(), p.cotangents.end());
  for (Variable& g : Grad(all, inputs, {.cotangents = cotangents})) all.push_back(std::move(g));
  Evaluate(all);
  std::vector<Tensor> values;
  for (const Variable& v : all) values.push_back(v.value());
  return values;
}

void ExpectSameBits(const std::vector<Tensor>& a, const std::vector<Tensor>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) EXPECT_TRUE(BitwiseEqual(a[i], b[i])) << "result " << i;
}
double Norm(const Tensor& t) {
  return std::sqrt(Sum(Square(Cast(t, DType::kFloat64))).item<double>());
}
void ExpectNear(const std::vector<Tensor>& a, const std::vector<Tensor>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    ASSERT_EQ(a[i].shape(), b[i].shape());
    EXPECT_LE(Norm((Variable(a[i]) - b[i]).value()), 1e-5 * Norm(b[i]) + 1e-30) << "result " << i;
  }
}
Tensor SomeLengths(int64_t n, int64_t steps) {  // the whole, one step, and what is between
  std::vector<int64_t> lengths;
  for (int64_t i = 0; i < n; ++i) lengths.push_back(1 + (i * (i + 3) / 2 + steps - 1) % steps);
  return Tensor::FromVector(lengths);
}

class SequenceTest : public ::testing::Test {
  KernelSettings settings_;
};

TEST_F(SequenceTest, AKernelIsItsDefinitionOnEveryTargetInAllSizes) {
  const struct {
    int64_t n, steps, hidden;
  } sizes[] = {{1, 1, 1}, {2, 9, 7}, {5, 2, 16}, {17, 9, 17}, {40, 2, 33}, {1, 9, 64}, {5, 2, 100}};
  for (const Kind kind : kKinds) {
    for (const auto& [n, steps, hidden] : sizes) {
      const Problem p = MakeProblem(kind, n, steps, hidden);
      for (const bool reverse : {false, true}) {
        for (const Tensor& lengths : {Tensor(), SomeLengths(n, steps)}) {
          SCOPED_TRACE(absl::StrCat(NameOf(kind), " of ", n, " x ", steps, " x ", hidden,
                                    reverse ? ", reversed" : "",
                                    lengths.defined() ? ", with lengths" : ""));
          const ScanOptions options{.reverse = reverse, .lengths = lengths};
          std::vector<Tensor> expected;
          {
            const EagerGuard eager;
            expected = Solve(kind, p, options);
          }
          ForEachTarget([&, n = n] { ExpectNear(Solve(kind, p, options), expected); });
        }
      }
    }
  }
}

// What the results of row n are, when it has `length` steps.
std::vector<Tensor> Row(const Problem& p, const std::vector<Tensor>& all, int64_t n,
                        int64_t length) {
  std::vector<Tensor> row;
  const size_t outputs = p.cotangents.size();
  for (size_t i = 0; i < all.size(); ++i) {
    if (i == outputs + 1 || all[i].rank() == 1) continue;  // weight_hh, bias_hn: of all rows
    const Tensor of = all[i].Narrow(0, n, 1);
    row.push_back((of.rank() == 3 ? of.Narrow(1, 0, length) : of).Contiguous());
  }
  return row;
}

// The reset before the product runs op by op, and a matrix product may add up few rows in another
// order than many. The fused sequences give the same bits.
TEST_F(SequenceTest, ARowDoesNotKnowOfOthersNorOfPadding) {
  const int64_t steps = 7, hidden = 19;
  for (const Kind kind : kKinds) {
    for (const int64_t n : {3, 21}) {
      const Problem p = MakeProblem(kind, n, steps, hidden);
      const Tensor lengths = SomeLengths(n, steps);
      for (const bool reverse : {false, true}) {
        const std::vector<Tensor> all = Solve(kind, p, {.reverse = reverse, .lengths = lengths});
        const Tensor& outputs = all[0];
        const Tensor& gradient = all[p.cotangents.size()];
        for (int64_t i = 0; i < n; ++i) {
          SCOPED_TRACE(
              absl::StrCat(NameOf(kind), reverse ? ", reversed" : "", ", row ", i, " of ", n));
          const int64_t length = lengths.at<int64_t>({i});
          Problem alone = p;
          for (std::vector<Tensor>* list : {&alone.inputs, &alone.cotangents}) {
            for (Tensor& t : *list) {
              if (&t == &alone.inputs[1] || t.rank() == 1) continue;
              t = t.Narrow(0, i, 1);
              if (t.rank() == 3) t = t.Narrow(1, 0, length);
            }
          }
          const std::vector<Tensor> expected = Solve(kind, alone, {.reverse = reverse});
          const auto expect_same = kind == Kind::kGruBefore ? ExpectNear : ExpectSameBits;
          expect_same(Row(p, all, i, length), Row(alone, expected, 0, length));
          if (length == steps) continue;
          for (const Tensor& t : {outputs, gradient}) {
            const Tensor padding = t.Narrow(0, i, 1).Narrow(1, length, steps - length);
            EXPECT_EQ(Norm(padding), 0);
          }
        }
      }
    }
  }
}

TEST_F(SequenceTest, PaddingMayHoldAnything) {
  const int64_t n = 9, steps = 5, hidden = 6;
  const Tensor lengths = SomeLengths(n, steps);
  const Variable has_step = SequenceMask(lengths, steps);
  for (const Kind kind : kKinds) {
    const Problem p = MakeProblem(kind, n, steps, hidden);
    for (const bool reverse : {false, true}) {
      const ScanOptions options{.reverse = reverse, .lengths = lengths};
      const std::vector<Tensor> expected = Solve(kind, p, options);
      for (const double trash : {std::nan(""), std::numeric_limits<double>::infinity(), -1e30}) {
        SCOPED_TRACE(absl::StrCat(NameOf(kind), reverse ? ", reversed, " : ", ", trash));
        Problem dirty = p;
        for (Tensor* t : {&dirty.inputs[0], &dirty.cotangents[0]}) {
          *t = Where(Unsqueeze(has_step, 2), *t, trash).value();
        }
        const std::vector<Tensor> results = Solve(kind, dirty, options);
        ExpectSameBits(results, expected);
        for (const Tensor& t : results) EXPECT_TRUE(AllFinite(t));
      }
    }
  }
}

TEST_F(SequenceTest, LengthsOfAllStepsAreNoLengths) {
  for (const Kind kind : kKinds) {
    SCOPED_TRACE(NameOf(kind));
    const Problem p = MakeProblem(kind, 3, 4, 5);
    for (const DType dtype : {DType::kUInt8, DType::kInt32, DType::kInt64}) {
      ExpectSameBits(Solve(kind, p, {.lengths = Tensor::Full({3}, 4, dtype)}), Solve(kind, p, {}));
    }
  }
}

TEST_F(SequenceTest, ThreadsDoNotChangeABit) {
  for (const Kind kind : kKinds) {
    for (const int64_t n : {5, 40, 70}) {
      SCOPED_TRACE(absl::StrCat(NameOf(kind), ", ", n, " rows"));
      const Problem p = MakeProblem(kind, n, 6, 33);
      const ScanOptions options{.reverse = n == 40, .lengths = SomeLengths(n, 6)};
      SetNumThreads(1);
      const std::vector<Tensor> expected = Solve(kind, p, options);
      for (const int threads : {2, 3, 8}) {
        SetNumThreads(threads);
        ExpectSameBits(Solve(kind, p, options), expected);
      }
    }
  }
}

// The same numbers in other memory: in the order of reversed axes, or every second of a wider one.
Tensor Transposed(const Tensor& t) {
  if (t.rank() < 2) return t;
  return t.Transpose(0, -1).Contiguous().Transpose(0, -1);
}
Tensor Sliced(const Tensor& t) {
  Shape wide = t.shape();
  wide[t.rank() - 1] *= 2;
  Tensor memory = Tensor::Full(wide, std::nan(""));
  Tensor view = memory.Narrow(-1, 1, t.dim(-1), 2);
  view.CopyFrom(t);
  return view;
}
Tensor TimeMajor(const Tensor& t) {
  return t.rank() == 3 ? t.Transpose(0, 1).Contiguous().Transpose(0, 1) : t;
}

TEST_F(SequenceTest, InputsAndCotangentsMayLieAnywhere) {
  for (const Kind kind : kKinds) {
    for (const int64_t hidden : {1, 5, 16}) {
      const Problem p = MakeProblem(kind, 6, 4, hidden);
      const ScanOptions options{.lengths = Tensor::FromVector<int64_t>({4, 1, 2, 4, 3, 3})};
      const std::vector<Tensor> expected = Solve(kind, p, options);
      int layout = 0;
      for (const auto& moved : {&Transposed, &Sliced, &TimeMajor}) {
        SCOPED_TRACE(absl::StrCat(NameOf(kind), ", ", hidden, " units, layout ", layout++));
        Problem other = p;
        for (Tensor& t : other.inputs) t = moved(t);
        for (Tensor& t : other.cotangents) t = moved(t);
        ExpectNear(Solve(kind, other, options), expected);
      }
      // One row of gates for all, and a sum's cotangent: expanded, strides of 0.
      Problem same = p;
      same.inputs[0] = p.inputs[0].Narrow(0, 0, 1).Expand(p.inputs[0].shape());
      same.cotangents[0] = Tensor::Ones({}).Expand(p.cotangents[0].shape());
      Problem dense = same;
      dense.inputs[0] = same.inputs[0].Clone();
      dense.cotangents[0] = same.cotangents[0].Clone();
      ExpectSameBits(Solve(kind, same, options), Solve(kind, dense, options));
    }
  }
}

// The gradient of one result alone is what it adds to that of all: the kernels are given zeros for
// what nobody asked.
TEST_F(SequenceTest, GradientsAddUpOverResults) {
  for (const Kind kind : kKinds) {
    SCOPED_TRACE(NameOf(kind));
    const Problem p = MakeProblem(kind, 4, 5, 7);
    std::vector<Variable> inputs;
    for (const Tensor& t : p.inputs) inputs.push_back(DifferentiableLeaf(t));
    const std::vector<Variable> all =
        Record(kind, inputs, {.lengths = Tensor::FromVector<int64_t>({2, 5, 1, 3})});
    std::vector<Variable> sums(inputs.size());
    for (size_t i = 0; i < all.size(); ++i) {
      const std::vector<Variable> alone =
          Grad({&all[i], 1}, inputs, {.cotangents = {p.cotangents[i]}});
      for (size_t k = 0; k < inputs.size(); ++k) {
        sums[k] = sums[k].defined() ? sums[k] + alone[k] : alone[k];
        // And of one input alone: the others are not computed.
        const Variable only = Grad(all[i], inputs[k], {.cotangents = {p.cotangents[i]}});
        EXPECT_TRUE(BitwiseEqual(only.value(), alone[k].value()));
      }
    }
    const std::vector<Variable> cotangents(p.cotangents.begin(), p.cotangents.end());
    const std::vector<Variable> together = Grad(all, inputs, {.cotangents = cotangents});
    std::vector<Tensor> a, b;
    for (size_t k = 0; k < inputs.size(); ++k) {
      a.push_back(together[k].value());
      b.push_back(sums[k].value());
    }
    ExpectNear(a, b);
  }
}

// Neither where the kernel runs nor where its Definition does: the last step's outputs are then the
// state, to the tape too.
TEST_F(SequenceTest, ResultsAreNotComputedFromEachOther) {
  for (const Kind kind : kKinds) {
    for (const DType dtype : {DType::kFloat32, DType::kFloat64}) {
      for (const bool eager : {false, true}) {
        SCOPED_TRACE(
            absl::StrCat(NameOf(kind), " of ", std::string(Name(dtype)), eager ? ", eager" : ""));
        std::optional<EagerGuard> guard;
        if (eager) guard.emplace();
        std::vector<Variable> inputs;
        for (const Tensor& t : MakeProblem(kind, 2, 3, 4).inputs) {
          inputs.push_back(DifferentiableLeaf(t.To(dtype)));
        }
        const std::vector<Variable> all = Record(kind, inputs, {});
        const Variable loss = Sum(Square(all[0]));
        const std::string text = ThrownMessage([&] { Grad(loss, all[1]); });
        EXPECT_NE(text.find("depend"), std::string::npos) << text;
      }
    }
  }
}

TEST_F(SequenceTest, ReversedTimeIsTimeReversed) {
  for (const Kind kind : kKinds) {
    SCOPED_TRACE(NameOf(kind));
    const Problem p = MakeProblem(kind, 3, 5, 18);
    Problem flipped = p;
    flipped.inputs[0] = p.inputs[0].Flip(1);
    flipped.cotangents[0] = p.cotangents[0].Flip(1);
    std::vector<Tensor> backward = Solve(kind, flipped, {.reverse = true});
    for (const size_t time : {size_t{0}, p.cotangents.size()}) {
      backward[time] = backward[time].Flip(1).Contiguous();
    }
    ExpectNear(backward, Solve(kind, p, {}));
  }
}

}  // namespace
}  // namespace wengert
