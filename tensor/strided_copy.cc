// The copy engine: axes in the order of the target's memory, then contiguous rows, transposed tiles
// or strided rows.
#include "tensor/strided_copy.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <type_traits>

#include "tensor/convert.h"
#include "tensor/parallel.h"

namespace wengert {
namespace {

// Copies above kParallelBytes are cut into tasks of about kTaskBytes, by shape alone.
constexpr int64_t kParallelBytes = 256 << 10;
constexpr int64_t kTaskBytes = 128 << 10;

// `length` elements; strides in elements of the respective type.
using RowKernel = void (*)(const std::byte* source, int64_t source_stride, std::byte* target,
                           int64_t target_stride, int64_t length);

template <class Source, class Target>
void CopyRow(const std::byte* source_bytes, int64_t source_stride, std::byte* target_bytes,
             int64_t target_stride, int64_t length) {
  const auto* source = reinterpret_cast<const Source*>(source_bytes);
  auto* target = reinterpret_cast<Target*>(target_bytes);
  // The constant length lets the compiler vectorize; source and target never overlap.
  constexpr int kBlock = 16;
  int64_t i = 0;
  if (source_stride == 1 && target_stride == 1) {
    if constexpr (std::is_same_v<Source, Target>) {
      std::memcpy(target, source, length * sizeof(Source));
      return;
    }
    for (; i + kBlock <= length; i += kBlock) {
      const Source* __restrict from = source + i;
      Target* __restrict to = target + i;
      for (int j = 0; j < kBlock; ++j) to[j] = ConvertElement<Target>(from[j]);
    }
  } else if (source_stride == 0 && target_stride == 1) {
    const Target value = ConvertElement<Target>(*source);
    for (; i + kBlock <= length; i += kBlock) {
      for (int j = 0; j < kBlock; ++j) target[i + j] = value;
    }
  }
  for (; i < length; ++i) {
    target[i * target_stride] = ConvertElement<Target>(source[i * source_stride]);
  }
}

// Elements of one type are copied as bits: bool as uint8, float32 as uint32, float64 as uint64.
RowKernel SelectRowKernel(DType source, DType target) {
  if (source == target) {
    switch (SizeOf(source)) {
      case 1:
        return CopyRow<uint8_t, uint8_t>;
      case 4:
        return CopyRow<uint32_t, uint32_t>;
      default:
        return CopyRow<uint64_t, uint64_t>;
    }
  }
  return DispatchDType(source, [&]<class Source>() {
    return DispatchDType(target,
                         []<class Target>() -> RowKernel { return CopyRow<Source, Target>; });
  });
}

// Calls body(begin, end) on parts of [0, count), each of about kTaskBytes.
template <class Body>
void ForParts(int64_t count, int64_t bytes_each, const Body& body) {
  if (count * bytes_each <= kParallelBytes) {
    body(int64_t{0}, count);
    return;
  }
  const int64_t part = std::max<int64_t>(1, kTaskBytes / bytes_each);
  ParallelFor((count + part - 1) / part,
              [&](int64_t task) { body(task * part, std::min(count, (task + 1) * part)); });
}

struct Axis {
  int64_t length, source, target;  // strides in elements
};

struct Copy {
  const std::byte* source;
  std::byte* target;
  DType source_dtype, target_dtype;
  int rank = 0;  // >= 1 once SetAxes has run
  std::array<Axis, kMaxRank> axes;

