// Proves that every library of third_party/ compiles, links and runs.

#include <benchmark/benchmark.h>
#include <hwy/targets.h>
#include <omp.h>
#include <zlib.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/inlined_vector.h"
#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/synchronization/mutex.h"
#include "absl/types/span.h"
#include "dnnl.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

ABSL_FLAG(int, answer, 42, "A flag.");

namespace wengert {
namespace {

using ::testing::ElementsAre;

TEST(SmokeTest, Abseil) {
  absl::flat_hash_map<std::string, int> map;
  map[absl::StrCat("a", 1)] = absl::GetFlag(FLAGS_answer);
  EXPECT_EQ(absl::StrFormat("%d", map.at("a1")), "42");
  absl::InlinedVector<int, 2> values = {1, 2, 3};
  EXPECT_THAT(absl::MakeConstSpan(values), ElementsAre(1, 2, 3));
  absl::StatusOr<int> status = absl::NotFoundError("gone");
  EXPECT_EQ(status.status().ToString(), "NOT_FOUND: gone");
  absl::Mutex mutex;
  absl::MutexLock lock(&mutex);
}

TEST(SmokeTest, OneDnn) {
  std::vector<float> a = {1, 2, 3, 4};
  std::vector<float> c(4);
  ASSERT_EQ(dnnl_sgemm('N', 'N', 2, 2, 2, 1.0f, a.data(), 2, a.data(), 2, 0.0f, c.data(), 2),
            dnnl_success);
  EXPECT_THAT(c, ElementsAre(7, 10, 15, 22));
}

TEST(SmokeTest, TheRest) {
  EXPECT_NE(hwy::SupportedTargets(), 0u);
  EXPECT_EQ(crc32(0, reinterpret_cast<const Bytef*>("123456789"), 9), 0xCBF43926u);
  EXPECT_EQ(nlohmann::json::parse("[1, 2]").size(), 2u);
  EXPECT_GE(omp_get_max_threads(), 1);
  int argc = 0;
  benchmark::Initialize(&argc, nullptr);
}

}  // namespace
}  // namespace wengert
