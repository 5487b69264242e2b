// Reads a safetensors file and writes it again: safetensors_copy IN OUT.
#include <cstdio>

#include "data/formats/safetensors.h"

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  const absl::StatusOr<wengert::SafetensorsFile> file = wengert::ReadSafetensors(argv[1]);
  const absl::Status status =
      file.ok() ? wengert::WriteSafetensors(argv[2], file->tensors, file->metadata) : file.status();
  if (!status.ok()) std::fprintf(stderr, "%s\n", status.ToString().c_str());
  return status.ok() ? 0 : 1;
}
