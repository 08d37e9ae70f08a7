// SPDX-License-Identifier: BSL-1.0
// A disk that hangs, and one that fails.
#include "io/file_reader.hpp"

#include "io/io_test.hpp"
#include "support/scratch_folder.hpp"
#include "support/sys_faults.hpp"

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include <fcntl.h>

namespace {

using namespace io_test;

/// pread() waits here until it may go on.
struct slow_disk {
  explicit slow_disk(test::sys_faults& faults) {
    inside = 0;
    open = false;
    faults.set<&test::sys::table::pread>(+[](int fd, void* to, std::size_t size, off_t offset) noexcept -> ssize_t {
      std::unique_lock hold(mutex);
      ++inside;
      changed.notify_all();
      changed.wait(hold, [] { return open; });
      return test::sys::direct::pread(fd, to, size, offset);
    });
  }
  static void wait_for(int n) {
    std::unique_lock hold(mutex);
    changed.wait(hold, [n] { return inside >= n; });
  }
  static void let_go() {
    std::unique_lock hold(mutex);
    open = true;
    changed.notify_all();
  }
  static inline std::mutex mutex;
  static inline std::condition_variable changed;
  static inline int inside = 0;
  static inline bool open = false;
};

class SlowFile : public testing::Test {
 protected:
  SlowFile() : file(::open((folder / "file").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600)) {
    EXPECT_EQ(::write(file, "0123456789", 10), 10);
  }
  ~SlowFile() override { ::close(file); }
  // Where a thread reads, whatever backend the tests are run on.
  static std::unique_ptr<asyncio::loop::loop> epoll_loop() {
    const int wake_fd = asyncio::kernel::make_wake_fd();
    return std::make_unique<asyncio::loop::loop>(asyncio::kernel::make_epoll_kernel(wake_fd),
                                                 asyncio::base::steady_clock_source(), wake_fd);
  }
  io::ref<io::file_reader> make() {
    return io::file_reader::make(*loop, file, [](void* self) noexcept { ++static_cast<SlowFile*>(self)->told; }, this);
  }

  const test::scratch_folder folder;
  const int file;
  int told = 0;
  test::sys_faults faults;
  slow_disk disk{faults};
  std::unique_ptr<asyncio::loop::loop> loop = epoll_loop();
};

TEST_F(SlowFile, HoldsUpNeitherTheLoopNorWhoHasLetGoOfIt) {
  std::vector<io::ref<io::file_reader>> readers(12);
  for (auto& reader : readers) {
    reader = make();
    ASSERT_FALSE(reader->start(0, 10));
  }
  slow_disk::wait_for(4);
  run_turns(*loop, 3);
  EXPECT_EQ(told, 0);
  for (std::size_t i = 0; i < readers.size(); i += 2) {
    readers[i]->abandon();
    readers[i] = {};
  }
  slow_disk::let_go();
  ASSERT_TRUE(run_until(*loop, [&] { return told == 6; }));
  for (std::size_t i = 1; i < readers.size(); i += 2) EXPECT_EQ(readers[i]->take(), "0123456789");
  EXPECT_LE(slow_disk::inside, 4 + 6) << "what had not begun was never read";
}

TEST_F(SlowFile, IsWaitedForByTheEndOfItsLoopWhichLeavesNothingOpen) {
  loop = epoll_loop();
  const std::size_t before = test::open_descriptors();
  std::vector<io::ref<io::file_reader>> readers(6);
  for (auto& reader : readers) {
    reader = make();
    ASSERT_FALSE(reader->start(0, 10));
  }
  slow_disk::wait_for(4);
  for (auto& reader : readers) reader->abandon();
  readers.clear();
  std::thread disk([] { slow_disk::let_go(); });
  loop.reset();
  disk.join();
  loop = epoll_loop();
  EXPECT_EQ(test::open_descriptors(), before);
  EXPECT_EQ(told, 0);
  EXPECT_EQ(slow_disk::inside, 4);
}

TEST_F(SlowFile, TellsOfADiskThatFailsAndHearsNothingOfInterruptions) {
  static std::atomic<int> calls{0};
  calls = 0;
  faults.set<&test::sys::table::pread>(
      +[](int, void*, std::size_t, off_t) noexcept -> ssize_t { return ++calls < 3 ? -EINTR : -EIO; });
  const auto reader = make();
  ASSERT_FALSE(reader->start(0, 10));
  ASSERT_TRUE(run_until(*loop, [&] { return told == 1; }));
  EXPECT_THROW(static_cast<void>(reader->take()), std::system_error);
  EXPECT_EQ(calls, 3);
}

}  // namespace
