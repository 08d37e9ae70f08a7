// SPDX-License-Identifier: BSL-1.0
// How values travel between processes: what comes out is what went in, and bytes that are none of it are refused.
#include <asyncio/codec.hpp>

#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <deque>
#include <limits>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <tuple>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <variant>
#include <vector>

namespace {

using asyncio::codec_error;
using asyncio::decoder;
using asyncio::encoder;

template <class T>
std::string bytes_of(const T& value) {
  encoder out;
  out.write(value);
  return out.take();
}

template <class T>
T value_of(std::string_view bytes) {
  decoder in(bytes);
  T value = in.read<T>();
  in.finish();
  return value;
}

template <class T>
T there_and_back(const T& value) {
  return value_of<T>(bytes_of(value));
}

template <class T>
void expect_the_same(const T& value) {
  EXPECT_TRUE(there_and_back(value) == value);
}

enum class colour : std::uint8_t { red, green };
struct nothing {
  bool operator==(const nothing&) const = default;
};
struct point {
  double x = 0, y = 0;
  bool operator==(const point&) const = default;
};
struct shape {
  std::string name;
  std::vector<point> corners;
  std::optional<colour> fill;
  int grid[2][3];
  std::map<std::string, std::vector<int>> notes;
  nothing none;
  bool operator==(const shape&) const = default;
};
struct sixteen {
  char a, b, c, d, e, f, g, h, i, j, k, l, m, n, o;
  std::string p;
  bool operator==(const sixteen&) const = default;
};
struct tree {
  int value = 0;
  std::vector<tree> branches;
  bool operator==(const tree&) const = default;
};
struct chain {
  std::unique_ptr<chain> next;
};
/// Has its own way, and no default constructor.
class money {
 public:
  explicit money(long cents) : cents_(cents) {}
  long cents() const { return cents_; }
  bool operator==(const money&) const = default;

 private:
  long cents_;
};
class silent {
 public:
  bool operator==(const silent&) const = default;

 private:
  [[maybe_unused]] int kept_here_ = 0;
};
struct derived : point {
  int z = 0;
};
struct says_itself {
  int x;
  template <class Archive>
  void serialize(Archive& archive) {
    archive(x);
  }
};

}  // namespace

template <>
struct asyncio::codec<money> {
  static void encode(encoder& out, const money& m) { out.write(m.cents()); }
  static money decode(decoder& in) { return money(in.read<long>()); }
};
template <>
struct asyncio::codec<silent> {
  static void encode(encoder&, const silent&) {}
  static silent decode(decoder&) { return {}; }
};

