// Save and Load: the parameters come back bit for bit, and what does not fit changes nothing.
#include "nn/save.h"

#include <filesystem>
#include <string>
#include <vector>

#include "data/formats/safetensors.h"
#include "gtest/gtest.h"
#include "models/digits/classifiers.h"
#include "nn/layers.h"
#include "nn/sequential.h"
#include "ops/ops.h"
#include "tests/data/test_files.h"
#include "tests/tensor/thrown_message.h"

namespace wengert {
namespace {

struct Net {
  nn::Dense fc1, fc2;
  std::vector<Parameter> scales;
  Parameter step;  // none unless set

  explicit Net(Generator& rng) : fc1({.in = 3, .out = 4}, rng), fc2({.in = 4, .out = 2}, rng) {
    for (int64_t i = 1; i < 3; ++i) scales.emplace_back(Tensor::Full({i}, 7, DType::kFloat64));
  }
  template <class V>
  void Visit(V&& v) {
    v("fc1", fc1), v("fc2", fc2), v("scales", scales), v("step", step);
  }
};

struct Tied {
  nn::Dense a, b;
  explicit Tied(Generator& rng) : a({.in = 2, .out = 2}, rng), b(a) {}
  template <class V>
  void Visit(V&& v) {
    v("a", a), v("b", b);
  }
};

// Two parameters of one path.
struct Twice {
  Parameter a{Tensor::Ones({1})}, b{Tensor::Ones({1})};
  template <class V>
  void Visit(V&& v) {
    v("w", a), v("w", b);
  }
};

template <class Model>
std::vector<Tensor> Values(Model& model) {
  std::vector<Tensor> values;
  for (const Parameter& parameter : Parameters(model)) values.push_back(parameter.value().Clone());
  return values;
}

testing::AssertionResult Same(const std::vector<Tensor>& a, const std::vector<Tensor>& b) {
  if (a.size() != b.size()) return testing::AssertionFailure() << a.size() << " and " << b.size();
  for (size_t i = 0; i < a.size(); ++i) {
    if (!BitwiseEqual(a[i], b[i])) return testing::AssertionFailure() << "parameter " << i;
  }
  return testing::AssertionSuccess();
}

class SaveTest : public ::testing::Test {
 protected:
  template <class Model>
  void ExpectRoundTrip(Model saved, Model loaded) {
    ASSERT_FALSE(Same(Values(saved), Values(loaded)));
    ASSERT_TRUE(Save(saved, path_).ok());
    const absl::Status status = Load(loaded, path_);
    ASSERT_TRUE(status.ok()) << status;
    EXPECT_TRUE(Same(Values(saved), Values(loaded)));
  }
  // What Load says of a file with these tensors; the model must stay as it was.
  std::string LoadError(Net& model, const std::vector<NamedTensor>& tensors) {
    EXPECT_TRUE(WriteSafetensors(path_, tensors).ok());
    const std::vector<Tensor> before = Values(model);
    const std::string message(Load(model, path_).message());
    EXPECT_TRUE(Same(Values(model), before));
    EXPECT_EQ(message.substr(0, path_.size()), path_);
    return message.substr(std::min(message.size(), path_.size()));
  }

