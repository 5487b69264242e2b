// Which instructions of a program become machine code.
#include <algorithm>
#include <cstring>
#include <iterator>
#include <utility>

#include "ops/kernels/block_program.h"

namespace wengert {

// Instructions that follow each other, as steps over numbered values.
class BlockProgram::CodeRunBuilder {
 public:
  explicit CodeRunBuilder(const BlockProgram& program) : program_(program) {}

  // False if the instruction cannot be part of the run.
  bool Add(const Instruction& i) {
    if (i.action == Action::kStore) return AddStore(i);
    if (i.action != Action::kWhole && i.action != Action::kByRows) return false;
    if (i.dtype != DType::kFloat32 || !HasCode(i.row)) return false;
    if (slots_.size() + 4 > kMaxCodeValues || OverwritesStored(i.out)) return false;
    CodeStep step = {.row = i.row, .in = {}, .out = 0};
    for (size_t k = 0; k < std::size(step.in); ++k) step.in[k] = NumberOf(i.in[k]);
    step.out = NumberOf(i.out);
    values_[step.out] = CodeValue::kLocal;
    steps_.push_back(step);
    return true;
  }
  size_t steps() const { return steps_.size(); }
  absl::Span<const Instruction> stores() const { return stores_; }

  // later: the instructions after the run.
  CodeRun Build(absl::Span<const Instruction> later) {
    for (size_t v = 0; v < slots_.size(); ++v) {
      if (values_[v] == CodeValue::kLocal && IsRead(slots_[v], later)) {
        values_[v] = CodeValue::kStored;
      }
    }
    const BlockCode code = GetBlockCode(steps_, values_);
    CodeRun run = {.run = code.run, .by_rows = by_rows_};
    for (const uint8_t v : code.values) run.slots.push_back(slots_[v]);
    return run;
  }

 private:
  uint8_t NumberOf(Slot slot) {
    const auto found = std::find(slots_.begin(), slots_.end(), slot);
    if (found != slots_.end()) return static_cast<uint8_t>(found - slots_.begin());
    const Operand& operand = program_.operands_[slot];
    by_rows_ |= operand.per_row;
    slots_.push_back(slot);
    values_.push_back(operand.kind == Kind::kOne || operand.per_row ? CodeValue::kOne
                                                                    : CodeValue::kGiven);
    return static_cast<uint8_t>(slots_.size() - 1);
  }

  // Storing what the run computed can wait until its end.
  bool AddStore(const Instruction& i) {
    if (std::find(slots_.begin(), slots_.end(), i.in[0]) == slots_.end()) return false;
    stores_.push_back(i);
    return true;
  }
  bool OverwritesStored(Slot out) const {
    const Operand& to = program_.operands_[out];
    return to.kind == Kind::kRegister &&
           std::any_of(stores_.begin(), stores_.end(), [&](const Instruction& store) {
             return program_.operands_[store.in[0]].place == to.place;
           });
  }
  bool IsRead(Slot slot, absl::Span<const Instruction> later) const {
    if (program_.operands_[slot].kind != Kind::kRegister) return true;  // a result
    const auto reads = [&](const Instruction& i) {
      return std::find(std::begin(i.in), std::end(i.in), slot) != std::end(i.in);
    };
    return std::any_of(later.begin(), later.end(), reads) ||
           std::any_of(stores_.begin(), stores_.end(), reads);
  }

  const BlockProgram& program_;
  absl::InlinedVector<CodeStep, 16> steps_;
  absl::InlinedVector<CodeValue, 16> values_;
  absl::InlinedVector<Slot, 16> slots_;
  absl::InlinedVector<Instruction, 4> stores_;
  bool by_rows_ = false;
};

void BlockProgram::FindCode() {
  const absl::Span<const Instruction> all = instructions_;
  absl::InlinedVector<Instruction, 16> instructions;
  for (size_t begin = 0; begin < all.size();) {
    CodeRunBuilder builder(*this);
    size_t end = begin;
    while (end < all.size() && builder.Add(all[end])) ++end;
    CodeRun run;
    if (builder.steps() >= 2) run = builder.Build(all.subspan(end));
    if (!run.run) {  // as they are
      end = std::max(end, begin + 1);
      for (; begin < end; ++begin) instructions.push_back(all[begin]);
      continue;
    }
    instructions.push_back(
        {.action = Action::kCode, .place = static_cast<uint16_t>(code_runs_.size())});
    code_runs_.push_back(std::move(run));
    for (const Instruction& store : builder.stores()) instructions.push_back(store);
    begin = end;
  }
  instructions_ = std::move(instructions);
}

}  // namespace wengert
