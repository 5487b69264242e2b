// Running a program: tasks, blocks, instructions.
#include <algorithm>
#include <cstring>
#include <memory>

#include "absl/container/fixed_array.h"
#include "ops/kernels/block_program.h"
#include "ops/kernels/stream_copy.h"
#include "ops/kernels/sum_functions.h"
#include "tensor/parallel.h"

namespace wengert {
namespace {

constexpr int64_t kRoom = 64;

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

// Calls f with a pointer to an unsigned integer of the element's size.
template <class F>
void OfSize(size_t element, std::byte* to, F f) {
  if (element == 1) return f(reinterpret_cast<uint8_t*>(to));
  if (element == 4) return f(reinterpret_cast<uint32_t*>(to));
  f(reinterpret_cast<uint64_t*>(to));
}

// The first `bytes` of `to` are filled, `total` shall be: doubles what is there.
void Repeat(std::byte* to, size_t bytes, size_t total) {
  for (size_t done = bytes; done < total; done *= 2) {
    std::memcpy(to + done, to, std::min(done, total - done));
  }
}

// The sum of a piece, from its blocks as they come.
class PieceSum {
 public:
  virtual ~PieceSum() = default;
  virtual void Add(const std::byte* x, int64_t count) = 0;
  virtual void Result(double* sums) const = 0;
};

template <class T>
class PieceOfColumns : public PieceSum {
 public:
  PieceOfColumns(int64_t rows, int64_t group, int64_t inner)
      : width_(group * inner), sum_(rows, width_, group, inner) {}
  void Add(const std::byte* x, int64_t count) override {
    sum_.Add(reinterpret_cast<const T*>(x), CeilDiv(count, width_));
  }
  void Result(double* sums) const override { sum_.Result(sums); }

 private:
  const int64_t width_;
  ColumnSum<T> sum_;
};

template <class T>
class PieceOfAll : public PieceSum {
 public:
  void Add(const std::byte* x, int64_t count) override {
    total_.Add(GetSumFunctions<T>().row_sum(reinterpret_cast<const T*>(x), count));
  }
  void Result(double* sums) const override { *sums = total_.Result(); }

 private:
  Total<double> total_ = {};
};

template <class T>
std::unique_ptr<PieceSum> MakePieceSum(int64_t elements, int64_t group, int64_t inner) {
  if (inner == 0) return std::make_unique<PieceOfAll<T>>();
  return std::make_unique<PieceOfColumns<T>>(elements / inner, group, inner);
}

}  // namespace

// One task under way: its scratch memory, and where each operand lies for the block at hand.
class BlockProgram::Task {
 public:
  Task(const BlockProgram& program, const Layout& layout, int64_t begin, int64_t end)
      : program_(program),
        layout_(layout),
        memory_(static_cast<size_t>(layout.scratch_bytes + kRoom)),
        scratch_(memory_.data() + (-reinterpret_cast<uintptr_t>(memory_.data()) % kRoom)),
        pointers_(program.operands_.size()) {
    for (Slot s = 0; s < program.operands_.size(); ++s) {
      const Operand& operand = program.operands_[s];
      if (operand.kind == Kind::kOne) {
        pointers_[s] = operand.data ? operand.data : const_cast<std::byte*>(operand.number);
        continue;
      }
      if (operand.kind != Kind::kRegister) moving_.push_back(s);
      if (operand.kind == Kind::kStream) continue;
      pointers_[s] = scratch_ + layout.offsets[operand.place];
      if (operand.kind == Kind::kPeriodic) {
        const size_t bytes = static_cast<size_t>(operand.period) * operand.element;
        std::memcpy(pointers_[s], operand.data ? operand.data : operand.number, bytes);
        Repeat(pointers_[s], bytes, bytes + static_cast<size_t>(layout.block) * operand.element);
      }
    }
    for (const End& to : program.ends_) {
      const int64_t group = layout.group, inner = program.end_inner_;
      sums_.push_back(to.dtype == DType::kFloat32
                          ? MakePieceSum<float>(end - begin, group, inner)
                          : MakePieceSum<double>(end - begin, group, inner));
    }
    for (int64_t at = begin; at < end; at += layout.block) {
      const int64_t next = at + layout.block;
      next_count_ = layout.prefetch ? std::clamp<int64_t>(end - next, 0, layout.block) : 0;
      RunBlock(at, std::min(layout.block, end - at));
    }
    FinishStreamCopies();
  }
  void Result(size_t end, double* sums) const { sums_[end]->Result(sums); }

