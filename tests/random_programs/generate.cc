#include "tests/random_programs/generate.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "autograd/modes.h"
#include "tests/random_programs/op_kinds.h"

namespace wengert::random_programs {
namespace {

constexpr double kLargestValue = 4;  // beyond, a value is squashed
constexpr double kLargestInteger = 100;
constexpr int kLargestInexact = 4;  // ops behind a composite; more would blow up its rounding
constexpr int kTries = 8;

class Generation {
 public:
  Generation(uint64_t seed, absl::Span<const OpKind* const> vocabulary) : random_(seed) {
    program_.seed = seed;
    DrawTraits();
    for (const OpKind* kind : vocabulary) {
      if (program_.smooth && kind->nature != Nature::kSmooth) continue;
      if (exact_ && kind->composite != OpKind::Composite::kNo) continue;
      total_weight_ += kind->weight;
      kinds_.push_back(kind);
    }
  }

  Program Run() && {
    const EagerGuard eager;
    AddLeaves();
    while (static_cast<int>(program_.instructions.size()) < length_) AddRandom();
    return std::move(program_);
  }

 private:
  void DrawTraits() {
    const int64_t type = random_.Below(20);
    float32_ = type < 11 || type >= 17;
    float64_ = type >= 11;
    program_.smooth = !float32_ && random_.Percent(50);
    exact_ = random_.Percent(50);
    program_.second_order = random_.Percent(30);
    const int64_t scale = random_.Below(20);
    if (scale < 5) {  // every size counts: vectors that end in the middle of a register
      for (int64_t& dim : dims_) dim = 1 + random_.Below(9);
      length_ = 100 + static_cast<int>(random_.Below(300));
      largest_ = 3000;
    } else if (scale < 18) {  // buffers that are taken over rather than allocated
      for (int64_t& dim : dims_) dim = 16 + random_.Below(40);
      length_ = 100 + static_cast<int>(random_.Below(250));
      largest_ = 20'000;
    } else {  // tasks for several threads
      for (int64_t& dim : dims_) dim = 150 + random_.Below(150);
      if (random_.Percent(40)) {  // tall columns or long rows
        dims_[0] = 5000 + random_.Below(10'000);
        dims_[1] = 2 + random_.Below(7);
        if (random_.Percent(40)) std::swap(dims_[0], dims_[1]);
      }
      length_ = 40 + static_cast<int>(random_.Below(50));
      largest_ = 150'000;
    }
    if (program_.second_order) length_ = length_ * 2 / 3;
    if (random_.Percent(6)) dims_[random_.Below(3)] = 0;
  }

  DType SomeFloat() {
    if (float32_ && float64_) return random_.Of({DType::kFloat32, DType::kFloat64});
    return float32_ ? DType::kFloat32 : DType::kFloat64;
  }
  bool Allows(DType dtype) const {
    return dtype == DType::kFloat32 ? float32_ : dtype == DType::kFloat64 ? float64_ : true;
  }

  // ---- Leaves ----

  int AddLeaf(const Wanted& wanted) {
    ValueInfo info{.shape = wanted.shape, .dtype = wanted.dtype};
    info.low = wanted.low;
    info.high = wanted.high;
    info.grid = wanted.grid;
    info.requires_grad = info.floating() && !wanted.constant && random_.Percent(80);
    return Append(nullptr, {}, {info})[0];
  }

  void AddLeaves() {
    const auto [a, b, c] = dims_;
    for (const Shape& shape : {Shape{a, b}, {a, b}, {b}, {a, 1}, {1, b}, {}, {b, a}, {b, c}}) {
      AddLeaf({.shape = shape, .dtype = SomeFloat()});
    }
    AddLeaf({.shape = {a, b, 3}, .dtype = SomeFloat()});
    AddLeaf({.shape = {3}, .dtype = SomeFloat()});
    AddLeaf({.shape = {random_.Of({2, 5}), random_.Of({3, 7}), b}, .dtype = SomeFloat()});
    if (!exact_ || random_.Percent(30)) {
      const int64_t side = 6 + random_.Below(random_.Percent(30) ? 20 : 8);
      AddLeaf({.shape = {1 + random_.Below(4), side, side + random_.Below(2),
                         random_.Of({1, 1, 3, 8, 16})},
               .dtype = SomeFloat(),
               .grid = 3});
    }
    AddLeaf({.shape = {a, b}, .dtype = DType::kInt32, .low = -3, .high = 3});
    AddLeaf({.shape = {a, b}, .dtype = DType::kBool, .low = 0, .high = 1});
  }

  // ---- Operands ----

  bool CanRead(const OpKind& kind, const ValueInfo& info) const {
    return info.inexact < (kind.nature == Nature::kSmooth ? kLargestInexact : 1);
  }

  // Recent values make programs deep, old ones make buffers live long.
  int PickFirst(const OpKind& kind) {
    const int count = static_cast<int>(program_.values.size());
    for (int i = 0; i < kTries; ++i) {
      const int v = random_.Percent(40)
                        ? count - 1 - static_cast<int>(random_.Below(std::min(count, 6)))
                        : static_cast<int>(random_.Below(count));
      const ValueInfo& info = program_.values[v];
      if (CanRead(kind, info) && kind.takes(info)) return v;
    }
    std::vector<int> found;  // few values are images or sequences
    for (int v = 0; v < count; ++v) {
      const ValueInfo& info = program_.values[v];
      if (CanRead(kind, info) && kind.takes(info)) found.push_back(v);
    }
    return found.empty() ? -1 : random_.Of(found);
  }

  int FindOrAdd(const OpKind& kind, Wanted wanted) {
    if (!Allows(wanted.dtype)) wanted.dtype = SomeFloat();
    std::vector<int> found;
    for (size_t v = 0; v < program_.values.size(); ++v) {
      const ValueInfo& info = program_.values[v];
      if (!(info.shape == wanted.shape) || info.dtype != wanted.dtype) continue;
      if (!CanRead(kind, info) || (wanted.constant && info.requires_grad)) continue;
      if (!info.floating() && (info.low < wanted.low || info.high > wanted.high)) continue;
      if (wanted.grid != ValueInfo::kNoGrid && (info.grid > 3 || info.magnitude() > 8)) continue;
      found.push_back(static_cast<int>(v));
    }
    if (!found.empty() && random_.Percent(75)) return random_.Of(found);
    return AddLeaf(wanted);
  }

  // ---- Instructions ----

  void AddRandom() {
    int64_t choice = random_.Below(total_weight_);
    size_t k = 0;
    while (choice >= kinds_[k]->weight) choice -= kinds_[k++]->weight;
    const OpKind& kind = *kinds_[k];
    const int first = PickFirst(kind);
    if (first < 0) return;
    std::vector<int> inputs = {first};
    if (kind.others) {
      const ValueInfo x = program_.values[first];
      for (const Wanted& wanted : kind.others(random_, x)) {
        if (NumElements(wanted.shape) > largest_) return;  // of a row of 10,000: a matrix of 10^8
        inputs.push_back(FindOrAdd(kind, wanted));
      }
    }
    for (const int output : Append(&kind, std::move(inputs), {})) KeepSmall(output);
  }

  void KeepSmall(int value) {
    const ValueInfo& info = program_.values[value];
    const double largest = !info.floating()                  ? kLargestInteger
                           : info.grid != ValueInfo::kNoGrid ? 16 * kLargestValue
                                                             : kLargestValue;
    if (info.magnitude() <= largest) return;
    const OpKind& squash = info.floating() ? SquashKinds()[random_.Below(std::ssize(SquashKinds()))]
                                           : ClipIntegersKind();
    Append(&squash, {value}, {});
  }

  // Computes the instruction and learns what its results are. One that does not fit is not taken.
  std::vector<int> Append(const OpKind* kind, std::vector<int> inputs,
                          std::vector<ValueInfo> infos) {
    Instruction instruction{kind, random_.Next(), std::move(inputs), {}};
    std::vector<Variable> results;
    if (kind) {
      std::vector<Variable> x;
      for (const int input : instruction.inputs) x.push_back(values_[input]);
      Call call{x, Random(instruction.seed), ""};
      for (Variable& result : kind->record(call)) {
        infos.push_back(Measure(result, instruction));
        results.push_back(std::move(result));
        if (!Fits(infos.back())) return {};
      }
    } else {
      const Tensor tensor = LeafTensor(infos[0], instruction.seed);
      results.push_back(infos[0].requires_grad ? DifferentiableLeaf(tensor) : Variable(tensor));
    }
    for (size_t i = 0; i < infos.size(); ++i) {
      instruction.outputs.push_back(static_cast<int>(program_.values.size()));
      program_.values.push_back(infos[i]);
      values_.push_back(std::move(results[i]));
    }
    program_.instructions.push_back(instruction);
    return instruction.outputs;
  }

  bool Fits(const ValueInfo& info) const {
    return Allows(info.dtype) && info.size() <= largest_ && info.rank() <= 5 &&
           info.magnitude() < 1e6;  // false for NaN
  }

  ValueInfo Measure(const Variable& v, const Instruction& instruction) const {
    const OpKind& kind = *instruction.kind;
    ValueInfo info{.shape = v.shape(), .dtype = v.dtype(), .requires_grad = v.requires_grad()};
    const std::vector<double> elements = v.value().ToVector<double>();
    if (!elements.empty()) {
      const auto [low, high] = std::minmax_element(elements.begin(), elements.end());
      info.low = *low;
      info.high = *high;
      if (!AllFinite(v.value())) info.high = std::numeric_limits<double>::infinity();
    }
    int largest = 0, sum = 0;
    for (size_t i = 0; i < instruction.inputs.size(); ++i) {
      const ValueInfo& x = program_.values[instruction.inputs[i]];
      info.alias |= v.SameAs(values_[instruction.inputs[i]]);
      if (x.inexact > 0) info.inexact = std::max(info.inexact, x.inexact + 1);
      if (!x.floating()) continue;
      largest = std::max(largest, x.grid);
      if (i < 2) sum += x.grid;
    }
    if (kind.composite == OpKind::Composite::kYes) info.inexact = std::max(info.inexact, 1);
    const int grid = kind.adds_grids ? sum : kind.keeps_grid ? largest : ValueInfo::kNoGrid;
    info.grid = info.floating() && grid < 16 ? grid : ValueInfo::kNoGrid;
    return info;
  }

  Random random_;
  Program program_;
  std::vector<Variable> values_;
  std::vector<const OpKind*> kinds_;
  int64_t total_weight_ = 0;
  bool float32_, float64_, exact_;
  int64_t dims_[3];
  int length_;
  int64_t largest_;  // elements of a value
};

}  // namespace

Program Generate(uint64_t seed, absl::Span<const OpKind* const> vocabulary) {
  return Generation(seed, vocabulary).Run();
}

}  // namespace wengert::random_programs
