// One recorded operation, and the table of functions that an op brings. Internal to the tape and to
// the templates of op.h; users of layers meet Variable only.
#ifndef WENGERT_AUTOGRAD_NODE_H_
#define WENGERT_AUTOGRAD_NODE_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <string>
#include <string_view>

#include "absl/types/span.h"
#include "tensor/tensor.h"

namespace wengert {

class Variable;
class Node;
class Gradients;
class Needs;
namespace internal {
class Chain;
}
using VariableSpan = absl::Span<const Variable>;

// The input tensors of a kernel.
class TensorSpan {
 public:
  TensorSpan(const Tensor* const* tensors, size_t size) : tensors_(tensors), size_(size) {}
  const Tensor& operator[](size_t i) const { return *tensors_[i]; }
  size_t size() const { return size_; }
  TensorSpan subspan(size_t first, size_t count) const { return {tensors_ + first, count}; }

 private:
  const Tensor* const* tensors_;
  size_t size_;
};

// Which values an op's gradient rule reads; the evaluator keeps those and drops the rest.
// Residuals (outputs past the public ones) exist for the rule and are always kept for it.
struct Uses {
  uint32_t inputs = 0;  // bit i: input i; bit 31: input 31 and all after it
  bool output = false;

  static constexpr Uses None() { return {}; }
  static constexpr Uses Inputs() { return {.inputs = ~0u}; }
  static constexpr Uses Input(int i) { return {.inputs = 1u << i}; }
  static constexpr Uses Output() { return {.output = true}; }
  friend constexpr Uses operator|(Uses a, Uses b) {
    return {a.inputs | b.inputs, a.output || b.output};
  }
  constexpr bool input(size_t i) const { return inputs >> (i < 31 ? i : 31) & 1; }
};

// How nodes of an op can run in one loop with others (element_group.h).
enum class Grouping : uint8_t {
  kNone,
  kRow,         // an element-wise row
  kAccumulate,  // the sum of inputs of one shape, from the first to the last
  kSum,         // over axes (OpTable::reduced_axes)
  kExpand,      // broadcasts to the output's shape
};
struct ElementGroup;

// The functions of one op; one static object per op. `node` gives the attributes.
struct OpTable {
  std::string_view name;
  Uses uses;
  bool differentiable = true;
  // The kernel makes its own output tensors, mostly views of the inputs.
  bool makes_outputs = false;
  // Output o may take over the buffer of input o (donation): the kernel reads each element before
  // it writes it. Elementwise: output 0 may take any input's.
  bool donates = false;
  Grouping grouping = Grouping::kNone;
  int row = -1;  // elementwise: its row in the table of block kernels
  void (*forward)(const Node& node, TensorSpan in, absl::Span<Tensor> out) = nullptr;
  // dy has one entry per public output; entries may be undefined (zero).
  Gradients (*vjp)(const Node& node, VariableSpan x, VariableSpan y, VariableSpan dy,
                   Needs needs) = nullptr;
  // Runs a group that this node is in; null: others must bring the loop.
  void (*run_group)(const ElementGroup& group) = nullptr;
  // Sums: bit i, axis i of the input is summed over.
  uint32_t (*reduced_axes)(const Node& node) = nullptr;
  // Of ops that can end a pattern: finds the composite to compute instead (pattern.h).
  void (*match)(internal::Chain& chain) = nullptr;
  // Of ops whose results are cheaper added up as they are computed: records before + terms[0] +
  // ..., all of this op, as one node. `before` may be undefined. Undefined, and nothing is
  // recorded, where the terms are as well computed one by one. See accumulate.h.
  Variable (*sum_up)(const Variable& before, VariableSpan terms) = nullptr;
  size_t attribute_bytes = 0;
  void (*copy_attributes)(void* to, const void* from) = nullptr;
  void (*destroy_attributes)(void* attributes) = nullptr;  // null: trivial

