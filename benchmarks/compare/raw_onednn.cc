// The step of raw_onednn.h: a list of forward and a list of backward primitives over fixed memory.

#include "benchmarks/compare/raw_onednn.h"

#include <omp.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <oneapi/dnnl/dnnl.hpp>
#include <random>
#include <unordered_map>
#include <utility>
#include <vector>

namespace wengert {
namespace {

using dnnl::memory;
using Tag = memory::format_tag;
constexpr auto kFloat = memory::data_type::f32;
constexpr auto kTraining = dnnl::prop_kind::forward_training;

struct Call {
  dnnl::primitive primitive;
  std::unordered_map<int, memory> arguments;
  std::function<void()> function = nullptr;  // instead of a primitive
};

struct Activation {
  memory value, gradient;  // no gradient: the images
};

struct Parameter {
  memory value, gradient;  // in one format, padding and all, so that Adam sees flat arrays
  std::vector<float> m, v;
};

// What differs between the two layers with weights: the operation descriptors.
struct Convolution {
  using Forward = dnnl::convolution_forward;
  using BackwardData = dnnl::convolution_backward_data;
  using BackwardWeights = dnnl::convolution_backward_weights;
  static constexpr auto kDirect = dnnl::algorithm::convolution_direct;
  static Forward::desc Describe(const memory::desc& x, const memory::desc& w, const memory::desc& b,
                                const memory::desc& y) {
    return {kTraining, kDirect, x, w, b, y, {1, 1}, {0, 0}, {0, 0}};
  }
  static BackwardData::desc DescribeData(const memory::desc& x, const memory::desc& w,
                                         const memory::desc& y) {
    return {kDirect, x, w, y, {1, 1}, {0, 0}, {0, 0}};
  }
  static BackwardWeights::desc DescribeWeights(const memory::desc& x, const memory::desc& w,
                                               const memory::desc& b, const memory::desc& y) {
    return {kDirect, x, w, b, y, {1, 1}, {0, 0}, {0, 0}};
  }
};

struct InnerProduct {
  using Forward = dnnl::inner_product_forward;
  using BackwardData = dnnl::inner_product_backward_data;
  using BackwardWeights = dnnl::inner_product_backward_weights;
  static Forward::desc Describe(const memory::desc& x, const memory::desc& w, const memory::desc& b,
                                const memory::desc& y) {
    return {kTraining, x, w, b, y};
  }
  static BackwardData::desc DescribeData(const memory::desc& x, const memory::desc& w,
                                         const memory::desc& y) {
    return {x, w, y};
  }
  static BackwardWeights::desc DescribeWeights(const memory::desc& x, const memory::desc& w,
                                               const memory::desc& b, const memory::desc& y) {
    return {x, w, b, y};
  }
};

float* Data(const memory& m) { return static_cast<float*>(m.get_data_handle()); }
int64_t Size(const memory& m) {
  return static_cast<int64_t>(m.get_desc().get_size() / sizeof(float));
}

// Compiled for the machine's vectors: what an expert's build would have.
#if defined(__x86_64__)
#define WENGERT_BEST_VECTORS __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define WENGERT_BEST_VECTORS
#endif

WENGERT_BEST_VECTORS void Adam(int64_t size, float rate, const float* gradient, float* m, float* v,
                               float* value) {
#pragma omp simd
  for (int64_t i = 0; i < size; ++i) {
    m[i] += 0.1f * (gradient[i] - m[i]);
    v[i] += 0.001f * (gradient[i] * gradient[i] - v[i]);
    value[i] -= rate * m[i] / (std::sqrt(v[i]) + 1e-7f);
  }
}

// One row of windows of the gradient below.
WENGERT_BEST_VECTORS void ReluMaxPoolBackwardRow(int64_t w, int64_t inner, const float* x,
                                                 const float* y, const float* dy, float* dx) {
  for (int64_t column = 0; column < w / 2; ++column) {
    const float* const x0 = x + column * 2 * inner;
    const float* const x1 = x0 + inner;
    const float* const x2 = x0 + w * inner;
    const float* const maximum = y + column * inner;
    const float* const gradient = dy + column * inner;
    float* const dx0 = dx + column * 2 * inner;
    float* const dx1 = dx0 + inner;
    float* const dx2 = dx0 + w * inner;
    float* const dx3 = dx2 + inner;
#pragma omp simd
    for (int64_t c = 0; c < inner; ++c) {
      const float g = maximum[c] > 0 ? gradient[c] : 0.0f;
      const bool is0 = x0[c] == maximum[c], is1 = x1[c] == maximum[c], is2 = x2[c] == maximum[c];
      dx0[c] = is0 ? g : 0.0f;
      dx1[c] = !is0 & is1 ? g : 0.0f;
      dx2[c] = !is0 & !is1 & is2 ? g : 0.0f;
      dx3[c] = !is0 & !is1 & !is2 ? g : 0.0f;
    }
  }
}

// The gradients of a relu and of the 2 x 2 max-pooling of its result at once, for `outer` images
// [h, w, inner]: the first maximum of a window takes the gradient, if it is positive. Pixels that
// no window covers keep the zeros that they have.
void ReluMaxPoolBackward(int64_t outer, int64_t h, int64_t w, int64_t inner, const float* x,
                         const float* y, const float* dy, float* dx) {
#pragma omp parallel for
  for (int64_t row = 0; row < outer * (h / 2); ++row) {
    const int64_t corner = (row / (h / 2) * h + row % (h / 2) * 2) * w * inner;
    const int64_t window = row * (w / 2) * inner;
    ReluMaxPoolBackwardRow(w, inner, x + corner, y + window, dy + window, dx + corner);
  }
}

}  // namespace

struct RawOneDnnCnn::Network {
  explicit Network(const Options& options) : options(options), random(options.seed) {
    omp_set_num_threads(options.threads);
    const int64_t n = options.batch;
    // The same bytes for one channel, but nhwc would keep "any" from choosing blocks after it.
    images.value = New({{n, 1, 28, 28}, kFloat, options.blocked ? Tag::nchw : Tag::nhwc});
    const Activation conv1 =
        AddLayer<Convolution>(images, {32, 1, 3, 3}, {n, 32, 26, 26}, true, false);
    const Activation pool1 = AddMaxPool(conv1, {n, 32, 13, 13});
    const Activation conv2 =
        AddLayer<Convolution>(pool1, {64, 32, 3, 3}, {n, 64, 11, 11}, true, false);
    const Activation pool2 = AddMaxPool(conv2, {n, 64, 5, 5});
    // An inner product reads the four axes as they lie: flattening costs nothing.
    const Activation dense1 = AddLayer<InnerProduct>(pool2, {128, 64, 5, 5}, {n, 128}, true, true);
    logits = AddLayer<InnerProduct>(dense1, {10, 128}, {n, 10}, false, false);
    std::reverse(backward.begin(), backward.end());
  }

