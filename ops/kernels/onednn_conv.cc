// Convolution and its two gradients by oneDNN: channels-last activations, cut by images of the
// batch.

#include <omp.h>

#include <algorithm>
#include <array>
#include <bit>
#include <list>
#include <memory>
#include <mutex>
#include <oneapi/dnnl/dnnl.hpp>
#include <optional>
#include <stdexcept>
#include <string>
#include <tuple>
#include <unordered_map>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "ops/kernels/onednn.h"
#include "tensor/parallel.h"
#include "tensor/pool.h"

namespace wengert {
namespace {

using dnnl::memory;

enum class Kind { kForward, kInputGradient, kKernelGradient };

const dnnl::engine& Engine() {
  // Never destroyed: worker threads may outlive main.
  static const auto& engine = *new dnnl::engine(dnnl::engine::kind::cpu, 0);
  return engine;
}

// Runs `f` with oneDNN seeing one thread, both where it plans a primitive and where it runs one.
template <class F>
auto Serially(Kind kind, F&& f) {
  struct OneThread {
    const int saved = omp_get_max_threads();
    OneThread() { omp_set_num_threads(1); }
    ~OneThread() { omp_set_num_threads(saved); }
  } one_thread;
  try {
    return f();
  } catch (const dnnl::error& error) {
    const char* name = kind == Kind::kForward         ? "convolution_forward"
                       : kind == Kind::kInputGradient ? "convolution_backward_data"
                                                      : "convolution_backward_weights";
    throw std::runtime_error(std::string("oneDNN ") + name + ": " + error.what());
  }
}

// The kernel as users store it, or in the format of oneDNN's choice.
memory::desc KernelDesc(const Conv2dGeometry& g, bool any) {
  const int64_t in = g.in_c / g.groups, out = g.out_c / g.groups;
  memory::dims dims = {g.groups, out, in, g.kernel_h, g.kernel_w};
  memory::dims strides = {out, 1, g.out_c, g.kernel_w * in * g.out_c, in * g.out_c};
  if (g.groups == 1) {
    dims.erase(dims.begin());
    strides.erase(strides.begin());
  }
  if (any) return memory::desc(dims, memory::data_type::f32, memory::format_tag::any);
  return memory::desc(dims, memory::data_type::f32, strides);
}

// The convolution of a few images by one thread. Never changes, so threads may share it.
struct Piece {
  Piece(Kind kind, const Conv2dGeometry& g, const memory::desc& kernel) {
    x = {{g.batch, g.in_c, g.in_h, g.in_w}, memory::data_type::f32, memory::format_tag::nhwc};
    y = {{g.batch, g.out_c, g.out_h, g.out_w}, memory::data_type::f32, memory::format_tag::nhwc};
    constexpr auto kDirect = dnnl::algorithm::convolution_direct;
    const bool is_forward = kind == Kind::kForward;
    const memory::dims strides = {g.stride_h, g.stride_w};
    const memory::dims dilation = {g.dilation_h - 1, g.dilation_w - 1};
    const memory::dims before = {g.pad_top, g.pad_left}, after = {g.pad_bottom, g.pad_right};
    dnnl::primitive_attr attributes;
    attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
    const dnnl::convolution_forward::primitive_desc forward(
        {is_forward ? dnnl::prop_kind::forward_inference : dnnl::prop_kind::forward_training,
         kDirect, x, is_forward ? kernel : KernelDesc(g, true), y, strides, dilation, before,
         after},
        attributes, Engine());
    if (kind == Kind::kForward) {
      w = forward.weights_desc();
      scratchpad = forward.scratchpad_desc();
      primitive = dnnl::convolution_forward(forward);
    } else if (kind == Kind::kInputGradient) {
      const dnnl::convolution_backward_data::primitive_desc descriptor(
          {kDirect, x, kernel, y, strides, dilation, before, after}, attributes, Engine(), forward);
      w = descriptor.weights_desc();
      scratchpad = descriptor.scratchpad_desc();
      primitive = dnnl::convolution_backward_data(descriptor);
    } else {
      const dnnl::convolution_backward_weights::primitive_desc descriptor(
          {kDirect, x, kernel, y, strides, dilation, before, after}, attributes, Engine(), forward);
      w = descriptor.diff_weights_desc();
      scratchpad = descriptor.scratchpad_desc();
      primitive = dnnl::convolution_backward_weights(descriptor);
    }
  }

