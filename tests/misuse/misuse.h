// The table of misuses: what a newcomer gets wrong, and what the message must then say. A row is
// one call; it fails unless the call throws Error (or gives a Status) whose text has the row's
// words and, of an op, the row's own source line.
#ifndef WENGERT_TESTS_MISUSE_MISUSE_H_
#define WENGERT_TESTS_MISUSE_MISUSE_H_

#include <functional>
#include <ostream>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/tensor/thrown_message.h"
#include "wengert.h"

namespace wengert {

struct Misuse {
  std::string name;
  std::function<std::string()> message;  // makes the mistake, gives what is said of it
  std::vector<std::string> words;        // in the message, in this order
  std::string place;                     // in the message, after all words; may be empty
};
inline std::ostream& operator<<(std::ostream& stream, const Misuse& misuse) {
  return stream << misuse.name;
}

// Of an op or of a layer that is called: the message names the line.
#define OP_MISUSE(name, call, ...)                                                      \
  Misuse {                                                                              \
    name, [] { return ThrownMessage([] { static_cast<void>(call); }); }, {__VA_ARGS__}, \
        " (" + ToString(SourceLocation::current())                                      \
  }
// Of what is no op: a constructor, an optimizer, a transform.
#define MISUSE(name, call, ...)                                                            \
  Misuse {                                                                                 \
    name, [] { return ThrownMessage([] { static_cast<void>(call); }); }, {__VA_ARGS__}, "" \
  }
// Of what gives a Status or a StatusOr.
#define STATUS_MISUSE(name, call, ...)                                    \
  Misuse {                                                                \
    name, [] { return std::string((call).message()); }, {__VA_ARGS__}, "" \
  }

class MisuseTest : public testing::TestWithParam<Misuse> {};

inline std::string MisuseName(const testing::TestParamInfo<Misuse>& row) { return row.param.name; }
#define MISUSES(family, rows) \
  INSTANTIATE_TEST_SUITE_P(family, MisuseTest, testing::ValuesIn(rows), MisuseName)

// Operands.
inline Variable Reals(const Shape& shape, DType dtype = DType::kFloat32) {
  return Tensor::Ones(shape, dtype);
}
inline Variable Integers(const std::vector<int64_t>& values) { return Tensor::FromVector(values); }
inline Variable Bools(const Shape& shape) { return Tensor::Ones(shape, DType::kBool); }
inline Generator& Rng() {
  static Generator generator(1);
  return generator;
}
// The layer as a part of a model, which names its parameters.
template <class Layer>
Layer Named(const std::string& path, Layer layer) {
  NamedParameters(layer, path);
  return layer;
}

}  // namespace wengert

#endif  // WENGERT_TESTS_MISUSE_MISUSE_H_
