// What the recurrent kernels share: packed weights, the product of a few rows with them, and the
// walk of a piece of the batch through time. Compiled once per SIMD target: include inside
// foreach_target.h's passes only.
#if defined(WENGERT_OPS_KERNELS_RECURRENT_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef WENGERT_OPS_KERNELS_RECURRENT_INL_H_
#undef WENGERT_OPS_KERNELS_RECURRENT_INL_H_
#else
#define WENGERT_OPS_KERNELS_RECURRENT_INL_H_
#endif

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>

#include "hwy/highway.h"
#include "ops/kernels/gemm-inl.h"
#include "ops/kernels/recurrent_sequence.h"
#include "ops/kernels/simd_math-inl.h"
#include "tensor/parallel.h"
#include "tensor/tensor.h"

HWY_BEFORE_NAMESPACE();
namespace wengert {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

using F32 = hn::ScalableTag<float>;
using VF32 = hn::Vec<F32>;
constexpr int64_t kLanes = static_cast<int64_t>(hn::MaxLanes(F32()));

// Rows of a block of sums in registers, when it is so many vectors wide.
template <int kVectors>
constexpr int kBlockRows = (HWY_TARGET <= HWY_AVX3 || HWY_ARCH_ARM) ? 24 / kVectors
                           : HWY_TARGET == HWY_AVX2                 ? (kVectors > 3 ? 2 : 4)
                                                                    : 2;

// The distance between rows of scratch that holds `width` numbers: whole vectors may be stored, and
// rows do not share the sets of a cache.
inline int64_t ScratchRow(int64_t width) { return (width / kLanes + 2) * kLanes; }

// A matrix [depth, columns] in panels of kVectors vectors: [panels, depth, kVectors * lanes].
template <int kVectors>
class PackedWeight {
 public:
  static constexpr int64_t kWidth = kVectors * kLanes;

  PackedWeight(int64_t depth, int64_t panels)
      : depth_(depth), panels_(panels), data_(Tensor::Empty({panels, depth, kWidth})) {}
  int64_t depth() const { return depth_; }
  int64_t panels() const { return panels_; }
  const float* panel(int64_t p) const { return data_.data<float>() + p * depth_ * kWidth; }
  float* mutable_panel(int64_t p) { return data_.mutable_data<float>() + p * depth_ * kWidth; }

