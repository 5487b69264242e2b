// A short program of element-wise rows over tensors of one shape, interpreted over blocks that fit
// the L1 cache: operands of any strides, intermediate results in registers (blocks of memory in
// L1), threads by shape. Each element is computed by the same instructions in the same order
// wherever it stands, so the bits are those of one op at a time.
//
// A program may know rows: its shape taken as [rows, columns]. Then a block is a number of whole
// rows, and besides full values there are row values, one element per row: the sums of rows, and
// what is computed from them. A full instruction may read them, as if expanded over the columns.
//
// Runs of simple instructions of a large program become machine code (block_code.h).
//
// A program may end in sums over all rows or over everything. They are formed block by block, in
// the order of SumKernel.
#ifndef WENGERT_OPS_KERNELS_BLOCK_PROGRAM_H_
#define WENGERT_OPS_KERNELS_BLOCK_PROGRAM_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "absl/types/span.h"
#include "ops/kernels/block_code.h"
#include "ops/kernels/elementwise.h"
#include "tensor/strided.h"
#include "tensor/tensor.h"

namespace wengert {

class BlockProgram {
 public:
  using Slot = uint16_t;

  // columns: 0 if the program knows no rows.
  explicit BlockProgram(const Shape& shape, int64_t columns = 0);
  BlockProgram(const BlockProgram&) = delete;

  // An operand: a tensor that broadcasts to the shape and outlives Run, or a number.
  Slot Input(const Tensor& tensor);
  Slot Number(double number, DType dtype);
  // A tensor of one element per row (or of one for all), as a row value.
  Slot RowInput(const Tensor& tensor);

  // Applies a row to operands. The result goes to `result` (contiguous, of the shape; it may be the
  // memory of a contiguous input that no later instruction reads), or, if that is null, to a
  // register. `computed_in`: the dtype of the operands, which is not that of a comparison's result.
  // `numbers` (p0 and p1 of the rows that have them) must outlive Run. With `per_row` all operands
  // are row values or numbers, and so is the result.
  Slot Apply(Row row, DType computed_in, DType dtype, absl::Span<const Slot> operands,
             const double* numbers, Tensor* result, bool per_row = false);
  // The sum of each row of a full value of float32 or float64: a row value. A row is shorter than
  // kSumTask.
  Slot SumRows(Slot x, DType dtype, Tensor* result);
  // No instruction after this reads the slot: its register can be used again.
  void Free(Slot slot);

  // Ends of the program, with x as in SumRows: the sums over all but the last `inner` elements of
  // the shape (inner <= kSumStrip; equal to the columns if the program knows rows), or over all
  // (only if it knows none). All ends of a program are of one kind.
  void SumColumns(Slot x, DType dtype, int64_t inner, Tensor& result);
  void SumAll(Slot x, DType dtype, Tensor& result) { SumColumns(x, dtype, 0, result); }

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
    uint8_t element;                 // bytes
    bool per_row = false;            // a row value
    uint16_t place = 0;              // kRegister, kGathered, kPeriodic: which buffer
    uint16_t loop = 0;               // kGathered: which loop
    int64_t period = 0;              // kPeriodic
    std::byte* data = nullptr;       // null: a number, or a register
    const Tensor* tensor = nullptr;  // null: a number, or a result
    alignas(8) std::byte number[8] = {};
  };
  enum class Action : uint8_t {
    kWhole,    // the kernel on the block
    kPerRow,   // the kernel on the row values of the block
    kByRows,   // the kernel row by row: a row value is one element to it
    kSumRows,  // row_sum
    kFill,     // a row value in full
    kStore,    // a block of a result that is too large for the cache
    kEnd,
    kCode,  // a run of instructions that were made machine code
  };
  struct Instruction {
    Action action = Action::kWhole;
    DType dtype = DType::kFloat32;  // of the operands
    Slot in[3] = {};
    Slot out = 0;
    uint16_t place = 0;  // kEnd: which end; kCode: which run
    Row row = {};        // kWhole, kPerRow, kByRows
    BlockKernel kernel = nullptr;
    const double* numbers = nullptr;
  };
  struct Buffer {
    uint8_t element;
    bool per_row;
    bool free;
    int64_t period;  // of a pattern: its buffer is longer than a block by this
  };
  struct End {
    DType dtype;
    Tensor* result;
    std::vector<double> sums;  // of each piece
  };
  struct CodeRun {
    decltype(BlockCode::run) run = nullptr;
    bool by_rows = false;
    absl::InlinedVector<Slot, 16> slots = {};  // of its places
  };
  class CodeRunBuilder;
  struct Layout {
    int64_t block, task;  // elements
    int64_t group = 1;    // kEnd of columns: rows in a wide one
    int64_t scratch_bytes;
    bool prefetch;                             // the operands are not in the cache
    absl::InlinedVector<int64_t, 16> offsets;  // of each buffer
  };
  class Task;

  Operand& Add(Kind kind, DType dtype);
  Slot Last() const { return static_cast<Slot>(operands_.size() - 1); }
  Slot InFull(Slot slot);  // of one element or a row value
  Slot Full(Slot slot);    // that, or the slot itself
  Slot AddResult(DType dtype, Tensor* result, bool per_row);
  bool PassesCache(const Tensor* result, bool per_row) const;
  Slot Append(Instruction instruction, DType dtype, Tensor* result, bool per_row);
  uint16_t NewBuffer(uint8_t element, int64_t period = 0, bool per_row = false);
  uint16_t TakeRegister(uint8_t element, bool per_row);
  absl::InlinedVector<int, 64> Touches() const;
  Layout LayOut(size_t instructions) const;
  void FindCode();
  void Finish(const End& end) const;

  const Shape shape_;
  const int64_t size_, columns_;
  int64_t end_inner_ = -1;  // -1: no ends; 0: sums over all
  absl::InlinedVector<Operand, 16> operands_;
  absl::InlinedVector<Instruction, 16> instructions_;
  absl::InlinedVector<Buffer, 16> buffers_;
  absl::InlinedVector<StridedLoop, 1> loops_;
  absl::InlinedVector<Slot, 8> inputs_;  // the operands that are tensors
  std::vector<Tensor> copies_;           // of row values with gaps
  std::vector<End> ends_;
  std::vector<CodeRun> code_runs_;
};

}  // namespace wengert

#endif  // WENGERT_OPS_KERNELS_BLOCK_PROGRAM_H_
