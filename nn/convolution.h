// Convolutions besides Conv2d: of sequences, of each channel alone, and transposed.
#ifndef WENGERT_NN_CONVOLUTION_H_
#define WENGERT_NN_CONVOLUTION_H_

#include <cstdint>

#include "autograd/parameter.h"
#include "nn/initializers.h"
#include "ops/ops.h"

namespace wengert::nn {

// x: [N, T, in] -> [N, T', out].
struct Conv1d {
  struct Options {
    int64_t in, out;
    int64_t kernel;  // its length
    int64_t stride = 1;
    int64_t dilation = 1;
    int64_t groups = 1;
    Padding padding = Padding::Valid();
    bool use_bias = true;
    Initializer initializer = &GlorotUniform;
  };
  Parameter weight;  // [kernel, in / groups, out]
  Parameter bias;    // [out], zeros at first
  Conv2dOptions options;

  Conv1d(const Options& options, Generator& generator);
  Variable operator()(const Variable& x, SourceLocation where = SourceLocation::current()) const;
  template <class V>
  void Visit(V&& v) {
    v("weight", weight), v("bias", bias);
  }
};

// x: [N, H, W, in] -> [N, H', W', in * multiplier]: channels do not mix. With a Conv2d of kernel 1
// after it, a separable convolution (Chollet 2017; Howard et al. 2017).
struct DepthwiseConv2d {
  struct Options {
    int64_t in;
    int64_t kernel;  // its height and width
    int64_t multiplier = 1;
    int64_t stride = 1;
    int64_t dilation = 1;
    Padding padding = Padding::Valid();
    bool use_bias = true;
    Initializer initializer = &GlorotUniform;
  };
  Parameter weight;  // [kernel, kernel, in, multiplier]
  Parameter bias;    // [in * multiplier], zeros at first
  Conv2dOptions options;

  DepthwiseConv2d(const Options& options, Generator& generator);
  Variable operator()(const Variable& x, SourceLocation where = SourceLocation::current()) const;
  template <class V>
  void Visit(V&& v) {
    v("weight", weight), v("bias", bias);
  }
};

// x: [N, H, W, in] -> [N, H', W', out], H' about H * stride: see wengert::ConvTranspose2d.
struct ConvTranspose2d {
  struct Options {
    int64_t in, out;
    int64_t kernel;  // its height and width
    int64_t stride = 1;
    int64_t dilation = 1;
    int64_t groups = 1;
    Padding padding = Padding::Valid();
    int64_t output_padding = 0;
    bool use_bias = true;
    Initializer initializer = &GlorotUniform;
  };
  Parameter weight;  // [kernel, kernel, out / groups, in]
  Parameter bias;    // [out], zeros at first
  ConvTransposeOptions options;

  ConvTranspose2d(const Options& options, Generator& generator);
  Variable operator()(const Variable& x, SourceLocation where = SourceLocation::current()) const;
  template <class V>
  void Visit(V&& v) {
    v("weight", weight), v("bias", bias);
  }
};

// x: [N, T, in] -> [N, T', out].
struct ConvTranspose1d {
  using Options = ConvTranspose2d::Options;
  Parameter weight;  // [kernel, out / groups, in]
  Parameter bias;    // [out], zeros at first
  ConvTransposeOptions options;

  ConvTranspose1d(const Options& options, Generator& generator);
  Variable operator()(const Variable& x, SourceLocation where = SourceLocation::current()) const;
  template <class V>
  void Visit(V&& v) {
    v("weight", weight), v("bias", bias);
  }
};

}  // namespace wengert::nn

#endif  // WENGERT_NN_CONVOLUTION_H_
