// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "scripted_server.hpp"
#include "support/scratch_folder.hpp"

#include <asyncio/asyncio.hpp>
#include <asyncio/curl.hpp>

#include <exception>
#include <filesystem>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include <gtest/gtest.h>

#include <stdlib.h>

namespace curl_test {

/// No proxy stands between these tests and their server, whatever the environment says.
inline const bool without_proxy = [] {
  for (const char* name : {"http_proxy", "all_proxy", "ALL_PROXY"}) unsetenv(name);
  return true;
}();

using test::scratch_folder;

/// The error that a download ends in; a failed expectation if it ends otherwise.
inline asyncio::coroutine<asyncio::curl::transfer_error> failure_of(
    asyncio::coroutine<asyncio::curl::download_result> download) {
  std::optional<asyncio::curl::transfer_error> error;
  try {
    const auto result = co_await std::move(download);
    ADD_FAILURE() << "fetched " << result.bytes << " bytes instead of failing";
  } catch (const asyncio::curl::transfer_error& e) {
    error.emplace(e);
  }
  if (!error) error.emplace(asyncio::curl::errc::other, "no address", "no error");
  co_return *error;
}

/// A download_observer that keeps everything.
class recorder final : public asyncio::curl::download_observer {
 public:
  void received(std::span<const std::byte> piece, std::uint64_t so_far, std::optional<std::uint64_t> total) override {
    bytes.append(reinterpret_cast<const char*>(piece.data()), piece.size());
    EXPECT_EQ(so_far, bytes.size());
    last_total = total;
    ++calls;
  }

  std::string bytes;
  std::optional<std::uint64_t> last_total;
  int calls = 0;
};

}  // namespace curl_test