  dnnl::primitive primitive;
  memory::desc x, w, y, scratchpad;
};

// How many pieces a batch is cut into: a function of the geometry and nothing else. Measured: a
// piece costs 3-5 us besides its arithmetic, which is under 3 % from 6 MFLOP up and little enough
// to keep 32 cores busy where there is work for them. Powers of two divide evenly among threads.
int64_t NumPieces(Kind kind, const Conv2dGeometry& g) {
  const int64_t pixels = g.batch * g.out_h * g.out_w;
  const int64_t flops = 2 * pixels * g.out_c * g.kernel_h * g.kernel_w * (g.in_c / g.groups);
  int64_t pieces = std::max(std::min<int64_t>(flops / 6'000'000, 32), flops / 64'000'000);
  // Partial sums of the kernel's gradient are written and read once for each piece.
  if (kind == Kind::kKernelGradient) pieces = std::min(pieces, pixels / 512);
  pieces =
      static_cast<int64_t>(std::bit_floor(static_cast<uint64_t>(std::max<int64_t>(pieces, 1))));
  return std::min(pieces, g.batch);
}

// A whole call: pieces of at most two sizes, which share one format of the kernel.
struct Plan {
  Plan(Kind kind, const Conv2dGeometry& g, int64_t pieces)
      : pieces(pieces),
        smaller_batch(g.batch / pieces),
        num_larger(g.batch % pieces),
        smaller(kind, WithBatch(g, smaller_batch), KernelDesc(g, true)),
        larger(num_larger == 0 ? smaller : Piece(kind, WithBatch(g, smaller_batch + 1), smaller.w)),
        plain_w(KernelDesc(g, false)) {
    if (smaller.w == plain_w) return;
    const auto& [from, to] =
        kind == Kind::kKernelGradient ? std::tie(smaller.w, plain_w) : std::tie(plain_w, smaller.w);
    reorder = dnnl::reorder(dnnl::reorder::primitive_desc(Engine(), from, Engine(), to));
  }

  static Conv2dGeometry WithBatch(Conv2dGeometry g, int64_t batch) {
    g.batch = batch;
    return g;
  }

  const Piece& piece(int64_t i) const { return i < num_larger ? larger : smaller; }
  int64_t first_image(int64_t i) const { return i * smaller_batch + std::min(i, num_larger); }
  int64_t images(int64_t i) const { return smaller_batch + (i < num_larger); }

