// The weights of recurrent cells as Keras, PyTorch and ONNX lay them out: gates in another order,
// matrices transposed, biases split in two.
#ifndef WENGERT_NN_RECURRENT_LAYOUTS_H_
#define WENGERT_NN_RECURRENT_LAYOUTS_H_

#include "nn/recurrent.h"
#include "tensor/tensor.h"

namespace wengert::nn {

enum class WeightLayout { kKeras, kPyTorch, kOnnx };

// With G gates of H units:
//
//              Keras                     PyTorch        ONNX, of one direction
//   weight_ih  kernel [in, G H]          [G H, in]      W [1, G H, in]
//   weight_hh  recurrent_kernel [H, G H] [G H, H]       R [1, G H, H]
//   bias       [G H]; of a GRU that      bias_ih [G H]  B [1, 2 G H]: Wb, then Rb
//              resets after [2, 3 H]
//   bias_hh    -                         bias_hh [G H]  -
//   LSTM       i, f, c, o                i, f, g, o     i, o, f, c
//   GRU        z, r, h                   r, z, n        z, r, h; linear_before_reset = reset_after
//
// PyTorch has no GRU that resets before the product, and nobody has layer_norm: an Error.
struct ForeignWeights {
  Tensor weight_ih, weight_hh;
  Tensor bias, bias_hh;  // undefined: zeros
};

// Cell: RnnCell, LstmCell or GruCell. A layer's are in Recurrent::cells.
template <class Cell>
ForeignWeights ExportWeights(const Cell& cell, WeightLayout layout,
                             SourceLocation where = SourceLocation::current());
// Sets the cell's parameters, which have one bias where others have two that are only ever added.
// A wrong shape or dtype is an Error, and nothing is set.
template <class Cell>
void ImportWeights(Cell& cell, WeightLayout layout, const ForeignWeights& weights,
                   SourceLocation where = SourceLocation::current());

}  // namespace wengert::nn

#endif  // WENGERT_NN_RECURRENT_LAYOUTS_H_
