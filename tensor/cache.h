// How much of what is written is still in the cache when it is read.
#ifndef WENGERT_TENSOR_CACHE_H_
#define WENGERT_TENSOR_CACHE_H_

#include <cstdint>

namespace wengert {

// Tensors from this size on are taken to have left a core's cache by the time of their next reader:
// it pays to write them past it, and to compute them again rather than to read them. Tests set it.
inline int64_t cache_bytes = 2 << 20;

}  // namespace wengert

#endif  // WENGERT_TENSOR_CACHE_H_
