// The layers: plain structs made of ops. Copies share their parameters.
#ifndef WENGERT_NN_LAYERS_H_
#define WENGERT_NN_LAYERS_H_

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <optional>
#include <string_view>
#include <utility>

#include "autograd/parameter.h"
#include "nn/initializers.h"
#include "ops/ops.h"

namespace wengert::nn {

// For constructors: throws Error naming the first option that is not positive.
void CheckPositive(std::string_view layer,
                   std::initializer_list<std::pair<const char*, int64_t>> options);

// x: [..., in] of rank 2 or more -> [..., out]; y = x weight + bias.
struct Dense {
  struct Options {
    int64_t in, out;
    bool use_bias = true;
    Initializer initializer = &GlorotUniform;
  };
  Parameter weight;  // [in, out]
  Parameter bias;    // [out], zeros at first

  Dense(const Options& options, Generator& generator);
  Variable operator()(const Variable& x, SourceLocation where = SourceLocation::current()) const;
  template <class V>
  void Visit(V&& v) {
    v("weight", weight), v("bias", bias);
  }
};

// x: [N, H, W, in] -> [N, H', W', out].
struct Conv2d {
  struct Options {
    int64_t in, out;
    int64_t kernel;  // its height and width
    int64_t stride = 1;
    int64_t dilation = 1;
    int64_t groups = 1;
    Padding padding = Padding::Valid();
    bool use_bias = true;
    Initializer initializer = &GlorotUniform;
  };
  Parameter weight;  // [kernel, kernel, in / groups, out]
  Parameter bias;    // [out], zeros at first
  Conv2dOptions options;

  Conv2d(const Options& options, Generator& generator);
  Variable operator()(const Variable& x, SourceLocation where = SourceLocation::current()) const;
  template <class V>
  void Visit(V&& v) {
    v("weight", weight), v("bias", bias);
  }
};

// x: [N, H, W, C] -> [N, H', W', C].
struct MaxPool2d {
  Pool2dOptions options = {};
  Variable operator()(const Variable& x, SourceLocation where = SourceLocation::current()) const {
    return wengert::MaxPool2d(x, options, where);
  }
};
struct AvgPool2d {
  Pool2dOptions options = {};
  Variable operator()(const Variable& x, SourceLocation where = SourceLocation::current()) const {
    return wengert::AvgPool2d(x, options, where);
  }
};

// x: [N, ...] -> [N, the rest as one].
struct Flatten {
  Variable operator()(const Variable& x, SourceLocation where = SourceLocation::current()) const;
};
// x: [N, ...] -> [N] + shape, which holds as many elements; one dimension may be -1.
struct Unflatten {
  Shape shape;
  Variable operator()(const Variable& x, SourceLocation where = SourceLocation::current()) const;
};

// A function as a layer, where a type is wanted: as a member, or to be chosen when the program
// runs. Sequential takes the functions themselves.
//
//   nn::Activation activation{Relu};
//   activation = {[](const Variable& x) { return LeakyRelu(x, 0.1); }};
struct Activation {
  std::function<Variable(const Variable&)> function;
  Variable operator()(const Variable& x, SourceLocation where = SourceLocation::current()) const;
};

// indices: integers [...] below `count` -> [..., size], the rows of weight that they name. Where an
// index is `padding_index`, the result is 0 and nothing is learned.
struct Embedding {
  struct Options {
    int64_t count, size;
    std::optional<int64_t> padding_index = {};
  };
  Parameter weight;  // [count, size], Uniform in +-0.05 at first, as in Keras
  std::optional<int64_t> padding_index;

  Embedding(const Options& options, Generator& generator);
  Variable operator()(const Variable& indices,
                      SourceLocation where = SourceLocation::current()) const;
  template <class V>
  void Visit(V&& v) {
    v("weight", weight);
  }
};

// In a TrainingScope, zeroes elements with probability `rate` and scales the others up by
// 1 / (1 - rate) (Srivastava et al. 2014). Outside: x.
struct Dropout {
  double rate = 0.5;
  Variable operator()(const Variable& x, SourceLocation where = SourceLocation::current()) const {
    return wengert::Dropout(x, rate, where);
  }
};

// The same, but of x: [N, ..., C] of rank 3 or more whole channels drop, at all positions of an
// example (Tompson et al. 2015): neighbouring pixels or steps say too much of each other.
struct SpatialDropout {
  double rate = 0.5;
  Variable operator()(const Variable& x, SourceLocation where = SourceLocation::current()) const;
};

// For self-normalizing networks (Klambauer et al. 2017, section 3, "New dropout technique"): in a
// TrainingScope, with probability `rate` = 1 - q, an element becomes alpha' = -1.7581, the limit of
// selu at -infinity; then all become a x + b, with a = (q + alpha'^2 q (1 - q))^(-1/2) and
// b = -a (1 - q) alpha', so that mean 0 and variance 1 stay what they are. Outside: x.
struct AlphaDropout {
  double rate = 0.05;
  Variable operator()(const Variable& x, SourceLocation where = SourceLocation::current()) const;
};

}  // namespace wengert::nn

#endif  // WENGERT_NN_LAYERS_H_
