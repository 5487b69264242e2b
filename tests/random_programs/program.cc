#include "tests/random_programs/program.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "autograd/modes.h"

namespace wengert::random_programs {
namespace {

std::vector<bool> AreRead(const Program& program) {
  std::vector<bool> read(program.values.size());
  for (const Instruction& instruction : program.instructions) {
    for (const int input : instruction.inputs) read[input] = true;
  }
  return read;
}

std::string Describe(const ValueInfo& info) {
  return absl::StrCat(std::string(Name(info.dtype)), ToString(info.shape));
}

}  // namespace

bool Program::HasComposites() const {
  return std::any_of(instructions.begin(), instructions.end(), [](const Instruction& i) {
    return i.kind && i.kind->composite != OpKind::Composite::kNo;
  });
}

bool Program::IsFloat64() const {
  for (const Instruction& instruction : instructions) {
    for (const int output : instruction.outputs) {
      if (values[output].dtype == DType::kFloat32) return false;
    }
  }
  return true;
}

Tensor LeafTensor(const ValueInfo& info, uint64_t seed) {
  Random random(seed);
  Tensor tensor = Tensor::Empty(info.shape, DType::kFloat64);
  double* const elements = tensor.mutable_data<double>();
  const double cells = std::ldexp(1, info.grid);
  for (int64_t i = 0; i < tensor.size(); ++i) {
    double x = random.Between(info.low, info.high);
    if (!info.floating()) {
      x = std::floor(random.Between(info.low, info.high + 1));
    } else if (info.grid != ValueInfo::kNoGrid) {
      x = std::round(x * cells) / cells;
    }
    elements[i] = x;
  }
  return tensor.To(info.dtype);
}

void Replay(const Program& program, std::vector<Variable>& values,
            absl::FunctionRef<void(size_t instruction)> after) {
  values.resize(program.values.size());
  for (size_t i = 0; i < program.instructions.size(); ++i) {
    const Instruction& instruction = program.instructions[i];
    const bool given = std::all_of(instruction.outputs.begin(), instruction.outputs.end(),
                                   [&](int output) { return values[output].defined(); });
    if (!given && !instruction.kind) {
      const int output = instruction.outputs[0];
      const ValueInfo& info = program.values[output];
      const Tensor tensor = LeafTensor(info, instruction.seed);
      values[output] = info.requires_grad ? DifferentiableLeaf(tensor) : Variable(tensor);
    } else if (!given) {
      std::vector<Variable> inputs;
      for (const int input : instruction.inputs) inputs.push_back(values[input]);
      Call call{inputs, Random(instruction.seed), ""};
      Results results = instruction.kind->record(call);
      inputs.clear();
      for (size_t k = 0; k < instruction.outputs.size(); ++k) {
        Variable& value = values[instruction.outputs[k]];
        if (!value.defined()) value = std::move(results[k]);
      }
    }
    after(i);
  }
}

std::vector<int> Sinks(const Program& program) {
  const std::vector<bool> read = AreRead(program);
  std::vector<int> sinks;
  for (const Instruction& instruction : program.instructions) {
    for (const int output : instruction.outputs) {
      if (!read[output] && program.values[output].requires_grad) sinks.push_back(output);
    }
  }
  return sinks;
}

std::vector<int> Targets(const Program& program) {
  std::vector<int> targets;
  for (const Instruction& instruction : program.instructions) {
    for (const int output : instruction.outputs) {
      const ValueInfo& info = program.values[output];
      // Of a composite's outputs one may be a part of another: which depends on which is then for
      // its Definition to say, and eager execution has other gradients between them.
      const bool between = info.inexact == 0 && Mix(program.seed, output) % 32 == 0;
      if ((!instruction.kind || between) && info.requires_grad) targets.push_back(output);
    }
  }
  return targets;
}

Tensor Cotangent(const Program& program, int value) {
  ValueInfo info = program.values[value];
  info.low = -1;
  info.high = 1;
  info.grid = ValueInfo::kNoGrid;
  return LeafTensor(info, Mix(program.seed + 1, value));
}

std::string Listing(const Program& program) {
  std::vector<Variable> values;
  std::string listing;
  // Recorded to learn the texts; nothing is computed.
  Replay(program, values, [&](size_t i) {
    const Instruction& instruction = program.instructions[i];
    std::string line = "  ";
    for (const int output : instruction.outputs) {
      absl::StrAppend(&line, output == instruction.outputs[0] ? "%" : ", %", output);
    }
    absl::StrAppend(&line, " = ");
    if (instruction.kind) {
      std::vector<Variable> inputs;
      for (const int input : instruction.inputs) inputs.push_back(values[input]);
      Call call{inputs, Random(instruction.seed), ""};
      instruction.kind->record(call);
      std::vector<std::pair<std::string, std::string>> names;
      for (size_t k = 0; k < inputs.size(); ++k) {
        names.emplace_back(absl::StrCat("x[", k, "]"), absl::StrCat("%", instruction.inputs[k]));
      }
      absl::StrAppend(&line, absl::StrReplaceAll(call.text, names));
    } else {
      const ValueInfo& info = program.values[instruction.outputs[0]];
      absl::StrAppend(&line, info.requires_grad ? "a leaf" : "a constant", " in [", info.low, ", ",
                      info.high, "]");
    }
    line.resize(std::max<size_t>(line.size() + 2, 64), ' ');
    for (const int output : instruction.outputs) {
      absl::StrAppend(&line, " ", Describe(program.values[output]));
    }
    absl::StrAppend(&listing, line, "\n");
  });
  return listing;
}

}  // namespace wengert::random_programs
