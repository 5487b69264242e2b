#include "tests/random_programs/minimize.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace wengert::random_programs {
namespace {

constexpr int kMostAttempts = 3000;

class Minimization {
 public:
  Minimization(Program program, absl::FunctionRef<bool(const Program&)> fails)
      : program_(std::move(program)), fails_(fails) {}

  Program Run() && {
    size_t before;
    do {
      before = program_.instructions.size();
      for (size_t chunk = std::max<size_t>(before / 2, 1); chunk > 0; chunk /= 2) Cut(chunk);
      Bypass();
    } while (program_.instructions.size() < before && attempts_ < kMostAttempts);
    return std::move(program_);
  }

 private:
  bool Try(Program candidate) {
    if (++attempts_ > kMostAttempts || !fails_(candidate)) return false;
    program_ = std::move(candidate);
    return true;
  }

  // From the end, so that what is removed is seldom read.
  void Cut(size_t chunk) {
    size_t end = program_.instructions.size();
    while (end > 0) {
      const size_t begin = end > chunk ? end - chunk : 0;
      Program candidate = Without(begin, end);
      if (!SameSize(candidate)) Try(std::move(candidate));
      end = begin;
    }
  }

  // A candidate as long as the program would be cut again for ever.
  bool SameSize(const Program& candidate) const {
    return Computed(candidate) == Computed(program_) &&
           candidate.instructions.size() >= program_.instructions.size();
  }
  static int64_t Computed(const Program& program) {
    return std::count_if(program.instructions.begin(), program.instructions.end(),
                         [](const Instruction& i) { return i.kind != nullptr; });
  }

  Program Without(size_t begin, size_t end) const {
    std::vector<bool> read(program_.values.size());
    for (size_t i = end; i < program_.instructions.size(); ++i) {
      for (const int input : program_.instructions[i].inputs) read[input] = true;
    }
    Program candidate = program_;
    candidate.instructions.clear();
    for (size_t i = 0; i < program_.instructions.size(); ++i) {
      const Instruction& instruction = program_.instructions[i];
      if (i < begin || i >= end) {
        candidate.instructions.push_back(instruction);
        continue;
      }
      for (const int output : instruction.outputs) {
        if (!read[output]) continue;
        candidate.instructions.push_back({nullptr, Mix(instruction.seed, output), {}, {output}});
      }
    }
    return candidate;
  }

  // Puts an operand in the place of a result of the same shape and dtype.
  void Bypass() {
    for (size_t i = program_.instructions.size(); i-- > 0;) {
      if (i >= program_.instructions.size()) continue;
      const Instruction instruction = program_.instructions[i];
      if (!instruction.kind || instruction.outputs.size() != 1) continue;
      const int output = instruction.outputs[0];
      for (const int input : instruction.inputs) {
        const ValueInfo &a = program_.values[input], &b = program_.values[output];
        if (!(a.shape == b.shape) || a.dtype != b.dtype || a.requires_grad != b.requires_grad) {
          continue;
        }
        Program candidate = program_;
        candidate.instructions.erase(candidate.instructions.begin() + static_cast<int64_t>(i));
        for (Instruction& reader : candidate.instructions) {
          std::replace(reader.inputs.begin(), reader.inputs.end(), output, input);
        }
        if (Try(std::move(candidate))) break;
      }
    }
  }

  Program program_;
  absl::FunctionRef<bool(const Program&)> fails_;
  int attempts_ = 0;
};

}  // namespace

Program Minimize(Program program, absl::FunctionRef<bool(const Program&)> fails) {
  return Minimization(std::move(program), fails).Run();
}

}  // namespace wengert::random_programs
