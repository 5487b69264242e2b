#include "ops/kernels/block_program.h"

#include <algorithm>
#include <cstring>

#include "absl/container/fixed_array.h"
#include "tensor/parallel.h"

namespace wengert {
namespace {

constexpr int64_t kCacheBytes = 32 << 10;  // of L1, for the blocks of a task
constexpr int64_t kMaxBlock = 2048, kMinBlock = 64;
constexpr int64_t kTaskWork = 1 << 17;  // elements times instructions of a task
constexpr int64_t kMaxPeriod = 2048;    // longer rows are copied
constexpr int64_t kRoom = 64;           // bytes: kernels read whole vectors

template <class T>
void GatherBlock(const StridedLoop& loop, const T* data, int64_t begin, int64_t count, T* to) {
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

void GatherBlock(const StridedLoop& loop, size_t element, const std::byte* data, int64_t begin,
                 int64_t count, std::byte* to) {
  const auto gather = [&]<class T>(T* typed) {
    GatherBlock(loop, reinterpret_cast<const T*>(data), begin, count, typed);
  };
  if (element == 1) return gather(reinterpret_cast<uint8_t*>(to));
  if (element == 4) return gather(reinterpret_cast<uint32_t*>(to));
  gather(reinterpret_cast<uint64_t*>(to));
}

// The first `bytes` of `to` are filled, `total` shall be: doubles what is there.
void Repeat(std::byte* to, size_t bytes, size_t total) {
  for (size_t done = bytes; done < total; done *= 2) {
    std::memcpy(to + done, to, std::min(done, total - done));
  }
}

void StoreNumber(double number, DType dtype, std::byte* to) {
  DispatchDType(dtype, [&]<class T>() {
    const T value = static_cast<T>(number);
    std::memcpy(to, &value, sizeof(T));
  });
}

}  // namespace

BlockProgram::BlockProgram(const Shape& shape) : shape_(shape), size_(NumElements(shape)) {}

BlockProgram::Operand& BlockProgram::Add(Kind kind, DType dtype) {
  operands_.push_back({.kind = kind,
                       .element = static_cast<uint8_t>(SizeOf(dtype)),
                       .data = nullptr,
                       .tensor = nullptr});
  return operands_.back();
}

uint16_t BlockProgram::NewBuffer(uint8_t element, int64_t period) {
  buffers_.push_back({element, /*free=*/false, period});
  return static_cast<uint16_t>(buffers_.size() - 1);
}

// What operands are copied to before a block begins cannot have been a register in it.
uint16_t BlockProgram::TakeRegister(uint8_t element) {
  for (size_t i = 0; i < buffers_.size(); ++i) {
    if (!buffers_[i].free || buffers_[i].element != element) continue;
    buffers_[i].free = false;
    return static_cast<uint16_t>(i);
  }
  return NewBuffer(element);
}

BlockProgram::Slot BlockProgram::Input(const Tensor& tensor) {
  for (size_t i = 0; i < operands_.size(); ++i) {
    if (operands_[i].tensor == &tensor) return static_cast<Slot>(i);
  }
  Operand& operand = Add(Kind::kStream, tensor.dtype());
  operand.tensor = &tensor;
  operand.data = const_cast<std::byte*>(tensor.raw());
  if (tensor.size() == size_ && tensor.IsContiguous()) return operands_.size() - 1;
  const Tensor* const pointer = &tensor;
  const StridedLoop loop = StridedLoop::Make(shape_, {&pointer, 1});
  if (loop.rank == 1 && loop.strides[0][0] == 0) {
    operand.kind = Kind::kOne;
  } else if (loop.rank == 2 && loop.strides[0][0] == 0 && loop.strides[0][1] == 1 &&
             loop.shape[1] <= kMaxPeriod) {
    operand.kind = Kind::kPeriodic;
    operand.period = loop.shape[1];
    operand.place = NewBuffer(operand.element, operand.period);
  } else {
    operand.kind = Kind::kGathered;
    operand.place = NewBuffer(operand.element);
    operand.loop = static_cast<uint16_t>(loops_.size());
    loops_.push_back(loop);
  }
  return static_cast<Slot>(operands_.size() - 1);
}

BlockProgram::Slot BlockProgram::Number(double number, DType dtype) {
  Operand& operand = Add(Kind::kOne, dtype);
  StoreNumber(number, dtype, operand.number);
  return static_cast<Slot>(operands_.size() - 1);
}

// One element as a block of it, for kernels that read every element.
BlockProgram::Slot BlockProgram::InFull(Slot slot) {
  Operand operand = operands_[slot];
  operand.kind = Kind::kPeriodic;
  operand.period = 1;
  operand.place = NewBuffer(operand.element, 1);
  operand.tensor = nullptr;  // not to be found as that tensor's
  operands_.push_back(operand);
  return static_cast<Slot>(operands_.size() - 1);
}

BlockProgram::Slot BlockProgram::Apply(Row row, DType computed_in, DType dtype,
                                       absl::Span<const Slot> operands, const double* numbers,
                                       Tensor* result) {
  Instruction instruction = {.numbers = numbers, .in = {}};
  const bool where = row == Row::kWhere;
  unsigned ones = 0;  // of the operands that may be one element
  for (size_t i = 0; i < operands.size(); ++i) {
    instruction.in[i] = operands[i];
    const bool must_be_full = where ? i == 0 : operands.size() == 1;
    if (operands_[operands[i]].kind != Kind::kOne) continue;
    if (must_be_full) {
      instruction.in[i] = InFull(operands[i]);
    } else {
      ones |= 1u << (where ? i - 1 : i);
    }
  }
  if (!where && ones == 3) {
    instruction.in[0] = InFull(operands[0]);
    ones = 2;
  }
  instruction.kernel = GetBlockKernel(row, computed_in, ones);
  Operand& out = Add(result ? Kind::kStream : Kind::kRegister, dtype);
  if (result) {
    out.data = result->raw();
  } else {
    out.place = TakeRegister(out.element);
  }
  instruction.out = static_cast<Slot>(operands_.size() - 1);
  instructions_.push_back(instruction);
  return instruction.out;
}

void BlockProgram::Free(Slot slot) {
  if (operands_[slot].kind == Kind::kRegister) buffers_[operands_[slot].place].free = true;
}

// Where the buffers of a task lie, how long a block is, and a task.
struct BlockProgram::Layout {
  int64_t block, task, scratch_bytes;
  absl::FixedArray<int64_t, 16> offsets;  // of each buffer
};

BlockProgram::Layout BlockProgram::LayOut() const {
  int64_t bytes_per_element = 0;  // of all blocks that are touched
  for (const Buffer& buffer : buffers_) bytes_per_element += buffer.element;
  for (const Operand& operand : operands_) {
    if (operand.kind == Kind::kStream) bytes_per_element += operand.element;
  }
  const int64_t fitting = kCacheBytes / std::max<int64_t>(1, bytes_per_element);
  const int64_t block = std::clamp(fitting / kMinBlock * kMinBlock, kMinBlock, kMaxBlock);
  const int64_t work = kTaskWork / static_cast<int64_t>(instructions_.size());
  Layout layout = {.block = block,
                   .task = std::max<int64_t>(1, work / block) * block,
                   .scratch_bytes = 0,
                   .offsets = absl::FixedArray<int64_t, 16>(buffers_.size())};
  for (size_t i = 0; i < buffers_.size(); ++i) {
    layout.offsets[i] = layout.scratch_bytes;
    const int64_t bytes = (block + buffers_[i].period) * buffers_[i].element + kRoom;
    layout.scratch_bytes += (bytes + kRoom - 1) / kRoom * kRoom;
  }
  return layout;
}

void BlockProgram::RunTask(const Layout& layout, int64_t task) const {
  // On the stack if it fits, as it nearly always does.
  absl::FixedArray<std::byte, (64 << 10)> memory(layout.scratch_bytes + kRoom);
  std::byte* const scratch = memory.data() + (-reinterpret_cast<uintptr_t>(memory.data()) % kRoom);
  absl::FixedArray<std::byte*, 64> pointers(operands_.size());
  absl::InlinedVector<Slot, 16> moving;
  for (Slot s = 0; s < operands_.size(); ++s) {
    const Operand& operand = operands_[s];
    switch (operand.kind) {
      case Kind::kOne:
        pointers[s] = operand.data ? operand.data : const_cast<std::byte*>(operand.number);
        break;
      case Kind::kRegister:
        pointers[s] = scratch + layout.offsets[operand.place];
        break;
      case Kind::kPeriodic: {
        std::byte* const pattern = scratch + layout.offsets[operand.place];
        const size_t bytes = static_cast<size_t>(operand.period) * operand.element;
        std::memcpy(pattern, operand.data ? operand.data : operand.number, bytes);
        Repeat(pattern, bytes, bytes + static_cast<size_t>(layout.block) * operand.element);
        [[fallthrough]];
      }
      case Kind::kStream:
      case Kind::kGathered:
        moving.push_back(s);
    }
  }
  const int64_t end = std::min(size_, (task + 1) * layout.task);
  for (int64_t begin = task * layout.task; begin < end; begin += layout.block) {
    const int64_t count = std::min(layout.block, end - begin);
    for (const Slot s : moving) {
      const Operand& operand = operands_[s];
      if (operand.kind == Kind::kStream) {
        pointers[s] = operand.data + begin * operand.element;
        continue;
      }
      pointers[s] = scratch + layout.offsets[operand.place];
      if (operand.kind == Kind::kPeriodic) {
        pointers[s] += begin % operand.period * operand.element;
      } else {
        GatherBlock(loops_[operand.loop], operand.element, operand.data, begin, count, pointers[s]);
      }
    }
    for (const Instruction& instruction : instructions_) {
      const void* const in[] = {pointers[instruction.in[0]], pointers[instruction.in[1]],
                                pointers[instruction.in[2]]};
      instruction.kernel(in, pointers[instruction.out], count, instruction.numbers);
    }
  }
}

void BlockProgram::Run() {
  if (size_ == 0) return;
  const Layout layout = LayOut();
  ParallelFor((size_ + layout.task - 1) / layout.task,
              [&](int64_t task) { RunTask(layout, task); });
}

}  // namespace wengert
