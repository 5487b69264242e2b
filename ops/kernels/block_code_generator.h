// Makes the machine code of block_code.h, for x86-64 with AVX2 or AVX-512. Only for block_code.cc.
#ifndef WENGERT_OPS_KERNELS_BLOCK_CODE_GENERATOR_H_
#define WENGERT_OPS_KERNELS_BLOCK_CODE_GENERATOR_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <optional>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "absl/types/span.h"
#include "ops/kernels/block_code.h"
#include "ops/kernels/elementwise.h"
#include "xbyak/xbyak.h"

namespace wengert::block_code {

inline constexpr int kNone = -1;

inline constexpr int kArity[kNumRows] = {
#define UNARY(...) 1,
#define BINARY(...) 2,
#define UNARY_WITH_NUMBERS UNARY
#define COMPARISON BINARY
#include "ops/kernels/elementwise_rows.inc"
#undef UNARY
#undef BINARY
#undef UNARY_WITH_NUMBERS
#undef COMPARISON
    3,
    3,
};

// What some instructions take besides their row's operands.
inline constexpr float kConstants[] = {0.0f, -0.0f, 1.0f};
enum Constant { kZero, kSignBit, kOne, kNoConstant };
inline constexpr size_t kNumConstants = std::size(kConstants);

// Which one, or none; no value for a row without code.
inline std::optional<Constant> ConstantOf(Row row) {
  switch (row) {
    case Row::kAdd:
    case Row::kSub:
    case Row::kMul:
    case Row::kDiv:
    case Row::kSquare:
    case Row::kSqrt:
    case Row::kMulAdd:
      return kNoConstant;
    case Row::kNeg:
    case Row::kAbs:
      return kSignBit;
    case Row::kRelu:
    case Row::kWherePositive:
      return kZero;
    case Row::kRsqrt:
    case Row::kReciprocal:
    case Row::kTanhGradient:
    case Row::kSigmoidGradient:
      return kOne;
    default:
      return std::nullopt;
  }
}

// The first n of 8 floats, as vmaskmovps takes them: from place 8 - n on.
inline constexpr int32_t kFirstOf8[16] = {-1, -1, -1, -1, -1, -1, -1, -1};

// A loop over vectors, and its body once more for the elements that do not fill one. A value is
// loaded when a step wants it; when all registers hold one, the one that is wanted last goes.
// Several vectors in turn would be no faster: the processor looks far enough ahead.
class Generator : public Xbyak::CodeGenerator {
 public:
  Generator(absl::Span<const CodeStep> steps, absl::Span<const CodeValue> values, bool avx512)
      : CodeGenerator(Xbyak::DEFAULT_MAX_CODE_SIZE, Xbyak::AutoGrow),
        avx512_(avx512),
        bytes_(avx512 ? 64 : 32),
        values_(values),
        bases_(values.size(), kNone),
        place_of_(values.size(), kNone),
        register_of_(values.size() + kNumConstants),
        in_memory_(register_of_.size()) {
    for (const CodeStep& step : steps) {
      const Constant constant = *ConstantOf(step.row);
      Step& own = steps_.emplace_back(Step{step.row, kArity[static_cast<int>(step.row)]});
      for (int k = 0; k < own.inputs; ++k) own.in[k] = step.in[k];
      if (constant != kNoConstant) own.in[own.inputs++] = values.size() + constant;
      own.out = step.out;
    }
    const Xbyak::Reg64 saved[] = {rbx, rbp, r12, r13, r14, r15};
    for (const Xbyak::Reg64& r : saved) push(r);
    sub(rsp, 8);
    SetUpAddresses();
    Loop();
    Part();
    vzeroupper();
    add(rsp, 8);
    for (size_t i = std::size(saved); i-- > 0;) pop(saved[i]);
    ret();
    readyRE();
  }

  BlockCode code() const { return {getCode<decltype(BlockCode::run)>(), in_memory_values_}; }

 private:
  // rbx: bytes from the places to the vector at hand. r12: the places. [rsp]: the bytes of all
  // elements. r13: where a loop ends. r11 and vector 0: for the moment. Vector 1 (AVX2) and k1
  // (AVX-512): the mask of a part. Others hold values, or places that are often wanted.
  static constexpr int kFirstVector = 2;
  int Vectors() const { return avx512_ ? 32 : 16; }
  Xbyak::Xmm Vector(int i) const {
    return {avx512_ ? Xbyak::Operand::ZMM : Xbyak::Operand::YMM, i};
  }

  struct Step {
    Row row;
    int inputs;  // constants included
    size_t in[3] = {};
    size_t out = 0;
  };

  // ---- Memory ----

