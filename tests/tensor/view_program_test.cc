// Random chains of views against lists of values and memory positions, which are permuted and cut
// by index arithmetic alone.
#include <algorithm>
#include <functional>
#include <numeric>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "tensor/tensor.h"

namespace wengert {
namespace {

// What a view must show, kept as plain lists and computed without strides: for each element in
// row-major order its value and its position in memory.
struct Model {
  std::vector<int64_t> shape, values, positions;

  int64_t size() const { return static_cast<int64_t>(values.size()); }

  // Rebuilds the lists for `new_shape`; `from` maps an index of the result to one of this.
  template <class F>
  void Map(const std::vector<int64_t>& new_shape, F from) {
    Model result = {new_shape, {}, {}};
    const int64_t count =
        std::accumulate(new_shape.begin(), new_shape.end(), int64_t{1}, std::multiplies<>());
    for (int64_t flat = 0; flat < count; ++flat) {
      const std::vector<int64_t> index = from(Unflatten(flat, new_shape));
      int64_t old = 0;
      for (size_t axis = 0; axis < shape.size(); ++axis) old = old * shape[axis] + index[axis];
      result.values.push_back(values[old]);
      result.positions.push_back(positions[old]);
    }
    *this = result;
  }

  static std::vector<int64_t> Unflatten(int64_t flat, const std::vector<int64_t>& shape) {
    std::vector<int64_t> index(shape.size());
    for (size_t axis = shape.size(); axis-- > 0;) {
      index[axis] = flat % shape[axis];
      flat /= shape[axis];
    }
    return index;
  }

  // Whether strides exist that give these positions.
  bool IsAffine() const {
    std::vector<int64_t> strides(shape.size());
    int64_t step = 1;
    for (size_t axis = shape.size(); axis-- > 0;) {
      if (shape[axis] > 1) strides[axis] = positions[step] - positions[0];
      step *= shape[axis];
    }
    for (int64_t flat = 0; flat < size(); ++flat) {
      const std::vector<int64_t> index = Unflatten(flat, shape);
      if (positions[flat] !=
          std::inner_product(index.begin(), index.end(), strides.begin(), positions[0])) {
        return false;
      }
    }
    return true;
  }
};

class ViewProgram {
 public:
  explicit ViewProgram(int seed) : random_(seed) {
    const int rank = Pick(0, 4);
    for (int i = 0; i < rank; ++i) model_.shape.push_back(Pick(0, 19) == 0 ? 0 : Pick(1, 5));
    const Shape shape(model_.shape);
    tensor_ = Tensor::Arange(0, static_cast<double>(NumElements(shape))).Reshape(shape);
    model_.values.resize(NumElements(shape));
    std::iota(model_.values.begin(), model_.values.end(), 0);
    model_.positions = model_.values;
    trace_ = absl::StrCat("seed ", seed, ": ", ToString(shape));
  }

  void Run(int steps) {
    Check();
    for (int i = 0; i < steps && !testing::Test::HasFailure(); ++i) {
      Step();
      Check();
    }
  }

 private:
  int64_t Pick(int64_t low, int64_t high) {
    return std::uniform_int_distribution<int64_t>(low, high)(random_);
  }
  int rank() const { return static_cast<int>(model_.shape.size()); }
  // An axis, and the same one as the user may write it.
  std::pair<int, int> PickAxis() {
    const int axis = static_cast<int>(Pick(0, rank() - 1));
    return {axis, Pick(0, 1) ? axis : axis - rank()};
  }

  void Step() {
    switch (Pick(0, 7)) {
      case 0:
        return rank() > 0 ? Narrow() : Unsqueeze();
      case 1:
        return Permute();
      case 2:
        return Expand();
      case 3:
        return rank() > 0 ? Flip() : Unsqueeze();
      case 4:
        return Squeeze();
      case 5:
        return Unsqueeze();
      default:
        return Reshape();
    }
  }

  void Narrow() {
    const auto [axis, written] = PickAxis();
    const int64_t dim = model_.shape[axis];
    int64_t start = Pick(0, dim), length = 0, step = Pick(0, 1) ? 1 : Pick(1, 3);
    if (Pick(0, 2) == 0) step = -step;
    if (start < dim && Pick(0, 9) > 0) {
      length = Pick(1, step > 0 ? (dim - 1 - start) / step + 1 : start / -step + 1);
    }
    Note(absl::StrCat("Narrow(", written, ",", start, ",", length, ",", step, ")"));
    tensor_ = tensor_.Narrow(written, start, length, step);
    std::vector<int64_t> shape = model_.shape;
    shape[axis] = length;
    model_.Map(shape, [&, axis = axis](std::vector<int64_t> index) {
      index[axis] = start + index[axis] * step;
      return index;
    });
  }

  void Permute() {
    std::vector<int> order(rank());
    std::iota(order.begin(), order.end(), 0);
    std::shuffle(order.begin(), order.end(), random_);
    std::vector<int64_t> shape;
    std::vector<int> written;
    for (int axis : order) {
      shape.push_back(model_.shape[axis]);
      written.push_back(Pick(0, 1) ? axis : axis - rank());
    }
    Note("Permute");
    if (rank() >= 2 && Pick(0, 2) == 0) {
      std::iota(order.begin(), order.end(), 0);
      const auto [a, written_a] = PickAxis();
      const auto [b, written_b] = PickAxis();
      std::swap(order[a], order[b]);
      shape = model_.shape;
      std::swap(shape[a], shape[b]);
      tensor_ = tensor_.Transpose(written_a, written_b);
    } else {
      tensor_ = tensor_.Permute(written);
    }
    model_.Map(shape, [&](const std::vector<int64_t>& index) {
      std::vector<int64_t> old(index.size());
      for (size_t i = 0; i < index.size(); ++i) old[order[i]] = index[i];
      return old;
    });
  }