  int64_t pieces, smaller_batch, num_larger;
  Piece smaller, larger;  // the first num_larger pieces have one image more
  memory::desc plain_w;
  dnnl::reorder reorder;  // between plain_w and the format of the pieces; empty if they are one
};

// Plans in use, the least recently used one dropped first: making one takes up to 0.3 ms.
std::shared_ptr<const Plan> FindPlan(Kind kind, const Conv2dGeometry& g, int64_t pieces) {
  using Sizes = std::array<int64_t, sizeof(Conv2dGeometry) / sizeof(int64_t)>;
  using Key = std::tuple<Kind, Sizes, int64_t>;
  struct Cache {
    std::mutex mutex;
    std::list<std::pair<Key, std::shared_ptr<const Plan>>> plans;  // latest use first
    absl::flat_hash_map<Key, decltype(plans)::iterator> index;
  };
  static Cache& cache = *new Cache;
  constexpr size_t kCapacity = 512;

  const Key key = {kind, std::bit_cast<Sizes>(g), pieces};
  const std::lock_guard lock(cache.mutex);
  if (const auto found = cache.index.find(key); found != cache.index.end()) {
    cache.plans.splice(cache.plans.begin(), cache.plans, found->second);
  } else {
    cache.plans.emplace_front(
        key, Serially(kind, [&] { return std::make_shared<Plan>(kind, g, pieces); }));
    cache.index[key] = cache.plans.begin();
    if (cache.plans.size() > kCapacity) {
      cache.index.erase(cache.plans.back().first);
      cache.plans.pop_back();
    }
  }
  return cache.plans.front().second;
}
std::shared_ptr<const Plan> FindPlan(Kind kind, const Conv2dGeometry& g) {
  return FindPlan(kind, g, NumPieces(kind, g));
}

float* Floats(const StoragePtr& storage) { return reinterpret_cast<float*>(storage->data()); }
StoragePtr AllocateFloats(int64_t count) { return StoragePtr::Allocate(count * sizeof(float)); }

using Argument = std::pair<int, memory>;
memory Wrap(const memory::desc& desc, const float* data) {
  return memory(desc, Engine(), const_cast<float*>(data));
}

void Execute(const dnnl::primitive& primitive, const std::unordered_map<int, memory>& arguments) {
  thread_local dnnl::stream stream(Engine());
  primitive.execute(stream, arguments);
}

void Reorder(Kind kind, const Plan& plan, const memory::desc& from, const float* source,
             const memory::desc& to, float* target) {
  Serially(kind, [&] {
    Execute(plan.reorder, {{DNNL_ARG_FROM, Wrap(from, source)}, {DNNL_ARG_TO, Wrap(to, target)}});
  });
}

// One of x, w and y is the result; x and y are those of the piece's images.
void RunPiece(Kind kind, const Piece& piece, const float* x, const float* w, const float* y) {
  const bool forward = kind == Kind::kForward;
  const int x_argument = kind == Kind::kInputGradient ? DNNL_ARG_DIFF_SRC : DNNL_ARG_SRC;
  const int w_argument = kind == Kind::kKernelGradient ? DNNL_ARG_DIFF_WEIGHTS : DNNL_ARG_WEIGHTS;
  const int y_argument = forward ? DNNL_ARG_DST : DNNL_ARG_DIFF_DST;
  const StoragePtr scratchpad = StoragePtr::Allocate(piece.scratchpad.get_size());
  Serially(kind, [&] {
    Execute(piece.primitive, {{x_argument, Wrap(piece.x, x)},
                              {w_argument, Wrap(piece.w, w)},
                              {y_argument, Wrap(piece.y, y)},
                              {DNNL_ARG_SCRATCHPAD, Wrap(piece.scratchpad, Floats(scratchpad))}});
  });
}

int64_t InputImage(const Conv2dGeometry& g) { return g.in_h * g.in_w * g.in_c; }
int64_t OutputImage(const Conv2dGeometry& g) { return g.out_h * g.out_w * g.out_c; }
int64_t KernelSize(const Conv2dGeometry& g) {
  return g.kernel_h * g.kernel_w * (g.in_c / g.groups) * g.out_c;
}
bool IsEmpty(const Conv2dGeometry& g) {
  return g.batch * InputImage(g) == 0 || g.batch * OutputImage(g) == 0 || KernelSize(g) == 0;
}

// The kernel in the format that a plan reads.
class PackedKernel {
 public:
  PackedKernel(Kind kind, const Plan& plan, const float* w) : w_(w) {
    if (!plan.reorder) return;
    packed_ = StoragePtr::Allocate(plan.smaller.w.get_size());
    Reorder(kind, plan, plan.plain_w, w, plan.smaller.w, Floats(packed_));
    w_ = Floats(packed_);
  }
  const float* get() const { return w_; }

 private:
  StoragePtr packed_;
  const float* w_;
};

// The gradients of the kernel by each piece, and their sum.
class KernelGradients {
 public:
  KernelGradients(const Plan& plan, float* dw)
      : plan_(plan),
        size_(static_cast<int64_t>(plan.smaller.w.get_size() / sizeof(float))),
        dw_(dw),
        first_(dw) {
    if (!plan.reorder && plan.pieces == 1) return;
    partial_ = AllocateFloats(plan.pieces * size_);
    first_ = Floats(partial_);
  }
  float* of_piece(int64_t i) const { return first_ + i * size_; }

  // Adds up the pieces in their order. The sum goes where the first one is, or to dw if that is the
  // end.
  void Finish() const {
    float* const sum = plan_.reorder ? first_ : dw_;
    constexpr int64_t kBlock = 2048;
    if (plan_.pieces > 1) {
      ParallelFor((size_ + kBlock - 1) / kBlock, [&](int64_t block) {
        const int64_t begin = block * kBlock, length = std::min(kBlock, size_ - begin);
        for (int64_t piece = 1; piece < plan_.pieces; ++piece) {
          const float* const left = piece == 1 ? first_ + begin : sum + begin;
          const float* const right = of_piece(piece) + begin;
          float* const out = sum + begin;
#pragma omp simd
          for (int64_t i = 0; i < length; ++i) out[i] = left[i] + right[i];
        }
      });
    }
    if (plan_.reorder) {
      Reorder(Kind::kKernelGradient, plan_, plan_.smaller.w, sum, plan_.plain_w, dw_);
    }
  }

