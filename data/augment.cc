// Affine maps of images: for each pixel of the result, where it lies in the image, and what is
// between the four pixels there.
#include "data/augment.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <string>
#include <type_traits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "data/permutation.h"

namespace wengert {
namespace {

template <class... Parts>
void Check(bool condition, const Parts&... parts) {
  if (!condition) throw Error("augment", absl::StrCat(parts...));
}

// The place (x, y) in the image of the result's pixel (0, 0), and the step from pixel to pixel:
// the map's inverse.
struct Inverse {
  float x, y;
  float x_per_column, y_per_column, x_per_row, y_per_row;
};

Inverse Invert(const AffineMap& map, int64_t height, int64_t width) {
  const double radians = map.degrees * std::numbers::pi / 180;
  const double cosine = std::cos(radians) / map.scale, sine = std::sin(radians) / map.scale;
  const double center_x = static_cast<double>(width - 1) / 2;
  const double center_y = static_cast<double>(height - 1) / 2;
  // Rows count downwards, so counterclockwise is from right to up, to smaller y.
  const double x = -center_x - map.right, y = -center_y - map.down;
  return {.x = static_cast<float>(center_x + cosine * x - sine * y),
          .y = static_cast<float>(center_y + sine * x + cosine * y),
          .x_per_column = static_cast<float>(cosine),
          .y_per_column = static_cast<float>(sine),
          .x_per_row = static_cast<float>(-sine),
          .y_per_row = static_cast<float>(cosine)};
}

// Maps images of one size.
template <class T>
class Warp {
 public:
  Warp(int64_t height, int64_t width, int64_t channels)
      : height_(height),
        width_(width),
        channels_(channels),
        stride_((width + 3) * channels),
        framed_((height + 3) * stride_),
        offset_(width),
        right_(width),
        below_(width) {}

  void operator()(const T* image, const Inverse& inverse, T* result) {
    for (int64_t row = 0; row < height_; ++row) {
      std::copy_n(image + row * width_ * channels_, width_ * channels_,
                  framed_.data() + (row + 1) * stride_ + channels_);
    }
    for (int64_t row = 0; row < height_; ++row) {
      Locate(inverse, row);
      for (int64_t c = 0; c < channels_; ++c) {
        Interpolate(framed_.data() + c, result + row * width_ * channels_ + c);
      }
    }
  }

 private:
  // Of each pixel of the row, where the upper left of its four is in framed_, and how far to the
  // right and below of that it lies: 0 to 1.
  void Locate(const Inverse& inverse, int64_t row) {
    const float x0 = inverse.x + static_cast<float>(row) * inverse.x_per_row;
    const float y0 = inverse.y + static_cast<float>(row) * inverse.y_per_row;
    const float dx = inverse.x_per_column, dy = inverse.y_per_column;
    const float last_x = static_cast<float>(width_), last_y = static_cast<float>(height_);
    const int stride = static_cast<int>(stride_), channels = static_cast<int>(channels_);
    const int width = static_cast<int>(width_);
    int* __restrict offset = offset_.data();
    float* __restrict right = right_.data();
    float* __restrict below = below_.data();
#pragma omp simd
    for (int column = 0; column < width; ++column) {
      // In framed_'s coordinates. What lies further out is in the frame's zeros as well, and so is
      // what has overflowed to NaN.
      float x = x0 + static_cast<float>(column) * dx, y = y0 + static_cast<float>(column) * dy;
      x = x > -1.0F ? x : -1.0F;
      x = (x < last_x ? x : last_x) + 1.0F;
      y = y > -1.0F ? y : -1.0F;
      y = (y < last_y ? y : last_y) + 1.0F;
      const int left = static_cast<int>(x), top = static_cast<int>(y);
      offset[column] = top * stride + left * channels;
      right[column] = x - static_cast<float>(left);
      below[column] = y - static_cast<float>(top);
    }
  }
  void Interpolate(const float* __restrict framed, T* __restrict result) const {
    const int64_t width = width_, channels = channels_;
    const float* __restrict const next_row = framed + stride_;
    const int* __restrict const offset = offset_.data();
    const float* __restrict const right = right_.data();
    const float* __restrict const below = below_.data();
    for (int64_t column = 0; column < width; ++column) {
      const int64_t at = offset[column], beside = at + channels;
      const float upper = framed[at] + right[column] * (framed[beside] - framed[at]);
      const float lower = next_row[at] + right[column] * (next_row[beside] - next_row[at]);
      const float value = upper + below[column] * (lower - upper);
      if constexpr (std::is_integral_v<T>) {
        result[column * channels] = static_cast<T>(value + 0.5F);
      } else {
        result[column * channels] = value;
      }
    }
  }

