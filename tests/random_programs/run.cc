#include "tests/random_programs/run.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "autograd/grad.h"
#include "ops/kernels/block_code.h"
#include "ops/ops.h"
#include "tensor/parallel.h"

namespace wengert::random_programs {
namespace {

using Mode = RunOptions::Mode;

// Freed buffers are handed out again. What a kernel forgets to write, or a value that was given
// away too early, is NaN then and not the right number of an earlier run.
void DirtyThePool(const Program& program) {
  int64_t largest = 64;
  for (const ValueInfo& info : program.values) largest = std::max(largest, info.size());
  std::vector<Tensor> held;
  for (int64_t size = 4; size < 2 * largest; size *= 2) {
    const int count = size > 1 << 14 ? 3 : 12;
    for (int i = 0; i < count; ++i) {
      held.push_back(
          Tensor::Full({size}, std::numeric_limits<double>::quiet_NaN(), DType::kFloat64));
    }
  }
}

class Runner {
 public:
  Runner(const Program& program, const RunOptions& options, std::vector<Variable> given)
      : program_(program), options_(options), values_(std::move(given)) {
    outcome_.values.resize(program.values.size());
  }

  Outcome Run() && {
    if (options_.as_loss) {
      RunAsLoss();
    } else if (options_.mode == Mode::kLazy || options_.mode == Mode::kMixed) {
      RunInRandomOrder();
    } else {
      RunInOrder();
    }
    return std::move(outcome_);
  }

 private:
  // ---- Derivatives ----

  std::vector<Variable> Gradients(bool other_half) {
    std::vector<Variable> outputs, cotangents;
    for (const int sink : Sinks(program_)) {
      if ((Mix(program_.seed, sink) % 2 == 1) != other_half) continue;
      outputs.push_back(values_[sink]);
      cotangents.push_back(Cotangent(program_, sink));
    }
    if (outputs.empty() || Targets(program_).empty()) return {};
    return Grad(outputs, TargetValues(),
                {.cotangents = cotangents,
                 .create_graph = program_.second_order && !other_half,
                 .unused = Unused::kZero});
  }
  std::vector<Variable> SecondGradients(const std::vector<Variable>& first) {
    if (!program_.second_order || first.empty()) return {};
    std::vector<Variable> cotangents;
    for (const int target : Targets(program_)) cotangents.push_back(Cotangent(program_, target));
    return Grad(first, TargetValues(), {.cotangents = cotangents, .unused = Unused::kZero});
  }
  std::vector<Variable> TargetValues() {
    std::vector<Variable> targets;
    for (const int target : Targets(program_)) targets.push_back(values_[target]);
    return targets;
  }

  // ---- Op by op ----

  void RunInOrder() {
    const EagerGuard eager(options_.mode == Mode::kEager);
    Replay(program_, values_, [&](size_t i) {
      for (const int output : program_.instructions[i].outputs) Read(output);
    });
    if (!options_.derivatives) return;
    const std::vector<Variable> first = Gradients(false);
    Read(first, outcome_.first);
    Read(Gradients(true), outcome_.other);
    Read(SecondGradients(first), outcome_.second);
  }
  void Read(int value) { outcome_.values[value] = values_[value].value(); }
  static void Read(const std::vector<Variable>& variables, std::vector<Tensor>& tensors) {
    for (const Variable& v : variables) tensors.push_back(v.value());
  }

  // ---- As a loss ----

