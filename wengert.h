// The one header that a user includes: tensors, the tape, the ops, layers, optimizers, training.
#ifndef WENGERT_WENGERT_H_
#define WENGERT_WENGERT_H_

#include "autograd/check_gradients.h"
#include "autograd/composite.h"
#include "autograd/grad.h"
#include "autograd/modes.h"
#include "autograd/op.h"
#include "autograd/parameter.h"
#include "autograd/state_update.h"
#include "autograd/variable.h"
#include "data/loader.h"
#include "nn/attention.h"
#include "nn/gradient_clipping.h"
#include "nn/initializers.h"
#include "nn/layers.h"
#include "nn/lbfgs.h"
#include "nn/module.h"
#include "nn/muon.h"
#include "nn/optimizers.h"
#include "nn/recurrent.h"
#include "nn/recurrent_layouts.h"
#include "nn/save.h"
#include "nn/schedules.h"
#include "nn/sequential.h"
#include "nn/summary.h"
#include "nn/train/fit.h"
#include "nn/weight_average.h"
#include "ops/ops.h"
#include "tensor/parallel.h"
#include "tensor/tensor.h"

#endif  // WENGERT_WENGERT_H_
