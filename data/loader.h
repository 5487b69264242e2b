// Cuts a data set in memory into batches, in order or shuffled anew each epoch.
#ifndef WENGERT_DATA_LOADER_H_
#define WENGERT_DATA_LOADER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "data/augment.h"
#include "tensor/tensor.h"

namespace wengert {

// One batch of B examples. Its tensors are its own: they may be kept, and written to.
struct Batch {
  Tensor inputs;   // [B, ...]
  Tensor targets;  // [B, ...]
  int64_t index;   // of the batch in its epoch, from 0
};

struct LoaderOptions {
  int64_t batch_size = 32;
  bool shuffle = false;      // else in the order of the data set
  uint64_t seed = 0;         // of the shuffling and of `augment`
  bool keep_partial = true;  // whether a smaller batch ends the epoch, or its examples are left out
  bool scale = false;        // uint8 inputs 0 ... 255 become float32 0 ... 1: exactly x / 255.0f
  int64_t limit = 0;         // use only the first so many examples; 0: all
  // Changes each image, anew in each epoch, by its place in the epoch: after `scale`, so that no
  // pixel is rounded. Inputs are uint8 or float32 [N, H, W, C]. The default changes nothing.
  AugmentOptions augment = {};
  // Batches that a thread makes ahead of the loop over an epoch, with the same bits; 0: each is
  // made when it is asked for.
  int64_t prefetch = 0;
};

// The batches of one epoch. Independent of its loader.
class EpochBatches {
  class Prefetcher;

 public:
  // Holds the thread that prefetches, if any. The thread is joined with the last copy of the
  // iterator, also when a loop is left early; what it throws, the * of that batch throws.
  class Iterator {
   public:
    using value_type = Batch;
    using difference_type = std::ptrdiff_t;

    Batch operator*() const;
    Iterator& operator++() {
      ++index_;
      return *this;
    }
    void operator++(int) { ++index_; }
    friend bool operator==(const Iterator& a, const Iterator& b) { return a.index_ == b.index_; }

   private:
    friend class EpochBatches;
    Iterator(const EpochBatches* epoch, int64_t index) : epoch_(epoch), index_(index) {}

    const EpochBatches* epoch_;
    int64_t index_;
    std::shared_ptr<Prefetcher> prefetcher_;
  };

  int64_t size() const { return size_; }  // in batches
  // Made here and now. Throws Error when `index` is not in [0, size). Threads may call it at the
  // same time.
  Batch At(int64_t index) const;
  Iterator begin() const;  // prefetching begins
  Iterator end() const { return Iterator(this, size_); }

 private:
  friend class Loader;
  EpochBatches() = default;

  Tensor inputs_, targets_;
  LoaderOptions options_;
  int64_t epoch_ = 0, examples_ = 0, size_ = 0;
  std::vector<int64_t> order_;  // of the examples; empty: as they are
};

//   const Loader loader(train.images, train.labels, {.batch_size = 128, .shuffle = true});
//   for (const Batch& batch : loader.Epoch(epoch)) ...
//
// The order of an epoch depends on the number of examples, the seed and the epoch, nothing else,
// and so does how images are augmented: a run that is resumed at an epoch sees what an
// uninterrupted one does.
class Loader {
 public:
  // inputs: [N, ...], targets: [N, ...], of any dtype; the loader shares their memory. Throws Error
  // when the N differ or are 0, or when the options fit no batch.
  Loader(const Tensor& inputs, const Tensor& targets, const LoaderOptions& options = {});

  int64_t examples() const { return examples_; }  // that it draws from
  int64_t batches() const { return batches_; }    // in an epoch
  EpochBatches Epoch(int64_t epoch) const;

 private:
  Tensor inputs_, targets_;
  LoaderOptions options_;
  int64_t examples_, batches_;
};

}  // namespace wengert

#endif  // WENGERT_DATA_LOADER_H_
