// SPDX-License-Identifier: BSL-1.0
// Types that travel by cereal's usual means.
#include <asyncio/codec/cereal.hpp>

#include <gtest/gtest.h>

#include <cereal/types/base_class.hpp>
#include <cereal/types/map.hpp>
#include <cereal/types/memory.hpp>
#include <cereal/types/polymorphic.hpp>
#include <cereal/types/string.hpp>
#include <cereal/types/vector.hpp>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

namespace cereal_test {

/// serialize(), a member.
class account {
 public:
  account() = default;
  account(std::string owner, long cents) : owner_(std::move(owner)), cents_(cents) {}
  bool operator==(const account&) const = default;

 private:
  friend class cereal::access;
  template <class Archive>
  void serialize(Archive& archive) {
    archive(CEREAL_NVP(owner_), CEREAL_NVP(cents_));
  }
  std::string owner_;
  long cents_ = 0;
};

/// serialize(), a free function, of what would otherwise be a plain struct.
struct doubled {
  int value = 0;
  bool operator==(const doubled&) const = default;
};
template <class Archive>
void serialize(Archive& archive, doubled& d) {
  int twice = d.value * 2;
  archive(twice);
  d.value = twice / 2;
}

/// save() and load().
struct split {
  std::map<std::string, std::vector<double>> values;
  template <class Archive>
  void save(Archive& archive) const {
    archive(values);
  }
  template <class Archive>
  void load(Archive& archive) {
    archive(values);
  }
  bool operator==(const split&) const = default;
};

struct animal {
  virtual ~animal() = default;
  virtual std::string sound() const = 0;
  template <class Archive>
  void serialize(Archive&) {}
};
struct dog : animal {
  std::string name;
  std::string sound() const override { return name + " barks"; }
  template <class Archive>
  void serialize(Archive& archive) {
    archive(cereal::base_class<animal>(this), name);
  }
};

}  // namespace cereal_test

CEREAL_REGISTER_TYPE(cereal_test::dog)

namespace {

using namespace cereal_test;
using asyncio::codec_error;

template <class T>
std::string bytes_of(const T& value) {
  asyncio::encoder out;
  out.write(value);
  return out.take();
}

template <class T>
T value_of(std::string_view bytes) {
  asyncio::decoder in(bytes);
  T value = in.read<T>();
  in.finish();
  return value;
}

template <class T>
T there_and_back(const T& value) {
  return value_of<T>(bytes_of(value));
}

TEST(CodecCereal, carries_types_with_serialize_or_save_and_load) {
  const account mine("me", 120);
  EXPECT_EQ(there_and_back(mine), mine);
  EXPECT_EQ(there_and_back(doubled{21}), doubled{21});
  EXPECT_EQ(bytes_of(doubled{21})[0], 42) << "the type's own way, not its members";
  const split values{{{"a", {1.5, 2}}, {"b", {}}}};
  EXPECT_EQ(there_and_back(values), values);
}

TEST(CodecCereal, carries_them_inside_of_what_asyncio_knows) {
  const std::vector<account> all{account("a", 1), account("b", 2)};
  EXPECT_EQ(there_and_back(all), all);
}

TEST(CodecCereal, carries_pointers_that_share_and_types_known_only_at_run_time) {
  const auto shared = std::make_shared<int>(7);
  const auto both = there_and_back(std::vector<std::shared_ptr<int>>{shared, nullptr});
  EXPECT_EQ(*both.at(0), 7);
  EXPECT_EQ(both.at(1), nullptr);
  auto rex = std::make_shared<dog>();
  rex->name = "Rex";
  EXPECT_EQ(there_and_back(std::shared_ptr<animal>(rex))->sound(), "Rex barks");
}

TEST(CodecCereal, refuses_truncations_and_sizes_that_are_not_there) {  // S18 F33
  const std::string bytes = bytes_of(split{{{"a", {1.5, 2}}, {"b", {3}}}});
  for (std::size_t n = 0; n < bytes.size(); ++n)
    EXPECT_THROW(value_of<split>(std::string_view(bytes).substr(0, n)), codec_error) << n;
  std::mt19937_64 random(7);
  for (int round = 0; round < 5'000; ++round) {
    std::string changed = bytes;
    for (int i = 0; i < 3; ++i) changed[random() % changed.size()] = static_cast<char>(random());
    try {
      value_of<split>(changed);
    } catch (const codec_error&) {  // as it should be: nothing else comes out
    }
  }
}

}  // namespace
