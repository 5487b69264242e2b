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

// Not inlined: the program's room on the stack would be a cost to each small call too.
[[gnu::noinline]] void RunAsProgram(Row row, const ElementwiseAttributes& attributes, int arity,
                                    DType dtype, TensorSpan in, Tensor& out) {
  BlockProgram program(out.shape());
  BlockProgram::Slot operands[3];
  int next_input = 0, next_number = 0;
  for (int i = 0; i < arity; ++i) {
    operands[i] = attributes.number_operands >> i & 1
                      ? program.Number(attributes.numbers[next_number++], dtype)
                      : program.Input(in[next_input++]);
  }
  program.Apply(row, dtype, out.dtype(), {operands, static_cast<size_t>(arity)}, attributes.numbers,
                &out);
  program.Run();
}

}  // namespace

template <int arity>
void RunElementwise(Row row, const ElementwiseAttributes& attributes, TensorSpan in, Tensor& out) {
  const int64_t size = out.size();
  if (size == 0) return;
  const bool where = row == Row::kWhere;
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
  RunAsProgram(row, attributes, arity, dtype, in, out);
}
template void RunElementwise<1>(Row, const ElementwiseAttributes&, TensorSpan, Tensor&);
template void RunElementwise<2>(Row, const ElementwiseAttributes&, TensorSpan, Tensor&);
template void RunElementwise<3>(Row, const ElementwiseAttributes&, TensorSpan, Tensor&);

namespace {

// Writes the nodes of a group as a program.
class GroupProgram {
 public:
  explicit GroupProgram(const ElementGroup& group)
      : group_(group), program_(*group.shape, group.columns), slots_(group.nodes.size()) {
    for (size_t place = 0; place < group.nodes.size(); ++place) {
      const GroupNode& member = group.nodes[place];
      slots_[place] = Write(member, place);
      if (member.role == GroupRole::kFull && member.result && !member.last_read) {
        program_.Free(slots_[place]);
      }
    }
  }
  void Run() { program_.Run(); }

 private:
  using Slot = BlockProgram::Slot;

  Slot SlotOf(const GroupNode& member, size_t input) {
    const GroupOperand& operand = member.operands[input];
    if (!operand.tensor) return slots_[operand.place];
    const bool row_value =
        member.role == GroupRole::kRowValue && member.node->op->grouping != Grouping::kSum;
    return row_value ? program_.RowInput(*operand.tensor) : program_.Input(*operand.tensor);
  }

  // The registers that nobody reads after this place: its result may take one.
  void FreeWhatDies(const GroupNode& member, size_t place) {
    for (size_t i = 0; i < member.node->num_inputs; ++i) {
      const GroupOperand* operand = &member.operands[i];
      if (operand->tensor) continue;
      // An expanded row value is another name for one, whose readers count too.
      while (!operand->tensor &&
             group_.nodes[operand->place].node->op->grouping == Grouping::kExpand) {
        operand = &group_.nodes[operand->place].operands[0];
      }
      if (operand->tensor) continue;
      if (group_.nodes[operand->place].last_read == place) program_.Free(slots_[operand->place]);
    }
  }

  Slot Write(const GroupNode& member, size_t place) {
    // Computed before after all: its readers find the tensor.
    if (!member.result && member.node->outputs()[0].defined()) return Slot{};
    switch (member.node->op->grouping) {
      case Grouping::kAccumulate:
        return WriteAccumulate(member, place);
      case Grouping::kSum:
        return WriteSum(member, place);
      case Grouping::kExpand:
        return SlotOf(member, 0);
      default:
        return WriteRow(member, place);
    }
  }

  Slot WriteRow(const GroupNode& member, size_t place) {
    const Node& node = *member.node;
    const auto& attributes = node.attributes_as<ElementwiseAttributes>();
    const Row row = static_cast<Row>(node.op->row);
    const DType dtype = node.outputs()[0].dtype();
    const DType computed_in =
        ComputeType(row, node.num_inputs ? &node.inputs()[0].output() : nullptr, dtype);
    Slot operands[3];
    size_t count = 0, next_input = 0, next_number = 0;
    while (next_input < node.num_inputs || attributes.number_operands >> count) {
      operands[count] = attributes.number_operands >> count & 1
                            ? program_.Number(attributes.numbers[next_number++], computed_in)
                            : SlotOf(member, next_input++);
      ++count;
    }
    FreeWhatDies(member, place);
    return program_.Apply(row, computed_in, dtype, {operands, count}, attributes.numbers,
                          member.result, member.role == GroupRole::kRowValue);
  }

  Slot WriteAccumulate(const GroupNode& member, size_t place) {
    const DType dtype = member.node->outputs()[0].dtype();
    const size_t terms = member.node->num_inputs;
    Slot sum = SlotOf(member, 0);
    for (size_t i = 1; i < terms; ++i) {
      const Slot pair[] = {sum, SlotOf(member, i)};
      const Slot next = program_.Apply(Row::kAdd, dtype, dtype, pair, nullptr,
                                       i + 1 == terms ? member.result : nullptr,
                                       member.role == GroupRole::kRowValue);
      if (i > 1) program_.Free(sum);
      sum = next;
    }
    FreeWhatDies(member, place);
    return sum;
  }

  Slot WriteSum(const GroupNode& member, size_t place) {
    const DType dtype = member.node->outputs()[0].dtype();
    const Slot x = SlotOf(member, 0);
    Slot result = x;
    if (member.role == GroupRole::kRowValue) {
      result = program_.SumRows(x, dtype, member.result);
    } else if (member.result->size() == 1) {
      program_.SumAll(x, dtype, *member.result);
    } else {
      program_.SumColumns(x, dtype, member.result->size(), *member.result);
    }
    FreeWhatDies(member, place);
    return result;
  }

  const ElementGroup& group_;
  BlockProgram program_;
  absl::InlinedVector<Slot, 64> slots_;
};

}  // namespace

void RunElementGroup(const ElementGroup& group) { GroupProgram(group).Run(); }

}  // namespace wengert
