// That the net holds: programs are what they are meant to be, planted faults are found, and what
// is reported of them can be read.
#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "autograd/composite.h"
#include "autograd/op.h"
#include "gtest/gtest.h"
#include "ops/ops.h"
#include "tensor/parallel.h"
#include "tests/random_programs/check.h"
#include "tests/random_programs/generate.h"
#include "tests/random_programs/minimize.h"
#include "tests/random_programs/op_kinds.h"

namespace wengert::random_programs {
namespace {

int64_t Computed(const Program& program) {
  return std::count_if(program.instructions.begin(), program.instructions.end(),
                       [](const Instruction& i) { return i.kind != nullptr; });
}
int64_t CountOf(const Program& program, std::string_view kind) {
  return std::count_if(program.instructions.begin(), program.instructions.end(),
                       [&](const Instruction& i) { return i.kind && i.kind->name == kind; });
}

TEST(GenerateTest, TheSameSeedGivesTheSameProgram) {
  for (const uint64_t seed : {1, 2, 3}) {
    EXPECT_EQ(Listing(Generate(seed, Vocabulary())), Listing(Generate(seed, Vocabulary())));
  }
  EXPECT_NE(Listing(Generate(1, Vocabulary())), Listing(Generate(2, Vocabulary())));
}

TEST(GenerateTest, ProgramsAreLongAndUseTheWholeVocabulary) {
  constexpr int kPrograms = 150;
  std::map<std::string_view, int> count;
  int64_t instructions = 0, empty = 0, large = 0, mixed = 0, exact = 0;
  for (int seed = 1; seed <= kPrograms; ++seed) {
    const Program program = Generate(seed, Vocabulary());
    bool has_empty = false, has_large = false, float32 = false, float64 = false;
    for (const Instruction& instruction : program.instructions) {
      ++instructions;
      if (instruction.kind) ++count[instruction.kind->name];
      for (const int output : instruction.outputs) {
        const ValueInfo& info = program.values[output];
        has_empty |= info.size() == 0;
        has_large |= info.size() > 1 << 16;  // the work of several tasks
        float32 |= info.dtype == DType::kFloat32;
        float64 |= info.dtype == DType::kFloat64;
        EXPECT_TRUE(info.magnitude() < 1e6);
      }
    }
    empty += has_empty;
    large += has_large;
    mixed += float32 && float64;
    exact += !program.HasComposites();
  }
  for (const OpKind* kind : Vocabulary()) EXPECT_GE(count[kind->name], 5) << kind->name;
  EXPECT_GT(instructions, kPrograms * 150);
  EXPECT_GT(empty, kPrograms / 20);
  EXPECT_GT(large, kPrograms / 20);
  EXPECT_GT(mixed, kPrograms / 20);
  EXPECT_GT(exact, kPrograms / 4);
}

TEST(MinimizeTest, KeepsWhatMatters) {
  uint64_t seed = 1;
  Program program;
  do {
    program = Generate(seed++, Vocabulary());
  } while (CountOf(program, "flip") == 0 || CountOf(program, "gather") == 0);
  const Program least = Minimize(
      program, [](const Program& p) { return CountOf(p, "flip") > 0 && CountOf(p, "gather") > 0; });
  EXPECT_EQ(Computed(least), 2) << Listing(least);
  EXPECT_LE(least.instructions.size(), 5u) << Listing(least);
}

// ---- Planted faults ----

// x^2 with half of its derivative.
struct HalfGradientOp : Op<HalfGradientOp> {
  static constexpr std::string_view kName = "half_gradient";
  Spec Infer(VariableSpan x) const { return {x[0].shape(), x[0].dtype()}; }
  void Forward(TensorSpan x, Tensor& y) const { y.CopyFrom(Square(x[0]).value()); }
  Gradients Vjp(VariableSpan x, const Variable&, const Variable& dy, Needs) const {
    return {dy * x[0]};
  }
};

// Says that it may overwrite its input, and then reads what it has overwritten.
struct ReadsOverwrittenOp : Op<ReadsOverwrittenOp> {
  static constexpr std::string_view kName = "reads_overwritten";
  static constexpr Uses kUses = Uses::None();
  static constexpr bool kDonates = true;
  Spec Infer(VariableSpan x) const { return {x[0].shape(), x[0].dtype()}; }
  void Forward(TensorSpan x, Tensor& y) const {
    const Tensor in = x[0].Contiguous();
    DispatchDType(y.dtype(), [&]<class T>() {
      for (int64_t i = 0; i < y.size(); ++i) {
        y.mutable_data<T>()[i] = in.data<T>()[y.size() - 1 - i];
      }
    });
  }
  Gradients Vjp(VariableSpan, const Variable&, const Variable& dy, Needs) const {
    return {Apply(ReadsOverwrittenOp{}, {dy})};
  }
};

// A sum in as many parts as there are threads.
struct SumByThreadsOp : Op<SumByThreadsOp> {
  static constexpr std::string_view kName = "sum_by_threads";
  static constexpr Uses kUses = Uses::Inputs();
  Spec Infer(VariableSpan x) const { return {{}, x[0].dtype()}; }
  void Forward(TensorSpan x, Tensor& y) const {
    const Tensor in = x[0].Contiguous();
    DispatchDType(y.dtype(), [&]<class T>() {
      const int64_t parts = NumThreads(), size = in.size();
      T sum = 0;
      for (int64_t part = 0; part < parts; ++part) {
        T of_part = 0;
        for (int64_t i = size * part / parts; i < size * (part + 1) / parts; ++i) {
          of_part = static_cast<T>(of_part + in.data<T>()[i]);
        }
        sum = static_cast<T>(sum + of_part);
      }
      *y.mutable_data<T>() = sum;
    });
  }
  Gradients Vjp(VariableSpan x, const Variable&, const Variable& dy, Needs) const {
    return {Expand(dy, x[0].shape())};
  }
};

// Differs from eager execution by more than a composite may.
struct DriftingOp : Composite<DriftingOp> {
  static constexpr std::string_view kName = "drifting";
  static constexpr std::string_view kGradientName = "drifting_gradient";
  std::vector<Variable> Definition(VariableSpan x) const { return {x[0] * 2}; }
  bool HasKernel(VariableSpan) const { return true; }
  Specs Infer(VariableSpan x) const { return {{x[0].shape(), x[0].dtype()}}; }
  void Kernel(TensorSpan x, absl::Span<Tensor> y) const {
    y[0].CopyFrom((Variable(x[0]) * 2).value());
  }
  void GradientKernel(TensorSpan, TensorSpan, TensorSpan dy, Needs, absl::Span<Tensor> dx) const {
    dx[0].CopyFrom((Variable(dy[0]) * 2.001).value());
  }
};

std::vector<Tensor>& Kept() {
  static std::vector<Tensor> kept;
  return kept;
}

bool IsSmall(const ValueInfo& x) { return IsRealWithElements(x) && x.size() < 3000; }
constexpr Nature kSmooth = Nature::kSmooth;
const OpKind kFaults[] = {
    {"half gradient", 10, kSmooth, IsSmall, nullptr,
     WENGERT_RECORDS(Apply(HalfGradientOp{}, {x[0]}))},
    {"reads overwritten", 10, kSmooth, IsSmall, nullptr,
     WENGERT_RECORDS(Apply(ReadsOverwrittenOp{}, {x[0]}))},
    {"sum by threads", 10, kSmooth, IsSmall, nullptr,
     WENGERT_RECORDS(Apply(SumByThreadsOp{}, {x[0]}))},
    {"drifting", 10, kSmooth, IsSmall, nullptr, WENGERT_RECORDS(ApplyComposite(DriftingOp{}, x)[0]),
     OpKind::Composite::kYes},
    {"leak", 10, kSmooth, IsSmall, nullptr,
     [](Call& call) -> Results {
       call.text = "x[0] * 2, and a tensor is kept";
       Kept().push_back(Tensor::Ones({3}));
       return {call.x[0] * 2};
     }},
};

class PlantedFaultTest : public testing::TestWithParam<const OpKind*> {};

TEST_P(PlantedFaultTest, IsFoundAndCutDown) {
  std::vector<const OpKind*> vocabulary = Vocabulary();
  vocabulary.push_back(GetParam());
  for (uint64_t seed = 1; seed < 60; ++seed) {
    const Program program = Generate(seed, vocabulary);
    const Reference reference(program);
    if (reference.Explodes()) continue;
    for (const Check& check : ChecksOf(program)) {
      if (Perform(program, check, reference).empty()) continue;
      const Program least = Minimize(
          program, [&](const Program& p) { return !Perform(p, check, Reference(p)).empty(); });
      EXPECT_GE(CountOf(least, GetParam()->name), 1) << Listing(least);
      EXPECT_LE(Computed(least), 6) << Listing(least);
      std::printf("seed %d, %s: %s\n%s", static_cast<int>(seed), ToString(check).c_str(),
                  Perform(least, check, Reference(least)).c_str(), Listing(least).c_str());
      return;
    }
  }
  ADD_FAILURE() << GetParam()->name << " is not found";
}

INSTANTIATE_TEST_SUITE_P(Faults, PlantedFaultTest,
                         testing::Values(&kFaults[0], &kFaults[1], &kFaults[2], &kFaults[3],
                                         &kFaults[4]),
                         [](const auto& info) {
                           std::string name(info.param->name);
                           std::replace(name.begin(), name.end(), ' ', '_');
                           return name;
                         });

}  // namespace
}  // namespace wengert::random_programs
