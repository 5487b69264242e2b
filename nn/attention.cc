#include "nn/attention.h"

#include <cmath>
#include <limits>
#include <vector>

#include "absl/strings/str_cat.h"
#include "autograd/op.h"

namespace wengert::nn {
namespace {

Dense::Options Square(const MultiHeadAttention::Options& options) {
  CheckPositive("multi_head_attention", {{"size", options.size}, {"heads", options.heads}});
  if (options.size % options.heads != 0) {
    throw Error("multi_head_attention",
                absl::StrCat(options.heads, " heads do not divide size = ", options.size));
  }
  return {.in = options.size, .out = options.size, .use_bias = options.use_bias};
}

void CheckSequence(const char* name, const Variable& x, int64_t size, SourceLocation where) {
  if (x.rank() == 3 && x.shape()[2] == size) return;
  internal::ThrowAt("multi_head_attention",
                    absl::StrCat(name, " is ", ToString(x.shape()), ", not [N, T, ", size, "]"), x,
                    where);
}

// [N, T, size] -> [N, heads, T, size / heads].
Variable SplitHeads(const Variable& x, int64_t heads) {
  const Shape& shape = x.shape();
  return Permute(Reshape(x, {shape[0], shape[1], heads, shape[2] / heads}), {0, 2, 1, 3});
}

// [T, S]: what is added to the scores, -infinity where s > t.
Tensor CausalMask(int64_t steps, int64_t source, DType dtype) {
  std::vector<double> mask(steps * source, 0.0);
  for (int64_t t = 0; t < steps; ++t) {
    for (int64_t s = t + 1; s < source; ++s) {
      mask[t * source + s] = -std::numeric_limits<double>::infinity();
    }
  }
  return Tensor::FromVector(mask, {steps, source}).To(dtype);
}

}  // namespace

MultiHeadAttention::MultiHeadAttention(const Options& options, Generator& generator)
    : query(Square(options), generator),
      key(Square(options), generator),
      value(Square(options), generator),
      output(Square(options), generator),
      heads(options.heads),
      causal(options.causal) {}

Variable MultiHeadAttention::operator()(const Variable& x, const Variable& source,
                                        SourceLocation where) const {
  const WhereScope scope(where, "multi_head_attention");
  const int64_t size = query.weight.shape()[0];
  CheckSequence("x", x, size, where);
  CheckSequence("source", source, size, where);
  if (x.shape()[0] != source.shape()[0]) {
    internal::ThrowAt("multi_head_attention",
                      absl::StrCat("x ", ToString(x.shape()), " and source ",
                                   ToString(source.shape()), " differ in their number of examples"),
                      x, where);
  }
  const double scale = 1 / std::sqrt(static_cast<double>(size / heads));
  const Variable q = SplitHeads(query(x) * scale, heads);
  const Variable k = SplitHeads(key(source), heads);
  const Variable v = SplitHeads(value(source), heads);
  Variable scores = MatMul(q, Transpose(k));
  if (causal) scores = scores + CausalMask(x.shape()[1], source.shape()[1], scores.dtype());
  const Variable attended = MatMul(Softmax(scores), v);
  return output(Reshape(Permute(attended, {0, 2, 1, 3}), x.shape()));
}

}  // namespace wengert::nn
