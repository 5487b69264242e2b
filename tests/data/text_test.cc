#include "data/text.h"

#include <numeric>

#include "absl/status/status.h"
#include "data/formats/utf8.h"
#include "data/loader.h"
#include "gtest/gtest.h"
#include "tests/data/test_files.h"
#include "tests/tensor/thrown_message.h"

namespace wengert {
namespace {

TEST(LoadTextTest, PlainAndPackedFiles) {
  const std::string folder = TestFolder();
  PutFile(folder + "/a.txt", "Bär\n");
  PutFile(folder + "/a.txt.gz", Gzip("Bär\n"));
  for (const char* name : {"/a.txt", "/a.txt.gz"}) {
    const absl::StatusOr<std::u32string> text = LoadText(folder + name);
    ASSERT_TRUE(text.ok()) << text.status();
    EXPECT_EQ(*text, U"Bär\n");
  }
}

TEST(LoadTextTest, NamesFileAndProblem) {
  const std::string folder = TestFolder();
  PutFile(folder + "/empty", "");
  PutFile(folder + "/latin1", "B\xE4r");
  PutFile(folder + "/cut.gz", Gzip("Bär\n").substr(0, 15));
  for (const auto& [name, problem] : {
           std::pair{"/empty", ": at byte 0: the text is empty"},
           std::pair{"/latin1", ": at byte 1: not UTF-8 (0xe4 0x72)"},
           std::pair{"/cut.gz", ": at byte "}, std::pair{"/none", ""},
           std::pair{"", ""},  // a folder
       }) {
    const absl::StatusOr<std::u32string> text = LoadText(folder + name);
    ASSERT_FALSE(text.ok()) << name;
    EXPECT_NE(std::string(text.status().message()).find(folder + name + problem), std::string::npos)
        << text.status();
  }
}

TEST(LoadTextTest, TheEmbeddedText) {
  const absl::StatusOr<std::u32string> text = LoadText();
  ASSERT_TRUE(text.ok()) << text.status();
  EXPECT_EQ(text->size(), 1156945u);
  EXPECT_EQ(Vocabulary(*text).size(), 80);
  EXPECT_EQ(text->substr(0, 25), U"HAMLET, PRINCE OF DENMARK");
}

TEST(VocabularyTest, NumbersTheCharactersInOrder) {
  const Vocabulary vocabulary(U"banaé😀 na");
  EXPECT_EQ(vocabulary.characters(), U" abné😀");
  EXPECT_EQ(vocabulary.size(), 6);
  EXPECT_TRUE(vocabulary.Contains(U'é'));
  EXPECT_FALSE(vocabulary.Contains(U'c'));
  const absl::StatusOr<std::vector<int32_t>> tokens = vocabulary.Encode(U"né a😀");
  ASSERT_TRUE(tokens.ok()) << tokens.status();
  EXPECT_EQ(*tokens, (std::vector<int32_t>{3, 4, 0, 1, 5}));
  EXPECT_EQ(Vocabulary().size(), 0);
}

TEST(VocabularyTest, NamesTheCharacterThatIsNotThere) {
  const Vocabulary vocabulary(U"ban");
  const absl::Status status = vocabulary.Encode(U"banané").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(status.message(),
            "U+00E9 'é' at position 5 is not among the 3 characters of the vocabulary");
  EXPECT_EQ(vocabulary.Encode(U"a\n").status().message(),
            "U+000A at position 1 is not among the 3 characters of the vocabulary");
}

std::vector<int32_t> Numbers(int32_t n) {
  std::vector<int32_t> numbers(n);
  std::iota(numbers.begin(), numbers.end(), 0);
  return numbers;
}

TEST(CutIntoStreamsTest, EveryStreamGoesOnFromBatchToBatch) {
  constexpr int64_t kStreams = 3, kSteps = 4;
  const absl::StatusOr<TextStreams> cut = CutIntoStreams(Numbers(30), kStreams, kSteps);
  ASSERT_TRUE(cut.ok()) << cut.status();
  // 29 pairs: two chunks of four per stream, five left out.
  EXPECT_EQ(cut->inputs.ToVector<int32_t>(),
            (std::vector<int32_t>{0, 1, 2, 3, 8,  9,  10, 11, 16, 17, 18, 19,  //
                                  4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23}));
  const Loader loader(cut->inputs, cut->targets, {.batch_size = kStreams});
  ASSERT_EQ(loader.batches(), 2);
  for (const Batch& batch : loader.Epoch(5)) {
    EXPECT_EQ(batch.inputs.shape(), (Shape{kStreams, kSteps}));
    EXPECT_EQ(batch.targets.shape(), (Shape{kStreams, kSteps}));
    for (int64_t b = 0; b < kStreams; ++b) {
      for (int64_t t = 0; t < kSteps; ++t) {
        const int32_t input = batch.inputs.at<int32_t>({b, t});
        EXPECT_EQ(input, b * 8 + batch.index * 4 + t);
        EXPECT_EQ(batch.targets.at<int32_t>({b, t}), input + 1);
      }
    }
  }
}

TEST(CutIntoStreamsTest, UsesAllThatFits) {
  const absl::StatusOr<TextStreams> cut = CutIntoStreams(Numbers(25), 3, 4);
  ASSERT_TRUE(cut.ok()) << cut.status();
  EXPECT_EQ(cut->inputs.shape(), (Shape{6, 4}));
  EXPECT_EQ(cut->targets.at<int32_t>({5, 3}), 24);
  EXPECT_EQ(CutIntoStreams(Numbers(24), 3, 4)->inputs.shape(), (Shape{3, 4}));
  EXPECT_EQ(CutIntoStreams(Numbers(2), 1, 1)->targets.ToVector<int32_t>(), std::vector<int32_t>{1});
}

TEST(CutIntoStreamsTest, TooShort) {
  EXPECT_EQ(CutIntoStreams(Numbers(12), 3, 4).status().message(),
            "the text is too short: 12 characters, but 3 streams of 4 steps each, and one more, "
            "are needed");
  EXPECT_FALSE(CutIntoStreams({}, 1, 1).ok());
  EXPECT_FALSE(CutIntoStreams(Numbers(1), 1, 1).ok());
  EXPECT_EQ(ThrownMessage([] { CutIntoStreams(Numbers(9), 0, 4).status().IgnoreError(); }),
            "[text_streams] 0 streams of 4 steps");
}

}  // namespace
}  // namespace wengert
