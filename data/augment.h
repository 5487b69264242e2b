// Random changes of images while they are loaded: a little moved, turned and resized, they are
// still of their class, and a model sees new ones in every epoch.
#ifndef WENGERT_DATA_AUGMENT_H_
#define WENGERT_DATA_AUGMENT_H_

#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "tensor/tensor.h"

namespace wengert {

// Each image gets an AffineMap of its own, drawn uniformly within these bounds. None, the default,
// leaves images as they are.
struct AugmentOptions {
  double shift = 0;   // most pixels along each axis, either way
  double rotate = 0;  // most degrees, either way
  double scale = 0;   // most relative change of size, below 1: 0.1 is 0.9 ... 1.1 times

  bool operator==(const AugmentOptions&) const = default;
  bool IsNone() const { return *this == AugmentOptions(); }
};

// An image is scaled and rotated about its centre, then moved.
struct AffineMap {
  double down = 0, right = 0;  // pixels
  double degrees = 0;          // counterclockwise
  double scale = 1;            // above 1: larger
};

// images: uint8 or float32 [N, H, W, C] -> the same, image i mapped by maps[i]: interpolated
// bilinearly, 0 outside of the image; uint8 is rounded. Throws Error on other images and on those
// of 2^31 numbers or more, or when there are not N maps, all finite, with scales above 0.
Tensor ApplyAffine(const Tensor& images, absl::Span<const AffineMap> maps);

// Throws Error naming an option that is negative, not finite, or a scale of 1 or more.
void CheckAugmentOptions(const AugmentOptions& options);

// The maps of examples first ... first + count - 1 of an epoch. An example's map depends on the
// options, the seed, the epoch and its place in the epoch, nothing else.
std::vector<AffineMap> DrawAffineMaps(const AugmentOptions& options, uint64_t seed, int64_t epoch,
                                      int64_t first, int64_t count);

}  // namespace wengert

#endif  // WENGERT_DATA_AUGMENT_H_