  void SetUpAddresses() {
    mov(r12, rdi);
    xor_(ebx, ebx);
    shl(rsi, 2);
    mov(ptr[rsp], rsi);
    const Xbyak::Reg64 registers[] = {rbp, r14, r15, rax, rcx, rdx, rsi, rdi, r8, r9, r10};
    for (size_t v = 0, next = 0; v < values_.size() && next < std::size(registers); ++v) {
      if (values_[v] != CodeValue::kGiven && values_[v] != CodeValue::kStored) continue;
      bases_[v] = registers[next].getIdx();
      mov(registers[next++], PointerTo(v));
    }
  }
  // Where the place of the value stands.
  Xbyak::Address PointerTo(size_t v) {
    if (place_of_[v] == kNone) {
      place_of_[v] = static_cast<int>(in_memory_values_.size());
      in_memory_values_.push_back(static_cast<uint8_t>(v));
    }
    return ptr[r12 + 8 * place_of_[v]];
  }
  Xbyak::Address PlaceOf(size_t v) {
    if (bases_[v] != kNone) return ptr[Xbyak::Reg64(bases_[v]) + rbx];
    mov(r11, PointerTo(v));
    return ptr[r11 + rbx];
  }
  void Store(size_t v) {
    in_memory_[v] = true;
    const Xbyak::Xmm from = Vector(register_of_[v]);
    if (!part_) {
      vmovups(PlaceOf(v), from);
    } else if (avx512_) {
      vmovups(PlaceOf(v) | k1, from);
    } else {
      vmaskmovps(PlaceOf(v), Vector(1), from);
    }
  }
  // Whether it stands in memory element by element.
  bool IsBlock(size_t v) const { return v < values_.size() && values_[v] != CodeValue::kOne; }

  // ---- Registers ----

  // The first step from `from` on that reads the value; the number of steps if none does.
  size_t NextUse(size_t v, size_t from) const {
    for (; from < steps_.size(); ++from) {
      const Step& step = steps_[from];
      if (std::find(step.in, step.in + step.inputs, v) != step.in + step.inputs) break;
    }
    return from;
  }
  bool IsReadFrom(size_t step, size_t v) const { return NextUse(v, step) < steps_.size(); }

  int TakeVector(size_t step) {
    int taken = kNone;
    size_t wanted = 0;
    for (int r = kFirstVector; r < Vectors(); ++r) {
      if (value_in_[r] == kNone) return r;
      const size_t next = NextUse(value_in_[r], step);
      if (taken != kNone && next <= wanted) continue;
      taken = r;
      wanted = next;
    }
    const size_t v = value_in_[taken];
    if (!in_memory_[v]) Store(v);
    Release(v);
    return taken;
  }
  void Release(size_t v) {
    if (register_of_[v] == kNone) return;
    value_in_[register_of_[v]] = kNone;
    register_of_[v] = kNone;
  }
  void Put(size_t v, int r) {
    register_of_[v] = r;
    value_in_[r] = static_cast<int>(v);
  }
  Xbyak::Xmm Load(size_t v, size_t step) {
    if (register_of_[v] != kNone) return Vector(register_of_[v]);
    const int r = TakeVector(step);
    if (IsBlock(v)) {
      vmovups(Vector(r), PlaceOf(v));
    } else {
      if (v < values_.size()) {
        mov(r11, PointerTo(v));
      } else {
        mov(r11, reinterpret_cast<uintptr_t>(&kConstants[v - values_.size()]));
      }
      vbroadcastss(Vector(r), ptr[r11]);
    }
    Put(v, r);
    return Vector(r);
  }

  // ---- Instructions ----

  void Loop() {
    Xbyak::Label loop, end;
    mov(r13, ptr[rsp]);
    and_(r13, -bytes_);
    jz(end, T_NEAR);
    align(16);
    L(loop);
    Body();
    add(rbx, bytes_);
    cmp(rbx, r13);
    jb(loop, T_NEAR);
    L(end);
  }
  void Part() {
    Xbyak::Label end;
    mov(r13, ptr[rsp]);
    sub(r13, rbx);
    jz(end, T_NEAR);
    if (avx512_) {
      shr(r13, 2);
      mov(r11d, 0xffff);
      bzhi(r11d, r11d, r13d);
      kmovw(k1, r11d);
    } else {
      mov(r11, reinterpret_cast<uintptr_t>(kFirstOf8 + 8));
      sub(r11, r13);
      vmovups(Vector(1), ptr[r11]);
    }
    part_ = true;
    Body();
    L(end);
  }

  void Body() {
    std::fill(std::begin(value_in_), std::end(value_in_), kNone);
    std::fill(register_of_.begin(), register_of_.end(), kNone);
    for (size_t v = 0; v < in_memory_.size(); ++v) {
      in_memory_[v] = !IsBlock(v) || values_[v] == CodeValue::kGiven;
    }
    for (size_t i = 0; i < steps_.size(); ++i) {
      Compute(steps_[i], i);
      const size_t out = steps_[i].out;
      if (values_[out] == CodeValue::kStored) Store(out);
      if (!IsReadFrom(i + 1, out)) Release(out);
    }
  }

