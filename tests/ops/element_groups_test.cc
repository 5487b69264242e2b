// Element-wise groups: what evaluation runs as one loop has the bits of one op at a time, forward
// and backward, in any order of reading and on any number of threads.
#include <cmath>
#include <vector>

#include "gtest/gtest.h"
#include "ops/ops.h"
#include "tests/ops/element_group_runs.h"

namespace wengert {
namespace {

// Odd sizes, small and large rows, rows above the largest and below the smallest that groups know.
const Shape kMatrices[] = {{97, 33},  {64, 768},  {40, 1024}, {5, 8192},
                           {3, 8193}, {2000, 31}, {70, 32},   {1, 3000}};

template <class F>
void ForMatrices(F f) {
  for (const Shape& shape : kMatrices) {
    SCOPED_TRACE(ToString(shape));
    f(shape);
  }
}

TEST(ElementGroupsTest, LayerNorm) {
  ForMatrices([](const Shape& s) {
    CheckGroups([](const Variables& x) { return Variables{Normalized(x[0], -1) * x[1] + x[2]}; },
                {Random(s), Random({s[1]}, 2), Random({s[1]}, 3)});
  });
}

TEST(ElementGroupsTest, Softmax) {
  ForMatrices([](const Shape& s) {
    CheckGroups([](const Variables& x) { return Variables{ExpOverSum(x[0])}; }, {Random(s)});
    // Of products of the rows, with a loss that reads the result.
    CheckGroups(
        [](const Variables& x) {
          const Variable y = ExpOverSum(x[0] * 2 + x[1]);
          return Variables{Sum(Log(y + 0.1) * x[0]), y};
        },
        {Random(s), Random({1, s[1]}, 2)});
  });
}

TEST(ElementGroupsTest, BatchNorm) {
  ForMatrices([](const Shape& s) {
    CheckGroups([](const Variables& x) { return Variables{Normalized(x[0], 0) * x[1] + x[2]}; },
                {Random(s), Random({s[1]}, 2), Random({s[1]}, 3)});
  });
}

TEST(ElementGroupsTest, Gelu) {
  ForMatrices([](const Shape& s) {
    CheckGroups(
        [](const Variables& x) {
          const Variable exact = x[0] * (1 + Erf(x[0] * std::sqrt(0.5))) / 2;
          const Variable cubed = x[0] + 0.044715 * Square(x[0]) * x[0];
          return Variables{exact, x[0] * (1 + Tanh(0.79788456 * cubed)) / 2};
        },
        {Random(s)});
  });
}

TEST(ElementGroupsTest, LstmGates) {
  for (const Shape& s : {Shape{97, 33}, Shape{64, 192}, Shape{3, 2049}}) {
    SCOPED_TRACE(ToString(s));
    CheckGroups(
        [](const Variables& x) {
          const auto [i, f, g, o] = Chunk<4>(x[0] + x[2], -1);
          const Variable c = Sigmoid(f) * x[1] + Sigmoid(i) * Tanh(g);
          return Variables{c, Sigmoid(o) * Tanh(c)};
        },
        {Random({s[0], 4 * s[1]}), Random(s, 2), Random({4 * s[1]}, 3)});
  }
}

TEST(ElementGroupsTest, HigherRanksAndLengthOneAxes) {
  for (const Shape& s : {Shape{13, 7, 33}, Shape{7, 1, 401}, Shape{1, 9, 301}, Shape{5, 6, 9, 11},
                         Shape{3, 1, 17, 64}, Shape{4, 33, 17, 1}, Shape{2, 40, 1, 32}}) {
    SCOPED_TRACE(ToString(s));
    std::vector<Axes> kinds = {Axes(-1), Axes({-2, -1}), Axes(0), Axes({0, 1}), Axes()};
    if (s.rank() == 4) kinds.push_back({0, 1, 2});
    for (const Axes& axes : kinds) {
      CheckGroups(
          [&](const Variables& x) {
            const Variable y = Normalized(Tanh(x[0]) * x[1], axes);
            return Variables{y, Sum(y * x[0], axes)};
          },
          {Random(s), Random({s[s.rank() - 1]}, 2)});
    }
  }
}

TEST(ElementGroupsTest, TransposedSlicedAndFlippedInputs) {
  const Tensor wide = Random({97, 150});
  const Tensor views[] = {Random({65, 97}).T(),          wide.Narrow(1, 3, 65),
                          wide.Narrow(1, 4, 65, 2),      Random({97, 1}).Expand({97, 65}),
                          Random({65}).Expand({97, 65}), Random({1, 1}).Expand({97, 65})};
  for (const Tensor& view : views) {
    ASSERT_EQ(view.shape(), (Shape{97, 65}));
    CheckGroups(
        [](const Variables& x) {
          const Variable y = Normalized(x[0], -1) * x[1] + x[0];
          return Variables{y, Sum(x[0], -1), Sum(x[0]), Sum(x[0], 0), Exp(y) * 2};
        },
        {view, Random({97, 65}, 5)});
  }
  CheckGroups(  // made in the graph
      [](const Variables& x) {
        const Variable t = Transpose(x[0] * 2), n = Narrow(x[1], 1, 5, 65) + 1;
        const Variable f = Flip(x[2], 1);
        return Variables{Tanh(t * n) + f * n - Transpose(t * n), Sum(t * f, -1), Sum(t)};
      },
      {Random({70, 70}, 2).Narrow(0, 0, 65).Narrow(1, 0, 65), Random({65, 80}, 3),
       Random({65, 65}, 4)});
}

TEST(ElementGroupsTest, BroadcastInputs) {
  ForMatrices([](const Shape& s) {
    const std::vector<Shape> small = {{s[1]}, {s[0], 1}, {}, {1}, {1, 1}, {1, s[1]}};
    for (const Shape& shape : small) {
      SCOPED_TRACE(ToString(shape));
      CheckGroups(
          [](const Variables& x) {
            const Variable a = x[0] * x[1] + x[1];
            const Variable b = Sum(a, -1, kKeepDims) * 0.25 + Sum(x[0], -1, kKeepDims);
            return Variables{Tanh(a - b) * x[1], a};
          },
          {Random(s), Random(shape, 2)});
    }
    CheckGroups(  // row values with outer operands of one element, or one per row
        [](const Variables& x) {
          const Variable r = Sum(x[0] * 0.125, -1, kKeepDims);
          return Variables{x[0] * Tanh(r * x[1] + x[2]), Sum(x[0] * r, -1) - x[3]};
        },
        {Random(s), Random({s[0], 1}, 2), Random({1}, 3), Random({s[0]}, 4)});
  });
}

TEST(ElementGroupsTest, ReadOutsideOfTheGroup) {
  ForMatrices([](const Shape& s) {
    CheckGroups(
        [&](const Variables& x) {
          const Variable a = Tanh(x[0] * 2), r = Sum(a, -1, kKeepDims), b = a * r;
          const Variable view = Narrow(b, 1, 1, 20), c = Exp(a) - b;
          const Variable product = MatMul(Transpose(c * 0.5), x[1]);
          // `b` is held too; `a` and `c` live on only through others.
          return Variables{b, view * 3, product, r, Reshape(r, {-1}) + 1, Sum(c + r)};
        },
        {Random(s), Random({s[0], 3}, 2)});
  });
}

TEST(ElementGroupsTest, ExpandedRowValues) {
  ForMatrices([](const Shape& s) {
    // Read by the group first as its expansion, and later as itself.
    CheckGroups(
        [&](const Variables& x) {
          const Variable r = Sum(x[0] * 0.5, -1, kKeepDims);
          const Variable y = x[0] * Expand(r, s);
          const Variable t = Sum(y, -1, kKeepDims);
          return Variables{y * 2 - Tanh(t), Tanh(x[0]) * r + t};
        },
        {Random(s)});
    // Read outside: as a view, by a product, by a handle.
    CheckGroups(
        [&](const Variables& x) {
          const Variable r = Sum(Exp(x[0]), -1, kKeepDims) * 0.01;
          const Variable e = Expand(r, s), y = x[0] * e;
          return Variables{MatMul(Transpose(e), x[1]), y, Narrow(e, 1, 2, 5) + 1};
        },
        {Random(s), Random({s[0], 3}, 2)});
    CheckGroups(
        [&](const Variables& x) {
          const Variable e = Expand(Sum(x[0] + 1, -1, kKeepDims), s);
          return Variables{e, e * x[0]};
        },
        {Random(s)});
  });
}

TEST(ElementGroupsTest, Conditions) {
  ForMatrices([](const Shape& s) {
    CheckGroups(
        [&](const Variables& x) {
          const Variable positive = x[0] > 0, below = x[0] * 2 < x[1];
          const Variable r = Sum(x[0], -1, kKeepDims);
          const Variable rows = r > 0;  // one bool per row
          const Variable same = Equal(positive, below);
          const Variable y = Where(positive, Exp(x[0]), x[1]) + Where(rows, x[0], r);
          const Variable z = Where(same, y, 0.5) * Where(rows, 2, x[1]);
          const Variable w = Where(Where(same, positive, below), r, x[0]);
          return Variables{z, same, w, Maximum(y, r), Sum(WherePositive(z, x[1]), -1)};
        },
        {Random(s), Random(s, 2)});
  });
}

TEST(ElementGroupsTest, Integers) {
  const auto integers = [](const Shape& shape, DType dtype, uint32_t seed) {
    return (Random(shape, seed).To(DType::kFloat64)).To(dtype);
  };
  ForMatrices([&](const Shape& s) {
    for (const DType dtype : {DType::kInt32, DType::kInt64}) {
      CheckGroups(
          [](const Variables& x) {
            const Variable a = x[0] * 3 + x[1], b = Maximum(a - x[1] * x[0], x[1]);
            const Variable odd = Equal(a, b);
            return Variables{b * b - a, odd, Sum(b, -1), Where(odd, a, x[1]) + 1,
                             Where(NotEqual(x[0], 0), x[2] * x[0], -x[2]) * x[2]};
          },
          {integers(s, dtype, 1), integers({s[1]}, dtype, 2), Random(s, 3)});
    }
  });
}

TEST(ElementGroupsTest, SumsInTheMiddle) {
  ForMatrices([](const Shape& s) {
    CheckGroups(
        [](const Variables& x) {
          const Variable a = Tanh(x[0]) * 2, total = Sum(a), b = Exp(a) + 1;
          const Variable mean = Mean(b), c = b * 0.5 - a, columns = Sum(c, 0);
          const Variable r = Sum(c * a, -1, kKeepDims), d = c * mean + columns;
          // Sums of row values: over everything, and of two of them together.
          return Variables{d + total, Sum(r * 2), Sum(Square(d)) * total,
                           Sum(r + Sum(a, -1, kKeepDims)), columns * 3};
        },
        {Random(s)});
    CheckGroups(  // several sums over the rows, with and without sums of rows beside them
        [](const Variables& x) {
          const Variable a = Tanh(x[0]), b = a * x[0];
          const Variable r = Sum(b, -1, kKeepDims), c = b * r;
          return Variables{Sum(a, 0), Sum(b, 0), Sum(c, 0), Sum(c, -1), Sum(c), Sum(a * b)};
        },
        {Random(s)});
  });
}

TEST(ElementGroupsTest, ManyTermsAndManyNodes) {
  ForMatrices([](const Shape& s) {
    CheckGroups(  // the gradient of x[0] and of the row value are sums of many terms
        [](const Variables& x) {
          const Variable r = Sum(x[0] * 0.125, -1, kKeepDims);
          return Variables{Exp(x[0]) * r + Tanh(x[0]) * x[1] - x[0] * Square(r) + Sigmoid(x[0]),
                           x[0] * r + x[1] * Tanh(r)};
        },
        {Random(s), Random(s, 2)});
  });
  CheckGroups(  // more than a group holds
      [](const Variables& x) {
        Variables last = {x[0], x[1]};
        for (int i = 0; i < 100; ++i) {
          last.push_back(last[i] * 0.5 + Tanh(last[i + 1] - Sum(last[i], -1, kKeepDims) * 0.01));
        }
        return Variables{last.back(), last[50]};
      },
      {Random({41, 67}), Random({41, 67}, 2)});
}

// A vector that is read both as one value per row and broadcast over the rows keeps its memory
// until the last row has been computed.
TEST(ElementGroupsTest, OneVectorForRowsAndColumns) {
  for (const int64_t n : {64, 1024, 2100}) {
    SCOPED_TRACE(n);
    CheckGroups(
        [](const Variables& x) {
          const Variable z = x[1] * 2;
          return Variables{z + Sum(x[0] * z, -1)};
        },
        {Random({n, n}), Random({n}, 2)});
  }
}

// What is written past the cache: results larger than it, one of which an input's memory holds.
TEST(ElementGroupsTest, LargerThanTheCache) {
  for (const Shape& s : {Shape{(1 << 20) + 3}, Shape{1100, 1025}, Shape{40'000, 33}}) {
    SCOPED_TRACE(ToString(s));
    CheckGroups(
        [](const Variables& x) {
          const Variable y = Tanh(x[0] * 1.5 + x[1]), over = (x[0] * x[1]) * 2;
          const Variable scaled = x[0] - Sum(y, -1, kKeepDims) * 1e-3;
          return Variables{y * 0.5, scaled, Exp(over) * scaled};
        },
        {Random(s), Random({s[s.rank() - 1]}, 2)});
  }
}

TEST(ElementGroupsTest, LongChainsOfRowValues) {
  CheckGroups(
      [](const Variables& x) {
        Variable s = Sum(x[0] * 2, -1);
        for (int i = 0; i < 300; ++i) s = s * 0.9 + 0.1;
        return Variables{s};
      },
      {Random({64, 64})});
}

}  // namespace
}  // namespace wengert
