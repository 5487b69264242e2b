// A recurrent layer with a dense layer on its last state, and biases with which gates remember.
#ifndef WENGERT_MODELS_LAST_STATE_H_
#define WENGERT_MODELS_LAST_STATE_H_

#include <cstdint>

#include "nn/layers.h"
#include "nn/recurrent.h"

namespace wengert {

template <class Layer>
struct LastState {
  struct Options {
    int64_t in, hidden, out;
  };
  Layer recurrent;
  nn::Dense head;

  LastState(const Options& o, Generator& rng)
      : recurrent({.in = o.in, .hidden = o.hidden}, rng),
        head({.in = o.hidden, .out = o.out}, rng) {}
  // [N, T, in] -> [N, out].
  Variable operator()(const Variable& x) const { return head(recurrent(x).last); }
  template <class V>
  void Visit(V&& v) {
    v("recurrent", recurrent), v("head", head);
  }
};

// Biases with which gates remember for 1 to `steps` steps (Tallec and Ollivier 2018, section 3):
// log(u), u uniform in [1, steps - 1], for the gate that keeps, and the opposite for the LSTM's
// input gate.
void RememberFor(int64_t steps, nn::LstmCell& cell, Generator& rng);
void RememberFor(int64_t steps, nn::GruCell& cell, Generator& rng);

}  // namespace wengert

#endif  // WENGERT_MODELS_LAST_STATE_H_
