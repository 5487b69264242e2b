#include "ops/kernels/elementwise_loop.h"

#include <cstring>

#include "autograd/variable.h"
#include "ops/kernels/block_program.h"

namespace wengert {
namespace {

constexpr int64_t kSerial = 1 << 15;  // up to here one thread is as fast

// What a row computes in: a comparison's result is bool, its operands are of the first one's dtype.
inline DType ComputeType(Row row, const Tensor* first, DType result) {
  return result == DType::kBool && row != Row::kWhere && first ? first->dtype() : result;
}

inline void StoreNumber(double number, DType dtype, std::byte* to) {
  if (dtype == DType::kFloat32) {
    const float value = static_cast<float>(number);
    std::memcpy(to, &value, sizeof(value));
    return;
  }
  DispatchDType(dtype, [&]<class T>() {
    const T value = static_cast<T>(number);
    std::memcpy(to, &value, sizeof(T));
  });
}

}  // namespace

template <int arity>
void RunElementwise(Row row, const ElementwiseAttributes& attributes, TensorSpan in, Tensor& out) {
  const int64_t size = out.size();
  if (size == 0) return;
  constexpr bool where = arity == 3;
  const DType dtype = ComputeType(row, in.size() ? &in[0] : nullptr, out.dtype());
  // Dense operands and numbers, not large: one call of the kernel.
  const void* data[3];
  alignas(8) std::byte numbers[3][8];
  unsigned scalars = 0;  // bit i: operand i is one element for all
  bool dense = size <= kSerial;
  int next_input = 0, next_number = 0;
  for (int i = 0; i < arity; ++i) {
    if (attributes.number_operands >> i & 1) {
      StoreNumber(attributes.numbers[next_number++], dtype, numbers[i]);
      data[i] = numbers[i];
      scalars |= 1u << i;
      continue;
    }
    const Tensor& tensor = in[next_input++];
    data[i] = tensor.raw();
    const int64_t count = tensor.size();
    if (count == 1 && size > 1 && !(where && i == 0)) {
      scalars |= 1u << i;
    } else {
      dense &= count == size && tensor.IsContiguous();
    }
  }
  if (dense) {
    const BlockKernel kernel = GetBlockKernel(row, dtype, where ? scalars >> 1 : scalars);
    return kernel(data, out.raw(), size, attributes.numbers);
  }
  BlockProgram program(out.shape());
  BlockProgram::Slot operands[arity];
  next_input = next_number = 0;
  for (int i = 0; i < arity; ++i) {
    operands[i] = attributes.number_operands >> i & 1
                      ? program.Number(attributes.numbers[next_number++], dtype)
                      : program.Input(in[next_input++]);
  }
  program.Apply(row, dtype, out.dtype(), operands, attributes.numbers, &out);
  program.Run();
}
template void RunElementwise<1>(Row, const ElementwiseAttributes&, TensorSpan, Tensor&);
template void RunElementwise<2>(Row, const ElementwiseAttributes&, TensorSpan, Tensor&);
template void RunElementwise<3>(Row, const ElementwiseAttributes&, TensorSpan, Tensor&);

void RunElementGroup(ElementGroup group) {
  using Slot = BlockProgram::Slot;
  BlockProgram program(group[0].node->outputs()[0].shape());
  absl::InlinedVector<Slot, 64> slots(group.size());
  for (size_t place = 0; place < group.size(); ++place) {
    const GroupNode& member = group[place];
    const Node& node = *member.node;
    const size_t num_inputs = node.num_inputs;
    const auto slot_of = [&](size_t i) {
      const GroupOperand& operand = member.operands[i];
      return operand.tensor ? program.Input(*operand.tensor) : slots[operand.place];
    };
    const auto free_what_dies = [&] {
      for (size_t i = 0; i < num_inputs; ++i) {
        const GroupOperand& operand = member.operands[i];
        if (!operand.tensor && group[operand.place].last_read == place) {
          program.Free(slots[operand.place]);
        }
      }
    };
    const DType dtype = node.outputs()[0].dtype();
    if (node.op->grouping == Grouping::kAccumulate) {
      Slot sum = slot_of(0);
      for (size_t i = 1; i < num_inputs; ++i) {
        Tensor* const result = i + 1 == num_inputs ? member.result : nullptr;
        const Slot terms[] = {sum, slot_of(i)};
        const Slot next = program.Apply(Row::kAdd, dtype, dtype, terms, nullptr, result);
        if (i > 1) program.Free(sum);
        sum = next;
      }
      free_what_dies();
      slots[place] = sum;
    } else {
      const auto& attributes = node.attributes_as<ElementwiseAttributes>();
      const Row row = static_cast<Row>(node.op->row);
      const Tensor* const first = num_inputs ? &node.inputs()[0].output() : nullptr;
      const DType computed_in = ComputeType(row, first, dtype);
      Slot operands[3];
      size_t count = 0, next_input = 0, next_number = 0;
      while (next_input < num_inputs || attributes.number_operands >> count) {
        operands[count] = attributes.number_operands >> count & 1
                              ? program.Number(attributes.numbers[next_number++], computed_in)
                              : slot_of(next_input++);
        ++count;
      }
      free_what_dies();  // the result may take the place of an operand
      slots[place] = program.Apply(row, computed_in, dtype, {operands, count}, attributes.numbers,
                                   member.result);
    }
  }
  program.Run();
}

}  // namespace wengert
