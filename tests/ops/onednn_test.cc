// oneDNN's convolutions and matrix multiplication, against loops in double and for their bits on
// any number of threads.

#include "ops/kernels/onednn.h"

#include <omp.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tensor/parallel.h"
#include "tests/ops/kernel_test.h"

namespace wengert {
namespace {

using Floats = std::vector<float>;
using Doubles = std::vector<double>;

class Random : public RandomIntegers {
 public:
  using RandomIntegers::RandomIntegers;
  Floats Values(int64_t size) {
    Floats values(size);
    for (float& value : values) value = static_cast<float>(Int(-1'000'000, 1'000'000)) * 1e-6f;
    return values;
  }
};

// OpenMP's own setting too: it is what oneDNN would follow if it were let.
void SetThreads(int threads) {
  SetNumThreads(threads);
  omp_set_num_threads(threads);
}

// The number of threads as it was, whatever a test sets.
class OnednnTest : public testing::Test {
 protected:
  ~OnednnTest() override { SetThreads(threads_); }

 private:
  const int threads_ = NumThreads();
};

void SetOutputSize(Conv2dGeometry& g) {
  g.out_h =
      (g.in_h + g.pad_top + g.pad_bottom - (g.kernel_h - 1) * g.dilation_h - 1) / g.stride_h + 1;
  g.out_w =
      (g.in_w + g.pad_left + g.pad_right - (g.kernel_w - 1) * g.dilation_w - 1) / g.stride_w + 1;
}

int64_t InputSize(const Conv2dGeometry& g) { return g.batch * g.in_h * g.in_w * g.in_c; }
int64_t OutputSize(const Conv2dGeometry& g) { return g.batch * g.out_h * g.out_w * g.out_c; }
int64_t KernelSize(const Conv2dGeometry& g) {
  return g.kernel_h * g.kernel_w * (g.in_c / g.groups) * g.out_c;
}

std::string ToString(const Conv2dGeometry& g) {
  std::string text;
  for (const int64_t value :
       {g.batch, g.in_h, g.in_w, g.in_c, g.out_h, g.out_w, g.out_c, g.kernel_h, g.kernel_w,
        g.stride_h, g.stride_w, g.dilation_h, g.dilation_w, g.pad_top, g.pad_left, g.pad_bottom,
        g.pad_right, g.groups}) {
    text += std::to_string(value) + " ";
  }
  return text;
}

// Calls term(x index, w index, y index) for every product of a convolution.
template <class Term>
void ForEachProduct(const Conv2dGeometry& g, Term term) {
  const int64_t in = g.in_c / g.groups, out = g.out_c / g.groups;
  for (int64_t n = 0; n < g.batch; ++n) {
    for (int64_t oh = 0; oh < g.out_h; ++oh) {
      for (int64_t ow = 0; ow < g.out_w; ++ow) {
        for (int64_t kh = 0; kh < g.kernel_h; ++kh) {
          for (int64_t kw = 0; kw < g.kernel_w; ++kw) {
            const int64_t ih = oh * g.stride_h + kh * g.dilation_h - g.pad_top;
            const int64_t iw = ow * g.stride_w + kw * g.dilation_w - g.pad_left;
            if (ih < 0 || ih >= g.in_h || iw < 0 || iw >= g.in_w) continue;
            for (int64_t group = 0; group < g.groups; ++group) {
              for (int64_t i = 0; i < in; ++i) {
                for (int64_t o = group * out; o < (group + 1) * out; ++o) {
                  term(((n * g.in_h + ih) * g.in_w + iw) * g.in_c + group * in + i,
                       ((kh * g.kernel_w + kw) * in + i) * g.out_c + o,
                       ((n * g.out_h + oh) * g.out_w + ow) * g.out_c + o);
                }
              }
            }
          }
        }
      }
    }
  }
}

// `magnitude`: the sum of the absolute terms, to which the rounding of a float sum is relative.
void ExpectNear(const Floats& actual, const Doubles& expected, const Doubles& magnitude) {
  ASSERT_EQ(actual.size(), expected.size());
  for (size_t i = 0; i < actual.size(); ++i) {
    ASSERT_LE(std::abs(actual[i] - expected[i]), 3e-6 * magnitude[i]) << "at " << i;
  }
}

struct Convolutions {
  Floats y, dx, dw;
  bool operator==(const Convolutions&) const = default;
};

// Results start as NaN: what is not written shows.
Convolutions RunAll(const Conv2dGeometry& g, const Floats& x, const Floats& w, const Floats& dy) {
  Convolutions r{Floats(OutputSize(g), NAN), Floats(InputSize(g), NAN), Floats(KernelSize(g), NAN)};
  Conv2dForward(g, x.data(), w.data(), r.y.data());
  Conv2dInputGradient(g, dy.data(), w.data(), r.dx.data());
  Conv2dKernelGradient(g, x.data(), dy.data(), r.dw.data());
  return r;
}

void CheckConvolutions(const Conv2dGeometry& g, Random& random) {
  SCOPED_TRACE(ToString(g));
  const Floats x = random.Values(InputSize(g)), w = random.Values(KernelSize(g)),
               dy = random.Values(OutputSize(g));
  SetThreads(3);
  const Convolutions result = RunAll(g, x, w, dy);

  Doubles y(OutputSize(g)), dx(InputSize(g)), dw(KernelSize(g));
  Doubles y_size(y.size()), dx_size(dx.size()), dw_size(dw.size());
  ForEachProduct(g, [&](int64_t i, int64_t k, int64_t o) {
    const double forward = static_cast<double>(x[i]) * w[k];
    const double input = static_cast<double>(dy[o]) * w[k];
    const double kernel = static_cast<double>(dy[o]) * x[i];
    y[o] += forward, y_size[o] += std::abs(forward);
    dx[i] += input, dx_size[i] += std::abs(input);
    dw[k] += kernel, dw_size[k] += std::abs(kernel);
  });
  ExpectNear(result.y, y, y_size);
  ExpectNear(result.dx, dx, dx_size);
  ExpectNear(result.dw, dw, dw_size);

  for (const int threads : {1, 2, 8}) {
    SetThreads(threads);
    EXPECT_TRUE(RunAll(g, x, w, dy) == result) << threads << " threads";
  }
}

TEST_F(OnednnTest, RandomConvolutionsMatchLoopsInDouble) {
  Random random(1);
  for (int trial = 0; trial < 220; ++trial) {
    Conv2dGeometry g{.batch = random.Int(1, 5),
                     .in_h = random.Int(1, 13),
                     .in_w = random.Int(1, 13),
                     .kernel_h = random.Int(1, 5),
                     .kernel_w = random.Int(1, 5),
                     .stride_h = random.Int(1, 3),
                     .stride_w = random.Int(1, 3)};
    if (random.Int(0, 2) == 0) g.dilation_h = random.Int(1, 3), g.dilation_w = random.Int(1, 3);
    if (random.Int(0, 1) == 0) {
      g.pad_top = random.Int(0, 3), g.pad_bottom = random.Int(0, 3);
      g.pad_left = random.Int(0, 3), g.pad_right = random.Int(0, 3);
    }
    // One group, several, or a channel each; channel counts with and without whole vectors.
    g.groups = random.Int(0, 2) == 0 ? random.Int(2, 16) : 1;
    const int64_t unit = random.Int(0, 2) == 0 ? 16 : 1;
    g.in_c = g.groups * (random.Int(0, 1) == 0 ? 1 : random.Int(1, unit == 16 ? 2 : 7) * unit);
    g.out_c = g.groups * (random.Int(0, 1) == 0 ? 1 : random.Int(1, unit == 16 ? 2 : 7) * unit);
    // oneDNN takes sizes of which a whole kernel fits; ops reject the others.
    g.in_h = std::max(g.in_h, (g.kernel_h - 1) * g.dilation_h + 1 - g.pad_top - g.pad_bottom);
    g.in_w = std::max(g.in_w, (g.kernel_w - 1) * g.dilation_w + 1 - g.pad_left - g.pad_right);
    SetOutputSize(g);
    CheckConvolutions(g, random);
    if (HasFatalFailure()) return;
  }
}

// Large enough to be cut, with batches that the pieces do not divide.
TEST_F(OnednnTest, ConvolutionsInPiecesMatchLoopsInDouble) {
  Random random(2);
  std::vector<Conv2dGeometry> geometries = {
      {.batch = 128, .in_h = 28, .in_w = 28, .in_c = 1, .out_c = 32, .kernel_h = 3, .kernel_w = 3},
      {.batch = 19, .in_h = 13, .in_w = 13, .in_c = 32, .out_c = 64, .kernel_h = 3, .kernel_w = 3},
      {.batch = 3,
       .in_h = 32,
       .in_w = 17,
       .in_c = 64,
       .out_c = 48,
       .kernel_h = 3,
       .kernel_w = 3,
       .pad_top = 1,
       .pad_left = 1,
       .pad_bottom = 2},
      {.batch = 7,
       .in_h = 24,
       .in_w = 24,
       .in_c = 24,
       .out_c = 40,
       .kernel_h = 5,
       .kernel_w = 3,
       .stride_h = 2,
       .dilation_w = 2,
       .groups = 2},
      {.batch = 33,
       .in_h = 40,
       .in_w = 40,
       .in_c = 32,
       .out_c = 32,
       .kernel_h = 3,
       .kernel_w = 3,
       .groups = 32},
      {.batch = 11, .in_h = 24, .in_w = 24, .in_c = 32, .out_c = 33, .kernel_h = 1, .kernel_w = 1}};
  for (Conv2dGeometry& g : geometries) {
    SetOutputSize(g);
    CheckConvolutions(g, random);
    if (HasFatalFailure()) return;
  }
}

TEST_F(OnednnTest, EmptyConvolutionsWriteZeros) {
  Conv2dGeometry g{
      .batch = 0, .in_h = 5, .in_w = 5, .in_c = 2, .out_c = 3, .kernel_h = 3, .kernel_w = 3};
  SetOutputSize(g);
  Convolutions r = RunAll(g, {}, Floats(KernelSize(g), 1.0f), {});
  EXPECT_THAT(r.dw, testing::Each(0.0f));
  g.batch = 2, g.in_c = 0;
  r = RunAll(g, {}, {}, Floats(OutputSize(g), 1.0f));
  EXPECT_THAT(r.y, testing::Each(0.0f));
  g.in_c = 2, g.out_c = 0;
  r = RunAll(g, Floats(InputSize(g), 1.0f), {}, {});
  EXPECT_THAT(r.dx, testing::Each(0.0f));
}

TEST_F(OnednnTest, AFailureNamesThePrimitive) {
  const Conv2dGeometry wrong_output{.batch = 1,
                                    .in_h = 5,
                                    .in_w = 5,
                                    .in_c = 1,
                                    .out_h = 4,
                                    .out_w = 3,
                                    .out_c = 1,
                                    .kernel_h = 3,
                                    .kernel_w = 3};
  const Floats x(25), w(9);
  Floats y(12);
  try {
    Conv2dForward(wrong_output, x.data(), w.data(), y.data());
    FAIL() << "no exception";
  } catch (const std::runtime_error& error) {
    EXPECT_THAT(error.what(), testing::StartsWith("oneDNN convolution_forward: "));
  }
}

// Primitives are shared, scratchpads are not.
TEST_F(OnednnTest, ThreadsMayCallTogether) {
  Random random(3);
  Conv2dGeometry g{
      .batch = 9, .in_h = 12, .in_w = 12, .in_c = 16, .out_c = 17, .kernel_h = 3, .kernel_w = 3};
  SetOutputSize(g);
  const Floats x = random.Values(InputSize(g)), w = random.Values(KernelSize(g)),
               dy = random.Values(OutputSize(g));
  const Convolutions expected = RunAll(g, x, w, dy);
  std::vector<int> same(8);
  std::vector<std::thread> threads;
  for (int& result : same) {
    threads.emplace_back([&] {
      result = 1;
      for (int i = 0; i < 10; ++i) result &= RunAll(g, x, w, dy) == expected;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(same, testing::Each(1));
}

struct Product {
  int64_t m, n, k;
  bool transpose_a = false, transpose_b = false;
  int64_t gap = 0;  // unused elements at the end of every row
};

void CheckProduct(const Product& p, Random& random) {
  SCOPED_TRACE(testing::Message() << p.m << " x " << p.n << " x " << p.k
                                  << (p.transpose_a ? " T" : " N") << (p.transpose_b ? "T" : "N")
                                  << " gap " << p.gap);
  const int64_t lda = (p.transpose_a ? p.m : p.k) + p.gap;
  const int64_t ldb = (p.transpose_b ? p.k : p.n) + p.gap, ldc = p.n + p.gap;
  const Floats a = random.Values(lda * (p.transpose_a ? p.k : p.m));
  const Floats b = random.Values(ldb * (p.transpose_b ? p.n : p.k));
  const auto run = [&](int threads) {
    SetThreads(threads);
    Floats c(p.m * ldc, 7.0f);
    Sgemm(p.m, p.n, p.k, a.data(), lda, p.transpose_a, b.data(), ldb, p.transpose_b, c.data(), ldc);
    return c;
  };
  const Floats result = run(3);
  Doubles c(p.m * ldc, 7.0), magnitude(p.m * ldc, 0.0);
  for (int64_t i = 0; i < p.m; ++i) {
    double* const row = &c[i * ldc];
    std::fill_n(row, p.n, 0.0);
    for (int64_t q = 0; q < p.k; ++q) {
      const double left = a[p.transpose_a ? q * lda + i : i * lda + q];
      for (int64_t j = 0; j < p.n; ++j) {
        const double term = left * b[p.transpose_b ? j * ldb + q : q * ldb + j];
        row[j] += term, magnitude[i * ldc + j] += std::abs(term);
      }
    }
  }
  ExpectNear(result, c, magnitude);
  for (const int threads : {1, 2, 8}) EXPECT_TRUE(run(threads) == result) << threads << " threads";
}

TEST_F(OnednnTest, RandomProductsMatchLoopsInDouble) {
  Random random(4);
  for (int trial = 0; trial < 300; ++trial) {
    const auto side = [&] { return random.Int(0, 3) == 0 ? random.Int(1, 4) : random.Int(1, 90); };
    const int64_t m = side(), n = side(),
                  k = random.Int(0, 9) == 0 ? random.Int(500, 1100) : side();
    CheckProduct({m, n, k, random.Int(0, 1) == 1, random.Int(0, 1) == 1,
                  random.Int(0, 1) * random.Int(1, 5)},
                 random);
    if (HasFatalFailure()) return;
  }
}

TEST_F(OnednnTest, ProductsInTilesMatchLoopsInDouble) {
  Random random(5);
  for (const Product& p : std::vector<Product>{{128, 128, 1600},
                                               {1600, 128, 128, true},
                                               {128, 1600, 128, false, true},
                                               {301, 307, 129, true, true, 3},
                                               {32, 96, 1024, false, true},
                                               {32, 257, 1024, false, true},
                                               {1, 2049, 700},
                                               {2049, 1, 700},
                                               {5, 3000, 70, true},
                                               {999, 17, 200}}) {
    CheckProduct(p, random);
    if (HasFatalFailure()) return;
  }
}

TEST_F(OnednnTest, EmptyProducts) {
  const Floats a(6), b(6);
  Floats c(8, 7.0f);
  Sgemm(2, 3, 0, a.data(), 1, false, b.data(), 3, false, c.data(), 4);
  EXPECT_THAT(c, testing::ElementsAre(0, 0, 0, 7, 0, 0, 0, 7));
  Sgemm(0, 3, 2, a.data(), 2, false, b.data(), 3, false, c.data(), 4);
  Sgemm(2, 0, 2, a.data(), 2, false, b.data(), 3, false, c.data(), 4);
  EXPECT_THAT(c, testing::ElementsAre(0, 0, 0, 7, 0, 0, 0, 7));
}

}  // namespace
}  // namespace wengert
