// Writing what nobody reads soon.
#ifndef WENGERT_OPS_KERNELS_STREAM_COPY_H_
#define WENGERT_OPS_KERNELS_STREAM_COPY_H_

#include <cstddef>
#include <cstdint>

namespace wengert {

// Copies past the caches where the processor can: a plain store of memory that is not in the cache
// reads it first, and throws out what was in its place.
void StreamCopy(const std::byte* from, int64_t bytes, std::byte* to);

// After a thread's last copy: other threads see them.
void FinishStreamCopies();

}  // namespace wengert

#endif  // WENGERT_OPS_KERNELS_STREAM_COPY_H_
