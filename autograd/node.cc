// Nodes: the slab they come from, linking, and freeing without recursion.
#include "autograd/node.h"

#include <algorithm>
#include <cstdlib>
#include <mutex>
#include <new>
#include <vector>

#include "autograd/record.h"
#include "autograd/thread_state.h"
#include "autograd/variable.h"

namespace wengert {
namespace {

using internal::FreeNodeBlock;
using internal::slab;

constexpr size_t kChunk = 256 << 10;

// What a finished thread leaves: a leaf may outlive the thread that made it.
struct Orphans {
  std::mutex mutex;
  FreeNodeBlock* free[internal::kMaxNodeBlocks + 1] = {};
};
Orphans& GetOrphans() {
  static Orphans& orphans = *new Orphans;  // outlives every thread
  return orphans;
}

struct ThreadEnd {
  ~ThreadEnd() {
    Orphans& orphans = GetOrphans();
    std::lock_guard lock(orphans.mutex);
    for (size_t b = 1; b <= internal::kMaxNodeBlocks; ++b) {
      while (FreeNodeBlock* block = slab.free[b]) {
        slab.free[b] = block->next;
        block->next = orphans.free[b];
        orphans.free[b] = block;
      }
    }
    slab.registered = false;
  }
};

void Destroy(Node* node) {
  if (node->pending_slot) internal::PendingList::Get().Remove(node);
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

namespace internal {

void* AllocateNodeSlowly(size_t blocks) {
  if (!kUseSlab || blocks > kMaxNodeBlocks) {
    void* memory = std::aligned_alloc(kNodeBlock, blocks * kNodeBlock);
    if (!memory) throw std::bad_alloc();
    return memory;
  }
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
  const size_t bytes = blocks * kNodeBlock;
  if (static_cast<size_t>(slab.chunk_end - slab.chunk) < bytes) {
    slab.chunk = static_cast<std::byte*>(std::aligned_alloc(kNodeBlock, kChunk));
    if (!slab.chunk) throw std::bad_alloc();
    slab.chunk_end = slab.chunk + kChunk;
  }
  void* memory = slab.chunk;
  slab.chunk += bytes;
  return memory;
}

}  // namespace internal

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

void Node::TakeOutput(int i, Tensor& donor) {
  // Not the donor's strides: on an axis of length 1 they may be any, and kernels choose by strides.
  Tensor& output = outputs()[i];
  output.storage_ = std::move(donor.storage_);
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
