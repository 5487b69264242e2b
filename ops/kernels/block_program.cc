// Building a program, and how it is cut into blocks and tasks.
#include "ops/kernels/block_program.h"

#include <algorithm>
#include <cstring>

#include "ops/kernels/sum_functions.h"
#include "tensor/cache.h"

namespace wengert {
namespace {

constexpr int64_t kCacheBytes = 32 << 10;  // of L1, for the blocks of a task
constexpr int64_t kMaxBlock = 2048, kMinBlock = 64;
constexpr int64_t kTaskWork = 1 << 17;  // elements times instructions of a task
constexpr int64_t kMaxPeriod = 2048;    // longer rows are copied
constexpr int64_t kRoom = 64;           // bytes: kernels read whole vectors

void StoreNumber(double number, DType dtype, std::byte* to) {
  DispatchDType(dtype, [&]<class T>() {
    const T value = static_cast<T>(number);
    std::memcpy(to, &value, sizeof(T));
  });
}

}  // namespace

BlockProgram::BlockProgram(const Shape& shape, int64_t columns)
    : shape_(shape), size_(NumElements(shape)), columns_(columns) {}

BlockProgram::Operand& BlockProgram::Add(Kind kind, DType dtype) {
  operands_.push_back({.kind = kind, .element = static_cast<uint8_t>(SizeOf(dtype))});
  return operands_.back();
}

uint16_t BlockProgram::NewBuffer(uint8_t element, int64_t period, bool per_row) {
  buffers_.push_back({element, per_row, /*free=*/false, period});
  return static_cast<uint16_t>(buffers_.size() - 1);
}

// What operands are copied to before a block begins cannot have been a register in it.
uint16_t BlockProgram::TakeRegister(uint8_t element, bool per_row) {
  for (size_t i = 0; i < buffers_.size(); ++i) {
    Buffer& buffer = buffers_[i];
    if (!buffer.free || buffer.element != element || buffer.per_row != per_row) continue;
    buffer.free = false;
    return static_cast<uint16_t>(i);
  }
  return NewBuffer(element, 0, per_row);
}

BlockProgram::Slot BlockProgram::Input(const Tensor& tensor) {
  for (const Slot slot : inputs_) {
    if (operands_[slot].tensor == &tensor) return slot;
  }
  Operand& operand = Add(Kind::kStream, tensor.dtype());
  inputs_.push_back(Last());
  operand.tensor = &tensor;
  operand.data = const_cast<std::byte*>(tensor.raw());
  if (tensor.size() == size_ && tensor.IsContiguous()) return Last();
  const Tensor* const pointer = &tensor;
  const StridedLoop loop = StridedLoop::Make(shape_, {&pointer, 1});
  const auto& strides = loop.strides[0];
  if (loop.rank == 1 && strides[0] == 0) {
    operand.kind = Kind::kOne;
  } else if (loop.rank == 2 && strides[0] == 1 && strides[1] == 0 && loop.shape[1] == columns_) {
    operand.per_row = true;
  } else if (loop.rank == 2 && strides[0] == 0 && strides[1] == 1 && loop.shape[1] <= kMaxPeriod) {
    operand.kind = Kind::kPeriodic;
    operand.period = loop.shape[1];
    operand.place = NewBuffer(operand.element, operand.period);
  } else {
    operand.kind = Kind::kGathered;
    operand.place = NewBuffer(operand.element);
    operand.loop = static_cast<uint16_t>(loops_.size());
    loops_.push_back(loop);
  }
  return Last();
}

BlockProgram::Slot BlockProgram::RowInput(const Tensor& tensor) {
  Operand& operand = Add(tensor.size() == 1 ? Kind::kOne : Kind::kStream, tensor.dtype());
  operand.per_row = operand.kind == Kind::kStream;
  copies_.push_back(tensor.Contiguous());
  operand.data = copies_.back().raw();
  return Last();
}

BlockProgram::Slot BlockProgram::Number(double number, DType dtype) {
  StoreNumber(number, dtype, Add(Kind::kOne, dtype).number);
  return Last();
}

// One element, or one per row, as a block of it: for kernels that read every element.
BlockProgram::Slot BlockProgram::InFull(Slot slot) {
  Operand operand = operands_[slot];
  operand.tensor = nullptr;
  if (operand.per_row) {
    Instruction fill = {.action = Action::kFill, .in = {slot, slot, slot}};
    operand = {.kind = Kind::kRegister, .element = operand.element};
    operand.place = NewBuffer(operand.element);
    operands_.push_back(operand);
    fill.out = Last();
    instructions_.push_back(fill);
    return Last();
  }
  operand.kind = Kind::kPeriodic;
  operand.period = 1;
  operand.place = NewBuffer(operand.element, 1);
  operands_.push_back(operand);
  return Last();
}

// Whether a result is written past the cache: not if it lies where an input was, which was just
// read.
bool BlockProgram::PassesCache(const Tensor* result, bool per_row) const {
  if (!result || per_row || result->bytes() < cache_bytes) return false;
  for (const Slot slot : inputs_) {
    if (operands_[slot].data == result->raw()) return false;
  }
  return true;
}

BlockProgram::Slot BlockProgram::AddResult(DType dtype, Tensor* result, bool per_row) {
  Operand& out = Add(result ? Kind::kStream : Kind::kRegister, dtype);
  out.per_row = per_row;
  if (result) {
    out.data = result->raw();
  } else {
    out.place = TakeRegister(out.element, per_row);
  }
  return Last();
}

BlockProgram::Slot BlockProgram::Apply(Row row, DType computed_in, DType dtype,
                                       absl::Span<const Slot> operands, const double* numbers,
                                       Tensor* result, bool per_row) {
  Instruction instruction = {.action = per_row ? Action::kPerRow : Action::kWhole,
                             .dtype = computed_in,
                             .row = row,
                             .numbers = numbers};
  const bool where = row == Row::kWhere;
  const unsigned all = (1u << operands.size()) - 1;
  unsigned ones = 0;  // operands that are one element to the kernel
  for (size_t i = 0; i < operands.size(); ++i) {
    instruction.in[i] = operands[i];
    const Operand& operand = operands_[operands[i]];
    if (operand.kind == Kind::kOne || (operand.per_row && !per_row)) ones |= 1u << i;
  }
  // A kernel takes the condition of where in full, and of other operands not all as one element.
  if (where ? ones & 1 : ones == all) {
    instruction.in[0] = InFull(operands[0]);
    ones &= ~1u;
  }
  for (size_t i = operands.size(); i < 3; ++i) instruction.in[i] = instruction.in[0];
  for (size_t i = 0; i < operands.size(); ++i) {
    if (!per_row && operands_[instruction.in[i]].per_row) instruction.action = Action::kByRows;
  }
  instruction.kernel = GetBlockKernel(row, computed_in, where ? ones >> 1 : ones);
  return Append(instruction, dtype, result, per_row);
}

BlockProgram::Slot BlockProgram::Append(Instruction instruction, DType dtype, Tensor* result,
                                        bool per_row) {
  const bool passes_cache = PassesCache(result, per_row);
  const Slot out = AddResult(dtype, passes_cache ? nullptr : result, per_row);
  instruction.out = out;
  instructions_.push_back(instruction);
  if (passes_cache) {
    instructions_.push_back({.action = Action::kStore,
                             .in = {out, out, out},
                             .out = AddResult(dtype, result, per_row)});
  }
  return out;
}

BlockProgram::Slot BlockProgram::Full(Slot slot) {
  const Operand& operand = operands_[slot];
  return operand.kind == Kind::kOne || operand.per_row ? InFull(slot) : slot;
}

BlockProgram::Slot BlockProgram::SumRows(Slot x, DType dtype, Tensor* result) {
  x = Full(x);
  Instruction sum = {.action = Action::kSumRows, .dtype = dtype, .in = {x, x, x}};
  return Append(sum, dtype, result, /*per_row=*/true);
}

void BlockProgram::SumColumns(Slot x, DType dtype, int64_t inner, Tensor& result) {
  x = Full(x);
  end_inner_ = inner;
  instructions_.push_back({.action = Action::kEnd,
                           .dtype = dtype,
                           .in = {x, x, x},
                           .out = x,
                           .place = static_cast<uint16_t>(ends_.size())});
  ends_.push_back({dtype, &result, {}});
}

void BlockProgram::Free(Slot slot) {
  if (operands_[slot].kind == Kind::kRegister) buffers_[operands_[slot].place].free = true;
}

// By how many instructions each operand is read or written.
absl::InlinedVector<int, 64> BlockProgram::Touches() const {
  absl::InlinedVector<int, 64> touches(operands_.size());
  for (const Instruction& i : instructions_) {
    if (i.action == Action::kCode) {
      for (const Slot slot : code_runs_[i.place].slots) ++touches[slot];
      continue;
    }
    for (size_t k = 0; k < std::size(i.in); ++k) {
      if (std::find(i.in, i.in + k, i.in[k]) == i.in + k) ++touches[i.in[k]];
    }
    ++touches[i.out];
  }
  return touches;
}

// instructions: how many the program had before some became code.
BlockProgram::Layout BlockProgram::LayOut(size_t instructions) const {
  const auto touches = Touches();
  absl::InlinedVector<int, 16> buffer_touches(buffers_.size());
  int64_t bytes_per_element = 0, read_bytes = 0;  // of all blocks that are touched again
  for (size_t slot = 0; slot < operands_.size(); ++slot) {
    const Operand& operand = operands_[slot];
    if (operand.kind == Kind::kOne || operand.per_row) continue;
    if (operand.kind == Kind::kStream) {
      if (touches[slot] > 1) bytes_per_element += operand.element;
      if (operand.tensor) read_bytes += operand.element * size_;
    } else {
      int& touched = buffer_touches[operand.place];
      touched = std::max(touched, touches[slot]);
    }
  }
  for (size_t i = 0; i < buffers_.size(); ++i) {
    if (buffer_touches[i] > 1) bytes_per_element += buffers_[i].element;
  }
  const int64_t fitting =
      std::min(kMaxBlock, kCacheBytes / std::max<int64_t>(1, bytes_per_element));
  const int64_t work = kTaskWork / static_cast<int64_t>(instructions);
  Layout layout = {};
  // From a shared cache the processor fetches ahead better by itself: LSTM gates on 1 MB tensors
  // took half as long again otherwise.
  layout.prefetch = read_bytes >= 8 * cache_bytes;
  const auto choose = [&](int64_t granule) {
    layout.block = std::max(granule, fitting / granule * granule);
  };
  if (end_inner_ > 0) {
    const ColumnPieces cut(size_ / end_inner_, end_inner_, /*gaps=*/false);
    layout.group = cut.group;
    choose(4 * cut.group * end_inner_);  // ColumnSum::Add takes four wide rows together
    layout.task = cut.piece * end_inner_;
  } else if (end_inner_ == 0) {
    layout.block = kSumBlock;
    layout.task = kSumTask;
  } else {
    choose(columns_ ? columns_ : kMinBlock);
    layout.task = std::max<int64_t>(1, work / layout.block) * layout.block;
  }
  const int64_t rows = columns_ ? layout.block / columns_ : 0;
  for (const Buffer& buffer : buffers_) {
    layout.offsets.push_back(layout.scratch_bytes);
    const int64_t elements = buffer.per_row ? rows : layout.block + buffer.period;
    layout.scratch_bytes += (elements * buffer.element + 2 * kRoom - 1) / kRoom * kRoom;
  }
  return layout;
}

}  // namespace wengert