  memory New(const memory::desc& desc) {
    memory result(desc, engine);
    std::fill_n(Data(result), Size(result), 0.0f);
    return result;
  }

  Activation NewActivation(const memory::desc& desc) { return {New(desc), New(desc)}; }

  Tag ActivationTag(size_t rank) const {
    return rank == 2 ? Tag::nc : options.blocked ? Tag::any : Tag::nhwc;
  }

  void Reorder(memory from, memory to) { dnnl::reorder(from, to).execute(stream, from, to); }

  // Relu's gradient, in place.
  Call ReluBackward(const Activation& y) {
    constexpr auto kRelu = dnnl::algorithm::eltwise_relu_use_dst_for_bwd;
    const memory::desc desc = y.value.get_desc();
    const dnnl::eltwise_forward::primitive_desc forward({kTraining, kRelu, desc, 0.0f}, engine);
    const dnnl::eltwise_backward::primitive_desc descriptor({kRelu, desc, desc, 0.0f}, engine,
                                                            forward);
    return {dnnl::eltwise_backward(descriptor),
            {{DNNL_ARG_DST, y.value},
             {DNNL_ARG_DIFF_DST, y.gradient},
             {DNNL_ARG_DIFF_SRC, y.gradient}}};
  }

  Parameter& AddParameter(const memory::desc& desc) {
    Parameter p{New(desc), New(desc), {}, {}};
    p.m.resize(Size(p.value));
    p.v.resize(Size(p.value));
    return parameters.emplace_back(std::move(p));
  }

