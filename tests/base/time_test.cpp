// SPDX-License-Identifier: BSL-1.0
#include <asyncio/time.hpp>

#include <gtest/gtest.h>

#include <limits>
#include <ratio>
#include <stdexcept>

namespace asyncio {
namespace {

using std::chrono::duration;
using std::chrono::nanoseconds;
constexpr nanoseconds most = nanoseconds::max(), least = nanoseconds::min();

// Decision A4
TEST(Timedelta, comes_from_every_duration) {
  static_assert(timedelta(5s).count() == nanoseconds(5'000'000'000));
  static_assert(timedelta(3ns).count() == nanoseconds(3));
  static_assert(timedelta(0.5s).count() == 500ms);
  static_assert(timedelta(-2h).count() == -2h);
  static_assert(std::is_trivially_copyable_v<timedelta>);
  static_assert(std::is_convertible_v<std::chrono::milliseconds, timedelta>);
  static_assert(std::is_convertible_v<duration<float>, timedelta>);
  static_assert(!std::is_convertible_v<double, timedelta> && !std::is_convertible_v<int, timedelta>);
  EXPECT_EQ(timedelta().count(), nanoseconds(0));
  EXPECT_EQ(timedelta(duration<double, std::milli>(1.5)).count(), 1500us);
  EXPECT_EQ(timedelta(duration<float>(0.25f)).count(), 250ms);
}

TEST(Timedelta, what_is_finer_than_a_nanosecond_is_cut_off) {
  EXPECT_EQ(timedelta(duration<std::int64_t, std::pico>(1999)).count(), nanoseconds(1));
  EXPECT_EQ(timedelta(duration<double, std::nano>(0.9)).count(), nanoseconds(0));
}

TEST(Timedelta, too_much_saturates) {
  EXPECT_EQ(timedelta(std::chrono::hours::max()).count(), most);
  EXPECT_EQ(timedelta(std::chrono::hours::min()).count(), least);
  EXPECT_EQ(timedelta(std::chrono::seconds(9'223'372'036)).count(), nanoseconds(9'223'372'036'000'000'000));
  EXPECT_EQ(timedelta(std::chrono::seconds(9'223'372'037)).count(), most);
  EXPECT_EQ(timedelta(std::chrono::seconds(-9'223'372'037)).count(), least);
  EXPECT_EQ(timedelta(nanoseconds::max()).count(), most);
  EXPECT_EQ(timedelta(duration<double>(1e300)).count(), most);
  EXPECT_EQ(timedelta(duration<double>(-1e300)).count(), least);
  EXPECT_EQ(timedelta(duration<double>(std::numeric_limits<double>::infinity())).count(), most);
  EXPECT_EQ(timedelta(duration<std::uint64_t>(std::numeric_limits<std::uint64_t>::max())).count(), most);
  EXPECT_EQ(timedelta(duration<std::uint64_t>(3)).count(), 3s);
}

TEST(Timedelta, not_a_number_is_refused) {
  EXPECT_THROW(timedelta(duration<double>(std::numeric_limits<double>::quiet_NaN())), std::invalid_argument);
  EXPECT_THROW(timedelta(duration<float>(std::numeric_limits<float>::quiet_NaN())), std::invalid_argument);
}

TEST(Timedelta, is_ordered) {
  EXPECT_LT(timedelta(1s), timedelta(2s));
  EXPECT_EQ(timedelta(1000ms), timedelta(1s));
  EXPECT_GT(timedelta(0s), timedelta(-1ns));
}

TEST(Timedelta, is_added_subtracted_and_scaled) {
  timedelta d = 2s;
  EXPECT_EQ(d + 500ms, 2500ms);
  EXPECT_EQ(500ms + d, 2500ms);
  EXPECT_EQ(d - 500ms, 1500ms);
  EXPECT_EQ(-d, -2s);
  EXPECT_EQ(d * 3, 6s);
  EXPECT_EQ(0.5 * d, 1s);
  EXPECT_EQ(d / 4, 500ms);
  d += 1s;
  d *= 2;
  d -= 4s;
  d /= 2;
  EXPECT_EQ(d, 1s);
  EXPECT_EQ(timedelta(1500ms).total_seconds(), 1.5);
  EXPECT_THROW(d * std::numeric_limits<double>::quiet_NaN(), std::invalid_argument);
  EXPECT_EQ(d / 0.0, nanoseconds::max());
}

TEST(Timedelta, counts_nanoseconds_exactly_when_scaled_by_whole_numbers) {
  constexpr nanoseconds odd(4'611'686'018'427'387'903);
  EXPECT_EQ(timedelta(odd) * 1, odd);
  EXPECT_EQ(timedelta(odd) / 1, odd);
}

TEST(Timedelta, stays_at_the_ends_of_its_range) {
  EXPECT_EQ(timedelta(most) + 1ns, most);
  EXPECT_EQ(timedelta(least) - 1ns, least);
  EXPECT_EQ(timedelta(0s) - timedelta(least), most);
  EXPECT_EQ(timedelta(-1ns) - timedelta(least), most);
  EXPECT_EQ(-timedelta(least), most);
  EXPECT_EQ(timedelta(most) * 2, most);
  EXPECT_EQ(timedelta(most) * -2, least);
}

TEST(TimePoint, plus_a_timedelta_stays_at_the_ends_of_time) {
  const time_point now = time_point() + 1000h;
  EXPECT_EQ(now + timedelta(1s), now + 1s);
  EXPECT_EQ(now - timedelta(1s), now - 1s);
  EXPECT_EQ(now + timedelta(most), time_point::max());
  EXPECT_EQ(time_point::max() + timedelta(1ns), time_point::max());
  EXPECT_EQ(time_point::max() + timedelta(0s), time_point::max());
  EXPECT_EQ(time_point::min() - timedelta(1ns), time_point::min());
  EXPECT_EQ(time_point::min() + timedelta(least), time_point::min());
  EXPECT_LT(now + timedelta(least), time_point());
  EXPECT_EQ(time_point::min() + timedelta(most), time_point(nanoseconds(-1)));
}

}  // namespace
}  // namespace asyncio