 private:
  const Plan& plan_;
  int64_t size_;
  float* dw_;
  StoragePtr partial_;
  float* first_;
};

}  // namespace

void Conv2dForwardPieces(
    const Conv2dGeometry& g, const float* x, const float* w, float* y,
    absl::FunctionRef<void(int64_t first, int64_t images, float* y_piece)> use) {
  const std::shared_ptr<const Plan> plan = FindPlan(Kind::kForward, g);
  const PackedKernel kernel(Kind::kForward, *plan, w);
  ParallelFor(plan->pieces, [&](int64_t i) {
    const int64_t first = plan->first_image(i), images = plan->images(i);
    const StoragePtr own = y ? StoragePtr() : AllocateFloats(images * OutputImage(g));
    float* const y_piece = y ? y + first * OutputImage(g) : Floats(own);
    RunPiece(Kind::kForward, plan->piece(i), x + first * InputImage(g), kernel.get(), y_piece);
    use(first, images, y_piece);
  });
}

void Conv2dBackwardPieces(
    const Conv2dGeometry& g, const float* x, const float* w, float* dx, float* dw,
    absl::FunctionRef<void(int64_t first, int64_t images, float* dy_piece)> make) {
  // One set of pieces for both, so that each is made once.
  const int64_t pieces = NumPieces(dw ? Kind::kKernelGradient : Kind::kInputGradient, g);
  std::shared_ptr<const Plan> input_plan, kernel_plan;
  std::optional<PackedKernel> kernel;
  std::optional<KernelGradients> gradients;
  if (dx) {
    input_plan = FindPlan(Kind::kInputGradient, g, pieces);
    kernel.emplace(Kind::kInputGradient, *input_plan, w);
  }
  if (dw) {
    kernel_plan = FindPlan(Kind::kKernelGradient, g, pieces);
    gradients.emplace(*kernel_plan, dw);
  }
  const Plan& plan = dw ? *kernel_plan : *input_plan;
  ParallelFor(pieces, [&](int64_t i) {
    const int64_t first = plan.first_image(i), images = plan.images(i);
    const StoragePtr dy = AllocateFloats(images * OutputImage(g));
    make(first, images, Floats(dy));
    const int64_t offset = first * InputImage(g);
    if (dx) {
      RunPiece(Kind::kInputGradient, input_plan->piece(i), dx + offset, kernel->get(), Floats(dy));
    }
    if (dw) {
      RunPiece(Kind::kKernelGradient, plan.piece(i), x + offset, gradients->of_piece(i),
               Floats(dy));
    }
  });
  if (dw) gradients->Finish();
}

void Conv2dForward(const Conv2dGeometry& g, const float* x, const float* w, float* y) {
  if (IsEmpty(g)) return std::fill_n(y, g.batch * OutputImage(g), 0.0f), void();
  Conv2dForwardPieces(g, x, w, y, [](int64_t, int64_t, float*) {});
}

void Conv2dInputGradient(const Conv2dGeometry& g, const float* dy, const float* w, float* dx) {
  if (IsEmpty(g)) return std::fill_n(dx, g.batch * InputImage(g), 0.0f), void();
  constexpr Kind kKind = Kind::kInputGradient;
  const std::shared_ptr<const Plan> plan = FindPlan(kKind, g);
  const PackedKernel kernel(kKind, *plan, w);
  ParallelFor(plan->pieces, [&](int64_t i) {
    const int64_t first = plan->first_image(i);
    RunPiece(kKind, plan->piece(i), dx + first * InputImage(g), kernel.get(),
             dy + first * OutputImage(g));
  });
}

void Conv2dKernelGradient(const Conv2dGeometry& g, const float* x, const float* dy, float* dw) {
  if (IsEmpty(g)) return std::fill_n(dw, KernelSize(g), 0.0f), void();
  constexpr Kind kKind = Kind::kKernelGradient;
  const std::shared_ptr<const Plan> plan = FindPlan(kKind, g);
  const KernelGradients gradients(*plan, dw);
  ParallelFor(plan->pieces, [&](int64_t i) {
    const int64_t first = plan->first_image(i);
    RunPiece(kKind, plan->piece(i), x + first * InputImage(g), gradients.of_piece(i),
             dy + first * OutputImage(g));
  });
  gradients.Finish();
}

}  // namespace wengert
