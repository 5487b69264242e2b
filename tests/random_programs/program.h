// Random programs: graphs of hundreds of ops that run in several ways and must give the same bits.
// Here: a program as data, so that it can be run again, printed, and cut down to what fails.
#ifndef WENGERT_TESTS_RANDOM_PROGRAMS_PROGRAM_H_
#define WENGERT_TESTS_RANDOM_PROGRAMS_PROGRAM_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "absl/functional/function_ref.h"
#include "autograd/variable.h"

namespace wengert::random_programs {

// SplitMix64: cheap to make, so that every instruction has one of its own.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  uint64_t Next() {
    uint64_t z = (state_ += 0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  int64_t Below(int64_t n) { return static_cast<int64_t>(Next() % static_cast<uint64_t>(n)); }
  bool Percent(int percent) { return Below(100) < percent; }
  double Between(double low, double high) {
    return low + (high - low) * static_cast<double>(Next() >> 11) * 0x1p-53;
  }
  template <class Container>
  auto Of(const Container& choices) {
    return *(choices.begin() + Below(static_cast<int64_t>(choices.size())));
  }
  template <class T>
  T Of(std::initializer_list<T> choices) {
    return *(choices.begin() + Below(static_cast<int64_t>(choices.size())));
  }

 private:
  uint64_t state_;
};
// A number that depends on both and on nothing else.
inline uint64_t Mix(uint64_t a, uint64_t b) { return Random(a * 0x100000001b3 + b).Next(); }

// What is known of a value before the program runs.
struct ValueInfo {
  static constexpr int kNoGrid = 99;

  Shape shape;
  DType dtype = DType::kFloat32;
  bool requires_grad = false;
  double low = 0, high = 0;  // what its elements were between when the program was made
  // Elements are multiples of 2^-grid, few enough that sums of products of them are exact. So a
  // convolution's kernels, however they add up, agree on which elements are positive or largest.
  int grid = kNoGrid;
  // How many ops back a composite was computed whose kernels round unlike its Definition; 0: none.
  int inexact = 0;
  bool alias = false;  // the op had nothing to do and gave its operand back

  bool floating() const { return IsFloating(dtype); }
  int rank() const { return shape.rank(); }
  int64_t size() const { return NumElements(shape); }
  double magnitude() const { return std::max(-low, high); }
};

// What an op is recorded with. The same call gives the same op.
struct Call {
  VariableSpan x;
  Random random;     // for attributes
  std::string text;  // C++, with operands as x[0], x[1]
};
using Results = absl::InlinedVector<Variable, 2>;

// A further operand that an op asks for.
struct Wanted {
  Shape shape;
  DType dtype = DType::kFloat32;
  double low = -1.5, high = 1.5;  // integers: both included
  int grid = ValueInfo::kNoGrid;
  bool constant = false;  // no gradient flows into it
};

enum class Nature {
  kSmooth,
  kKinked,  // continuous; its derivative jumps
  kJumps,   // jumps itself while it requires gradients, which are zero
};

// One way to record an op, or a few.
struct OpKind {
  std::string_view name;
  int weight;  // how often it is chosen
  Nature nature;
  bool (*takes)(const ValueInfo& x);  // as its first operand
  // Null: no further operands.
  std::vector<Wanted> (*others)(Random& random, const ValueInfo& x);
  Results (*record)(Call& call);
  // Kernels round unlike the Definition that eager execution runs: results, or gradients only.
  enum class Composite { kNo, kInGradients, kYes } composite = Composite::kNo;
  bool keeps_grid = false;  // results have the largest of the operands' grids
  bool adds_grids = false;  // ... or the sum of the first two
};

struct Instruction {
  const OpKind* kind;  // null: a leaf, made from the ValueInfo of its output
  uint64_t seed;
  std::vector<int> inputs, outputs;  // indices of values
};

struct Program {
  uint64_t seed = 0;
  bool second_order = false;  // second derivatives are taken too
  bool smooth = false;        // no op is kinked
  std::vector<Instruction> instructions;
  std::vector<ValueInfo> values;

  // True if eager and lazy execution may differ by rounding.
  bool HasComposites() const;
  // True if every floating value is float64.
  bool IsFloat64() const;
};

// The elements of a leaf.
Tensor LeafTensor(const ValueInfo& info, uint64_t seed);

// Records the program into `values`, one per value. An instruction whose outputs are there already
// is not recorded. `after` is called after each instruction, and may drop values that no later
// instruction reads.
void Replay(const Program& program, std::vector<Variable>& values,
            absl::FunctionRef<void(size_t instruction)> after);

// What gradients are taken of: the values that require gradients and that nothing else reads.
std::vector<int> Sinks(const Program& program);
// What they are taken by: the leaves, and some values between.
std::vector<int> Targets(const Program& program);
// A constant of the value's shape and dtype, the same in every run.
Tensor Cotangent(const Program& program, int value);

// One line per instruction that a developer can read: "%7 = Tanh(%3)   float32[4,3]".
std::string Listing(const Program& program);

}  // namespace wengert::random_programs

#endif  // WENGERT_TESTS_RANDOM_PROGRAMS_PROGRAM_H_
