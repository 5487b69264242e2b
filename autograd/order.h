// Ordering nodes by sequence number, which is a topological order.
#ifndef WENGERT_AUTOGRAD_ORDER_H_
#define WENGERT_AUTOGRAD_ORDER_H_

#include <algorithm>
#include <cstdint>
#include <vector>

#include "autograd/node.h"

namespace wengert::internal {

// Fills `order` with the indices of `entries` (anything with a `node`) by rising sequence. Returns
// true, and leaves `order` empty, when the entries run backwards already: a walk from the end of a
// chain finds them so.
template <class Entry>
bool OrderBySequence(const std::vector<Entry>& entries, std::vector<uint32_t>& order) {
  order.clear();
  bool backwards = true;
  uint64_t lowest = UINT64_MAX, highest = 0;
  for (size_t i = 0; i < entries.size(); ++i) {
    const uint64_t sequence = entries[i].node->sequence;
    backwards &= i == 0 || sequence < entries[i - 1].node->sequence;
    lowest = std::min(lowest, sequence);
    highest = std::max(highest, sequence);
  }
  if (backwards) return true;
  const uint64_t range = highest - lowest + 1;
  if (range <= 4 * entries.size()) {  // dense: a bucket per number; sorting costs 35 ns per node
    constexpr uint32_t kEmpty = UINT32_MAX;
    order.assign(range, kEmpty);
    for (size_t i = 0; i < entries.size(); ++i) {
      order[entries[i].node->sequence - lowest] = static_cast<uint32_t>(i);
    }
    order.erase(std::remove(order.begin(), order.end(), kEmpty), order.end());
  } else {
    order.resize(entries.size());
    for (size_t i = 0; i < entries.size(); ++i) order[i] = static_cast<uint32_t>(i);
    std::sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) {
      return entries[a].node->sequence < entries[b].node->sequence;
    });
  }
  return false;
}

}  // namespace wengert::internal

#endif  // WENGERT_AUTOGRAD_ORDER_H_
