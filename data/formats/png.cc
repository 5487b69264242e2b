// PNG through libpng's simplified interface, which returns where the other one jumps over
// destructors.
#include "data/formats/png.h"

#include <png.h>
#include <zlib.h>

#include <string_view>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "data/formats/file.h"

namespace wengert {
namespace {

constexpr std::string_view kSignature = "\x89PNG\r\n\x1a\n";

uint32_t BigEndian(std::string_view bytes, size_t at) {
  return png_get_uint_32(reinterpret_cast<png_const_bytep>(bytes.data() + at));
}

// Every chunk is whole, up to the one that ends a picture. (libpng stops reading at the last pixel,
// and takes a wrong check sum only of some chunks for an error.)
absl::Status CheckChunks(const std::string& path, std::string_view bytes) {
  if (bytes.substr(0, kSignature.size()) != kSignature) {
    return BadFile(path, 0, "not a PNG file");
  }
  constexpr size_t kAround = 12;  // length, type and check sum
  size_t at = kSignature.size();
  for (bool last = false; !last;) {
    const size_t left = bytes.size() - at;
    const size_t length = left < kAround ? 0 : BigEndian(bytes, at);
    if (left < kAround || left - kAround < length) {
      return BadFile(path, static_cast<int64_t>(bytes.size()), "the file ends inside its picture");
    }
    const std::string_view checked = bytes.substr(at + 4, 4 + length);
    const uLong sum = crc32_z(0, reinterpret_cast<const Bytef*>(checked.data()), checked.size());
    if (sum != BigEndian(bytes, at + 8 + length)) {
      return BadFile(path, static_cast<int64_t>(at), "damaged PNG data: wrong check sum");
    }
    last = checked.substr(0, 4) == "IEND";
    at += kAround + length;
  }
  return absl::OkStatus();
}

absl::Status Damaged(const std::string& path, const png_image& image) {
  return absl::DataLossError(absl::StrCat(path, ": damaged PNG data: ", image.message));
}

}  // namespace

absl::StatusOr<Tensor> ReadPng(const std::string& path) {
  const absl::StatusOr<std::string> bytes = ReadFile(path, kMaxPngBytes);
  if (!bytes.ok()) return bytes.status();
  if (absl::Status status = CheckChunks(path, *bytes); !status.ok()) return status;

  png_image image = {};
  image.version = PNG_IMAGE_VERSION;
  const absl::Cleanup free = [&image] { png_image_free(&image); };
  if (!png_image_begin_read_from_memory(&image, bytes->data(), bytes->size())) {
    return Damaged(path, image);
  }
  const int64_t height = image.height, width = image.width;
  if (height * width > kMaxPngPixels) {
    return absl::ResourceExhaustedError(
        absl::StrCat(path, ": ", width, " x ", height, " pixels, more than ", kMaxPngPixels));
  }
  const bool color = (image.format & PNG_FORMAT_FLAG_COLOR) != 0;
  image.format = color ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY;
  image.flags |= PNG_IMAGE_FLAG_16BIT_sRGB;  // else 16 bits that say nothing of it count as linear
  constexpr png_color kWhite = {255, 255, 255};
  Tensor pixels = Tensor::Empty({height, width, color ? 3 : 1}, DType::kUInt8);
  if (!png_image_finish_read(&image, &kWhite, pixels.raw(), /*row_stride=*/0,
                             /*colormap=*/nullptr)) {
    return Damaged(path, image);
  }
  return pixels;
}

absl::Status WritePng(const std::string& path, const Tensor& pixels, SourceLocation where) {
  const bool fits = pixels.defined() && pixels.dtype() == DType::kUInt8 && pixels.rank() == 3 &&
                    (pixels.dim(2) == 1 || pixels.dim(2) == 3) && pixels.size() > 0 &&
                    pixels.dim(0) <= kMaxPngPixels / pixels.dim(1);
  if (!fits) {
    Error error(
        "write_png",
        absl::StrCat("the picture is ",
                     pixels.defined()
                         ? absl::StrCat(std::string(Name(pixels.dtype())), ToString(pixels.shape()))
                         : "undefined",
                     ", expected uint8 [H,W,1] or [H,W,3] of 1 to ", kMaxPngPixels, " pixels"));
    error.AddPlace(where, "");
    throw error;
  }
  png_image image = {};
  image.version = PNG_IMAGE_VERSION;
  image.height = static_cast<png_uint_32>(pixels.dim(0));
  image.width = static_cast<png_uint_32>(pixels.dim(1));
  image.format = pixels.dim(2) == 3 ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY;
  const absl::Cleanup free = [&image] { png_image_free(&image); };
  const Tensor rows = pixels.Contiguous();
  std::string bytes(PNG_IMAGE_PNG_SIZE_MAX(image), '\0');
  png_alloc_size_t size = bytes.size();
  if (!png_image_write_to_memory(&image, bytes.data(), &size, /*convert_to_8_bit=*/0, rows.raw(),
                                 /*row_stride=*/0, /*colormap=*/nullptr)) {
    return absl::InternalError(absl::StrCat(path, ": not written: ", image.message));
  }
  absl::StatusOr<OutputFile> file = OutputFile::Create(path);
  if (!file.ok()) return file.status();
  const absl::Status written = file->Write(std::string_view(bytes).substr(0, size));
  return written.ok() ? file->Commit() : written;
}

}  // namespace wengert
