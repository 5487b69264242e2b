// Sequential: layers one after the other.
#ifndef WENGERT_NN_SEQUENTIAL_H_
#define WENGERT_NN_SEQUENTIAL_H_

#include <string>
#include <tuple>
#include <utility>

#include "autograd/modes.h"
#include "autograd/variable.h"

namespace wengert::nn {

// Anything that can be called with a Variable is a layer of it: nn layers, Relu, a lambda.
//
//   nn::Sequential model(nn::Dense({.in = 784, .out = 128}, rng), Relu, nn::Dense(...));
//
// Parameters are named by position: "0/weight".
template <class... Layers>
struct Sequential {
  std::tuple<Layers...> layers;

  explicit Sequential(Layers... l) : layers(std::move(l)...) {}

  Variable operator()(Variable x, SourceLocation where = SourceLocation::current()) const {
    const WhereScope scope(where, "sequential");
    std::apply([&](const Layers&... layer) { ((x = layer(x)), ...); }, layers);
    return x;
  }
  template <class V>
  void Visit(V&& v) {
    int i = 0;
    std::apply([&](Layers&... layer) { (v(std::to_string(i++), layer), ...); }, layers);
  }
};

}  // namespace wengert::nn

#endif  // WENGERT_NN_SEQUENTIAL_H_
