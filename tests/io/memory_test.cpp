// SPDX-License-Identifier: BSL-1.0
// Transports when there is no memory.
#include "io/io_test.hpp"

#include "support/no_memory.hpp"

#include <new>
#include <optional>

namespace {

using namespace io_test;

bool is_bad_alloc(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const std::bad_alloc&) {
    return true;
  } catch (...) {
    return false;
  }
}

TEST(OsException, IsBadAllocWhenThereIsNoMemoryForIt) {
  std::exception_ptr error;
  {
    const test::no_memory now;
    error = io::os_exception(ECONNRESET, "cannot receive");
  }
  EXPECT_TRUE(is_bad_alloc(error));
  error = io::os_exception(ECONNRESET, "cannot receive");
  EXPECT_EQ(text_of(error), "cannot receive: Connection reset by peer");
}

/// Tells of the loss, and gives the memory back.
struct last_user final : io::channel_user {
  void received(std::string_view) noexcept override {}
  void received_eof() noexcept override {}
  void output_drained() noexcept override {}
  void lost(std::exception_ptr e) noexcept override {
    shortage.reset();
    error = std::move(e);
  }
  std::optional<test::no_memory> shortage;
  std::exception_ptr error;
};

TEST(TransportMemory, AResetIsToldAlsoWhenThereIsNoMemoryForItsText) {
  tcp_ends ends;
  const auto loop = make_loop();
  last_user user;
  io::ref<io::channel> channel = io::stream_transport::make(*loop, io::unique_fd(ends.ours), {});
  channel->set_user(&user);
  std::string_view bytes;
  ASSERT_EQ(channel->read(100, bytes), io::read_state::later);
  const std::function<bool()> told = [&] { return user.error != nullptr; };
  ends.reset_theirs();
  user.shortage.emplace();
  const bool was_told = run_until(*loop, told);
  user.shortage.reset();
  ASSERT_TRUE(was_told);
  EXPECT_TRUE(is_bad_alloc(user.error));
  channel->set_user(nullptr);
}

}  // namespace
