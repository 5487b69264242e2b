// Layers made of layers that see the same input: added up, or side by side.
#ifndef WENGERT_NN_BRANCHES_H_
#define WENGERT_NN_BRANCHES_H_

#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "autograd/modes.h"
#include "autograd/op.h"
#include "ops/ops.h"

namespace wengert::nn {

// x itself.
struct Identity {
  Variable operator()(const Variable& x, SourceLocation = SourceLocation::current()) const {
    return x;
  }
};

// x + body(x) (He et al. 2016); with a projection, where body changes the shape, projection(x) +
// body(x). Anything that can be called with a Variable is a body, as in Sequential. Throws Error
// unless both summands have one shape.
//
//   nn::Residual block(nn::Sequential(nn::LayerNorm({.size = 64}), nn::Dense(...), Relu));
template <class Body, class Projection = Identity>
struct Residual {
  Body body;
  Projection projection;

  explicit Residual(Body body, Projection projection = {})
      : body(std::move(body)), projection(std::move(projection)) {}

  Variable operator()(const Variable& x, SourceLocation where = SourceLocation::current()) const {
    const WhereScope scope(where, "residual");
    const Variable shortcut = projection(x), y = body(x);
    if (!(shortcut.shape() == y.shape())) {
      Error error("residual", absl::StrCat("the body gives ", ToString(y.shape()),
                                           ", the shortcut ", ToString(shortcut.shape())));
      internal::RethrowWithPlace(error, {&x, 1}, where);
    }
    return shortcut + y;
  }
  template <class V>
  void Visit(V&& v) {
    v("body", body), v("projection", projection);
  }
};

// What every branch makes of x, joined along `axis` (Szegedy et al. 2015):
//
//   nn::Concatenate inception(/*axis=*/-1, nn::Conv2d(...), nn::Conv2d(...), nn::Identity());
//
// Parameters are named by position: "0/weight".
template <class... Branches>
struct Concatenate {
  static_assert(sizeof...(Branches) > 0, "nothing to join");
  int axis;
  std::tuple<Branches...> branches;

  explicit Concatenate(int axis, Branches... b) : axis(axis), branches(std::move(b)...) {}

  Variable operator()(const Variable& x, SourceLocation where = SourceLocation::current()) const {
    const WhereScope scope(where, "concatenate");
    const std::vector<Variable> parts = std::apply(
        [&](const Branches&... branch) { return std::vector<Variable>{branch(x)...}; }, branches);
    return Concat(parts, axis);
  }
  template <class V>
  void Visit(V&& v) {
    int i = 0;
    std::apply([&](Branches&... branch) { (v(std::to_string(i++), branch), ...); }, branches);
  }
};

}  // namespace wengert::nn

#endif  // WENGERT_NN_BRANCHES_H_
