// The transforms of Winograd's F(2x2, 3x3): Lavin and Gray, "Fast Algorithms for Convolutional
// Neural Networks", CVPR 2016, section 4.1. All 16 values of a tile are held in registers, vectors
// run over channels. Compiled once per SIMD target: include inside foreach_target.h's passes only.
#if defined(WENGERT_OPS_KERNELS_WINOGRAD_TRANSFORM_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef WENGERT_OPS_KERNELS_WINOGRAD_TRANSFORM_INL_H_
#undef WENGERT_OPS_KERNELS_WINOGRAD_TRANSFORM_INL_H_
#else
#define WENGERT_OPS_KERNELS_WINOGRAD_TRANSFORM_INL_H_
#endif

#include <cstdint>

#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace wengert {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

// Stores G g G' of a 3x3 kernel g = load(row, column), value (i, j) at to[(4 i + j) * stride].
template <class D, class Load>
HWY_INLINE void TransformKernel(D d, const Load& load, float* to, int64_t stride) {
  using V = hn::Vec<D>;
  const V half = hn::Set(d, 0.5f);
  // The middle two of four: (first + last) / 2 plus and minus the second / 2.
  const auto widen = [&](V g0, V g1, V g2, V(&out)[4]) HWY_ATTR {
    const V outer = hn::Mul(hn::Add(g0, g2), half), inner = hn::Mul(g1, half);
    out[0] = g0;
    out[1] = hn::Add(outer, inner);
    out[2] = hn::Sub(outer, inner);
    out[3] = g2;
  };
  V columns[3][4];
  HWY_UNROLL(3) for (int j = 0; j < 3; ++j) widen(load(0, j), load(1, j), load(2, j), columns[j]);
  HWY_UNROLL(4) for (int i = 0; i < 4; ++i) {
    V row[4];
    widen(columns[0][i], columns[1][i], columns[2][i], row);
    HWY_UNROLL(4) for (int j = 0; j < 4; ++j) hn::Store(row[j], d, to + (4 * i + j) * stride);
  }
}

// Stores B' x B of a 4x4 tile x = load(row, column), value (i, j) at to[(4 i + j) * stride].
template <class D, class Load>
HWY_INLINE void TransformInput(D d, const Load& load, float* to, int64_t stride) {
  using V = hn::Vec<D>;
  V rows[4][4];
  HWY_UNROLL(4) for (int j = 0; j < 4; ++j) {
    const V x0 = load(0, j), x1 = load(1, j), x2 = load(2, j), x3 = load(3, j);
    rows[0][j] = hn::Sub(x0, x2);
    rows[1][j] = hn::Add(x1, x2);
    rows[2][j] = hn::Sub(x2, x1);
    rows[3][j] = hn::Sub(x1, x3);
  }
  HWY_UNROLL(4) for (int i = 0; i < 4; ++i) {
    const V(&row)[4] = rows[i];
    hn::Store(hn::Sub(row[0], row[2]), d, to + 4 * i * stride);
    hn::Store(hn::Add(row[1], row[2]), d, to + (4 * i + 1) * stride);
    hn::Store(hn::Sub(row[2], row[1]), d, to + (4 * i + 2) * stride);
    hn::Store(hn::Sub(row[1], row[3]), d, to + (4 * i + 3) * stride);
  }
}

// y = A' m A, 2x2 in row-major order, of a 4x4 tile m with value (i, j) at from[(4 i + j) *
// stride].
template <class D>
HWY_INLINE void TransformOutput(D d, const float* from, int64_t stride, hn::Vec<D> (&y)[4]) {
  using V = hn::Vec<D>;
  V sums[4], differences[4];
  HWY_UNROLL(4) for (int j = 0; j < 4; ++j) {
    const V m0 = hn::Load(d, from + j * stride), m1 = hn::Load(d, from + (4 + j) * stride);
    const V m2 = hn::Load(d, from + (8 + j) * stride), m3 = hn::Load(d, from + (12 + j) * stride);
    sums[j] = hn::Add(m0, hn::Add(m1, m2));
    differences[j] = hn::Sub(m1, hn::Add(m2, m3));
  }
  y[0] = hn::Add(sums[0], hn::Add(sums[1], sums[2]));
  y[1] = hn::Sub(sums[1], hn::Add(sums[2], sums[3]));
  y[2] = hn::Add(differences[0], hn::Add(differences[1], differences[2]));
  y[3] = hn::Sub(differences[1], hn::Add(differences[2], differences[3]));
}

// Stores A y A' of a 2x2 tile y = load(row, column), value (i, j) at to[(4 i + j) * stride]: the
// adjoint of TransformOutput.
template <class D, class Load>
HWY_INLINE void TransformOutputGradient(D d, const Load& load, float* to, int64_t stride) {
  using V = hn::Vec<D>;
  V rows[4][2];
  HWY_UNROLL(2) for (int j = 0; j < 2; ++j) {
    const V y0 = load(0, j), y1 = load(1, j);
    rows[0][j] = y0;
    rows[1][j] = hn::Add(y0, y1);
    rows[2][j] = hn::Sub(y0, y1);
    rows[3][j] = hn::Neg(y1);
  }
  HWY_UNROLL(4) for (int i = 0; i < 4; ++i) {
    const V y0 = rows[i][0], y1 = rows[i][1];
    hn::Store(y0, d, to + 4 * i * stride);
    hn::Store(hn::Add(y0, y1), d, to + (4 * i + 1) * stride);
    hn::Store(hn::Sub(y0, y1), d, to + (4 * i + 2) * stride);
    hn::Store(hn::Neg(y1), d, to + (4 * i + 3) * stride);
  }
}

// taps = G' m G, 3x3 in row-major order, of a 4x4 tile m: the adjoint of TransformKernel.
template <class V>
HWY_INLINE void TransformKernelGradient(const V (&m)[16], V (&taps)[9]) {
  const V half = hn::Set(hn::DFromV<V>(), 0.5f);
  const auto narrow = [&](V m0, V m1, V m2, V m3, V(&out)[3]) HWY_ATTR {
    const V middle = hn::Mul(hn::Add(m1, m2), half);
    out[0] = hn::Add(m0, middle);
    out[1] = hn::Mul(hn::Sub(m1, m2), half);
    out[2] = hn::Add(middle, m3);
  };
  V columns[4][3];
  HWY_UNROLL(4) for (int j = 0; j < 4; ++j) {
    narrow(m[j], m[4 + j], m[8 + j], m[12 + j], columns[j]);
  }
  HWY_UNROLL(3) for (int i = 0; i < 3; ++i) {
    V row[3];
    narrow(columns[0][i], columns[1][i], columns[2][i], columns[3][i], row);
    HWY_UNROLL(3) for (int j = 0; j < 3; ++j) taps[3 * i + j] = row[j];
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace wengert
HWY_AFTER_NAMESPACE();

#endif
