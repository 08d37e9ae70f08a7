// SPDX-License-Identifier: BSL-1.0
// Transports, listeners and connectors when system calls fail.
#include "io/connector_test.hpp"
#include "io/fake_names.hpp"
#include "io/listener.hpp"
#include "io/transport.hpp"

namespace {

using namespace io_test;
using test::sys::table;

// ---- transport

class TransportFaults : public testing::Test {
 protected:
  TransportFaults() : channel(io::stream_transport::make(*loop, io::unique_fd(ends.ours), {})) {
    channel->set_user(&user);
  }
  ~TransportFaults() override {
    channel->set_user(nullptr);
    channel->abort();
    channel = {};
    run_turns(*loop, 4);
  }
  bool until(const std::function<bool()>& reached) { return run_until(*loop, reached); }

  test::sys_faults faults;
  tcp_ends ends;
  std::unique_ptr<asyncio::loop::loop> loop = make_loop();
  recording_user user;
  io::ref<io::channel> channel;
};

TEST_F(TransportFaults, SendsTheWritesOfATurnInOneCall) {
  faults.watch<&table::send>();
  for (int i = 0; i < 16; ++i) channel->write(std::string_view("0123456789abcdef0123456789abcdef0123456789abcdef"));
  run_turns(*loop, 1);
  EXPECT_EQ(faults.count<&table::send>(), 1);
  EXPECT_EQ(ends.get().size(), 16u * 48u);
}

TEST_F(TransportFaults, LosesAndReordersNothingWhenEveryWriteIsShort) {  // F14
  faults.shorten(1000);
  std::string all;
  for (int i = 0; i < 30; ++i) {
    const std::string piece(static_cast<std::size_t>(i * 1000), static_cast<char>('a' + i % 26));
    all += piece;
    if (i % 2 == 0)
      channel->write(std::string_view(piece));
    else
      channel->write(std::string(piece));
  }
  std::string got;
  ASSERT_TRUE(until([&] {
    got += ends.get();
    return got.size() >= all.size();
  }));
  EXPECT_EQ(got, all);
}

TEST_F(TransportFaults, DeliversTheLastInputWhenSendingFails) {
  ends.put("an early answer");
  faults.fail<&table::send>(EPIPE);
  channel->write(std::string_view("a question"));
  ASSERT_TRUE(until([&] { return user.losses > 0; }));
  EXPECT_EQ(user.input, "an early answer");
  EXPECT_EQ(code_of(user.error), EPIPE);
  EXPECT_EQ(text_of(user.error), "cannot send: Broken pipe");
}

/// Runs a function in the batch that a peer's write begins, before everything that it makes ready after that.
struct trap : asyncio::kernel::io_op {
  explicit trap(asyncio::loop::loop& l) : owner(l) {
    kind = asyncio::kernel::io_kind::readable;
    fd = pair.a;
    done = [](asyncio::detail::op* self) noexcept {
      static_cast<trap*>(static_cast<asyncio::kernel::io_op*>(self))->then();
    };
    EXPECT_FALSE(l.start(*this));
  }
  void spring() { EXPECT_EQ(::send(pair.b, "!", 1, 0), 1); }

