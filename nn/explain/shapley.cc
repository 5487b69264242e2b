#include "nn/explain/shapley.h"

#include <bit>
#include <vector>

#include "absl/strings/str_cat.h"
#include "nn/explain/scores.h"
#include "ops/ops.h"

namespace wengert::explain {

using internal::Explained;
using internal::Segments;

Tensor ShapleyValues(Model model, const Tensor& x, const Target& target, Generator& generator,
                     int64_t permutations, const ShapleyOptions& options, SourceLocation where) {
  internal::CheckAtLeast("shapley_values", "permutations", permutations, 1, where);
  const Explained explained("shapley_values", model, x, target, options.baseline,
                            options.batch_size, where);
  const Segments segments("shapley_values", options.segments, x, where);
  const int64_t players = segments.count, inner = players - 1;
  std::vector<int64_t> orders;  // [permutations, players]
  for (int64_t i = 0; i < permutations; ++i) {
    const std::vector<int64_t> order = Permutation(players, generator).value().ToVector<int64_t>();
    orders.insert(orders.end(), order.begin(), order.end());
  }
  // Coalition i: the first players, 1 to players - 1 of them, of an order. All and none are known.
  const auto keep = [&](int64_t start, int64_t n) {
    Tensor kept = Tensor::Zeros({n, players}, DType::kBool);
    bool* row = kept.mutable_data<bool>();
    for (int64_t i = start; i < start + n; ++i, row += players) {
      const int64_t* order = &orders[static_cast<size_t>(i / inner * players)];
      for (int64_t k = 0; k <= i % inner; ++k) row[order[k]] = true;
    }
    return segments.Spread(kept);
  };
  const std::vector<double> of_all = explained.OfX(), of_none = explained.OfBaseline();
  Tensor values = Tensor::Zeros({explained.rows(), players}, DType::kFloat64);
  for (int64_t n = 0; n < explained.rows(); ++n) {
    const std::vector<double> outputs = explained.OfMasked(n, permutations * inner, keep);
    double* value = values.mutable_data<double>() + n * players;
    for (int64_t i = 0; i < permutations; ++i) {
      double before = of_none[static_cast<size_t>(n)];
      for (int64_t k = 0; k < players; ++k) {
        const double with = k == inner ? of_all[static_cast<size_t>(n)]
                                       : outputs[static_cast<size_t>(i * inner + k)];
        value[orders[static_cast<size_t>(i * players + k)]] +=
            (with - before) / static_cast<double>(permutations);
        before = with;
      }
    }
  }
  return values;
}

Tensor ExactShapleyValues(Model model, const Tensor& x, const Target& target,
                          const ShapleyOptions& options, SourceLocation where) {
  const Explained explained("exact_shapley_values", model, x, target, options.baseline,
                            options.batch_size, where);
  const Segments segments("exact_shapley_values", options.segments, x, where);
  const int64_t players = segments.count;
  if (players > kMaxExactPlayers) {
    internal::Fail("exact_shapley_values",
                   absl::StrCat(players, " players, at most ", kMaxExactPlayers,
                                " are feasible: ShapleyValues samples"),
                   where);
  }
  // Bit p of a coalition: player p is in it.
  const uint32_t coalitions = 1u << players;
  const auto keep = [&](int64_t start, int64_t n) {
    Tensor kept = Tensor::Empty({n, players}, DType::kBool);
    bool* next = kept.mutable_data<bool>();
    for (int64_t i = start; i < start + n; ++i) {
      for (int64_t p = 0; p < players; ++p) *next++ = i >> p & 1;
    }
    return segments.Spread(kept);
  };
  // weights[s] = s! (players - s - 1)! / players!: the share of the orders in which a player comes
  // right after a given coalition of s.
  std::vector<double> weights{1.0 / static_cast<double>(players)};
  for (int64_t s = 1; s < players; ++s) {
    weights.push_back(weights.back() * static_cast<double>(s) / static_cast<double>(players - s));
  }
  Tensor values = Tensor::Zeros({explained.rows(), players}, DType::kFloat64);
  for (int64_t n = 0; n < explained.rows(); ++n) {
    const std::vector<double> outputs = explained.OfMasked(n, coalitions, keep);
    double* value = values.mutable_data<double>() + n * players;
    for (uint32_t without = 0; without < coalitions; ++without) {
      for (int64_t p = 0; p < players; ++p) {
        const uint32_t with = without | 1u << p;
        if (with == without) continue;
        value[p] += weights[static_cast<size_t>(std::popcount(without))] *
                    (outputs[with] - outputs[without]);
      }
    }
  }
  return values;
}

}  // namespace wengert::explain
