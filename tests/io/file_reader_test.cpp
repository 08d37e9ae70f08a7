// SPDX-License-Identifier: BSL-1.0
#include "io/file_reader.hpp"

#include "io/io_test.hpp"
#include "support/scratch_folder.hpp"

#include <utility>

#include <fcntl.h>

namespace {

using namespace io_test;

class FileReader : public testing::Test {
 protected:
  FileReader() {
    file = ::open((folder / "file").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    EXPECT_EQ(::write(file, "0123456789", 10), 10);
  }
  ~FileReader() override {
    if (file >= 0) ::close(file);
  }
  io::ref<io::file_reader> make() {
    return io::file_reader::make(
        *loop, file, [](void* self) noexcept { ++static_cast<FileReader*>(self)->told; }, this);
  }
  std::string read(io::file_reader& reader, std::uint64_t offset, std::size_t size) {
    told = 0;
    const bool here = reader.start(offset, size);
    EXPECT_TRUE(here || run_until(*loop, [&] { return told == 1; }));
    return reader.take();
  }

  const test::scratch_folder folder;
  const std::size_t before = test::open_descriptors();
  std::unique_ptr<asyncio::loop::loop> loop = make_loop();
  int file = -1;
  int told = 0;
};

TEST_F(FileReader, ReadsPiecesAnywhereUntilTheEnd) {
  const auto reader = make();
  EXPECT_EQ(read(*reader, 0, 4), "0123");
  EXPECT_EQ(read(*reader, 7, 100), "789");
  EXPECT_EQ(read(*reader, 10, 100), "");
  EXPECT_EQ(read(*reader, 2, 1), "2");
  EXPECT_EQ(::lseek(file, 0, SEEK_CUR), 10);
}

TEST_F(FileReader, KeepsItsFileWhenItsOwnerHasClosedIt) {
  const auto reader = make();
  ::close(std::exchange(file, -1));
  EXPECT_EQ(read(*reader, 3, 3), "345");
}

TEST_F(FileReader, RefusesWhatHasNoPositions) {
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  std::swap(file, ends[0]);
  EXPECT_THROW(make(), std::system_error);
  std::swap(file, ends[0]);
  for (const int end : ends) ::close(end);
}

TEST_F(FileReader, TellsWhyItCannotRead) {
  int directory = ::open(folder.path().c_str(), O_RDONLY | O_CLOEXEC);
  std::swap(file, directory);
  try {
    const auto reader = make();
    read(*reader, 0, 10);
    ADD_FAILURE() << "a directory was read";
  } catch (const std::system_error& e) {
    EXPECT_EQ(e.code().value(), EISDIR);
  }
  std::swap(file, directory);
  ::close(directory);
}

TEST_F(FileReader, SaysNothingAnyMoreWhenItIsAbandoned) {
  for (const int turns : {0, 1}) {
    auto reader = make();
    if (reader->start(0, 10)) continue;
    run_turns(*loop, turns);
    const int told_before = told;
    reader->abandon();
    reader = {};
    run_turns(*loop, 5);
    EXPECT_EQ(told, told_before);
  }
  const auto other = make();
  EXPECT_EQ(read(*other, 0, 1), "0");
}

TEST_F(FileReader, LeavesNothingOpenWhenItsLoopIsClosedUnderIt) {
  auto reader = make();
  static_cast<void>(reader->start(0, 10));
  reader->abandon();
  loop.reset();
  reader = {};
  EXPECT_EQ(test::open_descriptors(), before + 1) << "the file of the test itself";
}

}  // namespace