  asyncio::loop::loop& owner;
  test::socket_pair pair;
  std::function<void()> then;
};

TEST_F(TransportFaults, DeliverInputInOrderWhenSendingFailsWhileSomeOfItIsOnItsWay) {
  test::socket_pair pair;  // of AF_UNIX: a short read leaves more to read
  const auto send = [&](std::string_view text) { EXPECT_GT(::send(pair.b, text.data(), text.size(), 0), 0); };
  const socket_address peer = io::local_address(pair.a);
  io::ref<io::channel> local = io::stream_transport::make(*loop, io::unique_fd(std::exchange(pair.a, -1)), peer);
  local->set_user(&user);
  std::string_view bytes;
  ASSERT_EQ(local->read(100, bytes), io::read_state::later);
  run_turns(*loop, 2);
  trap before(*loop);
  before.then = [&] {
    send("world");
    pair.close_b();
    local->write(std::string(100'000, 'x'));
    local->flush();
  };
  before.spring();
  send("hello ");
  ASSERT_TRUE(until([&] { return user.losses > 0; }));
  EXPECT_EQ(user.input, "hello world");
  EXPECT_EQ(code_of(user.error), EPIPE);
}

TEST_F(TransportFaults, DeliverNothingAfterInputThatClosingHasDropped) {
  std::string_view bytes;
  ASSERT_EQ(channel->read(100, bytes), io::read_state::later);
  const std::string block(256 * 1024, 's');
  while (channel->buffered() == 0) {
    channel->write(std::string_view(block));
    channel->flush();
  }
  run_turns(*loop, 2);
  trap before(*loop);
  bool closed = false;
  before.then = [&] {
    channel->close();
    closed = true;
  };
  before.spring();
  ends.put("not wanted any more");
  ASSERT_TRUE(until([&] { return closed; }));
  run_turns(*loop, 2);
  ends.put("and this neither");
  faults.fail<&table::send>(EPIPE);
  faults.fail<&table::sendmsg>(EPIPE);
  (void)ends.get();
  ASSERT_TRUE(until([&] { return user.losses > 0; }));
  EXPECT_EQ(user.input, "");
}

TEST_F(TransportFaults, IsLostWhenReceivingFails) {
  std::string_view bytes;
  faults.fail<&table::recv>(ETIMEDOUT);
  EXPECT_EQ(channel->read(100, bytes), io::read_state::later);
  EXPECT_EQ(user.losses, 0) << "not from inside the call";
  ASSERT_TRUE(until([&] { return user.losses > 0; }));
  EXPECT_EQ(code_of(user.error), ETIMEDOUT);
}

TEST_F(TransportFaults, IsLostWhenItCannotBeRegistered) {
  std::string_view bytes;
  faults.fail<&table::epoll_ctl>(ENOSPC);
  EXPECT_EQ(channel->read(100, bytes), io::read_state::later);
  ASSERT_TRUE(until([&] { return user.losses > 0; }));
  EXPECT_EQ(code_of(user.error), ENOSPC);
}

// ---- listener

struct counting_listener_user final : io::listener_user {
  void accepted(io::unique_fd, const socket_address&) noexcept override { ++accepts; }
  void accept_failed(int error, bool for_good) noexcept override {
    errors.push_back(error);
    final_error |= for_good;
  }
  int accepts = 0;
  std::vector<int> errors;
  bool final_error = false;
};

class ListenerFaults : public testing::Test {
 protected:
  ListenerFaults() {
    auto bound = io::bind_listeners(std::vector{socket_address("127.0.0.1", 0)}, {});
    listener = io::listener::make(*loop, std::move(bound[0]), user);
    listener->start(10);
  }
  ~ListenerFaults() override {
    listener->close();
    run_turns(*loop, 3);
    listener = {};
    EXPECT_EQ(loop->in_flight(), 0u);
    EXPECT_EQ(loop->timer_count(), 0u);
  }
  void connect(int n) {
    for (int i = 0; i < n; ++i) {
      clients.emplace_back(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
      const socket_address to = listener->address();
      ::connect(clients.back().get(), io::address_access::data(to), io::address_access::size(to));
    }
  }
  bool until_accepted(int n) {
    return run_until(*loop, [&] { return user.accepts >= n; }, 2s);
  }

  leaping_clock clock;
  test::sys_faults faults;
  std::unique_ptr<asyncio::loop::loop> loop = make_loop(clock);
  counting_listener_user user;
  io::ref<io::listener> listener;
  std::vector<io::unique_fd> clients;
};

TEST_F(ListenerFaults, PassesOverConnectionsThatWereGivenUp) {  // F4, S185
  for (const int error : {ECONNABORTED, EPROTO, ENETDOWN, EHOSTUNREACH, EPERM}) {
    const int before = user.accepts;
    faults.fail<&table::accept4>(error, 1, 3);
    connect(2);
    ASSERT_TRUE(until_accepted(before + 2)) << error;
  }
  EXPECT_TRUE(user.errors.empty());
  EXPECT_EQ(clock.now(), asyncio::time_point()) << "without a pause";
}

TEST_F(ListenerFaults, PausesForASecondWhenDescriptorsRunOut) {  // F2, S185
  for (const int error : {EMFILE, ENFILE, ENOBUFS, ENOMEM, ENOSPC}) {
    const int before = user.accepts;
    const auto start = clock.now();
    user.errors.clear();
    faults.fail<&table::accept4>(error, 1, 3);
    connect(1);
    ASSERT_TRUE(until_accepted(before + 1)) << error;
    EXPECT_EQ(user.errors, std::vector<int>{error}) << "told once for the whole spell";
    EXPECT_EQ(clock.now() - start, 3s);
    EXPECT_FALSE(user.final_error);
  }
}

TEST_F(ListenerFaults, DoesNotSpinWhenEveryAcceptFails) {
  faults.fail<&table::accept4>(EPERM, 1, 1'000'000);
  clock.may_leap = false;
  connect(1);
  run_turns(*loop, 50);
  EXPECT_EQ(user.errors, std::vector<int>{EPERM});
  EXPECT_LE(faults.count<&table::accept4>(), 12) << "backlog + 1, then a pause";
  faults.stop_failing<&table::accept4>();
  clock.may_leap = true;
  ASSERT_TRUE(until_accepted(1));
}

TEST_F(ListenerFaults, GivesUpWhenTheSocketIsNoListenerAnyMore) {
  faults.fail<&table::accept4>(EINVAL);
  connect(1);
  ASSERT_TRUE(run_until(*loop, [&] { return !user.errors.empty(); }));
  EXPECT_TRUE(user.final_error);
  run_turns(*loop, 5);
  EXPECT_EQ(user.accepts, 0);
  EXPECT_FALSE(listener->listening());
  const socket_address to = listener->address();
  const io::unique_fd late(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  EXPECT_NE(::connect(late.get(), io::address_access::data(to), io::address_access::size(to)), 0);
}

TEST_F(ListenerFaults, MayBeClosedDuringThePause) {
  faults.fail<&table::accept4>(EMFILE, 1, 1'000'000);
  clock.may_leap = false;
  connect(1);
  ASSERT_TRUE(run_until(*loop, [&] { return !user.errors.empty(); }));
  EXPECT_EQ(loop->timer_count(), 1u);
  listener->close();
  EXPECT_EQ(loop->timer_count(), 0u);
}

TEST(ListenerMaking, SaysWhereItCannotListen) {
  auto loop = make_loop();
  counting_listener_user user;
  auto bound = io::bind_listeners(std::vector{socket_address("127.0.0.1", 0)}, {});
  auto listener = io::listener::make(*loop, std::move(bound[0]), user);
  test::sys_faults faults;
  faults.fail<&table::listen>(EADDRINUSE);
  try {
    listener->start(10);
    FAIL();
  } catch (const std::system_error& e) {
    EXPECT_EQ(std::string(e.what()),
              "cannot listen on " + listener->address().to_string() + ": Address already in use");
  }
  EXPECT_FALSE(listener->listening());
  listener->start(10);
  EXPECT_TRUE(listener->listening());
  listener->close();
  run_turns(*loop, 3);
}

// ---- connector

class ConnectorFaults : public connector_fixture {
 protected:
  ConnectorFaults() { loop = make_loop(clock); }
  test::sys_faults faults;
  fake_names names{faults};
};

TEST_F(ConnectorFaults, TriesTheNextAddressWhenOneRefuses) {  // S135, S180
  open_listener("127.0.0.1");
  names.add("host", {"::1", "127.0.0.2", "127.0.0.1"});
  ASSERT_TRUE(connect({"host", port()}));
  ASSERT_EQ(answer.error, nullptr) << text_of(answer.error);
  EXPECT_EQ(answer.peer.host(), "127.0.0.1");
}

TEST_F(ConnectorFaults, NamesAllAddressesThatRefused) {  // S135, S180
  names.add("host", {"127.0.0.1", "127.0.0.2"});
  const std::string port = std::to_string(closed_port());
  ASSERT_TRUE(connect({"host", std::stoi(port)}));
  EXPECT_EQ(code_of(answer.error), ECONNREFUSED);
  EXPECT_EQ(text_of(answer.error), "Multiple exceptions: cannot connect to 127.0.0.1:" + port +
                                       ": Connection refused, cannot connect to 127.0.0.2:" + port +
                                       ": Connection refused");
}

TEST_F(ConnectorFaults, GivesTheFirstOfSeveralEqualErrors) {  // S180
  names.add("host", {"127.0.0.1", "127.0.0.2", "127.0.0.3"});
  faults.fail<&table::socket>(EMFILE, 1, 3);
  ASSERT_TRUE(connect({"host", 80}));
  EXPECT_EQ(code_of(answer.error), EMFILE);
  EXPECT_EQ(text_of(answer.error), "cannot open a socket: Too many open files");
}

TEST_F(ConnectorFaults, StartsTheNextAddressBesideASilentOne) {  // S135, RFC 8305
  open_listener("127.0.0.1");
  names.add("host", {"127.0.0.2", "127.0.0.1"});
  // 127.0.0.2 never answers.
  faults.set<&table::connect>(+[](int fd, const sockaddr* to, socklen_t size) noexcept {
    const auto host = ntohl(reinterpret_cast<const sockaddr_in*>(to)->sin_addr.s_addr);
    return host == 0x7f000002 ? -EINPROGRESS : test::sys::direct::connect(fd, to, size);
  });
  const std::size_t before = test::open_descriptors();
  query.delay = 250ms;
  ASSERT_TRUE(connect({"host", port()}));
  ASSERT_EQ(answer.error, nullptr);
  EXPECT_EQ(answer.peer.host(), "127.0.0.1");
  EXPECT_EQ(clock.now() - asyncio::time_point(), 250ms);
  ASSERT_TRUE(run_until(*loop, [&] { return loop->in_flight() == 0; }));
  EXPECT_EQ(test::open_descriptors(), before + 1) << "the silent attempt is closed";
}

TEST_F(ConnectorFaults, WaitsForEachAddressWhenThereIsNoDelay) {  // S135
  open_listener("127.0.0.1");
  names.add("host", {"127.0.0.2", "127.0.0.1"});
  faults.set<&table::connect>(+[](int fd, const sockaddr* to, socklen_t size) noexcept {
    const auto host = ntohl(reinterpret_cast<const sockaddr_in*>(to)->sin_addr.s_addr);
    return host == 0x7f000002 ? -EINPROGRESS : test::sys::direct::connect(fd, to, size);
  });
  query.delay = std::nullopt;
  start({"host", port()});
  ASSERT_TRUE(run_until(*loop, [&] { return loop->in_flight() == 1; }));
  run_turns(*loop, 20);
  EXPECT_EQ(answer.times, 0);
  EXPECT_EQ(loop->timer_count(), 0u);
}

TEST_F(ConnectorFaults, ReportsANameThatIsUnknown) {
  ASSERT_TRUE(connect({"nowhere", 80}));
  EXPECT_EQ(code_of(answer.error), EAI_NONAME);
  open_listener("127.0.0.1");
  query.local = io::name_query{"nowhere", 0};
  ASSERT_TRUE(connect({"127.0.0.1", port()}));
  EXPECT_EQ(code_of(answer.error), EAI_NONAME);
}

TEST_F(ConnectorFaults, MayBeCancelledWhileTheResolverHangs) {  // S181, F22
  names.add("host", {"127.0.0.1"});
  names.hang();
  query.local = io::name_query{"host", 0};
  start({"host", 80});
  names.wait_for_hanging(2);
  run_turns(*loop, 2);
  connector->cancel();
  connector = {};
  names.let_go();
  run_turns(*loop, 5);
  EXPECT_EQ(answer.times, 0);
}

TEST_F(ConnectorFaults, LeavesNothingOpenWhicheverCallFails) {  // F3
  open_listener("127.0.0.1");
  names.add("host", {"127.0.0.1"});
  query.local = io::name_query{"127.0.0.1", 0};
  const std::size_t before = test::open_descriptors();
  const auto sweep = [&]<auto Member>(int error) {
    for (int n = 1; n <= 3; ++n) {
      faults.fail<Member>(error, n);
      ASSERT_TRUE(connect({"host", port()}));
      const bool failed = answer.error != nullptr;
      answer = {};
      faults.stop_failing<Member>();
      ASSERT_TRUE(run_until(*loop, [&] { return loop->in_flight() == 0; }));
      EXPECT_EQ(test::open_descriptors(), before);
      if (!failed) return;
    }
  };
  sweep.operator()<&table::socket>(EMFILE);
  sweep.operator()<&table::bind>(EADDRINUSE);
  sweep.operator()<&table::connect>(ENETUNREACH);
  sweep.operator()<&table::epoll_ctl>(ENOSPC);
  sweep.operator()<&table::setsockopt>(EINVAL);
}

}  // namespace
