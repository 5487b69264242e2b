// For tests of element-wise groups: a piece of program, lazy against eager execution.
#ifndef WENGERT_TESTS_OPS_ELEMENT_GROUP_RUNS_H_
#define WENGERT_TESTS_OPS_ELEMENT_GROUP_RUNS_H_

#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "autograd/grad.h"
#include "autograd/modes.h"
#include "gtest/gtest.h"
#include "ops/ops.h"
#include "tests/ops/kernel_test.h"

namespace wengert {

using Variables = std::vector<Variable>;
// Records results of some inputs.
using Body = std::function<Variables(const Variables&)>;

// Multiples of 1/256 in [-2, 2], no two calls alike in pattern.
inline Tensor Random(const Shape& shape, uint32_t seed = 1) {
  RandomIntegers random(seed);
  Tensor x = Tensor::Empty(shape);
  for (int64_t i = 0; i < x.size(); ++i) {
    x.mutable_data<float>()[i] = static_cast<float>(random.Int(-512, 512)) / 256;
  }
  return x;
}

enum class Reading { kTogether, kValuesFirst, kGradientsFirst, kWithoutGradients };

// The results of `body` and their gradients for each floating input, with cotangents that differ
// by element.
inline std::vector<Tensor> Compute(const Body& body, const std::vector<Tensor>& inputs,
                                   Reading reading) {
  Variables x, leaves;
  for (const Tensor& input : inputs) {
    const bool leaf = IsFloating(input.dtype()) && reading != Reading::kWithoutGradients;
    x.push_back(leaf ? DifferentiableLeaf(input) : Variable(input));
    if (x.back().requires_grad()) leaves.push_back(x.back());
  }
  Variables results = body(x);
  Variables outputs, cotangents;
  for (const Variable& result : results) {
    if (!result.requires_grad()) continue;
    outputs.push_back(result);
    cotangents.push_back(Random(result.shape(), 77).To(result.dtype()));
  }
  if (reading == Reading::kValuesFirst) Evaluate(results);
  if (!outputs.empty()) {
    Variables gradients =
        Grad(outputs, leaves, {.cotangents = std::move(cotangents), .unused = Unused::kZero});
    if (reading == Reading::kGradientsFirst) Evaluate(gradients);
    for (Variable& gradient : gradients) results.push_back(std::move(gradient));
  }
  Evaluate(results);
  std::vector<Tensor> values;
  for (const Variable& result : results) values.push_back(result.value());
  return values;
}

// The gradients of one loss of the results, for which no more is kept than they take.
inline std::vector<Tensor> ComputeFinal(const Body& body, const std::vector<Tensor>& inputs) {
  std::vector<Parameter> parameters;
  for (const Tensor& input : inputs) {
    if (IsFloating(input.dtype())) parameters.emplace_back(input);
  }
  const auto loss = [&] {
    Variables x;
    size_t next = 0;
    for (const Tensor& input : inputs) {
      x.push_back(IsFloating(input.dtype()) ? parameters[next++].variable() : Variable(input));
    }
    Variable sum = Tensor::Zeros({}, parameters[0].variable().dtype());
    for (const Variable& result : body(x)) {
      if (result.requires_grad()) sum = sum + Sum(result * Random(result.shape(), 77));
    }
    return sum;
  };
  const ValueAndGradients computed = ValueAndGrad(loss, parameters);
  std::vector<Tensor> values = {computed.value.value()};
  for (const Variable& gradient : computed.gradients) values.push_back(gradient.value());
  return values;
}

// With the strides of `x`.
inline Tensor ToFloat64(const Tensor& x) {
  if (x.IsContiguous()) return x.To(DType::kFloat64);
  int64_t last = x.offset();
  for (int axis = 0; axis < x.rank(); ++axis) last += (x.dim(axis) - 1) * x.strides()[axis];
  const Tensor all = x.WithGeometry({last + 1}, ContiguousStrides({last + 1}), 0);
  return all.To(DType::kFloat64).WithGeometry(x.shape(), x.strides(), x.offset());
}

inline void ExpectSame(const std::vector<Tensor>& got, const std::vector<Tensor>& expected) {
  ASSERT_LE(got.size(), expected.size());
  ASSERT_FALSE(got.empty());
  for (size_t i = 0; i < got.size(); ++i) {
    EXPECT_TRUE(BitwiseEqual(got[i], expected[i]))
        << "result " << i << ": " << Name(got[i].dtype()) << ToString(got[i].shape());
  }
}

// Lazy against eager, bit for bit, in float32 and float64, on 1 and 3 threads.
inline void CheckGroups(const Body& body, const std::vector<Tensor>& inputs) {
  const KernelSettings settings;
  for (const bool wide : {false, true}) {
    std::vector<Tensor> x;
    for (const Tensor& input : inputs) {
      x.push_back(wide && IsFloating(input.dtype()) ? ToFloat64(input) : input);
    }
    std::vector<Tensor> expected, expected_final;
    SetNumThreads(1);
    {
      const EagerGuard eager;
      expected = Compute(body, x, Reading::kTogether);
      expected_final = ComputeFinal(body, x);
    }
    for (const int threads : {1, 3}) {
      SetNumThreads(threads);
      if (threads == 3) cache_bytes = 64;  // all is large
      for (const Reading reading : {Reading::kTogether, Reading::kValuesFirst,
                                    Reading::kGradientsFirst, Reading::kWithoutGradients}) {
        SCOPED_TRACE(absl::StrCat(threads, " threads, reading ", static_cast<int>(reading)));
        ExpectSame(Compute(body, x, reading), expected);
      }
      SCOPED_TRACE(absl::StrCat(threads, " threads, with ValueAndGrad"));
      ExpectSame(ComputeFinal(body, x), expected_final);
    }
  }
}

inline Variable Normalized(const Variable& x, const Axes& axes) {
  const Variable centered = x - Mean(x, axes, kKeepDims);
  return centered * Rsqrt(Mean(Square(centered), axes, kKeepDims) + 1e-5);
}
inline Variable ExpOverSum(const Variable& x) {
  const Variable e = Exp(x - Max(x, -1, kKeepDims));
  return e / Sum(e, -1, kKeepDims);
}

}  // namespace wengert

#endif  // WENGERT_TESTS_OPS_ELEMENT_GROUP_RUNS_H_
