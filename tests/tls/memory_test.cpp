// SPDX-License-Identifier: BSL-1.0
// What is in memory when it is freed, and what an idle connection holds. This program replaces operator delete.
#include "tls/context.hpp"
#include "tls/engine.hpp"
#include "tls/plain_queue.hpp"
#include "tls/tls_test.hpp"

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <new>

#include <malloc.h>

namespace {

// Every block that is freed is searched for it.
constexpr std::string_view mark = "-- this is a secret --";
std::atomic<bool> watching{false};
thread_local bool used_up = false;  // no allocation of this thread succeeds
std::atomic<int> found{0};

void look_and_free(void* block) noexcept {
  if (block != nullptr && watching.load(std::memory_order_relaxed) &&
      ::memmem(block, ::malloc_usable_size(block), mark.data(), mark.size()) != nullptr)
    ++found;
  std::free(block);
}

}  // namespace

void* operator new(std::size_t size) {
  if (void* block = used_up ? nullptr : std::malloc(size)) return block;
  throw std::bad_alloc();
}
void operator delete(void* block) noexcept { look_and_free(block); }
void operator delete(void* block, std::size_t) noexcept { look_and_free(block); }

namespace asyncio::tls_test {
namespace {

struct watch {
  watch() {
    found = 0;
    watching = true;
  }
  ~watch() { watching = false; }
};

coroutine<> read_a_line_and_forget(stream_reader& reader) { const std::string line = co_await reader.readuntil(); }

TEST(TlsMemory, the_search_finds_what_is_left) {
  const watch on;
  { const std::string left(std::string(mark) + std::string(100, 'x')); }
  EXPECT_GT(found, 0);
}

TEST(TlsMemory, plaintext_is_overwritten_before_its_memory_is_freed) {
  std::string small(mark), large;
  for (int i = 0; i < 10'000; ++i) large += mark;
  const contexts c;
  testing::run([&]() -> coroutine<> {
    secured both = co_await make_secured(c);
    // What the test holds itself is its own matter: it looks at everything else.
    std::string space(1000, '\0');
    {
      const watch on;
      for (int i = 0; i < 3; ++i) both.client.writer.write(small);
      both.client.writer.write(large);
      co_await both.client.writer.drain();
      std::size_t got = 0;
      while (got < 3 * small.size() + large.size()) got += co_await both.served.reader.read_into(space);
      // Searched for a line that does not come, the reader's buffer grows, and is dropped as a whole.
      both.served.writer.write(std::string_view(large).substr(0, 120'000));
      task<std::exception_ptr> searching = create_task(failure_of(read_a_line_and_forget(both.client.reader)));
      co_await std::move(searching);
    }
    EXPECT_EQ(found, 0);
    both.client.writer.abort();
    both.served.writer.abort();
    const watch on;
    { const secured gone = std::move(both); }
    co_await sleep(1s);
  });
  EXPECT_EQ(found, 0);
}

TEST(TlsMemory, a_connection_that_breaks_leaves_nothing_of_what_was_never_sent) {
  std::string large;
  for (int i = 0; i < 40'000; ++i) large += mark;
  const contexts c;
  testing::run([&]() -> coroutine<> {
    secured both = co_await make_secured(c);
    const watch on;
    both.client.writer.write(large);
    co_await sleep(1s);
    both.client.writer.abort();
    both.served.writer.abort();
    co_await sleep(1s);
  });
  EXPECT_EQ(found, 0);
}

TEST(TlsMemory, a_write_for_which_there_is_no_memory_throws_and_sends_nothing) {
  const contexts c;
  testing::run([&]() -> coroutine<> {
    secured both = co_await make_secured(c);
    const std::string words(5000, 'x');
    bool thrown = false;
    used_up = true;
    try {
      both.client.writer.write(words);
    } catch (const std::bad_alloc&) {
      thrown = true;
    }
    used_up = false;
    EXPECT_TRUE(thrown);
    co_await both.client.writer.write_all("after\n");
    const std::string line = co_await both.served.reader.readline();
    EXPECT_EQ(line, "after\n");
    co_await close_both(both);
  });
}

TEST(TlsMemory, an_engine_that_has_no_memory_fails_with_that_and_throws_through_no_frame_of_c) {
  const contexts c;
  io::secure_options options;
  options.server_hostname = "localhost";
  tls::engine engine(static_cast<tls::context*>(c.client.provider())->make_ssl(options), false, "'localhost'");
  used_up = true;
  const tls::engine::status s = engine.handshake();
  used_up = false;
  EXPECT_EQ(s, tls::engine::status::failed);
  EXPECT_TRUE(is_a<std::bad_alloc>(engine.error()));
}

TEST(TlsMemory, a_queue_of_plaintext_keeps_its_order_and_no_memory) {
  tls::plain_queue queue;
  std::string expected, got;
  for (int i = 0; i < 300; ++i) {
    std::string piece(static_cast<std::size_t>(i * i % 7001), static_cast<char>('a' + i % 26));
    expected += piece;
    if (i % 3 == 0)
      queue.append(std::move(piece));
    else
      queue.append(std::string_view(piece));
    EXPECT_EQ(queue.size() + got.size(), expected.size());
    while (i % 5 == 0 && !queue.empty()) {
      const std::string_view front = queue.front().substr(0, 1000);
      got += front;
      queue.consume(front.size());
    }
  }
  while (!queue.empty()) {
    got += queue.front();
    queue.consume(queue.front().size());
  }
  EXPECT_TRUE(got == expected);
  EXPECT_EQ(queue.size(), 0u);
}

}  // namespace
}  // namespace asyncio::tls_test
