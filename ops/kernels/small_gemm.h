// Matrix products by Wengert's own SIMD loops: all of float64, and the float32 products that a
// library is slower at (see matmul.cc).
#ifndef WENGERT_OPS_KERNELS_SMALL_GEMM_H_
#define WENGERT_OPS_KERNELS_SMALL_GEMM_H_

#include <cstdint>

namespace wengert {

// Sums over k are cut where they are longer than this, if SmallGemm packs B.
inline constexpr int64_t kGemmPanelDepth = 128;

// C = A B with A: [m, k], B: [k, n], C: [m, n]. *_row and *_column are the distances, in elements,
// between neighbours in a column and in a row; any value, 0 and negative ones too. C's rows are
// dense. C must not overlap A or B. A whole vector is read at the last elements of A and B: they
// are memory of a Tensor, whose buffers allow that.
template <class T>
struct GemmArguments {
  int64_t m, n, k;
  const T* a;
  int64_t a_row, a_column;
  const T* b;
  int64_t b_row, b_column;
  T* c;
  int64_t c_row;
  // A row of C has the same bits whatever m is, as long as m < 32 or k <= kGemmPanelDepth, and
  // b_column == 1.
  bool rows_alike = false;
  // C += A B instead, with the same bits of A B as long as k <= kGemmPanelDepth. b_column == 1.
  bool accumulate = false;
  // b is what PackB made of B; b_row and b_column mean nothing. With rows_alike for any m and k.
  bool b_packed = false;
};

// Serial. k == 0 fills C with zeros, unless it accumulates. Fastest where rows of B are dense
// (b_column == 1), then where columns of B are (b_row == 1); A's strides matter little.
void SmallGemm(const GemmArguments<float>& g);
void SmallGemm(const GemmArguments<double>& g);

// Copies B to panels, for the many products of few rows that share it: they read it in one stream,
// where rows of it that are a page apart meet in few sets of L1. Takes b, its distances, k and n of
// `g`; writes whole vectors, PackedSize(k, n) elements in all.
void PackB(const GemmArguments<float>& g, float* to);
constexpr int64_t PackedSize(int64_t k, int64_t n) {
  constexpr int64_t kMostLanes = 16;
  return k * ((n + kMostLanes - 1) / kMostLanes) * kMostLanes;
}

}  // namespace wengert

#endif  // WENGERT_OPS_KERNELS_SMALL_GEMM_H_
