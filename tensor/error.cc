// Error's text: "[op] message (place)".
#include "tensor/error.h"

#include "absl/strings/str_cat.h"

namespace wengert {

Error::Error(std::string_view op, std::string_view message) : op_(op), message_(message) {
  Compose();
}

void Error::AddPlace(const SourceLocation& where, std::string_view layer_path,
                     std::string_view functions) {
  place_ = ToString(where);
  if (!functions.empty()) place_.append(", in ").append(functions);
  if (!layer_path.empty()) place_.append(", reading ").append(layer_path);
  Compose();
}

void Error::Compose() {
  what_ = absl::StrCat("[", op_, "] ", message_);
  if (has_place()) absl::StrAppend(&what_, " (", place_, ")");
}

std::string ToString(const SourceLocation& where) {
  return absl::StrCat(where.file_name(), ":", where.line());
}

}  // namespace wengert
