// The two ops that the tape itself records: the sum of cotangents, and the alias.
#ifndef WENGERT_AUTOGRAD_ACCUMULATE_H_
#define WENGERT_AUTOGRAD_ACCUMULATE_H_

#include "autograd/variable.h"

namespace wengert::internal {

// Adds up the cotangents that reach one value: terms[0] + terms[1] + ..., in this order, in one
// pass. All of one shape and dtype. Where neighbours are pending nodes of an op that computes its
// sums itself (OpTable::sum_up), and nobody else refers to them, that node takes their place.
Variable Accumulate(VariableSpan terms);

// The same value under a new node that requires gradients: what a Definition is replayed on.
Variable Alias(const Variable& x);
const OpTable* AliasTable();

}  // namespace wengert::internal

#endif  // WENGERT_AUTOGRAD_ACCUMULATE_H_