  // Glorot uniform, drawn in the order of [kh, kw, in, out] whatever the format of `target`.
  void Initialize(const memory::dims& dims, const memory& target) {
    const int64_t field = dims.size() == 4 && dims[2] == 3 ? 9 : 1;
    int64_t in = field;
    for (size_t i = 1; i < dims.size(); ++i) in *= dims[i];
    in /= field;
    const double limit = std::sqrt(6.0 / static_cast<double>(in + dims[0] * field));
    std::uniform_real_distribution<float> uniform(static_cast<float>(-limit),
                                                  static_cast<float>(limit));
    const memory plain = New({dims, kFloat, dims.size() == 4 ? Tag::hwio : Tag::io});
    std::generate_n(Data(plain), Size(plain), [&] { return uniform(random); });
    Reorder(plain, target);
  }

  // A layer with weights and bias, and with relu fused into its forward pass. Relu's gradient is
  // taken here if `relu_backward`, otherwise after the pooling that follows, where it has a quarter
  // of the elements.
  template <class Kind>
  Activation AddLayer(const Activation& x, const memory::dims& w_dims, const memory::dims& y_dims,
                      bool relu, bool relu_backward) {
    const memory::desc x_desc = x.value.get_desc(), any_w(w_dims, kFloat, Tag::any),
                       b_desc({w_dims[0]}, kFloat, Tag::x),
                       any_y(y_dims, kFloat, ActivationTag(y_dims.size()));
    dnnl::primitive_attr attributes;
    if (relu) {
      dnnl::post_ops post_ops;
      post_ops.append_eltwise(1.0f, dnnl::algorithm::eltwise_relu, 0.0f, 0.0f);
      attributes.set_post_ops(post_ops);
    }
    const typename Kind::Forward::primitive_desc forward_desc(
        Kind::Describe(x_desc, any_w, b_desc, any_y), attributes, engine);
    const memory::desc w_desc = forward_desc.weights_desc(), y_desc = forward_desc.dst_desc();
    Activation y = NewActivation(y_desc);
    const Parameter w = AddParameter(w_desc), b = AddParameter(b_desc);
    Initialize(w_dims, w.value);
    forward.push_back({typename Kind::Forward(forward_desc),
                       {{DNNL_ARG_SRC, x.value},
                        {DNNL_ARG_WEIGHTS, w.value},
                        {DNNL_ARG_BIAS, b.value},
                        {DNNL_ARG_DST, y.value}}});

    // The gradients' hint has no post-op: relu has been undone before them.
    const typename Kind::Forward::primitive_desc hint(Kind::Describe(x_desc, any_w, b_desc, y_desc),
                                                      engine);
    std::vector<Call> calls;
    if (relu_backward) calls.push_back(ReluBackward(y));
    if (x.gradient) {
      const typename Kind::BackwardData::primitive_desc descriptor(
          Kind::DescribeData(x_desc, any_w, y_desc), engine, hint);
      memory weights = w.value;
      if (descriptor.weights_desc() != w_desc) {
        weights = New(descriptor.weights_desc());
        calls.push_back(
            {dnnl::reorder(w.value, weights), {{DNNL_ARG_FROM, w.value}, {DNNL_ARG_TO, weights}}});
      }
      calls.push_back({typename Kind::BackwardData(descriptor),
                       {{DNNL_ARG_DIFF_DST, y.gradient},
                        {DNNL_ARG_WEIGHTS, weights},
                        {DNNL_ARG_DIFF_SRC, x.gradient}}});
    }
    const typename Kind::BackwardWeights::primitive_desc descriptor(
        Kind::DescribeWeights(x_desc, any_w, b_desc, y_desc), engine, hint);
    const bool same = descriptor.diff_weights_desc() == w_desc;
    const memory gradient = same ? w.gradient : New(descriptor.diff_weights_desc());
    calls.push_back({typename Kind::BackwardWeights(descriptor),
                     {{DNNL_ARG_SRC, x.value},
                      {DNNL_ARG_DIFF_DST, y.gradient},
                      {DNNL_ARG_DIFF_WEIGHTS, gradient},
                      {DNNL_ARG_DIFF_BIAS, b.gradient}}});
    if (!same) {
      calls.push_back({dnnl::reorder(gradient, w.gradient),
                       {{DNNL_ARG_FROM, gradient}, {DNNL_ARG_TO, w.gradient}}});
    }
    backward.push_back(std::move(calls));
    return y;
  }