  void Expand() {
    std::vector<int64_t> shape = model_.shape;
    for (int64_t& dim : shape) {
      if (dim == 1 && Pick(0, 1)) dim = Pick(0, 3);
    }
    while (shape.size() < 6 && Pick(0, 2) == 0) shape.insert(shape.begin(), Pick(1, 3));
    if (NumElements(Shape(shape)) > 3000) return;
    Note(absl::StrCat("Expand", ToString(Shape(shape))));
    tensor_ = tensor_.Expand(Shape(shape));
    const std::vector<int64_t> old_shape = model_.shape;
    model_.Map(shape, [&](const std::vector<int64_t>& index) {
      std::vector<int64_t> old(index.end() - old_shape.size(), index.end());
      for (size_t i = 0; i < old.size(); ++i) {
        if (old_shape[i] == 1) old[i] = 0;
      }
      return old;
    });
  }

  void Flip() {
    const auto [axis, written] = PickAxis();
    Note(absl::StrCat("Flip(", written, ")"));
    tensor_ = tensor_.Flip(written);
    const int64_t dim = model_.shape[axis];
    model_.Map(model_.shape, [&, axis = axis](std::vector<int64_t> index) {
      index[axis] = dim - 1 - index[axis];
      return index;
    });
  }

  void Squeeze() {
    const auto one = std::find(model_.shape.begin(), model_.shape.end(), 1);
    if (one == model_.shape.end()) return;
    const int axis = static_cast<int>(one - model_.shape.begin());
    Note(absl::StrCat("Squeeze(", axis, ")"));
    tensor_ = tensor_.Squeeze(Pick(0, 1) ? axis : axis - rank());
    model_.shape.erase(one);
  }

  void Unsqueeze() {
    if (rank() == kMaxRank) return;
    const int axis = static_cast<int>(Pick(0, rank()));
    Note(absl::StrCat("Unsqueeze(", axis, ")"));
    tensor_ = tensor_.Unsqueeze(Pick(0, 1) ? axis : axis - rank() - 1);
    model_.shape.insert(model_.shape.begin() + axis, 1);
  }

  void Reshape() {
    std::vector<int64_t> shape;
    if (model_.size() == 0) {
      shape = {Pick(0, 3), 0, Pick(0, 3)};
    } else {
      shape = {model_.size()};
      for (int64_t i = Pick(0, 8); i > 0 && shape.size() < kMaxRank; --i) {
        const int64_t axis = Pick(0, static_cast<int64_t>(shape.size()) - 1), factor = Pick(1, 6);
        if (shape[axis] % factor != 0) continue;
        shape[axis] /= factor;
        shape.insert(shape.begin() + axis + Pick(0, 1), factor);
      }
      if (model_.size() == 1 && Pick(0, 1)) shape.clear();
    }
    std::vector<int64_t> written = shape;
    if (!shape.empty() && model_.size() > 0 && Pick(0, 1)) written[Pick(0, shape.size() - 1)] = -1;
    Note(absl::StrCat("Reshape", ToString(Shape(written))));
    const Tensor before = tensor_;
    tensor_ = tensor_.Reshape(Shape(written));
    model_.shape = shape;
    // A view exactly if there can be one.
    EXPECT_EQ(tensor_.SharesStorage(before), model_.size() == 0 || model_.IsAffine()) << trace_;
    if (!tensor_.SharesStorage(before)) {
      EXPECT_TRUE(tensor_.IsContiguous()) << trace_;
      std::iota(model_.positions.begin(), model_.positions.end(), 0);
    }
  }

  void Note(const std::string& step) { absl::StrAppend(&trace_, " ", step); }

  void Check() {
    ASSERT_EQ(tensor_.shape(), Shape(model_.shape)) << trace_;
    ASSERT_EQ(tensor_.size(), model_.size()) << trace_;
    for (int64_t flat = 0; flat < model_.size(); ++flat) {
      const std::vector<int64_t> index = Model::Unflatten(flat, model_.shape);
      int64_t position = tensor_.offset();
      for (int axis = 0; axis < rank(); ++axis) position += index[axis] * tensor_.strides()[axis];
      ASSERT_EQ(position, model_.positions[flat]) << trace_;
    }
    ASSERT_EQ(tensor_.ToVector<int64_t>(), model_.values) << trace_;
    bool in_order = true;
    for (int64_t flat = 0; flat < model_.size(); ++flat) {
      in_order = in_order && model_.positions[flat] == model_.positions[0] + flat;
    }
    EXPECT_EQ(tensor_.IsContiguous(), in_order) << trace_;
    const Tensor contiguous = tensor_.Contiguous();
    EXPECT_TRUE(contiguous.IsContiguous());
    EXPECT_EQ(contiguous.SharesStorage(tensor_), in_order);
    EXPECT_TRUE(BitwiseEqual(contiguous, tensor_));
  }

  std::mt19937 random_;
  Model model_;
  Tensor tensor_;
  std::string trace_;
};

TEST(ViewProgramTest, RandomViewsShowWhatListsShow) {
  for (int seed = 0; seed < 600 && !HasFailure(); ++seed) ViewProgram(seed).Run(12);
}

}  // namespace
}  // namespace wengert
