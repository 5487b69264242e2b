// Nodes: the slab they come from, linking, and freeing without recursion.
#include "autograd/node.h"

#include <algorithm>
#include <cstdlib>
#include <mutex>
#include <new>
#include <vector>

#include "autograd/thread_state.h"
#include "autograd/variable.h"

namespace wengert {
namespace {

constexpr size_t kBlock = 64;
constexpr size_t kMaxBlocks = 16;  // larger nodes (a concat of many) come from the heap
constexpr size_t kChunk = 256 << 10;

struct FreeNodeBlock {
  FreeNodeBlock* next;
};

// A thread's free nodes by size in blocks. Trivially destructible, so that using it takes no check
// of whether it lives; ThreadEnd empties it.
struct Slab {
  FreeNodeBlock* free[kMaxBlocks + 1];
  std::byte* chunk;
  std::byte* chunk_end;
  std::vector<Node*>* cascade;  // of the Node::Free under way
  bool registered;
};
constinit thread_local Slab slab = {};

// What a finished thread leaves: a leaf may outlive the thread that made it.
struct Orphans {
  std::mutex mutex;
  FreeNodeBlock* free[kMaxBlocks + 1] = {};
};
Orphans& GetOrphans() {
  static Orphans& orphans = *new Orphans;  // outlives every thread
  return orphans;
}

struct ThreadEnd {
  ~ThreadEnd() {
    Orphans& orphans = GetOrphans();
    std::lock_guard lock(orphans.mutex);
    for (size_t b = 1; b <= kMaxBlocks; ++b) {
      while (FreeNodeBlock* block = slab.free[b]) {
        slab.free[b] = block->next;
        block->next = orphans.free[b];
        orphans.free[b] = block;
      }
    }
    slab.registered = false;
  }
};

[[gnu::noinline]] void* AllocateSlowly(size_t blocks) {
  if (!slab.registered) {
    slab.registered = true;
    thread_local ThreadEnd end;
  }
  {
    Orphans& orphans = GetOrphans();
    std::lock_guard lock(orphans.mutex);
    std::swap(slab.free[blocks], orphans.free[blocks]);
  }
  if (FreeNodeBlock* block = slab.free[blocks]) {
    slab.free[blocks] = block->next;
    return block;
  }
  const size_t bytes = blocks * kBlock;
  if (static_cast<size_t>(slab.chunk_end - slab.chunk) < bytes) {
    slab.chunk = static_cast<std::byte*>(std::aligned_alloc(kBlock, kChunk));
    if (!slab.chunk) throw std::bad_alloc();
    slab.chunk_end = slab.chunk + kChunk;
  }
  void* memory = slab.chunk;
  slab.chunk += bytes;
  return memory;
}

inline void* Allocate(size_t blocks) {
  FreeNodeBlock* block = slab.free[blocks];
  if (!block) return AllocateSlowly(blocks);
  slab.free[blocks] = block->next;
  return block;
}

#if defined(__SANITIZE_ADDRESS__)
constexpr bool kUseSlab = false;  // the sanitizer then sees a use after free
#else
constexpr bool kUseSlab = true;
#endif

size_t NodeBytes(int num_outputs, size_t num_inputs, size_t attribute_bytes) {
  const size_t head = sizeof(Node) + num_outputs * sizeof(Tensor) + num_inputs * sizeof(Variable);
  return head + attribute_bytes;
}

void Destroy(Node* node) {
  if (node->pending_slot) internal::PendingList::Remove(node);
  node->DropInputs();
  for (int i = 0; i < node->num_outputs; ++i) node->outputs()[i].~Tensor();
  if (node->op == nullptr) {
    static_cast<LeafAttributes*>(node->attributes())->~LeafAttributes();
  } else if (node->op->destroy_attributes) {
    node->op->destroy_attributes(node->attributes());
  }
  --internal::thread_state.live_nodes;
  if (node->blocks) {
    auto* block = reinterpret_cast<FreeNodeBlock*>(node);
    const size_t blocks = node->blocks;
    block->next = slab.free[blocks];
    slab.free[blocks] = block;
  } else {
    std::free(node);
  }
}

}  // namespace

Node* NewNode(const OpTable* op, VariableSpan inputs, int num_outputs, int num_public,
              size_t attribute_bytes, SourceLocation where) {
  const size_t bytes = NodeBytes(num_outputs, inputs.size(), attribute_bytes);
  const size_t blocks = (bytes + kBlock - 1) / kBlock;
  const bool from_slab = kUseSlab && blocks <= kMaxBlocks;
  void* memory = from_slab ? Allocate(blocks) : std::aligned_alloc(kBlock, blocks * kBlock);
  if (!memory) throw std::bad_alloc();
  ++internal::thread_state.live_nodes;
  Node* node = static_cast<Node*>(memory);
  node->op = op;
  node->sequence = 0;
  node->file = where.file_name();
  node->line = static_cast<uint16_t>(std::min<uint32_t>(where.line(), UINT16_MAX));
  node->references = 1;
  node->num_inputs = static_cast<uint16_t>(inputs.size());
  node->evaluate_slot = node->grad_slot = node->pending_slot = 0;
  node->num_outputs = static_cast<uint8_t>(num_outputs);
  node->num_public = static_cast<uint8_t>(num_public);
  node->flags = 0;
  node->blocks = from_slab ? static_cast<uint8_t>(blocks) : 0;
  for (int i = 0; i < num_outputs; ++i) new (node->outputs() + i) Tensor();
  auto* edges = const_cast<Variable*>(node->input_data());
  for (size_t i = 0; i < inputs.size(); ++i) new (edges + i) Variable(inputs[i]);
  return node;
}

// Nodes whose last reference is gone wait here until their edges are released: a cascade along a
// chain of any length runs as a loop.
void Node::Free(Node* node) {
  if (slab.cascade) {
    slab.cascade->push_back(node);
    return;
  }
  std::vector<Node*> waiting;
  slab.cascade = &waiting;
  Destroy(node);
  while (!waiting.empty()) {
    Node* next = waiting.back();
    waiting.pop_back();
    Destroy(next);
  }
  slab.cascade = nullptr;
}

void Node::DropInputs() {
  auto* edges = const_cast<Variable*>(input_data());
  for (uint32_t i = 0; i < num_inputs; ++i) edges[i] = Variable();
}

void Node::AllocateOutput(int i) {
  Tensor& output = outputs()[i];
  output.storage_ =
      StoragePtr::Allocate(static_cast<size_t>(NumElements(output.shape_)) * SizeOf(output.dtype_));
  output.strides_ = ContiguousStrides(output.shape_);
  output.offset_ = 0;
}

void Node::TakeOutput(int i, Tensor& donor) {
  Tensor& output = outputs()[i];
  output.storage_ = std::move(donor.storage_);
  output.strides_ = donor.strides_;
  output.offset_ = donor.offset_;
}

void Node::GiveBackOutput(int i, Tensor& donor) {
  donor.storage_ = std::move(outputs()[i].storage_);
}

std::string_view LayerPath(const Node& node) { return LayerPath(node.inputs()); }

std::string_view LayerPath(VariableSpan inputs) {
  for (const Variable& input : inputs) {
    if (!input.defined()) continue;
    const Node* node = input.node();
    // Through casts, transposes and the like to the parameter below.
    for (int depth = 0; depth < 8 && node && !node->leaf() && node->num_inputs == 1; ++depth) {
      node = node->inputs()[0].node();
    }
    if (node && node->leaf()) {
      if (const auto& name = node->attributes_as<LeafAttributes>().name) return *name;
    }
  }
  return {};
}

int64_t LiveNodes() { return internal::thread_state.live_nodes; }
int64_t KernelCalls() { return internal::thread_state.kernel_calls; }

}  // namespace wengert
