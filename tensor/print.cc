// Tensor::ToString: the text that NumPy's str() gives with its default print options.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <ostream>
#include <string>
#include <system_error>
#include <type_traits>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tensor/tensor.h"

namespace wengert {
namespace {

constexpr int kPrecision = 8;           // digits after the point
constexpr int64_t kMaxElements = 1000;  // more are summarised
constexpr int64_t kEdgeItems = 3;
constexpr int kLineWidth = 75;

// A decimal number: digits d1 d2 d3 ..., value 0.d1d2d3... * 10^point.
struct Decimal {
  bool negative;
  std::string digits;
  int point;
};

template <class T, class... Format>
std::string ToChars(T value, Format... format) {
  char buffer[512];
  const std::to_chars_result result =
      std::to_chars(buffer, buffer + sizeof(buffer), value, format...);
  return std::string(buffer, result.ptr);
}

// Of text in scientific notation.
Decimal Parse(const std::string& text) {
  const size_t e = text.find('e');
  Decimal decimal = {text[0] == '-', "", std::stoi(text.substr(e + 1)) + 1};
  for (char c : text.substr(0, e)) {
    if (c >= '0' && c <= '9') decimal.digits += c;
  }
  return decimal;
}

// The fewest digits that read back as `value`.
template <class T>
Decimal Shortest(T value) {
  return Parse(ToChars(value, std::chars_format::scientific));
}

// The exact value rounded to `places` after the point of scientific notation.
template <class T>
Decimal RoundedScientific(T value, int places) {
  return Parse(ToChars(value, std::chars_format::scientific, places));
}

// The exact value rounded to `places` after the point.
template <class T>
Decimal RoundedPositional(T value, int places) {
  const std::string text = ToChars(value, std::chars_format::fixed, places);
  const size_t begin = text[0] == '-', dot = text.find('.');
  return {text[0] == '-', text.substr(begin, dot - begin) + text.substr(dot + 1),
          static_cast<int>(dot - begin)};
}

// What NumPy shows: the fewest digits, unless they reach further than kPrecision.
template <class T>
Decimal ToDecimal(T value, bool scientific) {
  const Decimal shortest = Shortest(value);
  const int digits = static_cast<int>(shortest.digits.size());
  if (digits - (scientific ? 1 : shortest.point) <= kPrecision) return shortest;
  return scientific ? RoundedScientific(value, kPrecision) : RoundedPositional(value, kPrecision);
}

void TrimTrailingZeros(std::string& text) { text.erase(text.find_last_not_of('0') + 1); }

// "-12.5", "3.", "0.001".
std::string Positional(const Decimal& decimal) {
  std::string whole = "0", fraction;
  if (decimal.point > 0) {
    whole = decimal.digits.substr(0, decimal.point);
    whole.append(decimal.point - whole.size(), '0');
  } else {
    fraction.append(-decimal.point, '0');
  }
  if (decimal.point < static_cast<int>(decimal.digits.size())) {
    fraction += decimal.digits.substr(std::max(decimal.point, 0));
  }
  TrimTrailingZeros(fraction);
  return absl::StrCat(decimal.negative ? "-" : "", whole, ".", fraction);
}

// "-1.25e+10"; the fraction is filled with zeros to `places`, the exponent to `exponent_digits`.
std::string Scientific(const Decimal& decimal, size_t places, size_t exponent_digits) {
  std::string fraction = decimal.digits.substr(1);
  TrimTrailingZeros(fraction);
  if (fraction.size() < places) fraction.append(places - fraction.size(), '0');
  const int power = decimal.digits[0] == '0' ? 0 : decimal.point - 1;
  std::string exponent = absl::StrCat(std::abs(power));
  if (exponent.size() < exponent_digits) exponent.insert(0, exponent_digits - exponent.size(), '0');
  return absl::StrCat(decimal.negative ? "-" : "", decimal.digits.substr(0, 1), ".", fraction, "e",
                      power < 0 ? "-" : "+", exponent);
}

template <class T>
std::string NonFinite(T value) {
  return std::isnan(value) ? "nan" : value < 0 ? "-inf" : "inf";
}

void PadLeft(std::string& text, size_t width) {
  if (text.size() < width) text.insert(0, width - text.size(), ' ');
}

// NumPy chooses scientific notation by the finite elements that are not zero.
template <class T>
bool WantsScientific(const std::vector<T>& values) {
  T largest = 0, smallest = 0;
  for (T value : values) {
    if (!std::isfinite(value) || value == 0) continue;
    largest = std::max(largest, std::abs(value));
    smallest = smallest == 0 ? std::abs(value) : std::min(smallest, std::abs(value));
  }
  if (largest == 0) return false;
  return largest >= 1e8 || smallest < 0.0001 || largest / smallest > 1000;
}

template <class T>
std::vector<std::string> FormatFloats(const std::vector<T>& values) {
  const bool scientific = WantsScientific(values);
  std::vector<std::string> words(values.size());
  // Of the finite ones: columns before the point and after it.
  size_t left = 0, right = 0, exponent_digits = 2;
  for (size_t i = 0; i < values.size(); ++i) {
    if (!std::isfinite(values[i])) continue;
    const Decimal decimal = ToDecimal(values[i], scientific);
    words[i] = scientific ? Scientific(decimal, 0, 2) : Positional(decimal);
    const size_t point = words[i].find('.'), e = std::min(words[i].find('e'), words[i].size());
    left = std::max(left, point);
    right = std::max(right, e - point - 1);
    if (scientific) exponent_digits = std::max(exponent_digits, words[i].size() - e - 2);
  }
  const size_t places = right;
  if (scientific) right += 2 + exponent_digits;
  for (size_t i = 0; i < values.size(); ++i) {
    if (!std::isfinite(values[i])) {
      words[i] = NonFinite(values[i]);
      left = std::max(left, words[i].size() - std::min(words[i].size(), right + 1));
    } else if (scientific) {
      words[i] = Scientific(RoundedScientific(values[i], static_cast<int>(places)), places,
                            exponent_digits);
    }
  }
  for (size_t i = 0; i < values.size(); ++i) {
    std::string& word = words[i];
    if (!std::isfinite(values[i])) {
      PadLeft(word, left + 1 + right);
      continue;
    }
    const size_t point = word.find('.');
    word.append(right - (word.size() - point - 1), ' ');
    PadLeft(word, left + 1 + right);
  }
  return words;
}

template <class T>
std::vector<std::string> FormatElements(const std::vector<T>& values) {
  if constexpr (std::is_floating_point_v<T>) {
    return FormatFloats(values);
  } else {
    std::vector<std::string> words;
    size_t width = 0;
    for (T value : values) {
      words.push_back(std::is_same_v<T, bool> ? value ? " True" : "False"
                                              : std::to_string(static_cast<int64_t>(value)));
      width = std::max(width, words.back().size());
    }
    for (std::string& word : words) PadLeft(word, width);
    return words;
  }
}

// A number on its own, as Python prints it.
template <class T>
std::string FormatScalar(T value) {
  if constexpr (std::is_same_v<T, bool>) {
    return value ? "True" : "False";
  } else if constexpr (std::is_integral_v<T>) {
    return std::to_string(static_cast<int64_t>(value));
  } else {
    if (!std::isfinite(value)) return NonFinite(value);
    const Decimal decimal = Shortest(value);
    const double magnitude = std::abs(value);
    if (magnitude != 0 && (magnitude < 1e-4 || magnitude >= 1e16)) {
      std::string text = Scientific(decimal, 0, 2);
      const size_t dot = text.find(".e");
      return dot == std::string::npos ? text : text.erase(dot, 1);
    }
    std::string text = Positional(decimal);
    return text.back() == '.' ? text + "0" : text;
  }
}

// The positions of an axis that are shown.
std::vector<int64_t> Shown(int64_t length, bool summarise) {
  std::vector<int64_t> positions;
  for (int64_t i = 0; i < length; ++i) {
    if (summarise && i == kEdgeItems && length > 2 * kEdgeItems) i = length - kEdgeItems;
    positions.push_back(i);
  }
  return positions;
}

template <class T>
void Gather(const Tensor& tensor, const T* element, int axis, bool summarise,
            std::vector<T>& values) {
  if (axis == tensor.rank()) {
    values.push_back(*element);
    return;
  }
  for (int64_t i : Shown(tensor.shape()[axis], summarise)) {
    Gather(tensor, element + i * tensor.strides()[axis], axis + 1, summarise, values);
  }
}

// Lays words out in brackets. `indent` is that of the lines inside this bracket, `width` what a
// line may take.
class Layout {
 public:
  Layout(const Shape& shape, bool summarise, std::vector<std::string> words)
      : shape_(shape), summarise_(summarise), words_(std::move(words)) {}

