// SPDX-License-Identifier: BSL-1.0
#include <asyncio/detail/pool.hpp>

#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <random>
#include <set>
#include <thread>
#include <vector>

namespace asyncio::detail {
namespace {

bool aligned(const void* block) { return reinterpret_cast<std::uintptr_t>(block) % 16 == 0; }

TEST(Pool, blocks_are_aligned_and_as_large_as_they_were_asked_for) {
  std::vector<std::pair<void*, std::size_t>> blocks;
  for (std::size_t size = 1; size < 5000; size = size * 5 / 4 + 1) {
    void* block = pool_allocate(size);
    EXPECT_TRUE(aligned(block)) << size;
    std::memset(block, 0xab, size);
    blocks.emplace_back(block, size);
  }
  std::set<void*> distinct;
  for (const auto& [block, size] : blocks) distinct.insert(block);
  EXPECT_EQ(distinct.size(), blocks.size());
  for (const auto& [block, size] : blocks) pool_free(block, size);
}

#if !defined(ASYNCIO_NO_FRAME_POOL)
TEST(Pool, a_block_that_was_freed_is_the_next_one_of_its_size) {
  for (const std::size_t size : {std::size_t{1}, std::size_t{32}, std::size_t{33}, std::size_t{2048}}) {
    void* first = pool_allocate(size);
    pool_free(first, size);
    void* second = pool_allocate(size);
    EXPECT_EQ(first, second) << size;
    pool_free(second, size);
  }
}
#endif

TEST(Pool, large_blocks_are_the_heaps) {
  for (const std::size_t size : {std::size_t{2049}, std::size_t{100'000}}) {
    void* block = pool_allocate(size);
    EXPECT_TRUE(aligned(block));
    std::memset(block, 1, size);
    pool_free(block, size);
  }
}

TEST(Pool, blocks_may_be_freed_in_another_thread) {
  constexpr std::size_t count = 2000;
  std::vector<void*> blocks(count);
  std::thread([&] {
    for (void*& b : blocks) b = pool_allocate(100);
  }).join();
  for (void* b : blocks) {
    std::memset(b, 2, 100);
    pool_free(b, 100);
  }
  for (void*& b : blocks) b = pool_allocate(100);
  std::thread([&] {
    for (void* b : blocks) pool_free(b, 100);
  }).join();
}

// Blocks that are freed by thread-local destructors, after the thread's lists were given back.
TEST(Pool, blocks_may_be_freed_at_the_end_of_a_thread) {
  struct late {
    void* block = nullptr;
    ~late() {
      if (block == nullptr) return;
      pool_free(block, 64);
      pool_free(pool_allocate(64), 64);
    }
  };
  std::thread([] {
    static thread_local late before_the_pool;
    before_the_pool.block = pool_allocate(64);
    static thread_local late after_the_pool;
    after_the_pool.block = pool_allocate(64);
  }).join();
}

TEST(Pool, blocks_do_not_overlap_whatever_the_order_of_freeing) {
  std::mt19937 random(12345);
  struct live {
    unsigned char* block;
    std::size_t size;
    unsigned char mark;
  };
  std::vector<live> all;
  for (int i = 0; i < 20'000; ++i) {
    if (all.size() < 200 && random() % 5 < 3) {
      const std::size_t size = 1 + random() % 2500;
      live l{static_cast<unsigned char*>(pool_allocate(size)), size, static_cast<unsigned char>(random())};
      std::memset(l.block, l.mark, size);
      all.push_back(l);
    } else if (!all.empty()) {
      std::swap(all[random() % all.size()], all.back());
      const live l = all.back();
      all.pop_back();
      for (const std::size_t at : {std::size_t{0}, l.size / 2, l.size - 1}) ASSERT_EQ(l.block[at], l.mark);
      pool_free(l.block, l.size);
    }
  }
  for (const live& l : all) pool_free(l.block, l.size);
}

}  // namespace
}  // namespace asyncio::detail