  // 2 x 2 windows. oneDNN's pooling for training takes four times as long as the one for inference
  // and its gradient as long again, so the gradient is written by hand and needs no record of
  // winners. It is relu's too: the winner of a window is positive if the maximum is.
  Activation AddMaxPool(const Activation& x, const memory::dims& y_dims) {
    const memory::dims two = {2, 2}, none = {0, 0};
    const dnnl::pooling_forward::primitive_desc forward_desc({dnnl::prop_kind::forward_inference,
                                                              dnnl::algorithm::pooling_max,
                                                              x.value.get_desc(),
                                                              {y_dims, kFloat, ActivationTag(4)},
                                                              two,
                                                              two,
                                                              none,
                                                              none},
                                                             engine);
    Activation y = NewActivation(forward_desc.dst_desc());
    forward.push_back(
        {dnnl::pooling_forward(forward_desc), {{DNNL_ARG_SRC, x.value}, {DNNL_ARG_DST, y.value}}});
    const auto& blocking = x.value.get_desc().data.format_desc.blocking;
    const memory::dims dims = x.value.get_desc().dims();
    const int64_t inner = blocking.inner_nblks == 0 ? dims[1] : blocking.inner_blks[0];
    const int64_t outer = dims[0] * dims[1] / inner;
    backward.push_back({{{}, {}, [=] {
                           ReluMaxPoolBackward(outer, dims[2], dims[3], inner, Data(x.value),
                                               Data(y.value), Data(y.gradient), Data(x.gradient));
                         }}});
    return y;
  }

  void Forward(const float* pixels) {
    omp_set_num_threads(options.threads);
    images.value.set_data_handle(const_cast<float*>(pixels));
    for (const Call& call : forward) call.primitive.execute(stream, call.arguments);
  }

  // Writes the gradient of the logits and returns the mean loss.
  float SoftmaxCrossEntropy(const int32_t* labels) {
    const auto scale = 1.0f / static_cast<float>(options.batch);
    double loss = 0;
    for (int64_t i = 0; i < options.batch; ++i) {
      const float* const x = Data(logits.value) + i * 10;
      float* const dx = Data(logits.gradient) + i * 10;
      const float largest = *std::max_element(x, x + 10);
      float sum = 0;
      for (int j = 0; j < 10; ++j) sum += dx[j] = std::exp(x[j] - largest);
      for (int j = 0; j < 10; ++j) dx[j] *= scale / sum;
      dx[labels[i]] -= scale;
      loss += std::log(sum) + largest - x[labels[i]];
    }
    return static_cast<float>(loss) * scale;
  }

  void Backward() {
    for (const std::vector<Call>& layer : backward) {
      for (const Call& call : layer) {
        if (call.function) {
          call.function();
        } else {
          call.primitive.execute(stream, call.arguments);
        }
      }
    }
  }

  void Update() {
    ++steps;
    const auto rate = static_cast<float>(1e-3 * std::sqrt(1 - std::pow(0.999, steps)) /
                                         (1 - std::pow(0.9, steps)));
#pragma omp parallel
    {
      const int64_t self = omp_get_thread_num(), team = omp_get_num_threads();
      for (Parameter& p : parameters) {
        const int64_t begin = Size(p.value) * self / team, end = Size(p.value) * (self + 1) / team;
        Adam(end - begin, rate, Data(p.gradient) + begin, p.m.data() + begin, p.v.data() + begin,
             Data(p.value) + begin);
      }
    }
  }

  const Options options;
  std::mt19937 random;
  dnnl::engine engine{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream{engine};
  Activation images, logits;
  std::vector<Parameter> parameters;
  std::vector<Call> forward;
  std::vector<std::vector<Call>> backward;  // by layer
  int steps = 0;
};

RawOneDnnCnn::RawOneDnnCnn(const Options& options) : network_(std::make_unique<Network>(options)) {}
RawOneDnnCnn::~RawOneDnnCnn() = default;

float RawOneDnnCnn::Step(const float* images, const int32_t* labels) {
  network_->Forward(images);
  const float loss = network_->SoftmaxCrossEntropy(labels);
  network_->Backward();
  network_->Update();
  return loss;
}

int64_t RawOneDnnCnn::CountCorrect(const float* images, const int32_t* labels) {
  network_->Forward(images);
  int64_t correct = 0;
  for (int64_t i = 0; i < network_->options.batch; ++i) {
    const float* const x = Data(network_->logits.value) + i * 10;
    correct += std::max_element(x, x + 10) - x == labels[i];
  }
  return correct;
}

}  // namespace wengert