namespace {

TEST(Codec, carries_numbers_enums_and_bools) {
  expect_the_same(-7);
  expect_the_same('x');
  expect_the_same(true);
  expect_the_same(false);
  expect_the_same(colour::green);
  expect_the_same(0.1);
  expect_the_same(0.1f);
  expect_the_same(std::numeric_limits<std::int64_t>::min());
  expect_the_same(std::numeric_limits<std::uint64_t>::max());
  EXPECT_TRUE(std::isnan(there_and_back(std::nan(""))));
}

TEST(Codec, carries_strings_and_containers) {
  expect_the_same(std::string("with\0zero", 9));
  expect_the_same(std::string());
  expect_the_same(std::u32string(U"\u00e4"));
  expect_the_same(std::vector<int>{1, 2, 3});
  expect_the_same(std::vector<bool>{true, false, true});
  expect_the_same(std::vector<std::byte>{std::byte{1}, std::byte{255}});
  expect_the_same(std::vector<unsigned char>{1, 255});
  expect_the_same(std::u8string(u8"\u00e4"));
  expect_the_same(std::vector<std::string>{"a", "", "c"});
  expect_the_same(std::deque<int>{1, 2});
  expect_the_same(std::list<std::string>{"x"});
  expect_the_same(std::set<int>{3, 1});
  expect_the_same(std::multiset<int>{1, 1});
  expect_the_same(std::map<std::string, int>{{"a", 1}, {"b", 2}});
  expect_the_same(std::unordered_map<int, std::string>{{1, "a"}, {2, "b"}});
  expect_the_same(std::unordered_set<std::string>{"a"});
  expect_the_same(std::array<int, 3>{1, 2, 3});
  expect_the_same(std::array<std::string, 2>{"a", "b"});
  expect_the_same(std::array<int, 0>{});
}

TEST(Codec, carries_optional_variant_tuple_pair_and_pointers_that_own) {
  expect_the_same(std::optional<int>(4));
  expect_the_same(std::optional<std::string>());
  using either = std::variant<std::monostate, int, std::string>;
  expect_the_same(either());
  expect_the_same(either(4));
  expect_the_same(either("text"));
  expect_the_same(std::tuple<int, std::string, double>(1, "a", 2.5));
  expect_the_same(std::tuple<>());
  expect_the_same(std::pair<std::string, int>("a", 1));
  EXPECT_EQ(*there_and_back(std::make_unique<std::string>("owned")), "owned");
  EXPECT_EQ(there_and_back(std::unique_ptr<int>()), nullptr);
}

TEST(Codec, carries_times) {
  using namespace std::chrono_literals;
  expect_the_same(std::chrono::milliseconds(-12));
  expect_the_same(std::chrono::duration<double>(1.5));
  expect_the_same(std::chrono::system_clock::time_point(123456789us));
  expect_the_same(asyncio::timedelta(2500ms));
}

TEST(Codec, carries_structs_member_by_member) {
  expect_the_same(point{1, -2});
  expect_the_same(nothing{});
  expect_the_same(shape{"kite", {{1, 2}, {3, 4}}, colour::red, {{1, 2, 3}, {4, 5, 6}}, {{"n", {1}}}, {}});
  expect_the_same(sixteen{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, "p"});
  expect_the_same(tree{1, {{2, {}}, {3, {{4, {}}}}}});
}

TEST(Codec, carries_a_type_with_a_codec_of_its_own_also_inside_of_others) {
  expect_the_same(money(120));
  expect_the_same(std::vector<money>{money(1), money(2)});
  expect_the_same(std::optional<money>(money(3)));
  expect_the_same(std::vector<silent>(3));
}

TEST(Codec, writes_numbers_little_endian_and_sizes_in_eight_bytes) {
  EXPECT_EQ(bytes_of(std::uint32_t{0x01020304}), std::string("\4\3\2\1", 4));
  EXPECT_EQ(bytes_of(std::string("ab")), std::string("\2\0\0\0\0\0\0\0ab", 10));
  EXPECT_EQ(bytes_of(std::vector<std::uint16_t>{1, 2}), std::string("\2\0\0\0\0\0\0\0\1\0\2\0", 12));
}

TEST(Codec, gives_every_value_a_byte_so_that_a_number_of_elements_is_never_more_than_the_bytes) {
  EXPECT_EQ(bytes_of(nothing{}).size(), 1u);
  EXPECT_EQ(bytes_of(std::vector<silent>(5)).size(), 8u + 5u);
  encoder out;
  out.size(std::size_t{1} << 40);
  EXPECT_THROW(value_of<std::vector<silent>>(out.bytes()), codec_error);
}

TEST(Codec, says_which_types_have_no_way) {
  static_assert(!asyncio::detail::has_codec<int*>);
  static_assert(!asyncio::detail::has_codec<const char*>);
  static_assert(!asyncio::detail::has_codec<std::string_view>, "nobody owns the bytes where it arrives");
  static_assert(!asyncio::detail::has_codec<std::shared_ptr<int>>);
  static_assert(!asyncio::detail::has_codec<derived>, "its base has members too");
  static_assert(!asyncio::detail::has_codec<says_itself>, "only cereal knows what else it does there");
  static_assert(asyncio::detail::has_codec<shape>);
}

TEST(Codec, reads_what_was_written_in_turn) {
  encoder out;
  out.write(1);
  out.write(std::string("two"));
  const std::string bytes = out.take();
  EXPECT_TRUE(out.bytes().empty());
  decoder in(bytes);
  EXPECT_EQ(in.read<int>(), 1);
  EXPECT_EQ(in.read<std::string>(), "two");
  EXPECT_EQ(in.left(), 0u);
}

TEST(Codec, refuses_bytes_left_over) { EXPECT_THROW(value_of<int>(bytes_of(1) + "x"), codec_error); }

TEST(Codec, refuses_bools_and_variants_that_are_none) {
  EXPECT_THROW(value_of<bool>("\2"), codec_error);
  EXPECT_THROW((value_of<std::variant<int, char>>(bytes_of(std::uint32_t{2}) + "aaaa")), codec_error);
  EXPECT_THROW(value_of<std::optional<int>>("\x7f____"), codec_error);
}

TEST(Codec, stops_before_the_stack_does) {
  chain long_chain;
  for (int i = 0; i < 2000; ++i) {
    auto link = std::make_unique<chain>();
    link->next = std::move(long_chain.next);
    long_chain.next = std::move(link);
  }
  EXPECT_THROW(bytes_of(long_chain), codec_error);
  while (long_chain.next != nullptr) long_chain.next = std::move(long_chain.next->next);
  EXPECT_THROW(value_of<chain>(std::string(100'000, '\1')), codec_error);
}

// S18 F33: whatever the bytes are, they are a value or a codec_error; and what is allocated is bounded by the bytes that
// came, which the size of a vector<std::string> that came out shows.
using anything = std::tuple<std::vector<std::string>, shape, std::variant<int, std::vector<bool>, tree>,
                            std::map<int, std::optional<std::u16string>>, std::array<std::unique_ptr<point>, 2>>;

anything sample() {
  anything value;
  std::get<0>(value) = {"first", "", "a longer third one that is not stored in place"};
  std::get<1>(value) = {"kite", {{1, 2}}, colour::green, {{1, 2, 3}, {4, 5, 6}}, {{"n", {1, 2}}}, {}};
  std::get<2>(value) = tree{1, {{2, {}}}};
  std::get<3>(value) = {{1, u"x"}, {2, std::nullopt}};
  std::get<4>(value)[1] = std::make_unique<point>(point{1, 2});
  return value;
}

/// Whether they were one.
bool survives(std::string_view bytes) {
  try {
    value_of<anything>(bytes);
    return true;
  } catch (const codec_error&) {
    return false;
  }
}

TEST(Codec, refuses_every_truncation) {
  const std::string bytes = bytes_of(sample());
  for (std::size_t n = 0; n < bytes.size(); ++n) EXPECT_FALSE(survives(std::string_view(bytes).substr(0, n))) << n;
  EXPECT_TRUE(survives(bytes));
}

TEST(Codec, believes_no_size_that_is_larger_than_what_is_there) {
  const std::string bytes = bytes_of(sample());
  for (std::size_t at = 0; at + 8 <= bytes.size(); ++at) {
    for (const char high : {'\x7f', '\xff', '\x01'}) {
      std::string changed = bytes;
      changed[at + 7] = changed[at + 4] = high;
      survives(changed);
    }
  }
  for (const std::uint64_t n : {std::uint64_t{1} << 32, ~std::uint64_t{0}, (~std::uint64_t{0}) / 8 + 2}) {
    EXPECT_THROW(value_of<std::string>(bytes_of(n)), codec_error);
    EXPECT_THROW(value_of<std::vector<double>>(bytes_of(n)), codec_error);
    EXPECT_THROW(value_of<std::vector<shape>>(bytes_of(n)), codec_error);
    EXPECT_THROW((value_of<std::unordered_map<int, int>>(bytes_of(n))), codec_error);
  }
}

TEST(Codec, takes_random_bytes_for_what_they_are) {
  std::mt19937_64 random(20240617);
  const std::string bytes = bytes_of(sample());
  for (int round = 0; round < 20'000; ++round) {
    std::string changed = bytes;
    for (std::uint64_t n = random() % 4; n != ~std::uint64_t{0}; --n)
      changed[random() % changed.size()] = static_cast<char>(random());
    survives(changed);
    std::string noise(random() % 200, '\0');
    for (char& c : noise) c = static_cast<char>(random() % 3 == 0 ? random() : 0);
    survives(noise);
  }
}

TEST(Codec, reserves_no_more_than_the_bytes_that_came) {
  std::string bytes = bytes_of(std::uint64_t{1000}) + std::string(1000, '\0');  // 1000 strings, and one is there
  EXPECT_THROW(value_of<std::vector<std::string>>(bytes), codec_error);
  const auto whole = value_of<std::vector<std::string>>(bytes_of(std::uint64_t{100}) + std::string(800, '\0'));
  EXPECT_EQ(whole.size(), 100u);
  EXPECT_LE(whole.capacity(), 256u);
}

}  // namespace
