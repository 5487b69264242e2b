// Copies the examples of a batch out of the data set, scales pixels on the way and augments; a
// thread does so ahead of the loop.
#include "data/loader.h"

#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <exception>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "data/permutation.h"

namespace wengert {
namespace {

// pixels / 255.0f for each, to the bit, without a division: 1/255 is cut into a sum so that the
// first product is exact and the second is too small for its rounding to matter.
void ScalePixels(const uint8_t* __restrict pixels, int64_t count, float* __restrict scaled) {
  constexpr float kHigh = 0x1.01p-8f, kLow = 0x1.010102p-24f;
#pragma omp simd
  for (int64_t i = 0; i < count; ++i) {
    const float x = pixels[i];
    scaled[i] = x * kHigh + x * kLow;
  }
}

// Calls copy(source, i) for the `count` examples from `start` on, `bytes` each; i counts from 0.
template <class Copy>
void ForEachExample(const std::byte* examples, int64_t bytes, const std::vector<int64_t>& order,
                    int64_t start, int64_t count, Copy copy) {
  if (order.empty()) {
    for (int64_t i = 0; i < count; ++i) copy(examples + (start + i) * bytes, i);
    return;
  }
  // Shuffled examples lie far apart, so the hardware does not foresee them.
  constexpr int64_t kAhead = 4, kLine = 64, kMostBytes = 4096;
  for (int64_t i = 0; i < count; ++i) {
    const std::byte* ahead = examples + order[start + std::min(i + kAhead, count - 1)] * bytes;
    for (int64_t k = 0; k < std::min(bytes, kMostBytes); k += kLine) __builtin_prefetch(ahead + k);
    copy(examples + order[start + i] * bytes, i);
  }
}

Tensor Gather(const Tensor& source, const std::vector<int64_t>& order, int64_t start, int64_t count,
              bool scale) {
  Shape shape = source.shape();
  shape[0] = count;
  const int64_t length = source.size() / source.dim(0);  // of an example, in elements
  Tensor result = Tensor::Empty(shape, scale ? DType::kFloat32 : source.dtype());
  const int64_t bytes = length * static_cast<int64_t>(SizeOf(source.dtype()));
  const auto for_each = [&](auto copy) {
    ForEachExample(source.raw(), bytes, order, start, count, copy);
  };
  if (scale) {
    for_each([length, to = result.mutable_data<float>()](const std::byte* example, int64_t i) {
      ScalePixels(reinterpret_cast<const uint8_t*>(example), length, to + i * length);
    });
  } else {
    for_each([bytes, to = result.raw()](const std::byte* example, int64_t i) {
      std::memcpy(to + i * bytes, example, bytes);
    });
  }
  return result;
}

template <class... Parts>
void Check(bool condition, const Parts&... parts) {
  if (!condition) throw Error("loader", absl::StrCat(parts...));
}

}  // namespace

Batch EpochBatches::At(int64_t index) const {
  Check(index >= 0 && index < size_, "batch ", index, " of an epoch of ", size_);
  const int64_t start = index * options_.batch_size;
  const int64_t count = std::min(options_.batch_size, examples_ - start);
  Tensor inputs = Gather(inputs_, order_, start, count, options_.scale);
  if (!options_.augment.IsNone()) {
    inputs =
        ApplyAffine(inputs, DrawAffineMaps(options_.augment, options_.seed, epoch_, start, count));
  }
  return {.inputs = std::move(inputs),
          .targets = Gather(targets_, order_, start, count, /*scale=*/false),
          .index = index};
}

// A thread that makes an epoch's batches in order, at most so many ahead of the one that was asked
// for last.
class EpochBatches::Prefetcher {
 public:
  explicit Prefetcher(const EpochBatches& epoch)
      : epoch_(epoch), thread_([this](const std::stop_token& stop) { Run(stop); }) {}

  Batch Take(int64_t index) {
    {
      std::unique_lock lock(mutex_);
      asked_ = std::max(asked_, index + 1);
      changed_.notify_all();
      changed_.wait(lock, [&] { return made_ > index || ended_; });
      while (!ready_.empty() && ready_.front().index < index) ready_.pop_front();  // were skipped
      if (!ready_.empty() && ready_.front().index == index) {
        Batch batch = std::move(ready_.front());
        ready_.pop_front();
        return batch;
      }
      if (made_ == index && error_) std::rethrow_exception(std::exchange(error_, nullptr));
    }
    return epoch_.At(index);  // asked for again
  }

