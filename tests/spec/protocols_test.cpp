// SPDX-License-Identifier: BSL-1.0
// transports.hpp, protocols.hpp: a transport and its protocol, on one end of a pair of sockets.
#include "spec/protocols_test.hpp"

#include <fstream>
#include <functional>
#include <thread>

namespace asyncio::spec {
namespace {

// S159
TEST(Protocols, are_told_in_order_that_it_is_made_what_comes_its_end_and_the_loss) {
  testing::run([]() -> coroutine<> {
    auto on = co_await on_pair();
    EXPECT_EQ(on.p->seen, lines{"made"}) << "before the creator goes on";
    put(on.peer(), "hello");
    co_await until([&] { return !on.p->received.empty(); });
    put(on.peer(), "again");
    on.sockets->close_b();
    co_await until([&] { return on.p->lost; });
    EXPECT_EQ(on.p->seen, (lines{"made", "data hello", "data again", "eof", "lost nothing"}));
    co_await quiet();
    EXPECT_EQ(on.p->seen.size(), 5u) << "and nothing afterwards";
    EXPECT_EQ(on.t->get_protocol(), nullptr);
  });
}

// S159, S168
TEST(Protocols, that_pause_reading_when_they_are_made_get_nothing_until_they_resume) {
  testing::run([]() -> coroutine<> {
    auto p = std::make_shared<recorder>();
    p->during = [](recorder& me, const std::string& what) {
      if (what == "made") me.through->pause_reading();
    };
    auto on = co_await on_pair(p);
    put(on.peer(), "early");
    on.sockets->close_b();
    co_await quiet();
    EXPECT_EQ(p->seen, lines{"made"});
    EXPECT_FALSE(on.t->is_reading());
    on.t->pause_reading();
    on.t->resume_reading();
    on.t->resume_reading();
    EXPECT_TRUE(on.t->is_reading());
    co_await until([&] { return p->lost; });
    EXPECT_EQ(p->seen, (lines{"made", "data early", "eof", "lost nothing"}));
  });
}

// S168: what was asked for before the pause is held back, its end too
TEST(Protocols, that_pause_while_bytes_are_on_their_way_get_them_later) {
  testing::run([]() -> coroutine<> {
    auto on = co_await on_pair();
    co_await quiet();
    put(on.peer(), "one");
    on.t->pause_reading();
    co_await quiet();
    EXPECT_EQ(on.p->received, "");
    on.t->resume_reading();
    co_await until([&] { return on.p->received == "one"; });
    co_await quiet();
    on.sockets->close_b();
    on.t->pause_reading();
    co_await quiet();
    EXPECT_EQ(on.p->seen.back(), "data one");
    on.t->resume_reading();
    EXPECT_EQ(on.p->seen.back(), "data one") << "nothing comes from inside a call";
    co_await until([&] { return on.p->lost; });
    EXPECT_EQ(on.p->seen, (lines{"made", "data one", "eof", "lost nothing"}));
  });
}

// S160
TEST(Protocols, what_is_written_goes_out_in_order_and_nothing_is_nothing) {
  testing::run([]() -> coroutine<> {
    auto on = co_await on_pair();
    on.t->write("one ");
    on.t->write("");
    on.t->writelines(lines{"two ", "three"});
    EXPECT_EQ(on.t->get_write_buffer_size(), 13u);
    co_await quiet();
    EXPECT_EQ(taken_from(on.peer()), "one two three");
    EXPECT_EQ(on.t->get_write_buffer_size(), 0u);
    std::string changed = "as it was";
    on.t->write(changed);
    changed.assign("changed now");
    co_await quiet();
    EXPECT_EQ(taken_from(on.peer()), "as it was");  // S161: a copy
  });
}

// S160, S167
TEST(Protocols, write_eof_ends_one_direction_after_what_is_buffered) {
  testing::run([]() -> coroutine<> {
    auto on = co_await on_pair();
    EXPECT_TRUE(on.t->can_write_eof());
    on.t->write("last");
    on.t->write_eof();
    on.t->write_eof();
    EXPECT_EQ(thrown_by([&] { on.t->write("more"); }), "runtime_error(cannot call write() after write_eof())");
    co_await quiet();
    EXPECT_EQ(taken_from(on.peer()), "last");
    char byte = 0;
    EXPECT_EQ(::recv(on.peer(), &byte, 1, MSG_DONTWAIT), 0);
    put(on.peer(), "answer");
    co_await until([&] { return on.p->received == "answer"; });
    on.t->close();
    on.t->write_eof();  // of no effect
    co_await until([&] { return on.p->lost; });
  });
}

// S162
TEST(Protocols, writes_after_the_end_are_ignored_and_the_log_hears_of_the_fifth) {
  testing::run([]() -> coroutine<> {
    auto on = co_await on_pair();
    log_watch log;
    on.t->close();
    for (int i = 0; i < 10; ++i) on.t->write("x");
    co_await until([&] { return on.p->lost; });
    EXPECT_EQ(taken_from(on.peer()), "");
    EXPECT_EQ(log.taken().size(), 0u);
    for (int i = 0; i < 6; ++i) on.t->write("x");
    EXPECT_EQ(log.taken().size(), 2u);
    on.t->writelines(lines{"y"});
    EXPECT_EQ(log.taken(), lines{"written to a transport whose connection is lost"});
  });
}

// S163
TEST(Protocols, are_paused_once_above_the_high_mark_and_resumed_once_at_the_low_one) {
  testing::run([]() -> coroutine<> {
    auto on = co_await on_pair();
    EXPECT_EQ(on.t->get_write_buffer_limits(), (std::pair<std::size_t, std::size_t>(16 * 1024, 64 * 1024)));
    fill(on.t->fileno());
    on.t->write(std::string(64 * 1024, 'a'));
    EXPECT_EQ(on.p->seen, lines{"made"}) << "at the mark is not above it";
    on.t->write("b");
    on.t->write("c");
    EXPECT_EQ(on.p->seen, (lines{"made", "pause"}));
    while (on.p->seen.size() == 2) {
      (void)taken_from(on.peer());
      co_await sleep(0s);
    }
    EXPECT_EQ(on.p->seen, (lines{"made", "pause", "resume"}));
    EXPECT_LE(on.t->get_write_buffer_size(), 16u * 1024);
    EXPECT_EQ(thrown_by([&] { on.t->set_write_buffer_limits(1, 2); }), "invalid_argument");
    on.t->set_write_buffer_limits(0);
    EXPECT_EQ(on.t->get_write_buffer_limits(), (std::pair<std::size_t, std::size_t>(0, 0)));
    on.t->write("d");
    EXPECT_EQ(on.p->seen.back(), "pause");
    co_await until([&] { return on.p->seen.back() == "resume"; });
  });
}

// S164
TEST(Protocols, may_write_when_they_are_resumed_even_while_the_transport_closes) {
  testing::run([]() -> coroutine<> {
    auto p = std::make_shared<recorder>();
    p->during = [](recorder& me, const std::string& what) {
      if (what == "resume") me.through->write("kept back");
    };
    auto on = co_await on_pair(p);
    const std::string before = fill(on.t->fileno());
    on.t->write(std::string(100'000, 'x'));
    on.t->close();
    std::string all;
    while (!p->lost) {
      all += taken_from(on.peer());
      co_await sleep(0s);
    }
    all += taken_from(on.peer());
    EXPECT_EQ(all.size(), before.size() + 100'009);
    EXPECT_TRUE(all.ends_with("kept back"));
    EXPECT_EQ(p->seen, (lines{"made", "pause", "resume", "lost nothing"}));
  });
}

// S165
TEST(Protocols, close_sends_what_is_buffered_and_abort_does_not) {
  testing::run([]() -> coroutine<> {
    for (const bool abort : {false, true}) {
      auto on = co_await on_pair();
      const std::size_t before = fill(on.t->fileno()).size();
      on.t->write(std::string(1000, 'x'));
      abort ? on.t->abort() : on.t->close();
      abort ? on.t->abort() : on.t->close();
      EXPECT_TRUE(on.t->is_closing());
      EXPECT_FALSE(on.t->is_reading());
      EXPECT_EQ(on.p->seen, lines{"made"}) << "not from inside the call";
      std::size_t size = 0;
      while (!on.p->lost) {
        if (!abort) size += taken_from(on.peer()).size();
        co_await sleep(0s);
      }
      size += taken_from(on.peer()).size();
      EXPECT_EQ(size, before + (abort ? 0 : 1000));
      EXPECT_EQ(on.p->seen, (lines{"made", "lost nothing"}));
      EXPECT_EQ(on.t->fileno(), -1);
    }
  });
}

// S166
TEST(Protocols, the_answer_of_eof_received_keeps_the_other_direction_open) {
  testing::run([]() -> coroutine<> {
    auto p = std::make_shared<recorder>();
    p->stays_open = true;
    auto on = co_await on_pair(p);
    ::shutdown(on.peer(), SHUT_WR);
    co_await until([&] { return p->seen.back() == "eof"; });
    co_await quiet();
    EXPECT_FALSE(on.t->is_closing());
    on.t->write("still here");
    co_await quiet();
    EXPECT_EQ(taken_from(on.peer()), "still here");
    on.t->close();
    co_await until([&] { return p->lost; });
    EXPECT_EQ(p->seen, (lines{"made", "eof", "lost nothing"}));
  });
}

// S169
TEST(Protocols, an_exception_of_theirs_ends_the_connection_and_is_reported) {
  testing::run([]() -> coroutine<> {
    for (const std::string where : {"made", "data", "eof"}) {
      reports told;
      auto p = std::make_shared<recorder>();
      p->during = [where](recorder&, const std::string& what) {
        if (what == where) throw std::runtime_error("no");
      };
      auto on = co_await on_pair(p);
      if (where != "made") put(on.peer(), "x");
      if (where == "eof") on.sockets->close_b();
      co_await until([&] { return p->lost; });
      EXPECT_EQ(p->seen.back(), "lost runtime_error(no)");
      EXPECT_EQ(told.all.size(), 1u);
      EXPECT_TRUE(contains(told.all.at(0), "failed") && contains(told.all.at(0), "(no)")) << told.all.at(0);
      EXPECT_EQ(on.t->fileno(), -1);
    }
  });
}

TEST(Protocols, an_exception_of_the_other_callbacks_is_reported_and_ends_nothing) {
  testing::run([]() -> coroutine<> {
    reports told;
    auto p = std::make_shared<recorder>();
    p->during = [](recorder&, const std::string& what) {
      if (what == "pause" || what == "resume" || what == "lost") throw std::runtime_error(what);
    };
    auto on = co_await on_pair(p);
    fill(on.t->fileno());
    on.t->write(std::string(100'000, 'x'));
    while (p->seen.back() != "resume") {
      (void)taken_from(on.peer());
      co_await sleep(0s);
    }
    on.t->close();
    co_await until([&] { return p->lost; });
    EXPECT_EQ(told.all, (lines{"protocol.pause_writing() failed: runtime_error(pause)",
                               "protocol.resume_writing() failed: runtime_error(resume)",
                               "protocol.connection_lost() failed: runtime_error(lost)"}));
  });
}

// S170
TEST(Protocols, an_error_of_the_connection_goes_to_connection_lost_and_is_not_reported) {
  testing::run([]() -> coroutine<> {
    reports told;
    const listening_socket listener;
    auto p = std::make_shared<recorder>();
    auto factory = [p] { return p; };
    auto [t, made] = co_await get_running_loop().create_connection(factory, "127.0.0.1", listener.address.port());
    const int accepted = ::accept(listener.fd, nullptr, nullptr);
    const linger reset{1, 0};
    ::setsockopt(accepted, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    ::close(accepted);
    co_await until([&] { return p->lost; });
    EXPECT_EQ(p->seen, (lines{"made", "lost errno " + std::to_string(ECONNRESET)}));
    EXPECT_EQ(told.all, lines());
  });
}

// S171
TEST(Protocols, one_that_gets_much_lets_others_run_in_between) {
  testing::run([]() -> coroutine<> {
    auto on = co_await on_pair();
    std::size_t most_in_a_turn = 0, last = 0;
    std::string sent;
    for (int i = 0; i < 400; ++i) {
      sent += fill(on.peer());
      co_await sleep(0s);
      most_in_a_turn = std::max(most_in_a_turn, on.p->received.size() - last);
      last = on.p->received.size();
    }
    co_await until([&] { return on.p->received.size() == sent.size(); });
    EXPECT_GT(sent.size(), 1'000'000u);
    EXPECT_LE(most_in_a_turn, 512u * 1024);  // a completion, and a turn's worth
  });
}

// S172
TEST(BufferedProtocols, get_bytes_into_their_own_memory_piece_by_piece) {
  testing::run([]() -> coroutine<> {
    auto on = co_await on_pair(std::make_shared<buffered_recorder>(8));
    put(on.peer(), "twenty-one bytes here");
    co_await until([&] { return on.p->received.size() == 21; });
    EXPECT_EQ(on.p->received, "twenty-one bytes here");
    EXPECT_EQ(on.p->updates, 3);
    on.sockets->close_b();
    co_await until([&] { return on.p->lost; });
    EXPECT_EQ(on.p->seen, (lines{"made", "eof", "lost nothing"}));
  });
}

TEST(BufferedProtocols, get_much_without_a_hole) {
  testing::run([]() -> coroutine<> {
    auto on = co_await on_pair(std::make_shared<buffered_recorder>(100'000));
    std::string sent;
    for (int i = 0; i < 60; ++i) {
      std::string block(65'536, static_cast<char>('a' + i % 26));
      std::size_t done = 0;
      while (done < block.size()) {
        const ssize_t n = ::send(on.peer(), block.data() + done, block.size() - done, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n > 0) done += static_cast<std::size_t>(n);
        co_await sleep(0s);
      }
      sent += block;
    }
    on.sockets->close_b();
    co_await until([&] { return on.p->lost; });
    EXPECT_TRUE(on.p->received == sent) << on.p->received.size();
  });
}

// S169, S172
TEST(BufferedProtocols, an_exception_or_an_empty_buffer_ends_the_connection) {
  testing::run([]() -> coroutine<> {
    for (const std::string where : {"get_buffer", "updated", "empty"}) {
      reports told;
      auto p = std::make_shared<buffered_recorder>(where == "empty" ? 0 : 8);
      p->during = [where](buffered_recorder&, const std::string& what) {
        if (what == where) throw std::runtime_error("no");
      };
      auto on = co_await on_pair(p);
      put(on.peer(), "more than eight bytes");
      co_await until([&] { return p->lost; });
      EXPECT_EQ(p->seen.back(), where == "empty" ? "lost runtime_error(get_buffer() returned an empty buffer)"
                                                 : "lost runtime_error(no)");
      EXPECT_EQ(told.all.size(), 1u);
    }
  });
}

// S168, S172
TEST(BufferedProtocols, that_pause_in_the_middle_get_the_rest_later) {
  testing::run([]() -> coroutine<> {
    auto p = std::make_shared<buffered_recorder>(4);
    p->during = [](buffered_recorder& me, const std::string& what) {
      if (what == "updated" && me.updates == 1) me.through->pause_reading();
    };
    auto on = co_await on_pair(p);
    put(on.peer(), "12345678");
    co_await until([&] { return p->updates == 1; });
    co_await quiet();
    EXPECT_EQ(p->received, "1234");
    on.t->resume_reading();
    co_await until([&] { return p->received == "12345678"; });
  });
}

// S172
TEST(Protocols, may_be_exchanged_on_the_fly_for_one_of_the_other_kind) {
  testing::run([]() -> coroutine<> {
    auto second = std::make_shared<buffered_recorder>(4);
    auto on = co_await on_pair();
    on.p->during = [second](recorder& me, const std::string& what) {
      if (what == "data") me.through->set_protocol(second);
    };
    EXPECT_EQ(on.t->get_protocol(), on.p);
    put(on.peer(), "for the first");
    co_await until([&] { return !on.p->received.empty(); });
    put(on.peer(), "for the second");
    co_await until([&] { return second->received == "for the second"; });
    EXPECT_EQ(second->seen, lines()) << "connection_made() is not called again";
    EXPECT_EQ(on.t->get_protocol(), second);
    on.t->set_protocol(on.p);
    EXPECT_EQ(thrown_by([&] { on.t->set_protocol(nullptr); }), "invalid_argument");
    EXPECT_EQ(thrown_by([&] { on.t->set_protocol(std::make_shared<datagram_protocol>()); }), "invalid_argument");
    on.t->close();
    co_await until([&] { return on.p->lost; });
    EXPECT_FALSE(second->lost);
  });
}

TEST(Protocols, one_that_nobody_else_has_may_exchange_itself) {
  testing::run([]() -> coroutine<> {
    auto on = co_await on_pair();
    auto second = std::make_shared<recorder>();
    on.p->during = [second](recorder& me, const std::string& what) {
      if (what != "data") return;
      me.through->set_protocol(second);
      me.received += "!";  // it is still there
    };
    const std::weak_ptr<recorder> first = on.p;
    on.p.reset();
    put(on.peer(), "x");
    co_await until([&] { return first.expired(); });
    on.t->close();
    co_await until([&] { return second->lost; });
  });
}

// S174
TEST(Protocols, none_comes_after_the_loss) {
  testing::run([]() -> coroutine<> {
    auto on = co_await on_pair();
    on.t->abort();
    co_await until([&] { return on.p->lost; });
    on.t->set_protocol(std::make_shared<recorder>());
    EXPECT_EQ(on.t->get_protocol(), nullptr);
  });
}

TEST(Protocols, add_reader_refuses_a_transports_descriptor) {
  testing::run([]() -> coroutine<> {
    auto on = co_await on_pair();
    int error = 0;
    try {
      get_running_loop().add_reader(on.t->fileno(), [] {});
    } catch (const std::system_error& e) {
      error = e.code().value();
    }
    EXPECT_EQ(error, EBUSY);
  });
}

// S175
TEST(Protocols, a_transport_that_nobody_holds_lives_until_its_end_and_then_goes) {
  testing::run([]() -> coroutine<> {
    auto on = co_await on_pair();
    const std::weak_ptr<transport> transport = on.t;
    const std::weak_ptr<recorder> protocol = on.p;
    on.t.reset();
    on.p.reset();
    put(on.peer(), "x");
    co_await until([&] { return protocol.lock()->received == "x"; });
    on.sockets->close_b();
    co_await until([&] { return transport.expired() && protocol.expired(); });
  });
}

struct keeper : recorder {
  std::shared_ptr<transport> kept;
};

TEST(Protocols, one_that_holds_its_transport_is_gone_with_it_all_the_same) {
  std::weak_ptr<keeper> protocol;
  testing::run([&]() -> coroutine<> {
    auto on = co_await on_pair(std::make_shared<keeper>());
    on.p->kept = on.t;
    protocol = on.p;
    on.t->close();
    co_await until([&] { return on.p->lost; });
    on.p->kept.reset();
  });
  EXPECT_TRUE(protocol.expired());
}

TEST(Protocols, whose_loop_is_closed_are_not_called_any_more_and_go) {
  std::weak_ptr<recorder> protocol;
  lines seen;
  auto leave = [&]() -> coroutine<> {
    auto on = co_await on_pair();
    protocol = on.p;
    on.p->during = [&seen](recorder&, const std::string& what) { seen.push_back(what); };
    fill(on.t->fileno());
    on.t->write(std::string(1000, 'x'));
  };
  testing::run(leave);
  EXPECT_TRUE(protocol.expired());
  EXPECT_EQ(seen, lines());
}

// S179
TEST(Protocols, are_called_in_the_context_that_made_them) {
  static context_var<std::string> who{"who", "nobody"};
  testing::run([]() -> coroutine<> {
    lines seen;
    auto p = std::make_shared<recorder>();
    p->during = [&seen](recorder&, const std::string& what) {
      seen.push_back(what + " " + who.get());
      who.set("of a callback");  // seen by no other
    };
    who.set("creator");
    auto on = co_await on_pair(p);
    who.set("another");
    put(on.peer(), "x");
    co_await until([&] { return seen.size() == 2; });
    on.t->close();
    co_await until([&] { return p->lost; });
    EXPECT_EQ(seen, (lines{"made creator", "data creator", "lost creator"}));
    EXPECT_EQ(who.get(), "another");
  });
}

TEST(Protocols, a_transport_belongs_to_its_thread) {
  testing::run([]() -> coroutine<> {
    auto on = co_await on_pair();
    lines thrown;
    std::thread([&] {
      thrown.push_back(thrown_by([&] { on.t->write("x"); }));
      thrown.push_back(thrown_by([&] { on.t->close(); }));
      thrown.push_back(thrown_by([&] { on.t->pause_reading(); }));
    }).join();
    EXPECT_TRUE(contains(thrown.at(0), "transport.write()")) << thrown.at(0);
    EXPECT_TRUE(contains(thrown.at(1), "transport.close()")) << thrown.at(1);
    EXPECT_TRUE(contains(thrown.at(2), "transport.pause_reading()")) << thrown.at(2);
  });
}

}  // namespace
}  // namespace asyncio::spec
