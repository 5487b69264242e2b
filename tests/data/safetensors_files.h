// Safetensors files for tests, made without the code under test.
#ifndef WENGERT_TESTS_DATA_SAFETENSORS_FILES_H_
#define WENGERT_TESTS_DATA_SAFETENSORS_FILES_H_

#include <string>

namespace wengert {

// A file: the length of `header`, `header`, `data`.
inline std::string SafetensorsBytes(const std::string& header, const std::string& data = "") {
  std::string bytes;
  for (int i = 0; i < 8; ++i) bytes += static_cast<char>(header.size() >> 8 * i);
  return bytes + header + data;
}

}  // namespace wengert

#endif  // WENGERT_TESTS_DATA_SAFETENSORS_FILES_H_