  void Compute(const Step& step, size_t i) {
    const size_t b = step.in[1];
    const Xbyak::Xmm x = Load(step.in[0], i);
    if (IsArithmetic(step.row) && IsBlock(b) && register_of_[b] == kNone && !IsReadFrom(i + 1, b)) {
      // Nobody wants it later: straight from memory.
      const Xbyak::Xmm to = Result(step, i);
      return Arithmetic(step.row, to, x, PlaceOf(b));
    }
    Xbyak::Xmm in[] = {x, x, x};
    for (int k = 1; k < step.inputs; ++k) in[k] = Load(step.in[k], i);
    Emit(step.row, Result(step, i), in);
  }
  // May be the register of an operand, which is written last.
  Xbyak::Xmm Result(const Step& step, size_t i) {
    for (int k = 0; k < step.inputs; ++k) {
      if (!IsReadFrom(i + 1, step.in[k])) Release(step.in[k]);
    }
    const int r = TakeVector(i + 1);
    Put(step.out, r);
    return Vector(r);
  }

  static bool IsArithmetic(Row row) {
    return row == Row::kAdd || row == Row::kSub || row == Row::kMul || row == Row::kDiv;
  }
  void Arithmetic(Row row, const Xbyak::Xmm& to, const Xbyak::Xmm& a, const Xbyak::Operand& b) {
    switch (row) {
      case Row::kAdd:
        return vaddps(to, a, b);
      case Row::kSub:
        return vsubps(to, a, b);
      case Row::kMul:
        return vmulps(to, a, b);
      default:
        return vdivps(to, a, b);
    }
  }
  // in: the operands of the row, and its constant.
  void Emit(Row row, const Xbyak::Xmm& to, const Xbyak::Xmm (&in)[3]) {
    const Xbyak::Xmm t = Vector(0);
    const Xbyak::Xmm &a = in[0], &b = in[1];
    switch (row) {
      case Row::kSquare:
        return vmulps(to, a, a);
      case Row::kSqrt:
        return vsqrtps(to, a);
      case Row::kNeg:
        return vxorps(to, a, in[1]);
      case Row::kAbs:
        return vandnps(to, in[1], a);
      case Row::kRsqrt:
        vsqrtps(t, a);
        return vdivps(to, in[1], t);
      case Row::kReciprocal:
        return vdivps(to, in[1], a);
      case Row::kRelu:  // 0 where a < 0, so not where it is NaN
        if (avx512_) {
          vcmpps(k2, a, in[1], kNotLess);
          return vmovaps(to | k2 | T_z, a);
        }
        vcmpps(t, a, in[1], kLess);
        return vandnps(to, t, a);
      case Row::kWherePositive:
        if (avx512_) {
          vcmpps(k2, b, in[2], kGreater);
          return vmovaps(to | k2 | T_z, a);
        }
        vcmpps(t, b, in[2], kGreater);
        return vandps(to, t, a);
      case Row::kTanhGradient:
        vmulps(t, b, b);
        vsubps(t, in[2], t);
        return vmulps(to, a, t);
      case Row::kSigmoidGradient:
        vsubps(t, in[2], b);
        vmulps(t, b, t);
        return vmulps(to, a, t);
      case Row::kMulAdd:  // of the form that leaves its result where c, a or b is
        if (to.getIdx() == a.getIdx()) return vfmadd213ps(to, b, in[2]);
        if (to.getIdx() == b.getIdx()) return vfmadd213ps(to, a, in[2]);
        if (to.getIdx() != in[2].getIdx()) vmovaps(to, in[2]);
        return vfmadd231ps(to, a, b);
      default:
        return Arithmetic(row, to, a, b);
    }
  }

  // Predicates that are quiet about NaN.
  static constexpr uint8_t kLess = 17, kNotLess = 21, kGreater = 30;

  const bool avx512_;
  const int bytes_;  // of a vector
  const absl::Span<const CodeValue> values_;
  absl::InlinedVector<Step, 16> steps_;
  bool part_ = false;
  absl::InlinedVector<int, kMaxCodeValues> bases_;     // of each value, the register
  absl::InlinedVector<int, kMaxCodeValues> place_of_;  // of each value
  // Of each value, then of each constant.
  std::vector<int> register_of_;
  std::vector<bool> in_memory_;
  int value_in_[32];                       // of each register
  std::vector<uint8_t> in_memory_values_;  // in the order of the places
};

}  // namespace wengert::block_code

#endif  // WENGERT_OPS_KERNELS_BLOCK_CODE_GENERATOR_H_