  bool elementwise() const { return grouping == Grouping::kRow; }
};

// Memory layout: this header, outputs (Tensor each), inputs (Variable each), attributes; one block
// from a thread's slab, 192 bytes for a binary op of rank <= 4. An output's tensor carries shape
// and dtype from the start and its memory once it is computed. Edges point to inputs only, so a
// graph is freed from its end.
class Node {
 public:
  enum Flag : uint8_t {
    kLeaf = 1,
    kRequiresGrad = 2,
    kWithoutGraph = 4,  // a gradient that was taken without create_graph
    kFreed = 8,         // required gradients until ValueAndGrad let go of its inputs
    kSettled = 16,      // a composite that ends here was looked for
  };

  const OpTable* op;       // null: a leaf
  uint64_t sequence;       // creation order, which is a topological order
  const char* file;        // the user's line
  uint32_t references;     // atomic for leaves, which threads share
  uint32_t evaluate_slot;  // scratch of Evaluate and Grad: an index that is checked before use, so
  uint32_t grad_slot;      // it needs no clearing
  uint32_t pending_slot;   // index into the thread's list of pending nodes; 0: not listed
  uint16_t line;
  uint16_t num_inputs;
  uint8_t num_outputs;  // public ones and residuals
  uint8_t num_public;
  uint8_t flags;
  uint8_t blocks;  // of 64 bytes; 0: from the heap

  SourceLocation where() const { return {file, line}; }
  bool leaf() const { return flags & kLeaf; }
  bool requires_grad() const { return flags & kRequiresGrad; }

  Tensor* outputs() { return reinterpret_cast<Tensor*>(this + 1); }
  const Tensor* outputs() const { return reinterpret_cast<const Tensor*>(this + 1); }
  const Variable* input_data() const {
    return reinterpret_cast<const Variable*>(outputs() + num_outputs);
  }
  VariableSpan inputs() const;
  void* attributes() const;
  template <class T>
  const T& attributes_as() const {
    return *static_cast<const T*>(attributes());
  }

  void Ref() {
    if (leaf()) {
      std::atomic_ref<uint32_t>(references).fetch_add(1, std::memory_order_relaxed);
    } else {
      ++references;
    }
  }
  void Unref() {
    const bool last =
        leaf() ? std::atomic_ref<uint32_t>(references).fetch_sub(1, std::memory_order_acq_rel) == 1
               : --references == 0;
    if (last) Free(this);
  }
  uint32_t UseCount() const {
    return leaf() ? std::atomic_ref<uint32_t>(const_cast<uint32_t&>(references))
                        .load(std::memory_order_acquire)
                  : references;
  }

  // Construct input `i`, or output `i` without memory. Once for each, right after NewNode.
  inline void MakeInput(int i, const Variable& input);
  void MakeOutput(int i, const Shape& shape, DType dtype) {
    new (outputs() + i) Tensor(shape, dtype);
  }
  // Gives output `i` its memory: fresh, or taken from `donor` (left undefined).
  void AllocateOutput(int i, int64_t bytes) {
    Tensor& output = outputs()[i];
    output.storage_ = StoragePtr::Allocate(static_cast<size_t>(bytes));
    output.offset_ = 0;
  }
  void TakeOutput(int i, Tensor& donor);
  void GiveBackOutput(int i, Tensor& donor);
  static void DropValue(Tensor& output) { output.storage_.reset(); }
  // Releases the edges. The attributes stay.
  void DropInputs();

 private:
  static void Free(Node* node);
};
static_assert(sizeof(Node) == 48 && alignof(Node) == 8);

// What a leaf carries: the name that Parameters(model) stamped on it, empty for constants.
struct LeafAttributes {
  std::shared_ptr<const std::string> name;
};

// The name of the parameter that the node reads, directly or through one-input nodes; or empty.
std::string_view LayerPath(const Node& node);
std::string_view LayerPath(VariableSpan inputs);

// Nodes alive in this thread's tape and leaves made by it; tests watch it for leaks.
int64_t LiveNodes();
// Kernels run by this thread so far (views and recomputations count); tests bound it.
int64_t KernelCalls();

}  // namespace wengert

#endif  // WENGERT_AUTOGRAD_NODE_H_