 private:
  void RunBlock(int64_t begin, int64_t count) {
    const int64_t columns = program_.columns_;
    const int64_t rows = columns ? count / columns : 0;
    for (const Slot s : moving_) {
      const Operand& operand = program_.operands_[s];
      if (operand.kind == Kind::kStream) {
        pointers_[s] = operand.data + (operand.per_row ? begin / columns : begin) * operand.element;
      } else if (operand.kind == Kind::kGathered) {
        OfSize(operand.element, pointers_[s], [&]<class T>(T* to) {
          GatherBlock(program_.loops_[operand.loop], reinterpret_cast<const T*>(operand.data),
                      begin, count, to);
        });
      } else {
        pointers_[s] =
            scratch_ + layout_.offsets[operand.place] + begin % operand.period * operand.element;
      }
    }
    const size_t instructions = program_.instructions_.size();
    for (size_t i = 0; i < instructions; ++i) {
      if (next_count_) Prefetch(count, i, instructions);
      RunInstruction(program_.instructions_[i], count, rows, columns);
    }
  }

  // The part-th part of what the next block reads: memory works while instructions do.
  void Prefetch(int64_t count, size_t part, size_t parts) const {
    for (const Slot s : moving_) {
      const Operand& operand = program_.operands_[s];
      if (operand.kind != Kind::kStream || !operand.tensor || operand.per_row) continue;
      const size_t bytes = static_cast<size_t>(next_count_) * operand.element;
      const std::byte* next = pointers_[s] + count * operand.element;
      const size_t end = bytes * (part + 1) / parts;
      for (size_t at = bytes * part / parts / 64 * 64; at < end; at += 64) {
        __builtin_prefetch(next + at, /*write=*/0, /*locality=*/2);
      }
    }
  }

  void RunInstruction(const Instruction& i, int64_t count, int64_t rows, int64_t columns) {
    const void* in[] = {pointers_[i.in[0]], pointers_[i.in[1]], pointers_[i.in[2]]};
    std::byte* out = pointers_[i.out];
    switch (i.action) {
      case Action::kWhole:
        return i.kernel(in, out, count, i.numbers);
      case Action::kPerRow:
        return i.kernel(in, out, rows, i.numbers);
      case Action::kByRows:
        return RunByRows(i, rows, columns);
      case Action::kSumRows:
        if (i.dtype == DType::kFloat32) return SumRowsOf<float>(in[0], rows, columns, out);
        return SumRowsOf<double>(in[0], rows, columns, out);
      case Action::kFill:
        return OfSize(program_.operands_[i.out].element, out, [&]<class T>(T* to) {
          const T* from = static_cast<const T*>(in[0]);
          for (int64_t r = 0; r < rows; ++r) std::fill_n(to + r * columns, columns, from[r]);
        });
      case Action::kStore:
        return StreamCopy(static_cast<const std::byte*>(in[0]),
                          count * program_.operands_[i.out].element, out);
      case Action::kEnd:
        return sums_[i.place]->Add(static_cast<const std::byte*>(in[0]), count);
      case Action::kCode:
        return RunCode(program_.code_runs_[i.place], count, rows, columns);
    }
  }

