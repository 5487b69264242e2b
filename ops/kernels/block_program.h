// A short program of element-wise rows over tensors of one shape, interpreted over blocks that fit
// the L1 cache: operands of any strides, intermediate results in registers (blocks of memory in
// L1), threads by shape. Each element is computed by the same instructions in the same order
// wherever it stands, so the bits are those of one op at a time.
#ifndef WENGERT_OPS_KERNELS_BLOCK_PROGRAM_H_
#define WENGERT_OPS_KERNELS_BLOCK_PROGRAM_H_

#include <cstddef>
#include <cstdint>

#include "absl/container/inlined_vector.h"
#include "absl/types/span.h"
#include "ops/kernels/elementwise.h"
#include "tensor/strided.h"
#include "tensor/tensor.h"

namespace wengert {

class BlockProgram {
 public:
  using Slot = uint16_t;

  explicit BlockProgram(const Shape& shape);

  // An operand: a tensor that broadcasts to the shape and outlives Run, or a number.
  Slot Input(const Tensor& tensor);
  Slot Number(double number, DType dtype);
  // Applies a row to operands. The result goes to `result` (contiguous, of the shape; it may be the
  // memory of a contiguous input that no later instruction reads), or, if that is null, to a
  // register. `computed_in`: the dtype of the operands, which is not that of a comparison's result.
  // `numbers` (p0 and p1 of the rows that have them) must outlive Run.
  Slot Apply(Row row, DType computed_in, DType dtype, absl::Span<const Slot> operands,
             const double* numbers, Tensor* result);
  // No instruction after this reads the slot: its register can be used again.
  void Free(Slot slot);

  void Run();

 private:
  enum class Kind : uint8_t {
    kStream,    // laid out as the result
    kOne,       // one element for all
    kRegister,  // in L1, for the block at hand
    kPeriodic,  // the same row again and again, or one element that must stand in full
    kGathered,  // any other strides: copied block by block
  };
  struct Operand {
    Kind kind;
    uint8_t element;       // bytes
    uint16_t place = 0;    // kRegister, kGathered, kPeriodic: which buffer
    int64_t period = 0;    // kPeriodic
    std::byte* data;       // kStream, kOne, kPeriodic, kGathered
    const Tensor* tensor;  // null: a number, or a result
    uint16_t loop = 0;     // kGathered: which loop
    alignas(8) std::byte number[8];
  };
  struct Instruction {
    BlockKernel kernel;
    const double* numbers;
    Slot in[3];
    Slot out;
  };
  struct Buffer {
    uint8_t element;
    bool free;
    int64_t period;  // of a pattern: its buffer is longer than a block by this
  };
  struct Layout;

  Operand& Add(Kind kind, DType dtype);
  Slot InFull(Slot slot);
  uint16_t NewBuffer(uint8_t element, int64_t period = 0);
  uint16_t TakeRegister(uint8_t element);
  Layout LayOut() const;
  void RunTask(const Layout& layout, int64_t task) const;

  const Shape shape_;
  const int64_t size_;
  absl::InlinedVector<Operand, 16> operands_;
  absl::InlinedVector<Instruction, 16> instructions_;
  absl::InlinedVector<Buffer, 16> buffers_;
  absl::InlinedVector<StridedLoop, 1> loops_;
};

}  // namespace wengert

#endif  // WENGERT_OPS_KERNELS_BLOCK_PROGRAM_H_
