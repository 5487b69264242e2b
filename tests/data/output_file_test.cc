// OutputFile: whole or not at all, and nothing left over.
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "data/formats/file.h"
#include "gtest/gtest.h"
#include "tests/data/test_files.h"

namespace wengert {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> NamesIn(const std::string& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) names.push_back(entry.path().filename());
  std::sort(names.begin(), names.end());
  return names;
}

using Names = std::vector<std::string>;

class OutputFileTest : public ::testing::Test {
 protected:
  absl::Status Put(const std::string& path, const std::string& bytes) {
    absl::StatusOr<OutputFile> file = OutputFile::Create(path);
    if (!file.ok()) return file.status();
    if (absl::Status status = file->Write(bytes); !status.ok()) return status;
    return file->Commit();
  }

  const std::string folder_ = TestFolder();
  const std::string path_ = folder_ + "/file";
};

TEST_F(OutputFileTest, WritesNewFilesAndReplacesOldOnes) {
  for (const std::string& bytes :
       {std::string("short"), std::string(3'000'000, 'x'), std::string()}) {
    ASSERT_TRUE(Put(path_, bytes).ok());
    EXPECT_TRUE(FileBytes(path_) == bytes);
    EXPECT_EQ(NamesIn(folder_), Names{"file"});
  }
}

TEST_F(OutputFileTest, TakesEffectOnlyAtTheCommit) {
  PutFile(path_, "old");
  {
    absl::StatusOr<OutputFile> file = OutputFile::Create(path_);
    ASSERT_TRUE(file.ok()) << file.status();
    ASSERT_TRUE(file->Write(std::string(1'000'000, 'x')).ok());
    EXPECT_EQ(FileBytes(path_), "old");
    EXPECT_EQ(NamesIn(folder_).size(), 2);
  }  // dropped
  EXPECT_EQ(FileBytes(path_), "old");
  EXPECT_EQ(NamesIn(folder_), Names{"file"});
}

TEST_F(OutputFileTest, TwoWritersOfOneFileDoNotMix) {
  absl::StatusOr<OutputFile> a = OutputFile::Create(path_), b = OutputFile::Create(path_);
  ASSERT_TRUE(a.ok() && b.ok());
  ASSERT_TRUE(a->Write("aaaa").ok() && b->Write("bb").ok());
  ASSERT_TRUE(a->Commit().ok());
  EXPECT_EQ(FileBytes(path_), "aaaa");
  ASSERT_TRUE(b->Commit().ok());
  EXPECT_EQ(FileBytes(path_), "bb");
  EXPECT_EQ(NamesIn(folder_), Names{"file"});
}

TEST_F(OutputFileTest, AcceptsAPathWithoutAFolder) {
  const fs::path before = fs::current_path();
  fs::current_path(folder_);
  EXPECT_TRUE(Put("bare", "bytes").ok());
  fs::current_path(before);
  EXPECT_EQ(FileBytes(folder_ + "/bare"), "bytes");
}

TEST_F(OutputFileTest, HasTheModeOfAnyNewFile) {
  const mode_t before = umask(027);
  ASSERT_TRUE(Put(path_, "bytes").ok());
  umask(before);
  struct stat info;
  ASSERT_EQ(stat(path_.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0640);
}

TEST_F(OutputFileTest, FollowsSymbolicLinks) {
  fs::create_directory(folder_ + "/run3");
  PutFile(folder_ + "/run3/weights", "old");
  fs::create_symlink("run3/weights", path_);
  ASSERT_TRUE(Put(path_, "new").ok());
  EXPECT_TRUE(fs::is_symlink(path_));
  EXPECT_EQ(FileBytes(folder_ + "/run3/weights"), "new");
  EXPECT_EQ(NamesIn(folder_ + "/run3"), Names{"weights"});
}

TEST_F(OutputFileTest, RefusesWhatIsNoPlaceForAFile) {
  const auto message = [&](const std::string& path) {
    return std::string(Put(path, "").message());
  };
  EXPECT_EQ(message(folder_), folder_ + ": Is a directory");
  EXPECT_EQ(message(folder_ + "/no/file"), folder_ + "/no/file: No such file or directory");
  PutFile(path_, "");
  EXPECT_EQ(message(path_ + "/file"), path_ + "/file: Not a directory");
  EXPECT_EQ(NamesIn(folder_), Names{"file"});
  const std::string fifo = folder_ + "/fifo";
  ASSERT_EQ(mkfifo(fifo.c_str(), 0666), 0);
  EXPECT_EQ(message(fifo), fifo + ": not a regular file");
  EXPECT_TRUE(fs::is_fifo(fifo));
}

TEST_F(OutputFileTest, RefusesWriteProtectedFilesAndFolders) {
  if (geteuid() == 0) GTEST_SKIP() << "root may write anywhere";
  PutFile(path_, "old");
  ASSERT_EQ(chmod(path_.c_str(), 0444), 0);
  EXPECT_EQ(Put(path_, "new").message(), path_ + ": Permission denied");
  EXPECT_EQ(FileBytes(path_), "old");
  const std::string locked = folder_ + "/locked";
  fs::create_directory(locked);
  ASSERT_EQ(chmod(locked.c_str(), 0555), 0);
  EXPECT_EQ(Put(locked + "/file", "new").message(), locked + "/file: Permission denied");
}

// As on a full disk: the system takes the beginning only.
TEST_F(OutputFileTest, AFailedWriteLeavesTheOldFile) {
  PutFile(path_, "old");
  std::signal(SIGXFSZ, SIG_IGN);
  rlimit before;
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  for (const size_t size : {size_t{10'000}, size_t{2'000'000}}) {  // below, above stdio's buffer
    rlimit low = before;
    low.rlim_cur = size / 2;
    ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &low), 0);
    const absl::Status status = Put(path_, std::string(size, 'x'));
    ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
    EXPECT_EQ(status.message(), path_ + ": File too large");
    EXPECT_EQ(FileBytes(path_), "old");
    EXPECT_EQ(NamesIn(folder_), Names{"file"});
  }
}

// The place is taken by a folder after the file was begun: the last step fails.
TEST_F(OutputFileTest, AFailedRenameLeavesNothing) {
  absl::StatusOr<OutputFile> file = OutputFile::Create(path_);
  ASSERT_TRUE(file.ok()) << file.status();
  fs::create_directory(path_);
  {
    OutputFile taken = *std::move(file);
    EXPECT_EQ(NamesIn(folder_).size(), 2);
    EXPECT_EQ(taken.Commit().message(), path_ + ": Is a directory");
  }
  EXPECT_EQ(NamesIn(folder_), Names{"file"});
}

}  // namespace
}  // namespace wengert
