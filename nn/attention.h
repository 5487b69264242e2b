// Multi-head attention, as a composition of ops.
#ifndef WENGERT_NN_ATTENTION_H_
#define WENGERT_NN_ATTENTION_H_

#include <cstdint>

#include "nn/layers.h"
#include "ops/ops.h"

namespace wengert::nn {

// Attention of several heads (Vaswani et al. 2017, section 3.2), each on size / heads features:
// softmax(q k^T / sqrt(size / heads)) v, where q, k and v are dense layers of what asks and of what
// is asked; then a dense layer over all heads.
struct MultiHeadAttention {
  struct Options {
    int64_t size, heads;  // heads divide the size
    bool causal = false;  // a position attends to itself and to those before it
    bool use_bias = true;
  };
  Dense query, key, value, output;
  int64_t heads;
  bool causal;

  MultiHeadAttention(const Options& options, Generator& generator);
  // x: [N, T, size], source: [N, S, size] -> [N, T, size]. x attends to source, or to itself.
  Variable operator()(const Variable& x, const Variable& source,
                      SourceLocation where = SourceLocation::current()) const;
  Variable operator()(const Variable& x, SourceLocation where = SourceLocation::current()) const {
    return (*this)(x, x, where);
  }
  template <class V>
  void Visit(V&& v) {
    v("query", query), v("key", key), v("value", value), v("output", output);
  }
};

}  // namespace wengert::nn

#endif  // WENGERT_NN_ATTENTION_H_