 private:
  int64_t depth_, panels_;
  Tensor data_;
};

// Panel p holds, side by side, the columns of each gate for units p * lanes and on; with one gate,
// kVectors * lanes units of it. weight: [hidden, gates * hidden].
template <int kVectors>
PackedWeight<kVectors> PackGates(const Tensor& weight, int64_t hidden, int64_t gates) {
  const Tensor dense = weight.Contiguous();
  const float* const from = dense.data<float>();
  const int64_t units = gates == 1 ? kVectors * kLanes : kLanes;
  PackedWeight<kVectors> packed(hidden, (hidden + units - 1) / units);
  ParallelFor(packed.panels(), [&](int64_t p) {
    const int64_t columns = std::min(units, hidden - p * units);
    for (int64_t gate = 0; gate < gates; ++gate) {
      Pack(from + gate * hidden + p * units, gates * hidden, 1, hidden, columns, packed.kWidth,
           packed.mutable_panel(p) + gate * kLanes);
    }
  });
  return packed;
}

// The transpose, [gates * hidden, hidden], for the way back.
constexpr int kBackVectors = 4;
inline PackedWeight<kBackVectors> PackTransposed(const Tensor& weight, int64_t hidden,
                                                 int64_t gates) {
  const Tensor dense = weight.Contiguous();
  const float* const from = dense.data<float>();
  constexpr int64_t kUnits = PackedWeight<kBackVectors>::kWidth;
  const int64_t depth = gates * hidden;
  PackedWeight<kBackVectors> packed(depth, (hidden + kUnits - 1) / kUnits);
  ParallelFor(packed.panels(), [&](int64_t p) {
    Pack(from + p * kUnits * depth, 1, depth, depth, std::min(kUnits, hidden - p * kUnits), kUnits,
         packed.mutable_panel(p));
  });
  return packed;
}

// Multiplies `rows` rows of a with the weight. epilogue(panel, row, count, sums) takes each block
// of sums, [count, kVectors * lanes], for rows [row, row + count).
template <int kVectors, class Epilogue>
HWY_INLINE void MultiplyPacked(int64_t rows, const float* a, int64_t a_row,
                               const PackedWeight<kVectors>& weight, const Epilogue& epilogue) {
  constexpr int kMax = kBlockRows<kVectors>;
  constexpr auto kTable = []<int... kIndex>(std::integer_sequence<int, kIndex...>) {
    return std::array{&Block<kIndex + 1, kVectors, float>...};
  }
  (std::make_integer_sequence<int, kMax>());
  HWY_ALIGN float sums[kMax * kVectors * kLanes];
  Panel<float> panel{.depth = weight.depth(),
                     .a_row = a_row,
                     .a_column = 1,
                     .b = nullptr,
                     .b_row = weight.kWidth,
                     .c_row = weight.kWidth,
                     .last = kLanes,
                     .accumulate = false};
  // The rows are dealt to blocks evenly, so that no block is left with one or two.
  const int64_t blocks = (rows + kMax - 1) / kMax;
  const int64_t fewer = rows / blocks, more = rows % blocks;
  for (int64_t p = 0; p < weight.panels(); ++p) {
    panel.b = weight.panel(p);
    int64_t row = 0;
    for (int64_t i = 0; i < blocks; ++i) {
      const int64_t count = fewer + (i < more);
      kTable[count - 1](panel, a + row * a_row, sums);
      epilogue(p, row, count, sums);
      row += count;
    }
  }
}

// Stores the first `count` lanes.
HWY_INLINE void StoreLanes(VF32 v, int64_t count, float* to) {
  const F32 d;
  if (count >= kLanes) {
    hn::StoreU(v, d, to);
  } else {
    hn::BlendedStore(v, hn::FirstN(d, static_cast<size_t>(count)), d, to);
  }
}

// The derivatives of sigmoid and tanh by their results.
HWY_INLINE VF32 SigmoidSlope(VF32 y) { return hn::NegMulAdd(y, y, y); }
HWY_INLINE VF32 TanhSlope(VF32 y) { return hn::NegMulAdd(y, y, hn::Set(F32(), 1.0f)); }

// [rows, width] between scratch and tensors, or within them.
inline void CopyRows(int64_t rows, int64_t width, const float* from, int64_t from_row, float* to,
                     int64_t to_row) {
  for (int64_t r = 0; r < rows; ++r) std::copy_n(from + r * from_row, width, to + r * to_row);
}

// The way of every cell through time, for rows [first, first + rows). Cell::Step(n, t, row, unit,
// count, sums, h, next) makes the outputs of `count` units from one vector of sums per gate, those
// of gate g at sums + g * lanes, and their h; h and next point to the row's states.
template <class Cell, int kVectors>
void ForwardPiece(const Sequence& s, const PackedWeight<kVectors>& weight, const Cell& cell,
                  int64_t first, int64_t rows, float* y, float* h_last) {
  const F32 d;
  const int64_t row_length = ScratchRow(s.hidden);
  Tensor scratch = Tensor::Empty({2, rows, row_length});
  float* h = scratch.mutable_data<float>();
  float* next = h + rows * row_length;
  CopyRows(rows, s.hidden, s.h0.data<float>() + first * s.hidden, s.hidden, h, row_length);
  constexpr int64_t kBlocks = kVectors / Cell::kGates;  // of units in a panel
  for (int64_t step = 0; step < s.steps; ++step) {
    const int64_t t = s.TimeOf(step);
    MultiplyPacked(rows, h, row_length, weight,
                   [&](int64_t p, int64_t begin, int64_t count, const float* sums) HWY_ATTR {
                     for (int64_t row = begin; row < begin + count; ++row) {
                       const int64_t n = first + row;
                       const float* const h_row = h + row * row_length;
                       float* const next_row = next + row * row_length;
                       for (int64_t b = 0; b < kBlocks; ++b) {
                         const int64_t unit = (p * kBlocks + b) * kLanes;
                         const int64_t units = std::min(kLanes, s.hidden - unit);
                         if (units <= 0) break;
                         if (s.HasStep(n, t)) {
                           cell.Step(n, t, row, unit, units, sums + b * kLanes, h_row, next_row);
                         } else {
                           hn::StoreU(hn::LoadU(d, h_row + unit), d, next_row + unit);
                           StoreLanes(hn::Zero(d), units, y + (n * s.steps + t) * s.hidden + unit);
                         }
                       }
                       sums += kVectors * kLanes;
                     }
                   });
    std::swap(h, next);
  }
  CopyRows(rows, s.hidden, h, row_length, h_last + first * s.hidden, s.hidden);
}

// The way back of every cell. Cell::Step(n, t, row, dh) turns the gradient of h' into those of
// x_gates and of the recurrent product, the latter in dgates[row]; what h gets on other ways than
// by the product, it leaves in dh if Cell::kPassesOn.
template <class Cell>
void BackwardPiece(const Sequence& s, const PackedWeight<kBackVectors>& weight, const Cell& cell,
                   int64_t first, int64_t rows, const float* dh_last, float* dh0) {
  const F32 d;
  constexpr int64_t kUnits = PackedWeight<kBackVectors>::kWidth;
  const int64_t row_length = ScratchRow(s.hidden), gates_length = ScratchRow(weight.depth());
  Tensor scratch = Tensor::Empty({rows, row_length + gates_length});
  float* const dh = scratch.mutable_data<float>();
  float* const dgates = dh + rows * row_length;
  CopyRows(rows, s.hidden, dh_last + first * s.hidden, s.hidden, dh, row_length);
  for (int64_t step = s.steps; step-- > 0;) {
    const int64_t t = s.TimeOf(step);
    for (int64_t row = 0; row < rows; ++row) {
      const int64_t n = first + row;
      if (s.HasStep(n, t)) {
        cell.Step(n, t, row, dh + row * row_length, dgates + row * gates_length);
      } else {
        cell.Skip(n, t);
        std::fill_n(dgates + row * gates_length, weight.depth(), 0.0f);
      }
    }
    MultiplyPacked(rows, dgates, gates_length, weight,
                   [&](int64_t p, int64_t begin, int64_t count, const float* sums) HWY_ATTR {
                     const int64_t width = std::min(kUnits, s.hidden - p * kUnits);
                     for (int64_t row = begin; row < begin + count; ++row, sums += kUnits) {
                       if (!s.HasStep(first + row, t)) continue;  // dh waits for the row's end
                       float* const to = dh + row * row_length + p * kUnits;
                       for (int64_t j = 0; j < width; j += kLanes) {
                         VF32 sum = hn::Load(d, sums + j);
                         if (Cell::kPassesOn) sum = hn::Add(sum, hn::LoadU(d, to + j));
                         hn::StoreU(sum, d, to + j);
                       }
                     }
                   });
  }
  if (dh0) CopyRows(rows, s.hidden, dh, row_length, dh0 + first * s.hidden, s.hidden);
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace wengert
HWY_AFTER_NAMESPACE();

#endif
