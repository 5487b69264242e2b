// safetensors: 8 bytes with the header's length, the header, the tensors' bytes without gaps.
#include "data/formats/safetensors.h"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <tuple>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "data/formats/file.h"
#include "data/formats/safetensors_header.h"

namespace wengert {
namespace {

static_assert(std::endian::native == std::endian::little, "the format's numbers are little-endian");

absl::StatusOr<std::string> ReadHeader(const std::string& path, InputFile& file) {
  const absl::StatusOr<std::string> length = file.ReadAtMost(kSafetensorsHeaderOffset);
  if (!length.ok()) return length.status();
  if (length->size() < kSafetensorsHeaderOffset) {
    return BadFile(path, static_cast<int64_t>(length->size()),
                   "the file ends inside the length of its header");
  }
  uint64_t size;
  std::memcpy(&size, length->data(), sizeof(size));
  if (size > kMaxSafetensorsHeaderBytes) {
    return BadFile(path, 0,
                   absl::StrCat("a header of ", size, " bytes; at most ",
                                kMaxSafetensorsHeaderBytes, " are allowed"));
  }
  absl::StatusOr<std::string> header = file.ReadAtMost(static_cast<int64_t>(size));
  if (header.ok() && header->size() < size) {
    return BadFile(path, kSafetensorsHeaderOffset + static_cast<int64_t>(header->size()),
                   absl::StrCat("the file ends inside its header of ", size, " bytes"));
  }
  return header;
}

absl::StatusOr<Tensor> ReadElements(const std::string& path, const SafetensorsEntry& entry,
                                    InputFile& file) {
  // Through a string, which grows: a tensor would be allocated as large as the header says.
  const int64_t size = entry.end - entry.begin;
  const absl::StatusOr<std::string> bytes = file.ReadAtMost(size);
  if (!bytes.ok()) return bytes.status();
  if (static_cast<int64_t>(bytes->size()) < size) {
    return absl::DataLossError(absl::StrCat(path, ": the file ends inside tensor ",
                                            ShownName(entry.name), ", after ", bytes->size(),
                                            " of its ", size, " bytes"));
  }
  if (entry.dtype == DType::kBool &&
      std::any_of(bytes->begin(), bytes->end(), [](uint8_t byte) { return byte > 1; })) {
    return absl::DataLossError(absl::StrCat(path, ": tensor ", ShownName(entry.name),
                                            " has a bool that is neither 0 nor 1"));
  }
  Tensor tensor = Tensor::Empty(entry.shape, entry.dtype);
  std::copy(bytes->begin(), bytes->end(), reinterpret_cast<char*>(tensor.raw()));
  return tensor;
}

// In the order of the file.
std::vector<NamedTensor> Sorted(absl::Span<const NamedTensor> tensors) {
  absl::flat_hash_set<std::string_view> names;
  for (const auto& [name, tensor] : tensors) {
    const char* problem = name == kSafetensorsMetadataKey ? " cannot be the name of a tensor"
                          : !names.insert(name).second    ? " comes twice"
                          : !tensor.defined()             ? " is undefined"
                                                          : nullptr;
    if (problem) throw Error("safetensors", ShownName(name) + problem);
  }
  std::vector<NamedTensor> sorted(tensors.begin(), tensors.end());
  std::sort(sorted.begin(), sorted.end(), [](const NamedTensor& a, const NamedTensor& b) {
    const int x = SafetensorsOrder(a.tensor.dtype()), y = SafetensorsOrder(b.tensor.dtype());
    return std::tie(x, a.name) < std::tie(y, b.name);
  });
  return sorted;
}

}  // namespace

absl::StatusOr<SafetensorsFile> ReadSafetensors(const std::string& path) {
  absl::StatusOr<InputFile> file = InputFile::Open(path);
  if (!file.ok()) return file.status();
  const absl::StatusOr<std::string> text = ReadHeader(path, *file);
  if (!text.ok()) return text.status();
  absl::StatusOr<SafetensorsHeader> header = ParseSafetensorsHeader(*text, path);
  if (!header.ok()) return header.status();

  SafetensorsFile result{.tensors = {}, .metadata = std::move(header->metadata)};
  for (SafetensorsEntry& entry : header->entries) {
    absl::StatusOr<Tensor> tensor = ReadElements(path, entry, *file);
    if (!tensor.ok()) return tensor.status();
    result.tensors.push_back({std::move(entry.name), std::move(*tensor)});
  }
  const absl::StatusOr<std::string> more = file->ReadAtMost(1);
  if (!more.ok()) return more.status();
  if (!more->empty()) {
    const int64_t end = header->entries.empty() ? 0 : header->entries.back().end;
    return BadFile(path, kSafetensorsHeaderOffset + static_cast<int64_t>(text->size()) + end,
                   "more bytes after the last tensor");
  }
  return result;
}

absl::Status WriteSafetensors(const std::string& path, absl::Span<const NamedTensor> tensors,
                              const SafetensorsMetadata& metadata) {
  const std::vector<NamedTensor> sorted = Sorted(tensors);
  SafetensorsHeader header{.entries = {}, .metadata = metadata};
  int64_t end = 0;
  for (const auto& [name, tensor] : sorted) {
    const int64_t begin = std::exchange(end, end + tensor.bytes());
    header.entries.push_back({name, tensor.dtype(), tensor.shape(), begin, end});
  }
  const std::string text = SafetensorsHeaderText(header);
  if (text.size() > kMaxSafetensorsHeaderBytes) {
    throw Error("safetensors",
                absl::StrCat("the names and metadata make a header of ", text.size(),
                             " bytes; at most ", kMaxSafetensorsHeaderBytes, " are allowed"));
  }

  absl::StatusOr<OutputFile> file = OutputFile::Create(path);
  if (!file.ok()) return file.status();
  const uint64_t length = text.size();
  absl::Status status =
      file->Write({reinterpret_cast<const char*>(&length), kSafetensorsHeaderOffset});
  status.Update(file->Write(text));
  for (const auto& [name, tensor] : sorted) {
    if (!status.ok()) break;
    const Tensor rows = tensor.Contiguous();
    status =
        file->Write({reinterpret_cast<const char*>(rows.raw()), static_cast<size_t>(rows.bytes())});
  }
  if (!status.ok()) return status;
  return file->Commit();
}

}  // namespace wengert
