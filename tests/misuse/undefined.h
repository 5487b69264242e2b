// For the tables of undefined Variables: the message names the function and the line; of a function
// made of others, it names the op that saw it and the functions around it.
#ifndef WENGERT_TESTS_MISUSE_UNDEFINED_H_
#define WENGERT_TESTS_MISUSE_UNDEFINED_H_

#include "tests/misuse/misuse.h"

namespace wengert {

#define UNDEFINED(op, name, call) OP_MISUSE(name, call, "[" op "]", "undefined")
#define UNDEFINED_IN(functions, name, call)                                             \
  Misuse {                                                                              \
    name, [] { return ThrownMessage([] { static_cast<void>(call); }); }, {"undefined"}, \
        " (" + ToString(SourceLocation::current()) + ", in " functions                  \
  }

inline const Variable kNo;  // never given a value
inline Variable Some() { return Reals({2, 2}); }
inline Variable Image() { return Reals({1, 4, 4, 2}); }
inline Variable Steps() { return Reals({2, 3, 4}); }
inline Variable Rows() { return Integers({0, 1}); }

}  // namespace wengert

#endif  // WENGERT_TESTS_MISUSE_UNDEFINED_H_
