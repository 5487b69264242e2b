// Copying and converting elements between any two geometries. Tensor::CopyFrom is the public way.
#ifndef WENGERT_TENSOR_STRIDED_COPY_H_
#define WENGERT_TENSOR_STRIDED_COPY_H_

#include <cstddef>

#include "tensor/dtype.h"
#include "tensor/shape.h"

namespace wengert {

// Writes every element of `source` to `target`, both of `shape`, converted by ConvertElement. The
// pointers are to the first elements; strides are in elements. A source stride may be 0; the
// target's elements must be distinct and not overlap the source.
void CopyStrided(const Shape& shape, DType source_dtype, const std::byte* source,
                 const Strides& source_strides, DType target_dtype, std::byte* target,
                 const Strides& target_strides);

}  // namespace wengert

#endif  // WENGERT_TENSOR_STRIDED_COPY_H_
