// Recording: making nodes, the list of pending ones with its limits, and the modes of a thread.
#include "autograd/record.h"

#include <algorithm>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "autograd/modes.h"
#include "autograd/op.h"
#include "autograd/pattern.h"
#include "autograd/thread_state.h"

namespace wengert {
namespace internal {
namespace {

// The newest pending nodes are spared when the limits force an evaluation, so that what a layer is
// still recording is not cut in two.
constexpr size_t kSpared = 64;

int64_t PendingBytes(const Node& node) {
  int64_t bytes = 0;
  for (int i = 0; i < node.num_outputs; ++i) bytes += node.outputs()[i].bytes();
  return bytes;
}

// Closes the holes; returns the bytes that are really pending.
int64_t Compact(std::vector<Node*>& nodes) {
  size_t kept = 1;
  int64_t bytes = 0;
  for (size_t i = 1; i < nodes.size(); ++i) {
    Node* node = nodes[i];
    if (!node) continue;
    node->pending_slot = static_cast<uint32_t>(kept);
    nodes[kept++] = node;
    bytes += PendingBytes(*node);
  }
  nodes.resize(kept);
  return bytes;
}

// The functions that are recording, from the one that the user called to the innermost: "sequential
// > dense". Not those of the name `op`, which the error has already.
std::string Functions(std::string_view op) {
  std::string path;
  for (const WhereScope* scope = thread_state.where_scope; scope; scope = scope->outer()) {
    const std::string_view function = scope->function();
    if (function.empty() || function == op) continue;
    path = path.empty() ? std::string(function) : absl::StrCat(std::string(function), " > ", path);
  }
  return path;
}

}  // namespace

struct PendingOwner {
  PendingList pending;
  PendingOwner() {
    pending.nodes.push_back(nullptr);
    pending.next_check = static_cast<size_t>(pending.limits.nodes);
    PendingList::of_thread_ = &pending;
  }
  ~PendingOwner() {  // nodes may outlive the thread's list, in static Variables
    for (Node* node : pending.nodes) {
      if (node) node->pending_slot = 0;
    }
    PendingList::of_thread_ = nullptr;
  }
};

PendingList& PendingList::Make() {
  thread_local PendingOwner owner;
  return owner.pending;
}

bool DecideEager() {
  const char* variable = std::getenv("WENGERT_EAGER");
  const bool eager = variable && std::string_view(variable) == "1";
  thread_state.eager = eager ? Eagerness::kEager : Eagerness::kLazy;
  return eager;
}

void RunNow(const Variable& recorded) { Run({&recorded, 1}, /*final=*/false); }

void PendingList::EvaluateOldest() {
  const int64_t bytes = Compact(nodes);
  const size_t live = nodes.size() - 1;
  if (live >= static_cast<size_t>(limits.nodes) || bytes > limits.bytes) {
    const size_t count = live > kSpared ? live - kSpared : 0;
    // Before they are listed: nodes that a composite replaces are gone. Readers come first.
    for (size_t i = count; i > 0; --i) {
      if (nodes[i]) FindComposite(*nodes[i]);
    }
    std::vector<Node*> oldest(nodes.begin() + 1, nodes.begin() + 1 + static_cast<int64_t>(count));
    oldest.erase(std::remove(oldest.begin(), oldest.end(), nullptr), oldest.end());
    RunPending(oldest);
    Compact(nodes);
  }
  bytes_recorded = 0;
  next_check = nodes.size() + static_cast<size_t>(limits.nodes);
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
  Node* node = NewNode(op, inputs.size(), num_outputs, num_outputs - residuals, op->attribute_bytes,
                       thread_state.has_where ? thread_state.where : where);
  for (size_t i = 0; i < inputs.size(); ++i) node->MakeInput(static_cast<int>(i), inputs[i]);
  for (int i = 0; i < num_outputs; ++i) node->MakeOutput(i, outputs[i].shape, outputs[i].dtype);
  return {node, node->attributes()};
}

Variable EndRecord(const Recording& recording) {
  Node* node = recording.node;
  uint8_t flags = recording.more_flags;
  for (const Variable& input : node->inputs()) flags |= input.node()->flags;
  return Link(node, flags, PendingBytes(*node));
}

void ThrowUndefined(std::string_view op, VariableSpan inputs, SourceLocation where) {
  size_t i = 0;
  while (inputs[i].defined()) ++i;
  ThrowAt(op, absl::StrCat("input ", i, " is undefined (a parameter that was never set?)"), inputs,
          where);
}

void ThrowAt(std::string_view op, std::string_view message, VariableSpan inputs,
             SourceLocation where) {
  Error error(op, message);
  RethrowWithPlace(error, inputs, where);
}

void RethrowWithPlace(Error& error, VariableSpan inputs, SourceLocation where) {
  if (!error.has_place()) {
    error.AddPlace(thread_state.has_where ? thread_state.where : where, LayerPath(inputs),
                   Functions(error.op()));
  }
  throw error;
}

}  // namespace internal

using internal::thread_state;

void CheckInputShape(std::string_view op, const Variable& input, const Shape& expected) {
  if (input.shape() == expected) return;
  throw Error(op,
              absl::StrCat("an input is ", ToString(input.shape()), ", not ", ToString(expected)));
}

std::vector<Variable> Outputs(const Variable& y) {
  std::vector<Variable> outputs;
  outputs.reserve(y.node()->num_public);
  for (int i = 0; i < y.node()->num_public; ++i) outputs.push_back(Output(y, i));
  return outputs;
}

EagerGuard::EagerGuard(bool eager) : previous_(internal::Eager()) {
  thread_state.eager = eager ? internal::Eagerness::kEager : internal::Eagerness::kLazy;
}
EagerGuard::~EagerGuard() {
  thread_state.eager = previous_ ? internal::Eagerness::kEager : internal::Eagerness::kLazy;
}

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

WhereScope::WhereScope(SourceLocation where, std::string_view function)
    : outer_(std::exchange(thread_state.where_scope, this)),
      function_(function),
      sets_where_(!thread_state.has_where) {
  if (sets_where_) {
    thread_state.has_where = true;
    thread_state.where = where;
  }
}
WhereScope::~WhereScope() {
  thread_state.where_scope = outer_;
  if (sets_where_) thread_state.has_where = false;
}

PendingLimits GetPendingLimits() { return internal::PendingList::Get().limits; }
void SetPendingLimits(const PendingLimits& limits) {
  internal::PendingList& pending = internal::PendingList::Get();
  pending.limits = limits;
  pending.bytes_recorded = 0;
  pending.next_check = pending.nodes.size() + static_cast<size_t>(limits.nodes);
}

}  // namespace wengert