  void SetAxes(const Shape& shape, const Strides& source_strides, const Strides& target_strides);
  void Run() const;
  void RunRows(int64_t begin, int64_t end, RowKernel kernel) const;
  int TransposedAxis() const;
  template <class Element>
  void RunTransposed() const;
};

// Drops lengths of 1, orders the axes by the target's strides and merges neighbours.
void Copy::SetAxes(const Shape& shape, const Strides& source_strides,
                   const Strides& target_strides) {
  std::array<Axis, kMaxRank> ordered;
  int count = 0;
  for (int i = 0; i < shape.rank(); ++i) {
    if (shape[i] == 1) continue;
    const Axis axis = {shape[i], source_strides[i], target_strides[i]};
    int position = count++;
    for (; position > 0 && std::abs(ordered[position - 1].target) < std::abs(axis.target);
         --position) {
      ordered[position] = ordered[position - 1];
    }
    ordered[position] = axis;
  }
  for (int i = 0; i < count; ++i) {
    const Axis& axis = ordered[i];
    if (rank > 0 && axes[rank - 1].source == axis.source * axis.length &&
        axes[rank - 1].target == axis.target * axis.length) {
      axes[rank - 1] = {axes[rank - 1].length * axis.length, axis.source, axis.target};
    } else {
      axes[rank++] = axis;
    }
  }
  if (rank == 0) axes[rank++] = {1, 1, 1};
}

void Copy::Run() const {
  const Axis inner = axes[rank - 1];
  const int64_t source_size = SizeOf(source_dtype), target_size = SizeOf(target_dtype);
  const int64_t element_bytes = std::max(source_size, target_size);
  if (rank == 1) {
    const RowKernel kernel = SelectRowKernel(source_dtype, target_dtype);
    ForParts(inner.length, element_bytes, [&](int64_t begin, int64_t end) {
      kernel(source + begin * inner.source * source_size, inner.source,
             target + begin * inner.target * target_size, inner.target, end - begin);
    });
  } else if (TransposedAxis() >= 0) {
    if (source_size == 4) {
      RunTransposed<uint32_t>();
    } else {
      RunTransposed<uint64_t>();
    }
  } else {
    int64_t rows = 1;
    for (int i = 0; i < rank - 1; ++i) rows *= axes[i].length;
    const RowKernel kernel = SelectRowKernel(source_dtype, target_dtype);
    ForParts(rows, inner.length * element_bytes,
             [&](int64_t begin, int64_t end) { RunRows(begin, end, kernel); });
  }
}

// Rows along the innermost axis, numbered row-major over the others.
void Copy::RunRows(int64_t begin, int64_t end, RowKernel kernel) const {
  const Axis inner = axes[rank - 1];
  const int64_t source_size = SizeOf(source_dtype), target_size = SizeOf(target_dtype);
  int64_t index[kMaxRank];
  int64_t source_offset = 0, target_offset = 0, rest = begin;
  for (int i = rank - 2; i >= 0; --i) {
    index[i] = rest % axes[i].length;
    rest /= axes[i].length;
    source_offset += index[i] * axes[i].source;
    target_offset += index[i] * axes[i].target;
  }
  for (int64_t row = begin; row < end; ++row) {
    kernel(source + source_offset * source_size, inner.source, target + target_offset * target_size,
           inner.target, inner.length);
    for (int i = rank - 2; i >= 0; --i) {
      source_offset += axes[i].source;
      target_offset += axes[i].target;
      if (++index[i] < axes[i].length) break;
      source_offset -= axes[i].length * axes[i].source;
      target_offset -= axes[i].length * axes[i].target;
      index[i] = 0;
    }
  }
}

// The axis along which the source is contiguous, if the target is along the innermost one and tiles
// of the two pay; else -1.
int Copy::TransposedAxis() const {
  constexpr int64_t kMinLength = 8;
  const Axis inner = axes[rank - 1];
  if (source_dtype != target_dtype || SizeOf(source_dtype) < 4 || inner.target != 1 ||
      inner.source == 0 || inner.length < kMinLength) {
    return -1;
  }
  for (int i = 0; i < rank - 1; ++i) {
    if (axes[i].source == 1 && axes[i].length >= kMinLength) return i;
  }
  return -1;
}

// Square tiles pass through a buffer: lines of the source are read whole and lines of the target
// written whole, whatever their distance in memory.
template <class Element>
void Copy::RunTransposed() const {
  constexpr int64_t kTile = 256 / sizeof(Element);
  const int transposed_axis = TransposedAxis();
  const Axis across = axes[transposed_axis], along = axes[rank - 1];
  const int64_t tiles_across = (across.length + kTile - 1) / kTile;
  const int64_t tiles_along = (along.length + kTile - 1) / kTile;
  std::array<Axis, kMaxRank> tile_axes = axes;
  tile_axes[transposed_axis] = {tiles_across, kTile * across.source, kTile * across.target};
  tile_axes[rank - 1] = {tiles_along, kTile * along.source, kTile * along.target};
  int64_t tiles = 1;
  for (int i = 0; i < rank; ++i) tiles *= tile_axes[i].length;
  ForParts(tiles, kTile * kTile * sizeof(Element), [&](int64_t begin, int64_t end) {
    Element buffer[kTile * kTile];
    for (int64_t tile = begin; tile < end; ++tile) {
      const auto* from = reinterpret_cast<const Element*>(source);
      auto* to = reinterpret_cast<Element*>(target);
      int64_t rest = tile, height = kTile, width = kTile;
      for (int i = rank - 1; i >= 0; --i) {
        const Axis& axis = tile_axes[i];
        const int64_t index = rest % axis.length;
        rest /= axis.length;
        from += index * axis.source;
        to += index * axis.target;
        if (i == transposed_axis) height = std::min(kTile, across.length - index * kTile);
        if (i == rank - 1) width = std::min(kTile, along.length - index * kTile);
      }
      for (int64_t j = 0; j < width; ++j) {
        std::memcpy(buffer + j * kTile, from + j * along.source, height * sizeof(Element));
      }
      for (int64_t i = 0; i < height; ++i) {
        for (int64_t j = 0; j < width; ++j) to[i * across.target + j] = buffer[j * kTile + i];
      }
    }
  });
}

}  // namespace

void CopyStrided(const Shape& shape, DType source_dtype, const std::byte* source,
                 const Strides& source_strides, DType target_dtype, std::byte* target,
                 const Strides& target_strides) {
  if (NumElements(shape) == 0) return;
  Copy copy;
  copy.source = source;
  copy.target = target;
  copy.source_dtype = source_dtype;
  copy.target_dtype = target_dtype;
  copy.SetAxes(shape, source_strides, target_strides);
  copy.Run();
}

}  // namespace wengert
