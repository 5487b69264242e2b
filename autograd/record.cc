// Recording: making nodes, the list of pending ones with its limits, and the modes of a thread.
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "autograd/modes.h"
#include "autograd/op.h"
#include "autograd/thread_state.h"

namespace wengert {
namespace internal {
namespace {

// The newest pending nodes are spared when the limits force an evaluation, so that what a layer is
// still recording is not cut in two.
constexpr size_t kSpared = 64;

struct Pending {
  std::vector<Node*> nodes;  // slot 0 is never used: a node's pending_slot 0 means "not listed"
  size_t next_check = 0;
  int64_t bytes_recorded = 0;  // since the last check
  PendingLimits limits;
};
constinit thread_local Pending* pending_of_thread = nullptr;

struct PendingOwner {
  Pending pending;
  PendingOwner() {
    pending.nodes.push_back(nullptr);
    pending.next_check = static_cast<size_t>(pending.limits.nodes);
    pending_of_thread = &pending;
  }
  ~PendingOwner() {  // nodes may outlive the thread's list, in static Variables
    for (Node* node : pending.nodes) {
      if (node) node->pending_slot = 0;
    }
    pending_of_thread = nullptr;
  }
};

// By a plain pointer: a thread_local that needs a destructor costs a check at each use.
Pending& GetPending() {
  if (!pending_of_thread) [[unlikely]] {
    thread_local PendingOwner owner;
  }
  return *pending_of_thread;
}

int64_t PendingBytes(const Node& node) {
  int64_t bytes = 0;
  for (int i = 0; i < node.num_outputs; ++i) bytes += node.outputs()[i].bytes();
  return bytes;
}

// Closes the holes; returns the bytes that are really pending.
int64_t Compact() {
  Pending& pending = GetPending();
  size_t kept = 1;
  int64_t bytes = 0;
  for (size_t i = 1; i < pending.nodes.size(); ++i) {
    Node* node = pending.nodes[i];
    if (!node) continue;
    node->pending_slot = static_cast<uint32_t>(kept);
    pending.nodes[kept++] = node;
    bytes += PendingBytes(*node);
  }
  pending.nodes.resize(kept);
  return bytes;
}

}  // namespace

bool Eager() {
  if (!thread_state.eager_decided) {
    const char* variable = std::getenv("WENGERT_EAGER");
    thread_state.eager = variable && std::string_view(variable) == "1";
    thread_state.eager_decided = true;
  }
  return thread_state.eager;
}

void PendingList::Add(Node* node, int64_t bytes) {
  Pending& pending = GetPending();
  node->pending_slot = static_cast<uint32_t>(pending.nodes.size());
  pending.nodes.push_back(node);
  pending.bytes_recorded += bytes;
}

void PendingList::Remove(Node* node) {
  Pending& pending = GetPending();
  // From the back where it is the newest, so that a steady loop does not grow the list.
  pending.nodes[node->pending_slot] = nullptr;
  node->pending_slot = 0;
  while (pending.nodes.size() > 1 && !pending.nodes.back()) pending.nodes.pop_back();
}

bool PendingList::OverLimit() {
  Pending& pending = GetPending();
  // Not from within an evaluation: that one has its plan made.
  return thread_state.evaluations == 0 && (pending.nodes.size() > pending.next_check ||
                                           pending.bytes_recorded > pending.limits.bytes);
}

void PendingList::EvaluateOldest() {
  Pending& pending = GetPending();
  const int64_t bytes = Compact();
  const size_t live = pending.nodes.size() - 1;
  if (live >= static_cast<size_t>(pending.limits.nodes) || bytes > pending.limits.bytes) {
    const size_t count = live > kSpared ? live - kSpared : 0;
    const std::vector<Node*> oldest(pending.nodes.begin() + 1, pending.nodes.begin() + 1 + count);
    RunPending(oldest);
    Compact();
  }
  pending.bytes_recorded = 0;
  pending.next_check = pending.nodes.size() + static_cast<size_t>(pending.limits.nodes);
}

Recording BeginRecord(const OpTable* op, VariableSpan inputs, absl::Span<const Spec> outputs,
                      int residuals, SourceLocation where) {
  const int num_outputs = static_cast<int>(outputs.size());
  if (num_outputs > Variable::kMaxOutputs) {
    throw Error(op->name, absl::StrCat(num_outputs, " outputs; at most ", Variable::kMaxOutputs));
  }
  if (inputs.size() > UINT16_MAX) {
    throw Error(op->name, absl::StrCat(inputs.size(), " inputs; at most ", UINT16_MAX));
  }
  uint8_t flags = 0;  // the union of the inputs'
  for (const Variable& input : inputs) {
    if (!input.defined()) {
      Error error(op->name, "an input is undefined (a parameter that was never set?)");
      RethrowWithPlace(error, inputs, where);
    }
    flags |= input.node()->flags;
  }
  Node* node = NewNode(op, inputs, num_outputs, num_outputs - residuals, op->attribute_bytes,
                       thread_state.has_where ? thread_state.where : where);
  for (int i = 0; i < num_outputs; ++i) {
    Node::SetSpec(node->outputs()[i], outputs[i].shape, outputs[i].dtype);
  }
  node->sequence = thread_state.next_sequence++;
  if (thread_state.grad_enabled && op->differentiable && IsFloating(outputs[0].dtype)) {
    node->flags = flags & (Node::kRequiresGrad | Node::kWithoutGraph);
  }
  return {node, node->attributes()};
}

Variable EndRecord(const Recording& recording) {
  Node* node = recording.node;
  Variable result = Variable::Adopt(node);
  PendingList::Add(node, PendingBytes(*node));
  if (Eager()) {
    Run({&result, 1}, /*final=*/false);
  } else if (PendingList::OverLimit()) {
    PendingList::EvaluateOldest();
  }
  return result;
}

void RethrowWithPlace(Error& error, VariableSpan inputs, SourceLocation where) {
  if (!error.has_place()) {
    error.AddPlace(thread_state.has_where ? thread_state.where : where, LayerPath(inputs));
  }
  throw error;
}

}  // namespace internal

using internal::thread_state;

std::vector<Variable> Outputs(const Variable& y) {
  std::vector<Variable> outputs;
  outputs.reserve(y.node()->num_public);
  for (int i = 0; i < y.node()->num_public; ++i) outputs.push_back(Output(y, i));
  return outputs;
}

EagerGuard::EagerGuard(bool eager) : previous_(internal::Eager()) { thread_state.eager = eager; }
EagerGuard::~EagerGuard() { thread_state.eager = previous_; }

NoGradGuard::NoGradGuard(bool no_grad) : previous_(thread_state.grad_enabled) {
  thread_state.grad_enabled = !no_grad;
}
NoGradGuard::~NoGradGuard() { thread_state.grad_enabled = previous_; }

bool GradEnabled() { return thread_state.grad_enabled; }

DetectAnomaly::DetectAnomaly() : previous_(std::exchange(thread_state.anomaly, true)) {}
DetectAnomaly::~DetectAnomaly() { thread_state.anomaly = previous_; }

TrainingScope::TrainingScope(Generator& generator)
    : previous_(std::exchange(thread_state.generator, &generator)) {}
TrainingScope::~TrainingScope() { thread_state.generator = previous_; }
bool TrainingScope::active() { return thread_state.generator != nullptr; }
Generator& TrainingScope::generator() {
  if (!active()) throw Error("random", "no TrainingScope is active in this thread");
  return *thread_state.generator;
}

WhereScope::WhereScope(SourceLocation where) : outermost_(!thread_state.has_where) {
  if (outermost_) {
    thread_state.has_where = true;
    thread_state.where = where;
  }
}
WhereScope::~WhereScope() {
  if (outermost_) thread_state.has_where = false;
}

PendingLimits GetPendingLimits() { return internal::GetPending().limits; }
void SetPendingLimits(const PendingLimits& limits) {
  internal::Pending& pending = internal::GetPending();
  pending.limits = limits;
  pending.next_check = pending.nodes.size() + static_cast<size_t>(limits.nodes);
}

}  // namespace wengert