  void RunByRows(const Instruction& i, int64_t rows, int64_t columns) {
    const std::byte* from[3];
    int64_t steps[3];
    for (int k = 0; k < 3; ++k) {
      from[k] = pointers_[i.in[k]];
      steps[k] = RowStep(i.in[k]);
    }
    const int64_t out_step = RowStep(i.out);
    for (int64_t r = 0; r < rows; ++r) {
      const void* const in[] = {from[0] + r * steps[0], from[1] + r * steps[1],
                                from[2] + r * steps[2]};
      i.kernel(in, pointers_[i.out] + r * out_step, columns, i.numbers);
    }
  }

  void RunCode(const CodeRun& run, int64_t count, int64_t rows, int64_t columns) {
    const size_t values = run.slots.size();
    std::byte* places[kMaxCodeValues];
    for (size_t v = 0; v < values; ++v) places[v] = pointers_[run.slots[v]];
    if (!run.by_rows) return run.run(places, count);
    int64_t steps[kMaxCodeValues];
    for (size_t v = 0; v < values; ++v) steps[v] = RowStep(run.slots[v]);
    for (int64_t r = 0; r < rows; ++r) {
      run.run(places, columns);
      for (size_t v = 0; v < values; ++v) places[v] += steps[v];
    }
  }

  // Bytes from what the kernels read or write for one row to what they do for the next.
  int64_t RowStep(Slot slot) const {
    const Operand& operand = program_.operands_[slot];
    if (operand.kind == Kind::kOne) return 0;
    return operand.element * (operand.per_row ? 1 : program_.columns_);
  }

  template <class T>
  static void SumRowsOf(const void* x, int64_t rows, int64_t columns, std::byte* out) {
    const auto row_sum = GetSumFunctions<T>().row_sum;
    for (int64_t r = 0; r < rows; ++r) {
      reinterpret_cast<T*>(out)[r] =
          static_cast<T>(row_sum(static_cast<const T*>(x) + r * columns, columns));
    }
  }

  const BlockProgram& program_;
  const Layout& layout_;
  int64_t next_count_ = 0;  // elements of the block after this that are fetched meanwhile
  absl::FixedArray<std::byte, (64 << 10)> memory_;  // on the stack if it fits, as it mostly does
  std::byte* const scratch_;
  absl::FixedArray<std::byte*, 64> pointers_;
  absl::InlinedVector<Slot, 16> moving_;
  absl::InlinedVector<std::unique_ptr<PieceSum>, 2> sums_;
};

// The sums of the pieces, added up in their order.
void BlockProgram::Finish(const End& end) const {
  const int64_t inner = std::max<int64_t>(end_inner_, 1);
  const int64_t pieces = static_cast<int64_t>(end.sums.size()) / inner;
  const auto sum_of = [&](int64_t c) {
    if (pieces == 1) return end.sums[c];
    Total<double> total = {};
    for (int64_t p = 0; p < pieces; ++p) total.Add(end.sums[p * inner + c]);
    return total.Result();
  };
  DispatchDType(end.dtype, [&]<class T>() {
    T* const to = end.result->mutable_data<T>();
    for (int64_t c = 0; c < inner; ++c) to[c] = static_cast<T>(sum_of(c));
  });
}

void BlockProgram::Run() {
  if (size_ == 0 || instructions_.empty()) return;
  const size_t instructions = instructions_.size();
  if (size_ >= least_size_for_code) FindCode();
  const Layout layout = LayOut(instructions);
  const int64_t tasks = CeilDiv(size_, layout.task), inner = std::max<int64_t>(end_inner_, 1);
  for (End& end : ends_) end.sums.resize(static_cast<size_t>(tasks * inner));
  ParallelFor(tasks, [&](int64_t t) {
    const Task task(*this, layout, t * layout.task, std::min(size_, (t + 1) * layout.task));
    for (size_t e = 0; e < ends_.size(); ++e) task.Result(e, ends_[e].sums.data() + t * inner);
  });
  for (const End& end : ends_) Finish(end);
}

}  // namespace wengert
