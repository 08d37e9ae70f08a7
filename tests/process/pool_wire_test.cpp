// SPDX-License-Identifier: BSL-1.0
// What pools and workers say to each other, against ends of the line that say something else.
#include "process/pool_wire.hpp"

#include "kernel/modules.hpp"
#include "process/pool_errors.hpp"
#include "support/descriptors.hpp"

#include <asyncio/errors.hpp>

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>

#include <fcntl.h>
#include <sys/socket.h>

namespace {

using namespace asyncio;
using namespace asyncio::processes;

/// A connected pair, blocking as the pool's.
struct line : test::socket_pair {
  line() {
    for (const int fd : {a, b}) ::fcntl(fd, F_SETFL, 0);
  }
  void put(std::string_view bytes) const {
    EXPECT_EQ(::send(a, bytes.data(), bytes.size(), 0), static_cast<ssize_t>(bytes.size()));
  }
};

std::string header(message_kind kind, std::uint64_t size, std::uint32_t magic = message_header::right_magic) {
  const message_header h{magic, kind, 1, size};
  return {reinterpret_cast<const char*>(&h), sizeof h};
}

TEST(PoolWire, brings_messages_over_whole) {
  const line both;
  EXPECT_EQ(send_message(both.a, message_kind::call, 7, "head", "and body"), talk::done);
  EXPECT_EQ(send_message(both.a, message_kind::value, 7, ""), talk::done);
  message got;
  ASSERT_EQ(receive_message(both.b, got), talk::done);
  EXPECT_EQ(got.kind, message_kind::call);
  EXPECT_EQ(got.number, 7u);
  EXPECT_EQ(got.view(), "headand body");
  ASSERT_EQ(receive_message(both.b, got), talk::done);
  EXPECT_EQ(got.view(), "");
}

TEST(PoolWire, brings_over_more_than_the_socket_takes_at_once) {
  const line both;
  const std::string large(std::size_t{8} << 20, 'x');
  std::thread sender([&] { EXPECT_EQ(send_message(both.a, message_kind::value, 7, "h", large), talk::done); });
  message got;
  EXPECT_EQ(receive_message(both.b, got), talk::done);
  sender.join();
  EXPECT_EQ(got.view(), "h" + large);
}

TEST(PoolWire, tells_an_end_where_all_was_read_from_one_with_something_unread) {
  {
    line both;
    both.close_b();
    message got;
    EXPECT_EQ(receive_message(both.a, got), talk::ended);
    EXPECT_EQ(send_message(both.a, message_kind::call, 7, "x"), talk::lost);
  }
  {
    line both;
    EXPECT_EQ(send_message(both.a, message_kind::call, 7, "never read"), talk::done);
    char byte = 0;
    EXPECT_EQ(::recv(both.b, &byte, 1, 0), 1);
    both.close_b();
    message got;
    EXPECT_EQ(receive_message(both.a, got), talk::lost);
  }
}

TEST(PoolWire, takes_no_header_for_one_that_is_none_or_announces_too_much) {  // F33 S18
  for (const std::string& bytes :
       {header(message_kind::value, 1, 0x31507362), header(message_kind::value, largest_message + 1),
        header(message_kind::value, ~std::uint64_t{0})}) {
    const line both;
    both.put(bytes);
    message got;
    EXPECT_EQ(receive_message(both.b, got), talk::garbage);
  }
}

TEST(PoolWire, stops_at_every_truncation) {
  const std::string whole = header(message_kind::value, 5) + "12345";
  for (std::size_t n = 0; n < whole.size(); ++n) {
    line both;
    both.put(std::string_view(whole).substr(0, n));
    both.close_a();
    message got;
    EXPECT_EQ(receive_message(both.b, got), talk::ended) << n;
  }
}

TEST(PoolWire, costs_no_memory_for_bytes_that_are_only_announced) {
  line both;
  both.put(header(message_kind::value, largest_message) + "and no more");
  both.close_a();
  message got;
  try {
    EXPECT_EQ(receive_message(both.b, got), talk::ended);
  } catch (const std::bad_alloc&) {  // where the system promises no memory that it does not have
  }
}

int called_here(int n) { return n; }

TEST(PoolWire, finds_functions_by_module_and_distance) {
  const auto entry = reinterpret_cast<void (*)()>(&called_here);
  const auto target = reinterpret_cast<void (*)()>(&std::strlen);
  function_sender sender;
  function_receiver receiver;
  std::size_t first_size = 0;
  for (int round = 0; round < 2; ++round) {
    encoder out;
    sender.write(out, entry, target);
    if (round == 0)
      first_size = out.bytes().size();
    else
      EXPECT_LT(out.bytes().size(), first_size) << "a module is described once";
    decoder in(out.bytes());
    const auto found = receiver.read(in);
    EXPECT_EQ(found.entry, entry);
    EXPECT_EQ(found.target, target);
    EXPECT_EQ(in.left(), 0u);
  }
}

TEST(PoolWire, finds_nothing_in_another_build_or_in_what_is_not_loaded) {
  const kernel::code_place place = kernel::place_of(reinterpret_cast<void (*)()>(&called_here));
  kernel::module_description about = kernel::describe_module(place.module);
  EXPECT_EQ(kernel::find_module(about).at(place.offset), reinterpret_cast<void (*)()>(&called_here));
  EXPECT_THROW((void)kernel::find_module(about).at(std::uint64_t{1} << 40), std::runtime_error);
  static int data = 0;
  const auto begin = reinterpret_cast<std::uintptr_t>(&called_here) - place.offset;
  const std::uint64_t data_offset = reinterpret_cast<std::uintptr_t>(&data) - begin;
  EXPECT_THROW((void)kernel::find_module(about).at(data_offset), std::runtime_error) << "data is no code";
  about.identity += "0";
  EXPECT_THROW(kernel::find_module(about), std::runtime_error);
  about.name = "/nowhere/plugin.so";
  EXPECT_THROW(kernel::find_module(about), std::runtime_error);
}

TEST(PoolWire, takes_random_bytes_for_no_function) {  // S18
  std::mt19937 random(3);
  encoder out;
  function_sender().write(out, reinterpret_cast<void (*)()>(&called_here), nullptr);
  for (int round = 0; round < 3000; ++round) {
    std::string bytes(out.bytes());
    for (int i = 0; i < 3; ++i) bytes[random() % bytes.size()] = static_cast<char>(random());
    bytes.resize(random() % 3 == 0 ? random() % bytes.size() : bytes.size());
    function_receiver receiver;
    decoder in(bytes);
    try {
      receiver.read(in);
    } catch (const std::runtime_error&) {  // as it should be
    }
  }
}

TEST(PoolWire, takes_random_bytes_for_no_exception_or_for_one) {
  std::mt19937 random(5);
  encoder out;
  write_exception(out, std::make_exception_ptr(std::system_error(EPIPE, std::generic_category(), "send")));
  for (int round = 0; round < 3000; ++round) {
    std::string bytes(out.bytes());
    for (int i = 0; i < 2; ++i) bytes[random() % bytes.size()] = static_cast<char>(random());
    bytes.resize(random() % 3 == 0 ? random() % bytes.size() : bytes.size());
    decoder in(bytes);
    try {
      EXPECT_NE(read_exception(in), nullptr);
    } catch (const codec_error&) {  // as it should be
    }
  }
}

}  // namespace