  const int64_t height_, width_, channels_;
  const int64_t stride_;       // of a row of framed_
  std::vector<float> framed_;  // the image in zeros: one wide on the left and above, two elsewhere
  std::vector<int> offset_;
  std::vector<float> right_, below_;
};

}  // namespace

Tensor ApplyAffine(const Tensor& images, absl::Span<const AffineMap> maps) {
  Check(images.defined(), "the images are undefined");
  Check(images.rank() == 4, "images are ", ToString(images.shape()), ", expected [N, H, W, C]");
  Check(images.dtype() == DType::kUInt8 || images.dtype() == DType::kFloat32, "images are ",
        std::string(Name(images.dtype())), ", expected uint8 or float32");
  const int64_t count = images.dim(0);
  Check(static_cast<double>(images.dim(1) + 3) * static_cast<double>(images.dim(2) + 3) *
                static_cast<double>(images.dim(3)) <=
            std::numeric_limits<int>::max(),
        "images of ", ToString(images.shape()), " are too large");
  Check(static_cast<int64_t>(maps.size()) == count, maps.size(), " maps of ", count, " images");
  for (const AffineMap& map : maps) {
    Check(std::isfinite(map.down) && std::isfinite(map.right) && std::isfinite(map.degrees) &&
              std::isfinite(map.scale) && map.scale > 0,
          "a map moves by (", map.down, ", ", map.right, "), rotates by ", map.degrees,
          " and scales by ", map.scale);
  }
  const Tensor source = images.Contiguous();
  Tensor result = Tensor::Empty(images.shape(), images.dtype());
  const int64_t height = images.dim(1), width = images.dim(2), channels = images.dim(3);
  const auto run = [&]<class T>(T) {
    Warp<T> warp(height, width, channels);
    const T* const from = source.data<T>();
    T* const to = result.mutable_data<T>();
    for (int64_t i = 0; i < count; ++i) {
      const int64_t start = i * height * width * channels;
      warp(from + start, Invert(maps[i], height, width), to + start);
    }
  };
  if (images.dtype() == DType::kUInt8) {
    run(uint8_t());
  } else {
    run(float());
  }
  return result;
}

void CheckAugmentOptions(const AugmentOptions& options) {
  for (const auto& [name, value] :
       {std::pair("shift", options.shift), {"rotate", options.rotate}}) {
    Check(value >= 0 && std::isfinite(value), name, " is ", value, ", expected 0 or more");
  }
  Check(options.scale >= 0 && options.scale < 1, "scale is ", options.scale,
        ", expected from 0 to below 1");
}

std::vector<AffineMap> DrawAffineMaps(const AugmentOptions& options, uint64_t seed, int64_t epoch,
                                      int64_t first, int64_t count) {
  CheckAugmentOptions(options);
  std::vector<AffineMap> maps(count);
  // Hashed twice, as for permutations; the constant keeps the numbers apart from theirs.
  const uint64_t epoch_seed =
      SplitMix64(SplitMix64(~seed).Next() + static_cast<uint64_t>(epoch)).Next();
  for (int64_t i = 0; i < count; ++i) {
    SplitMix64 random(SplitMix64(epoch_seed + static_cast<uint64_t>(first + i)).Next());
    const auto within = [&random](double most) {  // uniform in [-most, most)
      return most * (static_cast<double>(random.Next() >> 11) * 0x1p-52 - 1);
    };
    maps[i].down = within(options.shift);
    maps[i].right = within(options.shift);
    maps[i].degrees = within(options.rotate);
    maps[i].scale = 1 + within(options.scale);
  }
  return maps;
}

}  // namespace wengert
