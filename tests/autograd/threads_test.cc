// Threads: every thread records, evaluates and differentiates its own graphs on shared Parameters,
// with the bits that one thread alone gives.
#include <atomic>
#include <thread>
#include <utility>
#include <vector>

#include "autograd/grad.h"
#include "autograd/modes.h"
#include "gtest/gtest.h"
#include "nn/layers.h"
#include "ops/ops.h"
#include "tensor/pool.h"

namespace wengert {
namespace {

constexpr int kThreads = 8, kRounds = 20;

// Runs `f(thread)` in kThreads threads that start together.
template <class F>
void InParallel(F f) {
  std::atomic<int> ready = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      ++ready;
      while (ready < kThreads) std::this_thread::yield();
      f(t);
    });
  }
  for (std::thread& thread : threads) thread.join();
}

struct Model {
  nn::Dense fc1, fc2;
  explicit Model(Generator& generator)
      : fc1({.in = 12, .out = 40}, generator), fc2({.in = 40, .out = 5}, generator) {}
  Variable operator()(const Variable& x) const { return fc2(Tanh(fc1(x))); }
  std::vector<Parameter> parameters() const { return {fc1.weight, fc1.bias, fc2.weight, fc2.bias}; }
};

Tensor Images(int seed) {
  Generator generator(seed);
  return Normal({16, 12}, generator).value();
}
Tensor Labels() {
  std::vector<int64_t> labels(16);
  for (int64_t i = 0; i < 16; ++i) labels[i] = i % 5;
  return Tensor::FromVector(labels);
}

// What a thread computes from its images: the output, loss and gradients, second derivatives.
std::vector<Tensor> Everything(const Model& model, const Tensor& images) {
  std::vector<Tensor> results;
  {
    const NoGradGuard no_grad;
    results.push_back(Softmax(model(images)).value());
  }
  const std::vector<Parameter> parameters = model.parameters();
  const Variable labels = Labels();
  const auto [loss, gradients] =
      ValueAndGrad([&] { return SoftmaxCrossEntropy(model(images), labels); }, parameters);
  results.push_back(loss.value());
  for (const Variable& gradient : gradients) results.push_back(gradient.value());

  const Variable w = model.fc1.weight;
  const Variable y = Checkpoint([&](VariableSpan x) { return model(x[0]); }, {images});
  const Variable first = Grad(Sum(Square(y)), w, {.create_graph = true});
  results.push_back(Grad(Sum(Square(first)), w).value());

  Generator generator(3);
  const TrainingScope training(generator);
  results.push_back(Dropout(model(images), 0.5).value());
  return results;
}

TEST(ThreadsTest, InferAndDifferentiateOnSharedParameters) {
  Generator generator(1);
  const Model model(generator);
  std::vector<Tensor> images;
  std::vector<std::vector<Tensor>> expected;
  for (int t = 0; t < kThreads; ++t) {
    images.push_back(Images(t));
    expected.push_back(Everything(model, images[t]));
  }
  std::vector<std::vector<Tensor>> found(kThreads);
  std::atomic<int> different = 0, leaked = 0;
  InParallel([&](int t) {
    const int64_t nodes = LiveNodes();
    for (int round = 0; round < kRounds; ++round) {
      const Model copy = model;  // counts its parameters from every thread
      found[t] = Everything(copy, images[t]);
      for (size_t i = 0; i < found[t].size(); ++i) {
        different += !BitwiseEqual(found[t][i], expected[t][i]);
      }
    }
    leaked += LiveNodes() != nodes;
  });
  EXPECT_EQ(different, 0);
  EXPECT_EQ(leaked, 0);
  for (int t = 0; t < kThreads; ++t) {  // and after the threads have ended
    ASSERT_EQ(found[t].size(), expected[t].size());
    for (size_t i = 0; i < found[t].size(); ++i) {
      EXPECT_TRUE(BitwiseEqual(found[t][i], expected[t][i])) << t << " " << i;
    }
  }
}

TEST(ThreadsTest, OneLeafIsReadAndReleasedByAll) {
  const int64_t live = GetPoolStatistics().live_bytes;
  {
    Variable leaf = DifferentiableLeaf(Tensor::Full({8}, 2, DType::kFloat64));
    std::vector<Variable> copies(kThreads, leaf);
    leaf = Variable();  // the last thread to let go frees it
    std::atomic<int> wrong = 0;
    InParallel([&](int t) {
      for (int i = 0; i < 200; ++i) {
        const Variable mine = copies[t];
        const Variable y = Sum(mine * mine * i);
        wrong += Grad(y, mine).value().at<double>({t}) != 4. * i;
      }
      copies[t] = Variable();
    });
    EXPECT_EQ(wrong, 0);
  }
  EXPECT_EQ(GetPoolStatistics().live_bytes, live);
}

TEST(ThreadsTest, TensorsCrossThreads) {
  // Each thread works on what another one computed, and frees it.
  std::vector<Tensor> first(kThreads), second(kThreads);
  InParallel([&](int t) { first[t] = (Variable(Tensor::Full({3000}, t)) + 1).value(); });
  InParallel([&](int t) {
    const int other = (t + 3) % kThreads;
    const Tensor taken = std::move(first[other]);
    second[t] = (Variable(taken) * 2).value();
  });
  for (int t = 0; t < kThreads; ++t) {
    EXPECT_EQ(second[t].at<float>({2999}), 2 * ((t + 3) % kThreads + 1));
  }
}

TEST(ThreadsTest, AnErrorInOneThreadIsItsOwn) {
  const Parameter w(Tensor::Ones({4, 4}));
  std::atomic<int> errors = 0, right = 0;
  InParallel([&](int t) {
    for (int i = 0; i < kRounds; ++i) {
      try {
        const Variable y = MatMul(w, Variable(Tensor::Ones({t % 2 ? 4 : 3, 2})));
        right += Grad(Sum(y), w).value().at<float>({1, 1}) == 2;
      } catch (const Error&) {
        ++errors;
      }
    }
  });
  EXPECT_EQ(errors, kThreads / 2 * kRounds);
  EXPECT_EQ(right, kThreads / 2 * kRounds);
}

}  // namespace
}  // namespace wengert