  std::string Brackets(int axis, const std::string& indent, size_t width) {
    const int64_t length = shape_[axis];
    const bool cut = summarise_ && length > 2 * kEdgeItems;
    const int64_t items = cut ? 2 * kEdgeItems : length;
    const int axes_inside = shape_.rank() - axis - 1;
    std::string text, line = indent;
    const auto add = [&](const std::string& item, bool last) {
      if (axes_inside > 0) {
        text += indent + item;
        if (!last) text.append(axes_inside, '\n');
        return;
      }
      if (line.size() + item.size() > width - 1 && line.size() > indent.size()) {
        text += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
        line = indent;
      }
      line += item;
      if (!last) line += ' ';
    };
    for (int64_t i = 0; i < items; ++i) {
      if (cut && i == kEdgeItems) add("...", false);
      add(axes_inside > 0 ? Brackets(axis + 1, indent + ' ', width - 1) : words_[next_word_++],
          i == items - 1);
    }
    if (axes_inside == 0) text += line;
    return absl::StrCat("[", text.substr(indent.size()), "]");
  }

 private:
  const Shape& shape_;
  const bool summarise_;
  const std::vector<std::string> words_;
  size_t next_word_ = 0;
};

}  // namespace

std::string Tensor::ToString() const {
  if (!defined()) return "undefined";
  if (size() == 0) return "[]";
  return DispatchDType(dtype_, [&]<class Element>() {
    if (rank() == 0) return FormatScalar(*data<Element>());
    const bool summarise = size() > kMaxElements;
    std::vector<Element> values;
    Gather(*this, data<Element>(), 0, summarise, values);
    return Layout(shape_, summarise, FormatElements(values)).Brackets(0, " ", kLineWidth);
  });
}

std::ostream& operator<<(std::ostream& stream, const Tensor& tensor) {
  return stream << tensor.ToString();
}

}  // namespace wengert