 private:
  void Run(const std::stop_token& stop) {
    std::exception_ptr error;
    try {
      for (int64_t index = 0; index < epoch_.size(); ++index) {
        Batch batch = epoch_.At(index);
        std::unique_lock lock(mutex_);
        ready_.push_back(std::move(batch));
        ++made_;
        changed_.notify_all();
        const auto wanted = [&] { return made_ - asked_ < epoch_.options_.prefetch; };
        if (!changed_.wait(lock, stop, wanted)) return;
      }
    } catch (...) {
      error = std::current_exception();
    }
    const std::lock_guard lock(mutex_);
    error_ = std::move(error);
    ended_ = true;
    changed_.notify_all();
  }

  const EpochBatches epoch_;  // its own, so that the thread depends on nobody's lifetime
  std::mutex mutex_;          // of what follows
  std::condition_variable_any changed_;
  std::deque<Batch> ready_;
  int64_t made_ = 0, asked_ = 0;  // batches: the first so many
  bool ended_ = false;
  std::exception_ptr error_;  // that ended it in batch made_
  std::jthread thread_;       // last, to be joined first
};

Batch EpochBatches::Iterator::operator*() const {
  return prefetcher_ ? prefetcher_->Take(index_) : epoch_->At(index_);
}

EpochBatches::Iterator EpochBatches::begin() const {
  Iterator first(this, 0);
  if (options_.prefetch > 0) first.prefetcher_ = std::make_shared<Prefetcher>(*this);
  return first;
}

Loader::Loader(const Tensor& inputs, const Tensor& targets, const LoaderOptions& options)
    : options_(options) {
  for (const auto& [name, tensor] : {std::pair("inputs", &inputs), {"targets", &targets}}) {
    Check(tensor->defined(), name, " are undefined");
    Check(tensor->rank() > 0, name, " are ", ToString(tensor->shape()),
          ", but need a first axis, of examples");
  }
  const int64_t available = inputs.dim(0);
  Check(available == targets.dim(0), "inputs ", ToString(inputs.shape()), " and targets ",
        ToString(targets.shape()), " differ in their number of examples");
  Check(available > 0, "there are no examples: inputs ", ToString(inputs.shape()));
  Check(options.batch_size >= 1, "batch_size is ", options.batch_size, ", expected at least 1");
  Check(options.limit >= 0 && options.limit <= available, "limit is ", options.limit, " of ",
        available, " examples");
  Check(!options.scale || inputs.dtype() == DType::kUInt8, "scale needs uint8 inputs, not ",
        std::string(Name(inputs.dtype())));
  if (!options.augment.IsNone()) {
    CheckAugmentOptions(options.augment);
    const DType dtype = inputs.dtype();
    Check(inputs.rank() == 4 && (dtype == DType::kUInt8 || dtype == DType::kFloat32),
          "augment needs uint8 or float32 images [N, H, W, C], not ", std::string(Name(dtype)), " ",
          ToString(inputs.shape()));
  }
  Check(options.prefetch >= 0, "prefetch is ", options.prefetch, ", expected 0 or more");
  examples_ = options.limit == 0 ? available : options.limit;
  batches_ = examples_ / options.batch_size;
  if (options.keep_partial && examples_ % options.batch_size != 0) ++batches_;
  Check(batches_ > 0, "batch_size ", options.batch_size, " with ", examples_,
        " examples and keep_partial = false leaves no batch");
  inputs_ = inputs.Contiguous();
  targets_ = targets.Contiguous();
}

EpochBatches Loader::Epoch(int64_t epoch) const {
  EpochBatches result;
  result.inputs_ = inputs_;
  result.targets_ = targets_;
  result.options_ = options_;
  result.epoch_ = epoch;
  result.examples_ = examples_;
  result.size_ = batches_;
  if (options_.shuffle) {
    result.order_ = RandomPermutation(examples_, options_.seed, static_cast<uint64_t>(epoch));
  }
  return result;
}

}  // namespace wengert
