// SPDX-License-Identifier: BSL-1.0
// Datagram endpoints when system calls fail, are interrupted or would block.
#include "io/fake_names.hpp"
#include "spec/datagrams_test.hpp"
#include "support/sys_faults.hpp"

#include <memory>
#include <string>
#include <vector>

namespace asyncio::spec {
namespace {

using test::sys_faults;
using test::sys::table;

TEST(DatagramFaults, interrupted_calls_are_repeated) {
  testing::run([]() -> coroutine<> {
    datagram_endpoint a = co_await open_local();
    datagram_endpoint b = co_await open_to(a.port());
    for (int n = 1; n <= 4; ++n) {
      sys_faults faults;
      faults.fail<&table::recvfrom>(EINTR, n, 2);
      faults.fail<&table::send>(EINTR, n, 2);
      faults.fail<&table::sendmsg>(EINTR, n, 2);
      std::string got;
      for (int i = 0; i < 3; ++i) {
        co_await b.send(std::to_string(i));
        const datagram d = co_await a.recvfrom();
        got += d.data;
        co_await a.sendto("back", d.address);
        const datagram back = co_await b.recvfrom();
        EXPECT_EQ(back.data, "back");
      }
      EXPECT_EQ(got, "012");
    }
  });
}

// F17: what fails is told to whoever receives, once, and nothing is lost
TEST(DatagramFaults, an_error_at_the_nth_receive_is_told_and_the_next_one_gets_the_datagram) {
  testing::run([]() -> coroutine<> {
    for (const int error : {ECONNREFUSED, EHOSTUNREACH, ENETUNREACH, EMSGSIZE}) {
      for (int n = 1; n <= 4; ++n) {
        datagram_endpoint a = co_await open_local();
        datagram_endpoint b = co_await open_to(a.port());
        sys_faults faults;
        faults.fail<&table::recvfrom>(error, n);
        std::string got;
        int told = 0;
        task<> sending = create_task(
            [](datagram_endpoint& from) -> coroutine<> {
              for (const char* text : {"1", "2", "3", "4"}) {
                co_await from.send(text);
                co_await settle(3);
              }
            },
            std::ref(b));
        while (got.size() < 4) {
          try {
            const datagram d = co_await a.recvfrom();
            got += d.data;
          } catch (const std::system_error& e) {
            EXPECT_EQ(e.code().value(), error);
            ++told;
          }
        }
        EXPECT_EQ(got, "1234");
        EXPECT_EQ(told, 1) << error << " at call " << n;
        co_await sending;
      }
    }
  });
}

TEST(DatagramFaults, no_memory_for_a_receive_is_bad_alloc_and_the_endpoint_lives) {
  testing::run([]() -> coroutine<> {
    datagram_endpoint a = co_await open_local();
    datagram_endpoint b = co_await open_to(a.port());
    co_await b.send("x");
    sys_faults faults;
    faults.fail<&table::recvfrom>(ENOMEM);
    const std::string end = co_await ending(a.recvfrom());
    EXPECT_EQ(end, "exception(std::bad_alloc)");
    const datagram got = co_await a.recvfrom();
    EXPECT_EQ(got.data, "x");
  });
}

TEST(DatagramFaults, an_error_at_the_nth_send_is_of_that_datagram_alone) {
  testing::run([]() -> coroutine<> {
    for (const int error : {ENOBUFS, EMSGSIZE, ECONNREFUSED, EPERM}) {
      for (int n = 1; n <= 3; ++n) {
        datagram_endpoint a = co_await open_local();
        datagram_endpoint b = co_await open_to(a.port());
        sys_faults faults;
        faults.fail<&table::send>(error, n);
        std::string errors;
        for (int i = 1; i <= 3; ++i) {
          const int got = co_await error_of(b.send(std::to_string(i)));
          errors += got == 0 ? "." : got == error ? "!" : "?";
        }
        EXPECT_EQ(errors, n == 1 ? "!.." : n == 2 ? ".!." : "..!");
        std::string arrived;
        for (int i = 0; i < 2; ++i) {
          const datagram d = co_await a.recvfrom();
          arrived += d.data;
        }
        EXPECT_EQ(arrived, n == 1 ? "23" : n == 2 ? "13" : "12");
      }
    }
  });
}

// The same for those that had to be queued: each hears of its own end.
TEST(DatagramFaults, an_error_of_a_queued_datagram_reaches_its_own_sender) {
  testing::run([]() -> coroutine<> {
    for (int n = 2; n <= 4; ++n) {
      datagram_endpoint a = co_await open_local();
      datagram_endpoint b = co_await open_to(a.port());
      sys_faults faults;
      static int calls, failing;
      calls = 0;
      failing = n;
      faults.set<&table::send>(+[](int fd, const void* from, std::size_t size, int flags) noexcept -> ssize_t {
        ++calls;
        if (calls == 1) return -EAGAIN;
        if (calls == failing) return -ENOBUFS;
        return test::sys::direct::send(fd, from, size, flags);
      });
      std::vector<task<int>> sends;
      for (int i = 2; i <= 4; ++i) sends.push_back(create_task(error_of(b.send(std::to_string(i)))));
      std::string errors;
      for (const task<int>& t : sends) {
        const int got = co_await t;
        errors += got == 0 ? "." : got == ENOBUFS ? "!" : "?";
      }
      EXPECT_EQ(errors, n == 2 ? "!.." : n == 3 ? ".!." : "..!");
      const datagram first = co_await a.recvfrom();
      EXPECT_EQ(first.data, n == 2 ? "3" : "2");
    }
  });
}

struct error_recorder : datagram_protocol {
  void error_received(std::error_code error) override { errors.push_back(error.value()); }
  void connection_lost(std::exception_ptr) override { lost = true; }
  std::vector<int> errors;
  bool lost = false;
};

// A protocol's: at once or queued, each error is told, and the others go.
TEST(DatagramFaults, an_error_at_the_nth_send_of_a_transport_goes_to_error_received) {
  testing::run([]() -> coroutine<> {
    for (const bool queued : {false, true}) {
      for (int n = 1; n <= 4; ++n) {
        datagram_endpoint a = co_await open_local();
        auto factory = [] { return std::make_shared<error_recorder>(); };
        auto [t, p] =
            co_await get_running_loop().create_datagram_endpoint(factory, {.remote_addr = {"127.0.0.1", a.port()}});
        sys_faults faults;
        static int calls, failing;
        static bool first_waits;
        calls = 0;
        failing = queued ? n + 1 : n;
        first_waits = queued;
        faults.set<&table::send>(+[](int fd, const void* from, std::size_t size, int flags) noexcept -> ssize_t {
          ++calls;
          if (first_waits && calls == 1) return -EAGAIN;
          if (calls == failing) return -ENOBUFS;
          return test::sys::direct::send(fd, from, size, flags);
        });
        for (int i = 1; i <= 4; ++i) t->sendto(std::to_string(i));
        t->close();
        while (!p->lost) co_await sleep(0s);
        EXPECT_EQ(p->errors, std::vector<int>{ENOBUFS});
        std::string got, expected = "1234";
        expected.erase(static_cast<std::size_t>(n) - 1, 1);
        for (int i = 0; i < 3; ++i) {
          const datagram d = co_await a.recvfrom();
          got += d.data;
        }
        EXPECT_EQ(got, expected);
      }
    }
  });
}

TEST(DatagramFaults, a_descriptor_that_cannot_be_waited_for_is_told) {
  testing::run([]() -> coroutine<> {
    datagram_endpoint a = co_await open_local();
    datagram_endpoint b = co_await open_to(a.port());
    {
      sys_faults faults;
      faults.fail<&table::epoll_ctl>(ENOSPC);
      const int error = co_await error_of(a.recvfrom());
      EXPECT_EQ(error, ENOSPC);
    }
    co_await b.send("x");
    const datagram got = co_await a.recvfrom();
    EXPECT_EQ(got.data, "x");
  });
}

TEST(DatagramFaults, a_descriptor_that_somebody_has_closed_is_the_end) {
  testing::run([]() -> coroutine<> {
    datagram_endpoint a = co_await open_local();
    sys_faults faults;
    faults.fail<&table::recvfrom>(EBADF, 1, 1000);
    const int error = co_await error_of(a.recvfrom());
    EXPECT_EQ(error, EBADF);
    EXPECT_TRUE(a.is_closing());
    const int closed = co_await error_of(a.wait_closed());
    EXPECT_EQ(closed, EBADF);
  });
}

// F3
TEST(DatagramFaults, an_endpoint_that_cannot_be_opened_leaves_nothing_open) {
  testing::run([]() -> coroutine<> {
    datagram_endpoint a = co_await open_local();
    const std::size_t before = test::open_descriptors();
    const datagram_options both{
        .local_addr = {"127.0.0.1", 0}, .remote_addr = {"127.0.0.1", a.port()}, .reuse_port = true};
    const auto failing = [&both](auto prepare, int error) -> coroutine<> {
      sys_faults faults;
      prepare(faults);
      const int got = co_await error_of(open_datagram_endpoint(both));
      EXPECT_EQ(got, error);
    };
    co_await failing([](sys_faults& f) { f.fail<&table::socket>(EMFILE); }, EMFILE);
    co_await failing([](sys_faults& f) { f.fail<&table::setsockopt>(EPERM); }, EPERM);
    co_await failing([](sys_faults& f) { f.fail<&table::bind>(EACCES); }, EACCES);
    co_await failing([](sys_faults& f) { f.fail<&table::connect>(ENETUNREACH); }, ENETUNREACH);
    EXPECT_EQ(test::open_descriptors(), before);
    sys_faults faults;
    faults.fail<&table::connect>(EINTR);
    datagram_endpoint made = co_await open_datagram_endpoint(both);
    EXPECT_EQ(faults.count<&table::connect>(), 2);
  });
}

// S177: the pairs of addresses are tried in order, and the first error is told
TEST(DatagramFaults, the_addresses_of_a_name_are_tried_one_after_the_other) {
  asyncio::run([]() -> coroutine<> {
    sys_faults faults;
    io_test::fake_names names(faults);
    names.add("both", {"::1", "127.0.0.1"});
    faults.fail<&table::connect>(EHOSTUNREACH);
    datagram_endpoint second = co_await open_datagram_endpoint({.remote_addr = {"both", 9}});
    EXPECT_EQ(second.peername(), socket_address("127.0.0.1", 9));
    faults.fail<&table::connect>(EHOSTUNREACH, 1, 2);
    std::string what;
    try {
      datagram_endpoint none = co_await open_datagram_endpoint({.remote_addr = {"both", 9}});
    } catch (const std::system_error& e) {
      what = e.what();
    }
    EXPECT_EQ(what, "cannot connect to [::1]:9: No route to host");
    datagram_endpoint same =
        co_await open_datagram_endpoint({.local_addr = {"127.0.0.1", 0}, .remote_addr = {"both", 9}});
    EXPECT_EQ(same.peername(), socket_address("127.0.0.1", 9));
  });
}

}  // namespace
}  // namespace asyncio::spec
