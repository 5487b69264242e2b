// Misuses of convolution, pooling, resizing, windows and random ops.
#include "tests/misuse/misuse.h"

namespace wengert {
namespace {

Variable Image() { return Reals({2, 8, 8, 3}); }
Variable Kernel() { return Reals({3, 3, 3, 4}); }
Variable Steps() { return Reals({2, 8, 3}); }

const std::vector<Misuse>& ConvolutionRows() {
  static const auto& rows = *new std::vector<Misuse>{
      OP_MISUSE("ConvOfChannelsFirst", Conv2d(Reals({2, 3, 8, 8}), Kernel()),  //
                "[conv2d]", "[2,3,8,8]", "[3,3,3,4]"),
      OP_MISUSE("ConvOfOneImage", Conv2d(Reals({8, 8, 3}), Kernel()), "[conv2d]", "[8,8,3]",
                "[N, H, W, C]"),
      OP_MISUSE("ConvByAMatrix", Conv2d(Image(), Reals({3, 3})), "[conv2d]", "[3,3]",
                "[kh, kw, in / groups, out]"),
      OP_MISUSE("ConvByAKernelThatIsTooLarge", Conv2d(Reals({1, 2, 2, 3}), Kernel()), "[conv2d]",
                "[3,3,3,4]", "larger", "[1,2,2,3]"),
      OP_MISUSE("ConvOfStrideZero", Conv2d(Image(), Kernel(), {.stride = 0}), "[conv2d]", "stride",
                "0"),
      OP_MISUSE("ConvOfNegativeDilation", Conv2d(Image(), Kernel(), {.dilation = -1}),  //
                "[conv2d]", "dilation", "-1"),
      OP_MISUSE("ConvOfGroupsThatDoNotDivide", Conv2d(Image(), Kernel(), {.groups = 2}), "[conv2d]",
                "[2,8,8,3]", "3 channels", "[3,3,3,4]", "2 groups"),
      OP_MISUSE("ConvOfGroupsZero", Conv2d(Image(), Kernel(), {.groups = 0}),  //
                "[conv2d]", "groups", "0"),
      OP_MISUSE("ConvOfCausalPadding",
                Conv2d(Image(), Kernel(), {.padding = Padding::Causal()}),  //
                "[conv2d]", "causal"),
      OP_MISUSE("ConvOfNegativePadding",
                Conv2d(Image(), Kernel(), {.padding = Padding::Pixels(-1)}),  //
                "[conv2d]", "padding", "-1"),
      MISUSE("ConvOfNothing", Conv2d(Variable(), Kernel()), "undefined Variable"),
      OP_MISUSE("Conv1dOfChannels", Conv1d(Steps(), Reals({3, 4, 5})),  //
                "[conv1d]", "[2,8,3]", "[3,4,5]"),
      OP_MISUSE("Conv1dOfAnImage", Conv1d(Image(), Reals({3, 3, 5})), "[conv1d]", "[2,8,8,3]",
                "[N, T, C]"),
      OP_MISUSE("DepthwiseConvOfChannels", DepthwiseConv2d(Image(), Reals({3, 3, 4, 1})),  //
                "[depthwise_conv2d]", "[2,8,8,3]", "[3,3,4,1]"),
      OP_MISUSE("DepthwiseConvOfGroups",
                DepthwiseConv2d(Image(), Reals({3, 3, 3, 1}), {.groups = 3}),  //
                "[depthwise_conv2d]", "groups", "3"),
      OP_MISUSE("ConvTransposeOfChannels", ConvTranspose2d(Image(), Kernel()),  //
                "[conv_transpose2d]", "[2,8,8,3]", "[3,3,3,4]"),
      OP_MISUSE("ConvTransposeOfOutputPadding",
                ConvTranspose2d(Image(), Reals({3, 3, 4, 3}),
                                {.padding = Padding::Pixels(1), .output_padding = 1}),
                "[conv_transpose2d]", "output_padding", "1"),
      OP_MISUSE("ConvTransposeOfSamePaddingAndMore",
                ConvTranspose2d(Image(), Reals({3, 3, 4, 3}),
                                {.stride = 2, .padding = Padding::Same(), .output_padding = 1}),
                "[conv_transpose2d]", "output_padding"),
      OP_MISUSE("ConvTranspose1dOfAVector", ConvTranspose1d(Reals({3}), Reals({3, 4, 3})),
                "[conv_transpose1d]", "[3]", "[N, T, C]"),
  };
  return rows;
}
MISUSES(Convolution, ConvolutionRows());

const std::vector<Misuse>& PoolingRows() {
  static const auto& rows = *new std::vector<Misuse>{
      OP_MISUSE("MaxPoolOfOneImage", MaxPool2d(Reals({8, 8, 3})), "[max_pool2d]", "[8,8,3]",
                "[N, H, W, C]"),
      OP_MISUSE("MaxPoolOfALargeWindow", MaxPool2d(Image(), {.window = 9}),  //
                "[max_pool2d]", "9", "[2,8,8,3]"),
      OP_MISUSE("MaxPoolOfWindowZero", MaxPool2d(Image(), {.window = 0}), "[max_pool2d]", "window",
                "0"),
      OP_MISUSE("AvgPoolOfNegativeStride", AvgPool2d(Image(), {.stride = -2}),  //
                "[avg_pool2d]", "stride", "-2"),
      OP_MISUSE("AvgPoolOfPaddingBeyondTheWindow",
                AvgPool2d(Image(), {.padding = Padding::Pixels(2)}),  //
                "[avg_pool2d]", "padding", "2"),
      OP_MISUSE("MaxPool1dOfAnImage", MaxPool1d(Image()), "[max_pool1d]", "[2,8,8,3]", "[N, T, C]"),
      OP_MISUSE("AvgPool1dOfAMatrix", AvgPool1d(Reals({8, 3})), "[avg_pool1d]", "[8,3]",
                "[N, T, C]"),
      OP_MISUSE("AdaptiveMaxPoolToNothing", AdaptiveMaxPool2d(Image(), 0, 1),  //
                "[adaptive_max_pool2d]", "0"),
      OP_MISUSE("AdaptiveAvgPoolOfNoRows", AdaptiveAvgPool2d(Reals({1, 0, 8, 3}), 1, 1),  //
                "[adaptive_avg_pool2d]", "[1,0,8,3]"),
      OP_MISUSE("GlobalMaxPoolOfASequence", GlobalMaxPool2d(Steps()),  //
                "[global_max_pool2d]", "[2,8,3]", "[N, H, W, C]"),
      OP_MISUSE("GlobalAvgPoolOfNoPixels", GlobalAvgPool2d(Reals({2, 0, 8, 3})),  //
                "[global_avg_pool2d]", "[2,0,8,3]"),
      OP_MISUSE("GlobalAvgPool1dOfAnImage", GlobalAvgPool1d(Image()),  //
                "[global_avg_pool1d]", "[2,8,8,3]", "[N, T, C]"),
      OP_MISUSE("ResizeOfAMatrix", Resize(Reals({8, 8}), 4, 4), "[resize]", "[8,8]",
                "[N, H, W, C]"),
      OP_MISUSE("ResizeToNegative", Resize(Image(), -4, 4), "[resize]", "-4"),
      OP_MISUSE("ResizeOfNothing", Resize(Reals({1, 0, 4, 3}), 2, 2), "[resize]", "[1,0,4,3]"),
      OP_MISUSE("UnfoldOfASequence", Unfold(Steps(), {.window_h = 2, .window_w = 2}),  //
                "[unfold]", "[2,8,3]", "[N, H, W, C]"),
      OP_MISUSE("UnfoldOfWindowZero", Unfold(Image(), {.window_h = 0}), "[unfold]",
                "window height 0"),
      OP_MISUSE("UnfoldOfALargeWindow", Unfold(Image(), {.window_h = 9}), "[unfold]", "9",
                "[2,8,8,3]"),
      OP_MISUSE("FoldToAnotherSize",
                Fold(Unfold(Image(), {.window_h = 2, .window_w = 2}), 9, 9,
                     {.window_h = 2, .window_w = 2}),
                "[fold]", "9"),
  };
  return rows;
}
MISUSES(Pooling, PoolingRows());

const std::vector<Misuse>& RandomRows() {
  static const auto& rows = *new std::vector<Misuse>{
      OP_MISUSE("UniformWithBoundsExchanged", Uniform({2}, Rng(), 1, 0), "[uniform]", "1", "0"),
      OP_MISUSE("UniformOfIntegers", Uniform({2}, Rng(), 0, 9, DType::kInt64),  //
                "[uniform]", "int64"),
      OP_MISUSE("UniformOfNegativeDimension", Uniform({-2}, Rng()), "[uniform]", "[-2]",
                "negative"),
      OP_MISUSE("NormalOfNegativeDeviation", Normal({2}, Rng(), 0, -1), "[normal]", "-1"),
      OP_MISUSE("NormalOfNan", Normal({2}, Rng(), NAN), "[normal]", "nan"),
      OP_MISUSE("BernoulliOfPercent", Bernoulli({2}, Rng(), 50), "[bernoulli]", "[0, 1]", "50"),
      OP_MISUSE("PermutationOfNegative", Permutation(-3, Rng()), "[permutation]", "-3"),
      OP_MISUSE("DropoutOfPercent", Dropout(Reals({2}), 50), "[dropout]", "[0, 1)", "50"),
      OP_MISUSE("DropoutOfEverything", Dropout(Reals({2}), 1), "[dropout]", "1"),
      MISUSE("GeneratorOutsideOfTraining", TrainingScope::generator(), "TrainingScope"),
  };
  return rows;
}
MISUSES(Random, RandomRows());

}  // namespace
}  // namespace wengert