  void RunAsLoss() {
    const EagerGuard eager(options_.mode == Mode::kEager);
    std::vector<Parameter> parameters;
    std::vector<Variable> leaves(program_.values.size());
    for (const Instruction& instruction : program_.instructions) {
      if (instruction.kind) continue;
      const int output = instruction.outputs[0];
      const ValueInfo& info = program_.values[output];
      if (!info.requires_grad) continue;
      parameters.emplace_back(LeafTensor(info, instruction.seed));
      leaves[output] = parameters.back().variable();
    }
    const auto loss = [&] {
      values_ = leaves;
      Replay(program_, values_, [&](size_t i) { DropUnread(i); });
      Variable sum = Tensor::Zeros({}, DType::kFloat64);
      for (const int sink : Sinks(program_)) {
        sum = sum + Cast(Sum(values_[sink] * Cotangent(program_, sink)), DType::kFloat64);
      }
      values_.clear();
      return sum;
    };
    if (parameters.empty()) return;
    const ValueAndGradients step = ValueAndGrad(loss, parameters);
    outcome_.loss.push_back(step.value.value());
    Read(step.gradients, outcome_.loss);
  }

  // ---- In random order ----

  enum class When { kNever, kWhileRecording, kBefore, kBetween, kAtEnd };
  struct Choice {
    bool held = false;
    When when = When::kNever;
    size_t instruction = 0;  // after which it is read, for kWhileRecording
  };

  // What is drawn besides, numbered apart from values and instructions.
  enum Decision : uint64_t {
    kOtherFirst = 1 << 20,
    kEvaluateOther,
    kReadFirst,
    kForgetFirst,
    kNoOther,
    kForgetHandles,
    kOneByOne,
    kTogether = 1 << 21,   // and those after it, one for each value that may be asked for
    kEagerHere = 1 << 22,  // ... one for each instruction
    kGradients = 1 << 16,  // comes after the last instruction
  };
  bool Flip(uint64_t what, int percent) const {
    return options_.choices != 0 && Random(Mix(options_.choices, what)).Percent(percent);
  }

  void Choose() {
    choices_.resize(program_.values.size());
    for (size_t i = 0; i < program_.instructions.size(); ++i) {
      for (const int v : program_.instructions[i].outputs) {
        if (options_.choices == 0) continue;
        Random random(Mix(options_.choices, v));
        Choice& choice = choices_[v];
        choice.held = random.Percent(25);
        choice.when = random.Of({When::kNever, When::kWhileRecording, When::kBefore, When::kBetween,
                                 When::kAtEnd, When::kAtEnd});
        choice.instruction = i + random.Below(30);
      }
    }
    for (const int v : Sinks(program_)) {
      choices_[v].held = true;
      if (options_.choices == 0) choices_[v].when = When::kAtEnd;
    }
    for (const int v : Targets(program_)) choices_[v].held = true;
    last_reader_.assign(program_.values.size(), 0);
    for (size_t i = 0; i < program_.instructions.size(); ++i) {
      for (const int v : program_.instructions[i].inputs) last_reader_[v] = i;
      for (const int v : program_.instructions[i].outputs) last_reader_[v] = i;
    }
  }

  // Lets go of what no later instruction reads.
  void DropUnread(size_t i) {
    if (last_reader_.empty()) Choose();
    const auto drop = [&](int v) {
      if (last_reader_[v] <= i && !choices_[v].held) values_[v] = Variable();
    };
    for (const int v : program_.instructions[i].inputs) drop(v);
    for (const int v : program_.instructions[i].outputs) drop(v);
  }

  void ReadAll(When when) {
    std::vector<int> due;
    for (size_t v = 0; v < values_.size(); ++v) {
      if (choices_[v].held && choices_[v].when == when) due.push_back(static_cast<int>(v));
    }
    std::sort(due.begin(), due.end(), [&](int a, int b) {
      return Mix(options_.choices + 1, a) < Mix(options_.choices + 1, b);
    });
    for (const int v : due) Read(v);
  }

