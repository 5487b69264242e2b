#include "benchmarks/compare/raw_onednn_lstm.h"

#include <omp.h>

#include <algorithm>
#include <oneapi/dnnl/dnnl.hpp>
#include <unordered_map>

namespace wengert {

using dnnl::memory;
using Tag = memory::format_tag;

struct RawOneDnnLstm::Network {
  Options options;
  dnnl::engine engine{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream{engine};
  dnnl::lstm_forward forward;
  dnnl::lstm_backward backward;
  memory x, dx, y, dy, zero_h, zero_c, last_h, last_c, dh0, dc0, dh_last, dc_last, workspace;
  memory weight_ih, weight_hh, bias, weight_ih_back, weight_hh_back, dweight_ih, dweight_hh, dbias;
  std::unordered_map<int, memory> forward_arguments, backward_arguments;

  static memory::desc Describe(const memory::dims& dims, Tag tag) {
    return {dims, memory::data_type::f32, tag};
  }
  memory Make(const memory::desc& desc) const {
    memory made(desc, engine);
    std::fill_n(static_cast<char*>(made.get_data_handle()), desc.get_size(), 0);
    return made;
  }
  void Reorder(memory from, memory to) {
    dnnl::reorder(from, to).execute(stream, from, to);
    stream.wait();
  }
  // A weight given as rows of all gates, in the format that `desc` says.
  memory Weight(const float* rows, const memory::dims& dims, Tag tag, const memory::desc& desc) {
    memory made = Make(desc);
    Reorder(memory(Describe(dims, tag), engine, const_cast<float*>(rows)), made);
    return made;
  }
};

RawOneDnnLstm::RawOneDnnLstm(const Options& o, const float* weight_ih, const float* weight_hh,
                             const float* bias)
    : network_(std::make_unique<Network>()) {
  Network& n = *network_;
  n.options = o;
  omp_set_num_threads(o.threads);
  const auto any = [](const memory::dims& dims) { return Network::Describe(dims, Tag::any); };
  const memory::desc x = Network::Describe({o.steps, o.batch, o.in}, Tag::tnc);
  const memory::desc y = Network::Describe({o.steps, o.batch, o.hidden}, Tag::tnc);
  const memory::desc state = Network::Describe({1, 1, o.batch, o.hidden}, Tag::ldnc);
  const memory::dims ih = {1, 1, o.in, 4, o.hidden}, hh = {1, 1, o.hidden, 4, o.hidden};
  const memory::desc b = Network::Describe({1, 1, 4, o.hidden}, Tag::ldgo);
  constexpr auto kDirection = dnnl::rnn_direction::unidirectional_left2right;
  const dnnl::lstm_forward::primitive_desc forward(
      {dnnl::prop_kind::forward_training, kDirection, x, state, state, any(ih), any(hh), b, y,
       state, state},
      n.engine);
  const dnnl::lstm_backward::primitive_desc backward({dnnl::prop_kind::backward,
                                                      kDirection,
                                                      x,
                                                      state,
                                                      state,
                                                      any(ih),
                                                      any(hh),
                                                      b,
                                                      y,
                                                      state,
                                                      state,
                                                      x,
                                                      state,
                                                      state,
                                                      any(ih),
                                                      any(hh),
                                                      b,
                                                      y,
                                                      state,
                                                      state},
                                                     n.engine, forward);
  n.forward = dnnl::lstm_forward(forward);
  n.backward = dnnl::lstm_backward(backward);
  n.x = n.Make(x), n.dx = n.Make(x), n.y = n.Make(y), n.dy = n.Make(y);
  for (memory* m :
       {&n.zero_h, &n.zero_c, &n.last_h, &n.last_c, &n.dh0, &n.dc0, &n.dh_last, &n.dc_last}) {
    *m = n.Make(state);
  }
  n.workspace = n.Make(forward.workspace_desc());
  n.weight_ih = n.Weight(weight_ih, ih, Tag::ldigo, forward.weights_layer_desc());
  n.weight_hh = n.Weight(weight_hh, hh, Tag::ldigo, forward.weights_iter_desc());
  n.weight_ih_back = n.Weight(weight_ih, ih, Tag::ldigo, backward.weights_layer_desc());
  n.weight_hh_back = n.Weight(weight_hh, hh, Tag::ldigo, backward.weights_iter_desc());
  n.bias = n.Weight(bias, {1, 1, 4, o.hidden}, Tag::ldgo, b);
  n.dweight_ih = n.Make(backward.diff_weights_layer_desc());
  n.dweight_hh = n.Make(backward.diff_weights_iter_desc());
  n.dbias = n.Make(b);
  n.forward_arguments = {{DNNL_ARG_SRC_LAYER, n.x},
                         {DNNL_ARG_SRC_ITER, n.zero_h},
                         {DNNL_ARG_SRC_ITER_C, n.zero_c},
                         {DNNL_ARG_WEIGHTS_LAYER, n.weight_ih},
                         {DNNL_ARG_WEIGHTS_ITER, n.weight_hh},
                         {DNNL_ARG_BIAS, n.bias},
                         {DNNL_ARG_DST_LAYER, n.y},
                         {DNNL_ARG_DST_ITER, n.last_h},
                         {DNNL_ARG_DST_ITER_C, n.last_c},
                         {DNNL_ARG_WORKSPACE, n.workspace}};
  n.backward_arguments = n.forward_arguments;
  n.backward_arguments[DNNL_ARG_WEIGHTS_LAYER] = n.weight_ih_back;
  n.backward_arguments[DNNL_ARG_WEIGHTS_ITER] = n.weight_hh_back;
  for (const auto& [argument, made] : {std::pair{DNNL_ARG_DIFF_SRC_LAYER, n.dx},
                                       {DNNL_ARG_DIFF_SRC_ITER, n.dh0},
                                       {DNNL_ARG_DIFF_SRC_ITER_C, n.dc0},
                                       {DNNL_ARG_DIFF_WEIGHTS_LAYER, n.dweight_ih},
                                       {DNNL_ARG_DIFF_WEIGHTS_ITER, n.dweight_hh},
                                       {DNNL_ARG_DIFF_BIAS, n.dbias},
                                       {DNNL_ARG_DIFF_DST_LAYER, n.dy},
                                       {DNNL_ARG_DIFF_DST_ITER, n.dh_last},
                                       {DNNL_ARG_DIFF_DST_ITER_C, n.dc_last}}) {
    n.backward_arguments[argument] = made;
  }
}

RawOneDnnLstm::~RawOneDnnLstm() = default;

void RawOneDnnLstm::Step(const float* x, const float* dy) {
  Network& n = *network_;
  omp_set_num_threads(n.options.threads);
  n.x.set_data_handle(const_cast<float*>(x));
  n.dy.set_data_handle(const_cast<float*>(dy));
  n.forward.execute(n.stream, n.forward_arguments);
  // It adds to what is there.
  for (memory* m : {&n.dweight_ih, &n.dweight_hh, &n.dbias}) {
    std::fill_n(static_cast<char*>(m->get_data_handle()), m->get_desc().get_size(), 0);
  }
  n.backward.execute(n.stream, n.backward_arguments);
  n.stream.wait();
}

RawOneDnnLstm::Results RawOneDnnLstm::Read() const {
  Network& n = *network_;
  const Options& o = n.options;
  const auto read = [&](const memory& from, const memory::dims& dims, Tag tag) {
    const memory::desc desc = Network::Describe(dims, tag);
    std::vector<float> numbers(desc.get_size() / sizeof(float));
    n.Reorder(from, memory(desc, n.engine, numbers.data()));
    return numbers;
  };
  return {.outputs = read(n.y, {o.steps, o.batch, o.hidden}, Tag::tnc),
          .dx = read(n.dx, {o.steps, o.batch, o.in}, Tag::tnc),
          .weight_ih = read(n.dweight_ih, {1, 1, o.in, 4, o.hidden}, Tag::ldigo),
          .weight_hh = read(n.dweight_hh, {1, 1, o.hidden, 4, o.hidden}, Tag::ldigo),
          .bias = read(n.dbias, {1, 1, 4, o.hidden}, Tag::ldgo)};
}

}  // namespace wengert
