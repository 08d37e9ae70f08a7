// SPDX-License-Identifier: BSL-1.0
#include "streams/read_buffer.hpp"

#include <gtest/gtest.h>

#include <array>

namespace {

using asyncio::streams::read_buffer;

// A string's own room is within the object.
bool holds_memory(const read_buffer& buffer) {
  const auto* data = reinterpret_cast<const std::byte*>(buffer.view().data());
  const auto* object = reinterpret_cast<const std::byte*>(&buffer);
  return data < object || data >= object + sizeof buffer;
}

TEST(ReadBuffer, HoldsNoMemoryOnceItWasReadInPieces) {
  read_buffer buffer;
  buffer.append(std::string(100'000, 'x'));
  EXPECT_TRUE(holds_memory(buffer));
  EXPECT_EQ(buffer.take(60'000).size(), 60'000u);
  std::array<std::byte, 50'000> rest{};
  EXPECT_EQ(buffer.copy_to(rest.data(), rest.size()), 40'000u);
  EXPECT_FALSE(holds_memory(buffer));
}

TEST(ReadBuffer, OfSecretsHoldsNoMemoryEither) {
  read_buffer buffer;
  buffer.keep_secrets();
  buffer.append(std::string(100'000, 'x'));
  EXPECT_EQ(buffer.take(1).size(), 1u);
  buffer.drop(99'999);
  EXPECT_FALSE(holds_memory(buffer));
}

}  // namespace
