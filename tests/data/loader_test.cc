#include "data/loader.h"

#include <algorithm>
#include <numeric>
#include <optional>
#include <set>
#include <stdexcept>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tensor/pool.h"

namespace wengert {
namespace {

using ::testing::ElementsAre;
using ::testing::StrEq;
using ::testing::Throws;
using ::testing::ThrowsMessage;

// Example i has the pixels 3 * i, 3 * i + 1, 3 * i + 2 (modulo 256) and the label i.
Tensor Images(int64_t examples) {
  return Tensor::Arange(0, static_cast<double>(3 * examples), 1, DType::kInt32)
      .To(DType::kUInt8)
      .Reshape({examples, 3, 1});
}
Tensor Labels(int64_t examples) {
  return Tensor::Arange(0, static_cast<double>(examples), 1, DType::kInt32);
}
Loader MakeLoader(int64_t examples, const LoaderOptions& options) {
  return Loader(Images(examples), Labels(examples), options);
}

// The labels of an epoch, in order; checks that each image goes with its label.
std::vector<int32_t> LabelsOfEpoch(const Loader& loader, int64_t epoch) {
  std::vector<int32_t> result;
  int64_t index = 0;
  for (const Batch& batch : loader.Epoch(epoch)) {
    EXPECT_EQ(batch.index, index++);
    EXPECT_EQ(batch.inputs.dim(0), batch.targets.dim(0));
    for (int64_t i = 0; i < batch.targets.size(); ++i) {
      const int32_t label = batch.targets.at<int32_t>({i});
      result.push_back(label);
      for (int pixel = 0; pixel < 3; ++pixel) {
        EXPECT_EQ(batch.inputs.at<uint8_t>({i, pixel, 0}), (3 * label + pixel) % 256);
      }
    }
  }
  EXPECT_EQ(index, loader.batches());
  return result;
}

std::vector<int64_t> BatchSizes(const Loader& loader) {
  std::vector<int64_t> sizes;
  for (const Batch& batch : loader.Epoch(0)) sizes.push_back(batch.targets.dim(0));
  return sizes;
}

TEST(LoaderTest, KeepsTheOrderUnlessAskedToShuffle) {
  std::vector<int32_t> expected(100);
  std::iota(expected.begin(), expected.end(), 0);
  EXPECT_EQ(LabelsOfEpoch(MakeLoader(100, {.batch_size = 7}), 0), expected);
  EXPECT_EQ(LabelsOfEpoch(MakeLoader(100, {.batch_size = 7, .seed = 3}), 5), expected);
}

TEST(LoaderTest, ShufflesByThePermutationOfSeedAndEpoch) {
  const Loader loader = MakeLoader(10, {.batch_size = 4, .shuffle = true, .seed = 1});
  EXPECT_THAT(LabelsOfEpoch(loader, 0), ElementsAre(1, 9, 0, 7, 4, 2, 5, 3, 8, 6));
  EXPECT_THAT(LabelsOfEpoch(loader, 1), ElementsAre(2, 9, 4, 6, 0, 3, 1, 7, 5, 8));
  EXPECT_THAT(LabelsOfEpoch(loader, 0), ElementsAre(1, 9, 0, 7, 4, 2, 5, 3, 8, 6));
  // The cut into batches does not change the order.
  EXPECT_THAT(LabelsOfEpoch(MakeLoader(10, {.batch_size = 1, .shuffle = true, .seed = 1}), 0),
              ElementsAre(1, 9, 0, 7, 4, 2, 5, 3, 8, 6));
}

TEST(LoaderTest, EachEpochHasEachExampleOnceInAnOrderOfItsOwn) {
  const Loader loader = MakeLoader(1000, {.batch_size = 128, .shuffle = true, .seed = 9});
  std::set<std::vector<int32_t>> orders;
  for (int epoch = 0; epoch < 5; ++epoch) {
    std::vector<int32_t> labels = LabelsOfEpoch(loader, epoch);
    orders.insert(labels);
    std::sort(labels.begin(), labels.end());
    EXPECT_EQ(labels, Labels(1000).ToVector<int32_t>());
  }
  EXPECT_EQ(orders.size(), 5u);
}

TEST(LoaderTest, KeepsOrDropsThePartialBatch) {
  EXPECT_THAT(BatchSizes(MakeLoader(10, {.batch_size = 4})), ElementsAre(4, 4, 2));
  EXPECT_THAT(BatchSizes(MakeLoader(10, {.batch_size = 4, .keep_partial = false})),
              ElementsAre(4, 4));
  EXPECT_THAT(BatchSizes(MakeLoader(8, {.batch_size = 4})), ElementsAre(4, 4));
  EXPECT_THAT(BatchSizes(MakeLoader(8, {.batch_size = 4, .keep_partial = false})),
              ElementsAre(4, 4));
  EXPECT_THAT(BatchSizes(MakeLoader(3, {.batch_size = INT64_MAX})), ElementsAre(3));
}

TEST(LoaderTest, LimitUsesTheFirstExamples) {
  const Loader loader = MakeLoader(100, {.batch_size = 4, .shuffle = true, .seed = 1, .limit = 10});
  EXPECT_EQ(loader.examples(), 10);
  EXPECT_EQ(loader.batches(), 3);
  EXPECT_THAT(LabelsOfEpoch(loader, 0), ElementsAre(1, 9, 0, 7, 4, 2, 5, 3, 8, 6));
}

TEST(LoaderTest, ScalesEveryPixelValueAsADivisionBy255Does) {
  std::vector<uint8_t> pixels(5 * 256);
  for (size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<uint8_t>(i);
  const Loader loader(Tensor::FromVector(pixels, {5, 256}), Labels(5),
                      {.batch_size = 5, .scale = true});
  const Batch batch = loader.Epoch(0).At(0);
  ASSERT_EQ(batch.inputs.dtype(), DType::kFloat32);
  ASSERT_EQ(batch.inputs.shape(), (Shape{5, 256}));
  EXPECT_EQ(batch.targets.dtype(), DType::kInt32);
  for (size_t i = 0; i < pixels.size(); ++i) {
    EXPECT_EQ(batch.inputs.data<float>()[i], static_cast<float>(pixels[i]) / 255.0f) << i;
  }
}

TEST(LoaderTest, ScalesOddSizesAndShuffledExamples) {
  const Loader loader(Images(50), Labels(50),
                      {.batch_size = 7, .shuffle = true, .seed = 4, .scale = true});
  int64_t seen = 0;
  for (const Batch& batch : loader.Epoch(2)) {
    for (int64_t i = 0; i < batch.targets.size(); ++i, ++seen) {
      const int label = batch.targets.at<int32_t>({i});
      EXPECT_EQ(batch.inputs.at<float>({i, 2, 0}), static_cast<float>((3 * label + 2) % 256) / 255);
    }
  }
  EXPECT_EQ(seen, 50);
}

TEST(LoaderTest, TakesAnyTypesAndShapes) {
  const Tensor sequences = Tensor::Arange(0, 24, 1, DType::kFloat64).Reshape({4, 3, 2});
  const Tensor targets = Tensor::Arange(0, 12, 1, DType::kInt64).Reshape({4, 3});
  const Loader loader(sequences, targets, {.batch_size = 2});
  const Batch batch = loader.Epoch(0).At(1);
  EXPECT_EQ(batch.index, 1);
  EXPECT_TRUE(BitwiseEqual(batch.inputs, sequences.Narrow(0, 2, 2)));
  EXPECT_TRUE(BitwiseEqual(batch.targets, targets.Narrow(0, 2, 2)));
}

TEST(LoaderTest, TakesStridedTensors) {
  const Loader loader(Images(10).Flip(0), Labels(10).Flip(0), {.batch_size = 3, .shuffle = true});
  EXPECT_EQ(LabelsOfEpoch(loader, 0).size(), 10u);
  const Tensor wide = Tensor::Arange(0, 12).Reshape({3, 4});
  const Batch batch = Loader(wide.T(), Labels(4), {.batch_size = 2}).Epoch(0).At(1);
  EXPECT_TRUE(BitwiseEqual(batch.inputs, wide.T().Narrow(0, 2, 2)));
}

TEST(LoaderTest, BatchesMayBeKeptAndWrittenTo) {
  const Tensor images = Images(6), labels = Labels(6);
  std::vector<Batch> kept;
  {
    const Loader loader(images, labels, {.batch_size = 2});
    for (const Batch& batch : loader.Epoch(0)) kept.push_back(batch);
  }
  ASSERT_EQ(kept.size(), 3u);
  kept[0].inputs.Fill(0);
  for (int i = 1; i < 3; ++i) {
    EXPECT_TRUE(BitwiseEqual(kept[i].inputs, images.Narrow(0, 2 * i, 2)));
    EXPECT_FALSE(kept[i].inputs.SharesStorage(images));
  }
  EXPECT_TRUE(BitwiseEqual(images, Images(6)));
}

TEST(LoaderTest, AnEpochOutlivesItsLoader) {
  const EpochBatches epoch = MakeLoader(10, {.batch_size = 4}).Epoch(0);
  EXPECT_EQ(epoch.size(), 3);
  EXPECT_THAT(epoch.At(2).targets.ToVector<int32_t>(), ElementsAre(8, 9));
}

TEST(LoaderTest, SteadyEpochsAskTheSystemForNothing) {
  const Loader loader(Tensor::Zeros({1000, 28, 28, 1}, DType::kUInt8), Labels(1000),
                      {.batch_size = 128, .shuffle = true, .scale = true});
  for (const Batch& batch : loader.Epoch(0)) EXPECT_TRUE(batch.inputs.OwnsStorage());
  const PoolStatistics before = GetPoolStatistics();
  for (int epoch = 1; epoch < 5; ++epoch) {
    for (const Batch& batch : loader.Epoch(epoch)) EXPECT_TRUE(batch.inputs.OwnsStorage());
  }
  const PoolStatistics after = GetPoolStatistics();
  EXPECT_EQ(after.system_allocations, before.system_allocations);
  EXPECT_EQ(after.live_bytes, before.live_bytes);
}

// Digits, more or less: 100 images of 12x12 with numbers without a pattern.
Loader ImageLoader(const LoaderOptions& options) {
  std::vector<uint8_t> pixels(100 * 12 * 12);
  for (size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<uint8_t>(i * i * 31 + i * 17);
  return Loader(Tensor::FromVector(pixels, {100, 12, 12, 1}), Labels(100), options);
}
void ExpectSameBatch(const Batch& a, const Batch& b) {
  EXPECT_TRUE(BitwiseEqual(a.inputs, b.inputs)) << b.index;
  EXPECT_TRUE(BitwiseEqual(a.targets, b.targets)) << b.index;
  EXPECT_EQ(a.index, b.index);
}
constexpr AugmentOptions kALittle = {.shift = 2, .rotate = 10, .scale = 0.1};

TEST(LoaderTest, AugmentsScaledImagesByTheMapsOfTheirPlaces) {
  const LoaderOptions plain{.batch_size = 32, .shuffle = true, .seed = 5, .scale = true};
  LoaderOptions options = plain;
  options.augment = kALittle;
  const EpochBatches expected = ImageLoader(plain).Epoch(3);
  for (const Batch& batch : ImageLoader(options).Epoch(3)) {
    const Batch images = expected.At(batch.index);
    const int64_t count = images.inputs.dim(0);
    const auto maps = DrawAffineMaps(kALittle, 5, 3, 32 * batch.index, count);
    ExpectSameBatch(batch, {ApplyAffine(images.inputs, maps), images.targets, images.index});
    EXPECT_FALSE(BitwiseEqual(batch.inputs, images.inputs));
  }
}

TEST(LoaderTest, AugmentedImagesDependOnTheirPlaceAndNotOnTheBatchSize) {
  const Tensor whole =
      ImageLoader({.batch_size = 100, .seed = 5, .augment = kALittle}).Epoch(0).At(0).inputs;
  EXPECT_EQ(whole.dtype(), DType::kUInt8);
  const Loader loader = ImageLoader({.batch_size = 7, .seed = 5, .augment = kALittle});
  for (const Batch& batch : loader.Epoch(0)) {
    EXPECT_TRUE(BitwiseEqual(batch.inputs, whole.Narrow(0, 7 * batch.index, batch.inputs.dim(0))));
  }
  EXPECT_FALSE(BitwiseEqual(loader.Epoch(1).At(0).inputs, loader.Epoch(0).At(0).inputs));
}

TEST(LoaderTest, PrefetchedBatchesAreThoseMadeOnDemandInOrder) {
  LoaderOptions options{.batch_size = 8, .shuffle = true, .seed = 5, .scale = true};
  options.augment = kALittle;
  const Loader on_demand = ImageLoader(options);
  for (const int64_t prefetch : {1, 2, 5, 1000}) {
    options.prefetch = prefetch;
    const Loader loader = ImageLoader(options);
    for (int epoch = 0; epoch < 3; ++epoch) {
      int64_t index = 0;
      for (const Batch& batch : loader.Epoch(epoch)) {
        ExpectSameBatch(batch, on_demand.Epoch(epoch).At(index++));
      }
      EXPECT_EQ(index, 13);
    }
  }
}

TEST(LoaderTest, PrefetchingEndsWithTheLoop) {
  const Loader loader = ImageLoader({.batch_size = 2, .augment = kALittle, .prefetch = 3});
  for (int64_t last = 0; last < 20; ++last) {
    for (const Batch& batch : loader.Epoch(0)) {
      if (batch.index == last) break;
    }
  }
  const auto leave = [&] {
    for (const Batch& batch : loader.Epoch(0)) {
      if (batch.index == 1) throw std::runtime_error("left");
    }
  };
  EXPECT_THROW(leave(), std::runtime_error);
  const EpochBatches epoch = loader.Epoch(0);
  for (int i = 0; i < 20; ++i) epoch.begin();  // never asked for a batch
}

TEST(LoaderTest, PrefetchingIteratorsSkipAndRepeat) {
  const EpochBatches epoch = ImageLoader({.batch_size = 8, .prefetch = 2}).Epoch(0);
  std::optional<EpochBatches::Iterator> kept;
  {
    auto it = epoch.begin();
    ExpectSameBatch(*it, epoch.At(0));
    ExpectSameBatch(*it, epoch.At(0));
    kept = it;
    for (int i = 0; i < 7; ++i) ++it;
    ExpectSameBatch(*it, epoch.At(7));
    it++;
    ExpectSameBatch(*it, epoch.At(8));
  }
  ExpectSameBatch(**kept, epoch.At(0));
  for (int i = 0; i < 12; ++i) ++*kept;
  ExpectSameBatch(**kept, epoch.At(12));
  ++*kept;
  EXPECT_TRUE(*kept == epoch.end());
}

// With room for the first two batches and no more.
TEST(LoaderTest, WhatThePrefetchingThreadThrowsTheLoopThrows) {
  struct PoolLimit {
    ~PoolLimit() { SetPoolLimit(0); }
  } restore;
  constexpr int64_t kExample = 8 << 20;
  const Tensor inputs = Tensor::Zeros({4, kExample}, DType::kUInt8);
  const Loader loader(inputs, Labels(4), {.batch_size = 1, .prefetch = 1});
  std::vector<Batch> kept;
  TrimPool();
  SetPoolLimit(GetPoolStatistics().system_bytes + 2 * kExample + kExample / 2);
  const auto run = [&] {
    for (Batch batch : loader.Epoch(0)) kept.push_back(std::move(batch));
  };
  EXPECT_THROW(run(), Error);
  ASSERT_EQ(kept.size(), 2u);
  EXPECT_EQ(kept[1].index, 1);
  kept.clear();
  SetPoolLimit(0);
  run();
  EXPECT_EQ(kept.size(), 4u);
}

TEST(LoaderTest, MisuseThrows) {
  const auto make = [](int64_t examples, const LoaderOptions& options) {
    return [=] { MakeLoader(examples, options); };
  };
  EXPECT_THAT(make(4, {.batch_size = 0}),
              ThrowsMessage<Error>(StrEq("[loader] batch_size is 0, expected at least 1")));
  EXPECT_THAT(make(4, {.batch_size = -3}),
              ThrowsMessage<Error>(StrEq("[loader] batch_size is -3, expected at least 1")));
  EXPECT_THAT([] { Loader(Images(4), Labels(5)); },
              ThrowsMessage<Error>(StrEq("[loader] inputs [4,3,1] and targets [5] differ in their "
                                         "number of examples")));
  EXPECT_THAT([] { Loader(Images(4).Narrow(0, 0, 0), Labels(4).Narrow(0, 0, 0)); },
              ThrowsMessage<Error>(StrEq("[loader] there are no examples: inputs [0,3,1]")));
  EXPECT_THAT([] { Loader(Tensor(), Labels(4)); },
              ThrowsMessage<Error>(StrEq("[loader] inputs are undefined")));
  EXPECT_THAT(
      [] { Loader(Images(1), Tensor::Ones({})); },
      ThrowsMessage<Error>(StrEq("[loader] targets are [], but need a first axis, of examples")));
  EXPECT_THAT([] { Loader(Labels(4), Labels(4), {.scale = true}); },
              ThrowsMessage<Error>(StrEq("[loader] scale needs uint8 inputs, not int32")));
  EXPECT_THAT(make(4, {.limit = 5}),
              ThrowsMessage<Error>(StrEq("[loader] limit is 5 of 4 examples")));
  EXPECT_THAT(make(4, {.limit = -1}), Throws<Error>());
  EXPECT_THAT(make(4, {.batch_size = 8, .keep_partial = false}),
              ThrowsMessage<Error>(StrEq("[loader] batch_size 8 with 4 examples and keep_partial "
                                         "= false leaves no batch")));
  EXPECT_THAT(make(4, {.augment = {.shift = 1}}),
              ThrowsMessage<Error>(StrEq("[loader] augment needs uint8 or float32 images "
                                         "[N, H, W, C], not uint8 [4,3,1]")));
  EXPECT_THAT([] { ImageLoader({.augment = {.scale = 1}}); },
              ThrowsMessage<Error>(StrEq("[augment] scale is 1, expected from 0 to below 1")));
  EXPECT_THAT(make(4, {.prefetch = -1}),
              ThrowsMessage<Error>(StrEq("[loader] prefetch is -1, expected 0 or more")));
  const EpochBatches epoch = MakeLoader(4, {.batch_size = 2}).Epoch(0);
  EXPECT_THAT([&] { epoch.At(2); },
              ThrowsMessage<Error>(StrEq("[loader] batch 2 of an epoch of 2")));
  EXPECT_THAT([&] { epoch.At(-1); }, Throws<Error>());
}

}  // namespace
}  // namespace wengert
