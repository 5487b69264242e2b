// Forward and backward of one LSTM layer by oneDNN's own primitive, with no framework.
#ifndef WENGERT_BENCHMARKS_COMPARE_RAW_ONEDNN_LSTM_H_
#define WENGERT_BENCHMARKS_COMPARE_RAW_ONEDNN_LSTM_H_

#include <cstdint>
#include <memory>
#include <vector>

namespace wengert {

// At oneDNN's best: its own threading, primitives created once, weights and their gradients in the
// formats that it asks for. Bringing updated weights into those formats is not counted.
class RawOneDnnLstm {
 public:
  struct Options {
    int64_t in, hidden, steps, batch;
    int threads = 1;
  };
  // weight_ih: [in, 4 hidden], weight_hh: [hidden, 4 hidden], bias: [4 hidden], gates i, f, g, o.
  RawOneDnnLstm(const Options& options, const float* weight_ih, const float* weight_hh,
                const float* bias);
  ~RawOneDnnLstm();

  // x: [steps, batch, in], dy: [steps, batch, hidden]: time first, as oneDNN has them. From a state
  // of zeros.
  void Step(const float* x, const float* dy);

  // After a step. outputs: [steps, batch, hidden], the gradients as the weights were given.
  struct Results {
    std::vector<float> outputs, dx, weight_ih, weight_hh, bias;
  };
  Results Read() const;

 private:
  struct Network;
  std::unique_ptr<Network> network_;
};

}  // namespace wengert

#endif  // WENGERT_BENCHMARKS_COMPARE_RAW_ONEDNN_LSTM_H_
