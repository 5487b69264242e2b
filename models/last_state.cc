#include "models/last_state.h"

#include "ops/ops.h"

namespace wengert {
namespace {

Variable LogUniform(int64_t steps, int64_t hidden, Generator& rng) {
  return Log(Uniform({hidden}, rng, 1, static_cast<double>(steps - 1)));
}

}  // namespace

void RememberFor(int64_t steps, nn::LstmCell& cell, Generator& rng) {
  const Variable keep = LogUniform(steps, cell.hidden(), rng);
  const Variable others = Tensor::Zeros({2 * cell.hidden()});
  cell.bias.Set(Concat({-keep, keep, others}, 0));  // i, f, g, o
}

void RememberFor(int64_t steps, nn::GruCell& cell, Generator& rng) {
  const Variable keep = LogUniform(steps, cell.hidden(), rng);
  const Variable others = Tensor::Zeros({cell.hidden()});
  cell.bias.Set(Concat({others, keep, others}, 0));  // r, z, n
}

}  // namespace wengert
