// Shapley values: the one fair share of F(x) - F(baseline) for each part of the input.
#ifndef WENGERT_NN_EXPLAIN_SHAPLEY_H_
#define WENGERT_NN_EXPLAIN_SHAPLEY_H_

#include "autograd/modes.h"
#include "nn/explain/segments.h"
#include "nn/explain/target.h"

namespace wengert::explain {

struct ShapleyOptions {
  // The players: integers from 0 on, of the shape of a row of x or of its first dimensions ([H, W]
  // for images: all channels of a pixel belong together). Undefined: each element is a player.
  Tensor segments;
  Tensor baseline;  // what a player that does not play has; expands to x; undefined: zeros
  int64_t batch_size = 64;
};
// x: [N, ...] of any dtype -> float64 [N, players]: what a player adds to F, on average over all
// orders in which the players come (Shapley 1953). The values of a row add up to F(x) -
// F(baseline). Gather(values, segments, 1) has them where the segments are. No gradient is taken:
// F can be any function.
//
// Estimated from random orders (Castro et al. 2009, "Polynomial calculation of the Shapley value
// based on sampling"), the same ones for all rows: players - 1 evaluations per order, and the error
// falls with the root of their number. The same generator gives the same result. Throws Error as
// Saliency does, and on segments that do not fit x.
Tensor ShapleyValues(Model model, const Tensor& x, const Target& target, Generator& generator,
                     int64_t permutations, const ShapleyOptions& options = {},
                     SourceLocation where = SourceLocation::current());

// Exactly, from all 2^players subsets. Throws Error with more than 12 players.
inline constexpr int64_t kMaxExactPlayers = 12;
Tensor ExactShapleyValues(Model model, const Tensor& x, const Target& target = {},
                          const ShapleyOptions& options = {},
                          SourceLocation where = SourceLocation::current());

}  // namespace wengert::explain

#endif  // WENGERT_NN_EXPLAIN_SHAPLEY_H_
