// SPDX-License-Identifier: BSL-1.0
#include "io/dns.hpp"

#include "io/fake_names.hpp"
#include "io/io_test.hpp"

#include <asyncio/errors.hpp>

#include <stdexcept>
#include <vector>

#include <sys/wait.h>
#include <unistd.h>

namespace {

using namespace io_test;

struct answer final : io::counted {
  int times = 0;
  std::vector<socket_address> addresses;
  std::exception_ptr error;

  static void take(void* self, std::vector<socket_address> found, std::exception_ptr e) noexcept {
    auto* me = static_cast<answer*>(self);
    ++me->times;
    me->addresses = std::move(found);
    me->error = std::move(e);
  }
};

class Lookup : public testing::Test {
 protected:
  io::name_lookup* start(io::ref<answer>& into, const std::string& host,
                         asyncio::address_family family = asyncio::address_family::unspecified) {
    into = io::ref<answer>::adopt(new answer);
    return io::name_lookup::start(*loop, {host, 80, family, false}, &answer::take, into.get(), into.get());
  }
  bool until(const io::ref<answer>& a) {
    return run_until(*loop, [&] { return a->times > 0; });
  }

  test::sys_faults faults;
  fake_names names{faults};
  std::unique_ptr<asyncio::loop::loop> loop = make_loop();
};

TEST_F(Lookup, GivesEachAddressOnceInTheResolversOrder) {
  names.add("host", {"::1", "127.0.0.1", "::1"});
  io::ref<answer> a;
  start(a, "host");
  ASSERT_TRUE(until(a));
  ASSERT_EQ(a->addresses.size(), 2u);
  EXPECT_EQ(a->addresses[0], socket_address("::1", 80));
  EXPECT_EQ(a->addresses[1], socket_address("127.0.0.1", 80));
  start(a, "host", asyncio::address_family::inet);
  ASSERT_TRUE(until(a));
  ASSERT_EQ(a->addresses.size(), 1u);
}

TEST_F(Lookup, TellsWhyANameCouldNotBeResolved) {  // F22
  for (const int code : {EAI_NONAME, EAI_AGAIN, EAI_FAIL}) {
    names.fail("host", code);
    io::ref<answer> a;
    start(a, "host");
    ASSERT_TRUE(until(a));
    try {
      std::rethrow_exception(a->error);
    } catch (const asyncio::gai_error& e) {
      EXPECT_EQ(e.code().value(), code);
      EXPECT_EQ(e.code().category(), asyncio::gai_category());
      EXPECT_EQ(std::string(e.what()), std::string("cannot resolve 'host': ") + gai_strerror(code));
    }
  }
  names.fail("host", EAI_SYSTEM);
  io::ref<answer> a;
  start(a, "host");
  ASSERT_TRUE(until(a));
  EXPECT_EQ(code_of(a->error), EMFILE);
}

TEST_F(Lookup, ThatHangsStopsNeitherTheLoopNorAnAbandonedOne) {  // F22
  names.add("host", {"127.0.0.1"});
  names.hang();
  std::vector<io::ref<answer>> answers(20);
  std::vector<io::name_lookup*> lookups;
  for (auto& a : answers) lookups.push_back(start(a, "host"));
  names.wait_for_hanging(4);
  EXPECT_EQ(names.inside(), 4) << "the resolver has four threads";
  run_turns(*loop, 3);
  for (std::size_t i = 0; i < lookups.size(); i += 2) lookups[i]->abandon();
  names.let_go();
  for (std::size_t i = 1; i < answers.size(); i += 2) ASSERT_TRUE(until(answers[i]));
  run_turns(*loop, 3);
  for (std::size_t i = 0; i < answers.size(); ++i) EXPECT_EQ(answers[i]->times, i % 2 == 0 ? 0 : 1);
  EXPECT_LE(names.calls(), 4 + 10) << "what had not begun was never asked";
}

TEST_F(Lookup, EndsUnheardWhenItsLoopIsClosed) {
  names.add("host", {"127.0.0.1"});
  names.hang();
  std::vector<io::ref<answer>> answers(6);
  for (auto& a : answers) start(a, "host");
  names.wait_for_hanging(4);
  loop.reset();
  names.let_go();
  loop = make_loop();
  io::ref<answer> later;
  start(later, "host");
  ASSERT_TRUE(until(later));
  for (const auto& a : answers) EXPECT_EQ(a->times, 0);
}

TEST_F(Lookup, IsAnsweredInAForkedChildToo) {
  names.add("name.test", {"127.0.0.1"});
  io::ref<answer> here, there;
  start(here, "name.test");
  ASSERT_TRUE(until(here)) << "now the resolver's threads are there";
  const pid_t child = ::fork();
  if (child == 0) {
    // The parent's loop is the parent's.
    const auto own = make_loop();
    there = io::ref<answer>::adopt(new answer);
    io::name_lookup::start(*own, {"name.test", 80, asyncio::address_family::unspecified, false}, &answer::take,
                           there.get(), there.get());
    ::_exit(run_until(*own, [&] { return there->times > 0; }) && there->addresses.size() == 1 ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

TEST(CheckQuery, RefusesWhatCannotBeAHostName) {  // S2 of the security list
  const auto refuses = [](const std::string& host) {
    EXPECT_THROW(io::check_query({host, 80}), std::invalid_argument) << host.size();
  };
  refuses(std::string(254, 'a'));
  refuses("a." + std::string(64, 'b') + ".c");
  refuses(std::string("good.example\0.evil", 18));
  refuses("m\xc3\xbcnchen.example");
  refuses(std::string("::1\0", 4));
  std::string longest;
  while (longest.size() < 253) longest += "abcdefgh.";
  longest.resize(253);
  io::check_query({longest, 80});
  io::check_query({longest.substr(0, 252) + "a.", 80});
  std::string longest_label(63, 'b');
  longest_label += ".c";
  io::check_query({longest_label, 80});
  io::check_query({"", 80});
  io::check_query({"fe80::1%lo", 80});
  EXPECT_THROW(io::check_query({"host", 65536}), std::invalid_argument);
  EXPECT_THROW(io::check_query({"host", -1}), std::invalid_argument);
}

TEST(CheckQuery, ShowsBytesOfTheNameThatDoNotPrintAsEscapes) {
  try {
    io::check_query({std::string("a\0\x1b[31m", 7), 80});
    FAIL();
  } catch (const std::invalid_argument& e) {
    EXPECT_EQ(std::string(e.what()), "host name 'a\\x00\\x1b[31m' has a NUL inside");
  }
}

}  // namespace