  void RunInRandomOrder() {
    Choose();
    std::optional<EagerGuard> eager;
    const auto switch_eager = [&](size_t next) {
      eager.reset();
      if (options_.mode == Mode::kMixed) eager.emplace(Flip(kEagerHere + next, 40));
    };
    switch_eager(0);
    Replay(program_, values_, [&](size_t i) {
      DropUnread(i);
      for (size_t v = 0; v < values_.size(); ++v) {
        if (choices_[v].held && choices_[v].when == When::kWhileRecording &&
            choices_[v].instruction == i) {
          Read(static_cast<int>(v));
        }
      }
      switch_eager(i + 1);
    });
    ReadAll(When::kBefore);
    std::vector<Variable> first, other;
    if (Flip(kOtherFirst, 50)) {
      other = Gradients(true);
      if (Flip(kEvaluateOther, 50)) Evaluate(other);
    }
    switch_eager(kGradients);
    first = Gradients(false);
    if (Flip(kReadFirst, 30)) Read(first, outcome_.first);
    if (Flip(kForgetFirst, 30)) first.clear();  // nobody reads them, or second derivatives
    ReadAll(When::kBetween);
    if (other.empty() && !Flip(kNoOther, 30)) other = Gradients(true);
    switch_eager(kGradients + 1);
    const std::vector<Variable> second = SecondGradients(first);
    eager.reset();
    if (Flip(kForgetHandles, 50)) {  // the leaves' handles, and the sinks'
      for (size_t v = 0; v < values_.size(); ++v) {
        if (choices_[v].when != When::kAtEnd) values_[v] = Variable();
      }
    }
    ReadTogether({first, other, second});
    ReadAll(When::kAtEnd);
    if (outcome_.first.empty()) Read(first, outcome_.first);
    Read(other, outcome_.other);
    Read(second, outcome_.second);
  }

  void ReadTogether(const std::vector<std::vector<Variable>>& gradients) {
    std::vector<Variable> together;
    uint64_t next = kTogether;
    const auto add = [&](const Variable& v) {
      if (options_.choices == 0 || Flip(next++, 40)) together.push_back(v);
    };
    for (size_t v = 0; v < values_.size(); ++v) {
      if (choices_[v].held && choices_[v].when == When::kAtEnd) add(values_[v]);
    }
    for (const std::vector<Variable>& some : gradients) {
      for (const Variable& v : some) add(v);
    }
    if (!Flip(kOneByOne, 40)) Evaluate(together);
  }

  const Program& program_;
  const RunOptions& options_;
  std::vector<Variable> values_;
  std::vector<Choice> choices_;
  std::vector<size_t> last_reader_;  // instruction after which nothing reads the value
  Outcome outcome_;
};

}  // namespace

std::string ToString(const RunOptions& options) {
  const char* const modes[] = {"eager", "node by node", "lazy", "eager and lazy in turn"};
  std::string text =
      absl::StrCat(modes[static_cast<int>(options.mode)], options.as_loss ? ", as a loss" : "",
                   ", ", options.threads, " threads, choices ", options.choices);
  const PendingLimits usual;
  if (options.limits.nodes != usual.nodes) {
    absl::StrAppend(&text, ", at most ", options.limits.nodes, " pending nodes");
  }
  if (options.limits.bytes != usual.bytes) {
    absl::StrAppend(&text, ", at most ", options.limits.bytes, " pending bytes");
  }
  if (options.cache != cache_bytes)
    absl::StrAppend(&text, ", a cache of ", options.cache, " bytes");
  if (options.code) absl::StrAppend(&text, ", machine code");
  return text;
}

Outcome Run(const Program& program, const RunOptions& options, std::vector<Variable> given) {
  const struct Restore {
    int threads = NumThreads();
    PendingLimits limits = GetPendingLimits();
    int64_t cache = cache_bytes;
    int64_t least_size = least_size_for_code;
    ~Restore() {
      least_size_for_code = least_size;
      cache_bytes = cache;
      SetNumThreads(threads);
      SetPendingLimits(limits);
    }
  } restore;
  DirtyThePool(program);
  SetNumThreads(options.threads);
  SetPendingLimits(options.limits);
  cache_bytes = options.cache;
  if (options.code) least_size_for_code = 1;
  return Runner(program, options, std::move(given)).Run();
}

}  // namespace wengert::random_programs