  const std::string path_ = TestFolder() + "/w.safetensors";
  Generator rng_{1};
};

TEST_F(SaveTest, ParametersMakeTheRoundTrip) {
  ExpectRoundTrip(Net(rng_), Net(rng_));
  ExpectRoundTrip(mnist::Cnn32_64_64_D64(rng_), mnist::Cnn32_64_64_D64(rng_));
  const auto chain = [&] {
    return nn::Sequential(nn::Dense({.in = 3, .out = 2}, rng_), Relu,
                          nn::Dense({.in = 2, .out = 2}, rng_));
  };
  ExpectRoundTrip(chain(), chain());
}

TEST_F(SaveTest, TheFileHasThePathsOfTheParameters) {
  Net model(rng_);
  model.step = Parameter(Tensor::Full({}, 5));
  ASSERT_TRUE(Save(model, path_).ok());
  const absl::StatusOr<SafetensorsFile> file = ReadSafetensors(path_);
  ASSERT_TRUE(file.ok()) << file.status();
  std::vector<std::string> names;
  for (const NamedTensor& named : file->tensors) names.push_back(named.name);
  EXPECT_EQ(names, (std::vector<std::string>{"scales/0", "scales/1", "fc1/bias", "fc1/weight",
                                             "fc2/bias", "fc2/weight", "step"}));
  EXPECT_TRUE(BitwiseEqual(file->tensors[3].tensor, model.fc1.weight.value()));
}

TEST_F(SaveTest, ValuesThatWereNotComputedYetAreSaved) {
  Net model(rng_);
  model.fc1.bias.Set(Variable(Tensor::Ones({4})) * 3);
  ASSERT_TRUE(Save(model, path_).ok());
  Net other(rng_);
  ASSERT_TRUE(Load(other, path_).ok());
  EXPECT_EQ(other.fc1.bias.value().ToVector<float>(), (std::vector<float>{3, 3, 3, 3}));
}

TEST_F(SaveTest, TiedWeightsAreSavedOnceAndStayTied) {
  ExpectRoundTrip(Tied(rng_), Tied(rng_));
  EXPECT_EQ(ReadSafetensors(path_)->tensors.size(), 2);
  Tied loaded(rng_);
  ASSERT_TRUE(Load(loaded, path_).ok());
  EXPECT_TRUE(BitwiseEqual(loaded.a.weight.value(), loaded.b.weight.value()));
}

TEST_F(SaveTest, LoadedParametersKeepTheirNamesAndTheirOwnMemory) {
  Net model(rng_);
  ASSERT_TRUE(Save(model, path_).ok());
  ASSERT_TRUE(Load(model, path_).ok());
  EXPECT_EQ(model.fc2.weight.name(), "fc2/weight");
  EXPECT_TRUE(model.fc2.weight.variable().requires_grad());
  EXPECT_FALSE(model.fc2.weight.value().SharesStorage(model.fc1.weight.value()));
}

TEST_F(SaveTest, EveryDifferenceIsListedAndNothingChanges) {
  Net model(rng_);
  const Tensor bias = Tensor::Ones({4});
  EXPECT_EQ(LoadError(model, {{"fc1/bias", bias},
                              {"fc1/weight", Tensor::Ones({4, 3})},
                              {"fc2/bias", Tensor::Ones({2}, DType::kFloat64)},
                              {"fc3/bias", bias},
                              {"scales/0", Tensor::Ones({1}, DType::kFloat64)},
                              {"evil\n", bias}}),
            " does not fit the model: missing (2): \"fc2/weight\", \"scales/1\"; unexpected (2): "
            "\"evil\\n\", \"fc3/bias\"; different (2): \"fc1/weight\" is float32[4,3], in the "
            "model float32[3,4], \"fc2/bias\" is float64[2], in the model float32[2]");
}

// One problem at the very end of the checks is enough, too.
TEST_F(SaveTest, OneDifferenceIsEnough) {
  Net model(rng_);
  std::vector<NamedTensor> tensors;
  for (const auto& [name, parameter] : NamedParameters(model)) {
    tensors.push_back({name, Tensor::Zeros(parameter.shape(), parameter.dtype())});
  }
  tensors.push_back({"zz", Tensor::Ones({1})});
  EXPECT_EQ(LoadError(model, tensors), " does not fit the model: unexpected (1): \"zz\"");
  tensors.pop_back();
  std::swap(tensors.back(), tensors.front());
  tensors.pop_back();
  EXPECT_EQ(LoadError(model, tensors), " does not fit the model: missing (1): \"fc1/weight\"");
}

TEST_F(SaveTest, LongListsAreCut) {
  Net model(rng_);
  std::vector<NamedTensor> tensors;
  for (int i = 10; i < 22; ++i) tensors.push_back({"t" + std::to_string(i), Tensor::Ones({1})});
  EXPECT_EQ(LoadError(model, tensors),
            " does not fit the model: missing (6): \"fc1/weight\", \"fc1/bias\", \"fc2/weight\", "
            "\"fc2/bias\", \"scales/0\", \"scales/1\"; unexpected (12): \"t10\", \"t11\", \"t12\", "
            "\"t13\", \"t14\", \"t15\", \"t16\", \"t17\", \"t18\", \"t19\", ...");
}

TEST_F(SaveTest, FilesThatCannotBeReadOrWrittenChangeNothing) {
  Net model(rng_);
  const std::vector<Tensor> before = Values(model);
  EXPECT_EQ(Load(model, path_).message(), path_ + ": No such file or directory");
  ASSERT_TRUE(Save(model, path_).ok());
  const std::string bytes = FileBytes(path_);
  PutFile(path_, bytes.substr(0, bytes.size() - 1));
  model.fc1.bias.Set(Tensor::Ones({4}));
  const std::vector<Tensor> now = Values(model);
  EXPECT_FALSE(Load(model, path_).ok());
  EXPECT_TRUE(Same(Values(model), now));
  EXPECT_FALSE(Same(now, before));
  EXPECT_EQ(Save(model, path_ + "/no").message(), path_ + "/no: Not a directory");
}

TEST_F(SaveTest, TwoParametersOfOnePathAreMisuse) {
  Twice model;
  EXPECT_EQ(ThrownMessage([&] { Save(model, path_).IgnoreError(); }),
            "[safetensors] \"w\" comes twice");
  EXPECT_FALSE(std::filesystem::exists(path_));
  ASSERT_TRUE(WriteSafetensors(path_, {{{"w", Tensor::Ones({1})}}}).ok());
  EXPECT_EQ(ThrownMessage([&] { Load(model, path_).IgnoreError(); }),
            "[load] two parameters are named \"w\"");
}

}  // namespace
}  // namespace wengert
