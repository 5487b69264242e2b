#include "ops/kernels/elementwise_loop.h"

#include <algorithm>
#include <cstring>

#include "tensor/parallel.h"
#include "tensor/strided.h"

namespace wengert {
namespace {

constexpr int64_t kBlock = 2048;      // elements; three float operands and a result stay in L1
constexpr int64_t kTask = 1 << 15;    // elements of a task; a multiple of kBlock
constexpr int64_t kSerial = 1 << 15;  // up to here one thread is as fast

// An operand that is neither a scalar nor laid out as the result: blocks of it are gathered.
struct Gathered {
  StridedLoop loop;
  const std::byte* data;
  size_t element;
};

template <class T>
void GatherBlock(const Gathered& from, int64_t begin, int64_t count, T* to) {
  const StridedLoop& loop = from.loop;
  const T* data = reinterpret_cast<const T*>(from.data);
  const int outer_rank = loop.rank - 1;
  const int64_t inner = loop.shape[outer_rank], stride = loop.strides[0][outer_rank];
  int64_t index[kMaxRank];
  int64_t rest = begin / inner, column = begin % inner, offset = 0;
  for (int axis = outer_rank - 1; axis >= 0; --axis) {
    index[axis] = rest % loop.shape[axis];
    rest /= loop.shape[axis];
    offset += index[axis] * loop.strides[0][axis];
  }
  while (count > 0) {
    const int64_t run = std::min(inner - column, count);
    const T* row = data + offset + column * stride;
    if (stride == 1) {
      std::memcpy(to, row, static_cast<size_t>(run) * sizeof(T));
    } else if (stride == 0) {
      std::fill_n(to, run, *row);
    } else {
      for (int64_t i = 0; i < run; ++i) to[i] = row[i * stride];
    }
    to += run;
    count -= run;
    column = 0;
    for (int axis = outer_rank - 1; axis >= 0; --axis) {  // the next row, as an odometer
      offset += loop.strides[0][axis];
      if (++index[axis] < loop.shape[axis]) break;
      offset -= index[axis] * loop.strides[0][axis];
      index[axis] = 0;
    }
  }
}

void GatherBlock(const Gathered& from, int64_t begin, int64_t count, std::byte* to) {
  switch (from.element) {
    case 1:
      return GatherBlock(from, begin, count, reinterpret_cast<uint8_t*>(to));
    case 4:
      return GatherBlock(from, begin, count, reinterpret_cast<uint32_t*>(to));
    default:
      return GatherBlock(from, begin, count, reinterpret_cast<uint64_t*>(to));
  }
}

inline void StoreNumber(double number, DType dtype, std::byte* to) {
  if (dtype == DType::kFloat32) {
    const float value = static_cast<float>(number);
    std::memcpy(to, &value, sizeof(value));
    return;
  }
  DispatchDType(dtype, [&]<class T>() {
    const T value = static_cast<T>(number);
    std::memcpy(to, &value, sizeof(T));
  });
}

// What the kernel reads for each operand: a tensor's elements, or one number.
struct Operands {
  const void* data[3];
  unsigned scalars = 0;  // bit i: operand i is one element for all
  bool dense = true;     // every other one lies as the result does
  alignas(8) std::byte numbers[3][8];
};

// Any strides, in blocks, threads by shape.
void RunBlocks(BlockKernel kernel, int arity, const Operands& operands,
               const ElementwiseAttributes& attributes, TensorSpan in, Tensor& out) {
  const int64_t size = out.size();
  int64_t step[3];  // bytes from one element to the next; 0: a scalar
  int gathered_count = 0;
  Gathered gathered[3];
  int gathered_operand[3];
  int next_input = 0;
  for (int i = 0; i < arity; ++i) {
    const bool is_number = attributes.number_operands >> i & 1;
    const Tensor* const tensor = is_number ? nullptr : &in[next_input++];
    step[i] = 0;
    if (operands.scalars >> i & 1) continue;
    const size_t element = SizeOf(tensor->dtype());
    step[i] = static_cast<int64_t>(element);
    if (tensor->size() == size && tensor->IsContiguous()) continue;
    gathered[gathered_count] = {StridedLoop::Make(out.shape(), {&tensor, 1}), tensor->raw(),
                                element};
    gathered_operand[gathered_count++] = i;
  }
  const int64_t out_step = static_cast<int64_t>(SizeOf(out.dtype()));
  std::byte* const result = out.raw();
  ParallelFor((size + kTask - 1) / kTask, [&](int64_t task) {
    // Room for a vector past the end, as the kernels read whole ones.
    alignas(64) std::byte buffers[3][kBlock * sizeof(double) + 64];
    const int64_t end = std::min(size, (task + 1) * kTask);
    const int64_t block = gathered_count ? kBlock : kTask;
    for (int64_t begin = task * kTask; begin < end; begin += block) {
      const int64_t count = std::min(block, end - begin);
      const void* pointers[3];
      for (int i = 0; i < arity; ++i) {
        pointers[i] = static_cast<const std::byte*>(operands.data[i]) + begin * step[i];
      }
      for (int g = 0; g < gathered_count; ++g) {
        GatherBlock(gathered[g], begin, count, buffers[g]);
        pointers[gathered_operand[g]] = buffers[g];
      }
      kernel(pointers, result + begin * out_step, count, attributes.numbers);
    }
  });
}

}  // namespace

template <int arity>
void RunElementwise(Row row, const ElementwiseAttributes& attributes, TensorSpan in, Tensor& out) {
  const int64_t size = out.size();
  if (size == 0) return;
  constexpr bool where = arity == 3;
  // A comparison's result is bool: what it computes in is the dtype of its first tensor.
  const bool compares = out.dtype() == DType::kBool && !where && in.size() > 0;
  const DType dtype = compares ? in[0].dtype() : out.dtype();
  Operands operands;
  int next_input = 0, next_number = 0;
  for (int i = 0; i < arity; ++i) {
    if (attributes.number_operands >> i & 1) {
      StoreNumber(attributes.numbers[next_number++], dtype, operands.numbers[i]);
      operands.data[i] = operands.numbers[i];
      operands.scalars |= 1u << i;
      continue;
    }
    const Tensor& tensor = in[next_input++];
    operands.data[i] = tensor.raw();
    const int64_t count = tensor.size();
    if (count == 1 && size > 1 && !(where && i == 0)) {
      operands.scalars |= 1u << i;
    } else {
      operands.dense &= count == size && tensor.IsContiguous();
    }
  }
  const BlockKernel kernel =
      GetBlockKernel(row, dtype, where ? operands.scalars >> 1 : operands.scalars);
  if (operands.dense && size <= kSerial) {
    kernel(operands.data, out.raw(), size, attributes.numbers);
  } else {
    RunBlocks(kernel, arity, operands, attributes, in, out);
  }
}
template void RunElementwise<1>(Row, const ElementwiseAttributes&, TensorSpan, Tensor&);
template void RunElementwise<2>(Row, const ElementwiseAttributes&, TensorSpan, Tensor&);
template void RunElementwise<3>(Row, const ElementwiseAttributes&, TensorSpan, Tensor&);

}  // namespace wengert
