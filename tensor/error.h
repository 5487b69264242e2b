// The exception that misuse throws: it names the op, the user's source line and the layer path.
#ifndef WENGERT_TENSOR_ERROR_H_
#define WENGERT_TENSOR_ERROR_H_

#include <cstdint>
#include <exception>
#include <string>
#include <string_view>

namespace wengert {

// A place in the user's code. As std::source_location, which not every tool can parse yet.
class SourceLocation {
 public:
  constexpr SourceLocation() = default;
  constexpr SourceLocation(const char* file, uint32_t line) : file_(file), line_(line) {}
  static constexpr SourceLocation current(const char* file = __builtin_FILE(),
                                          uint32_t line = __builtin_LINE()) {
    return {file, line};
  }
  constexpr const char* file_name() const { return file_; }
  constexpr uint32_t line() const { return line_; }

 private:
  const char* file_ = "";
  uint32_t line_ = 0;
};

// what() reads "[matmul] inner dimensions differ: [32,1600] x [1024,128] (models/mnist.cc:41,
// in dense, reading cnn/fc1/weight)". Code that knows only the op and the shapes throws without a
// place; the tape adds the place and the layer path on the way out.
class Error : public std::exception {
 public:
  Error(std::string_view op, std::string_view message);

  const char* what() const noexcept override { return what_.c_str(); }
  const std::string& op() const { return op_; }
  const std::string& message() const { return message_; }

  bool has_place() const { return !place_.empty(); }
  // Adds the source line, the path of the parameter that the op reads, and the functions that the
  // op is a part of (both may be empty).
  void AddPlace(const SourceLocation& where, std::string_view layer_path,
                std::string_view functions = {});

 private:
  void Compose();

  std::string op_, message_, place_, what_;
};

// "models/mnist.cc:41".
std::string ToString(const SourceLocation& where);

}  // namespace wengert

#endif  // WENGERT_TENSOR_ERROR_H_
