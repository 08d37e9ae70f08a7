// SPDX-License-Identifier: BSL-1.0
// Speaks RESP2, as Redis does: PING ECHO SET GET DEL EXISTS INCR EXPIRE TTL SUBSCRIBE UNSUBSCRIBE PUBLISH QUIT. Commands that
// come one behind the other (pipelined) are answered together, in their order; who does not read is not read from.
// One thread, one loop: commands are atomic, and there is nothing to lock.
// See: build/release/bin/redis_like --port 6379 &  then  redis-cli SET a 1, or redis-benchmark -t set,get -P 16
#include "redis_store.hpp"
#include "resp.hpp"
#include "support/printable.hpp"
#include "support/program.hpp"
#include "support/serving.hpp"

#include <asyncio/asyncio.hpp>

#include <cctype>
#include <chrono>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace resp = example::resp;
using idle_timeout = std::optional<asyncio::timedelta>;

constexpr std::size_t most_unsent = 64 * 1024;  // of replies, before the client has to read
constexpr std::int64_t latest_expiry = 9'000'000'000;

struct database {
  example::redis::store values;
  example::redis::channels channels;
};

/// One client, and what it may ask.
class session {
 public:
  session(database& data, asyncio::stream_writer& writer) : data_(data), writer_(writer) {}
  session(const session&) = delete;
  session& operator=(const session&) = delete;
  ~session() {
    for (const std::string& channel : subscribed_) data_.channels.unsubscribe(channel, &writer_);
  }

  bool wants_to_go() const noexcept { return quit_; }
  bool listens() const noexcept { return !subscribed_.empty(); }
  void send_away() noexcept { quit_ = true; }

  std::string obey(const resp::command& words) {
    std::string name = words[0];
    for (char& c : name) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    const auto found = known.find(name);
    if (found == known.end())
      return resp::error("unknown command '" + example::printable(words[0].substr(0, 64)) + "'");
    const entry& asked = found->second;
    if (words.size() < asked.least || words.size() > asked.most)
      return resp::error("wrong number of arguments for '" + name + "' command");
    if (!subscribed_.empty() && !asked.while_subscribed)
      return resp::error("'" + name + "' is not for a connection that listens to channels");
    return (this->*asked.run)(words);
  }

 private:
  struct entry {
    std::string (session::*run)(const resp::command&);
    std::size_t least, most;
    bool while_subscribed = false;
  };
  static const std::map<std::string, entry> known;

  std::string ping(const resp::command& words) {
    const std::string text = words.size() > 1 ? words[1] : "";
    if (!subscribed_.empty()) return resp::array(2) + resp::bulk("pong") + resp::bulk(text);
    return words.size() > 1 ? resp::bulk(text) : resp::simple("PONG");
  }
  std::string echo(const resp::command& words) { return resp::bulk(words[1]); }
  std::string set(const resp::command& words) {
    data_.values.set(words[1], words[2]);
    return resp::simple("OK");
  }
  std::string get(const resp::command& words) {
    const std::string* text = data_.values.find(words[1]);
    return text ? resp::bulk(*text) : std::string(resp::nothing);
  }
  std::string del(const resp::command& words) {
    std::int64_t erased = 0;
    for (std::size_t i = 1; i < words.size(); ++i) erased += data_.values.erase(words[i]);
    return resp::integer(erased);
  }
  std::string exists(const resp::command& words) {
    std::int64_t found = 0;
    for (std::size_t i = 1; i < words.size(); ++i) found += data_.values.find(words[i]) != nullptr;
    return resp::integer(found);
  }
  std::string incr(const resp::command& words) {
    const std::string* text = data_.values.find(words[1]);
    const auto n = text ? resp::to_number(*text) : 0;
    if (!n || *n == std::numeric_limits<std::int64_t>::max())
      return resp::error("value is not an integer or out of range");
    data_.values.at(words[1]) = std::to_string(*n + 1);
    return resp::integer(*n + 1);
  }
  std::string expire(const resp::command& words) {
    const auto seconds = resp::to_number(words[2]);
    if (!seconds) return resp::error("value is not an integer or out of range");
    if (*seconds > latest_expiry) return resp::error("invalid expire time in 'EXPIRE' command");
    return resp::integer(data_.values.expire(words[1], std::chrono::seconds(*seconds)));
  }
  std::string ttl(const resp::command& words) {
    if (data_.values.find(words[1]) == nullptr) return resp::integer(-2);
    const auto expiry = data_.values.expiry(words[1]);
    if (!expiry) return resp::integer(-1);
    const auto left = *expiry - asyncio::get_running_loop().time();
    return resp::integer(std::chrono::round<std::chrono::seconds>(left).count());
  }
  std::string subscribe(const resp::command& words) {
    std::string reply;
    for (std::size_t i = 1; i < words.size(); ++i) {
      subscribed_.insert(words[i]);
      data_.channels.subscribe(words[i], &writer_);
      reply += resp::array(3) + resp::bulk("subscribe") + resp::bulk(words[i]) + count();
    }
    return reply;
  }
  std::string unsubscribe(const resp::command& words) {
    std::vector<std::string> from(words.begin() + 1, words.end());
    if (from.empty()) from.assign(subscribed_.begin(), subscribed_.end());
    std::string reply;
    for (const std::string& channel : from) {
      subscribed_.erase(channel);
      data_.channels.unsubscribe(channel, &writer_);
      reply += resp::array(3) + resp::bulk("unsubscribe") + resp::bulk(channel) + count();
    }
    if (from.empty()) reply = resp::array(3) + resp::bulk("unsubscribe") + std::string(resp::nothing) + count();
    return reply;
  }
  std::string count() const { return resp::integer(static_cast<std::int64_t>(subscribed_.size())); }
  std::string publish(const resp::command& words) {
    const std::string message = resp::array(3) + resp::bulk("message") + resp::bulk(words[1]) + resp::bulk(words[2]);
    return resp::integer(static_cast<std::int64_t>(data_.channels.publish(words[1], message)));
  }
  std::string quit(const resp::command&) {
    quit_ = true;
    return resp::simple("OK");
  }
  /// Clients ask for the table of commands before they are asked for anything.
  std::string table(const resp::command&) { return resp::array(0); }

  database& data_;
  asyncio::stream_writer& writer_;
  std::set<std::string> subscribed_;
  bool quit_ = false;
};

constexpr std::size_t any_number = resp::parser::most_arguments;
const std::map<std::string, session::entry> session::known = {
    {"PING", {&session::ping, 1, 2, true}},
    {"ECHO", {&session::echo, 2, 2}},
    {"SET", {&session::set, 3, 3}},
    {"GET", {&session::get, 2, 2}},
    {"DEL", {&session::del, 2, any_number}},
    {"EXISTS", {&session::exists, 2, any_number}},
    {"INCR", {&session::incr, 2, 2}},
    {"EXPIRE", {&session::expire, 3, 3}},
    {"TTL", {&session::ttl, 2, 2}},
    {"SUBSCRIBE", {&session::subscribe, 2, any_number, true}},
    {"UNSUBSCRIBE", {&session::unsubscribe, 1, any_number, true}},
    {"PUBLISH", {&session::publish, 3, 3}},
    {"QUIT", {&session::quit, 1, any_number, true}},
    {"COMMAND", {&session::table, 1, any_number}},
};

/// Answers all commands that have arrived whole. A client that takes no reply for too long is silent.
asyncio::coroutine<> answer(session& client, resp::parser& arrived, asyncio::stream_writer& writer, idle_timeout idle) {
  try {
    while (!client.wants_to_go()) {
      const auto words = arrived.next();
      if (!words) break;
      writer.write(client.obey(*words));
      if (writer.get_write_buffer_size() > most_unsent) co_await asyncio::wait_for(writer.drain(), idle);
    }
  } catch (const resp::protocol_error& e) {
    writer.write(resp::error(std::string("Protocol error: ") + e.what()));
    client.send_away();
  }
  co_await asyncio::wait_for(writer.drain(), idle);
}

asyncio::coroutine<> serve_client(database& data, idle_timeout idle, asyncio::stream_reader reader,
                                  asyncio::stream_writer writer) {
  session client(data, writer);
  resp::parser arrived;
  try {
    while (!client.wants_to_go()) {
      const idle_timeout patience = client.listens() ? std::nullopt : idle;  // who listens need not speak
      const std::string bytes = co_await asyncio::wait_for(reader.read(64 * 1024), patience);
      if (bytes.empty()) break;
      arrived.feed(bytes);
      co_await answer(client, arrived, writer, idle);
    }
  } catch (const asyncio::timeout_error&) {
    writer.abort();
  }
}

int main(int argc, char** argv) {
  example::server_settings settings;
  example::arguments args("redis_like", "Keeps values and carries messages, for clients of Redis.");
  example::parse_server_arguments(args, settings, argc, argv);
  database data;
  auto handler = [&](asyncio::stream_reader reader, asyncio::stream_writer writer) {
    return serve_client(data, settings.idle_timeout, std::move(reader), std::move(writer));
  };
  return example::run_program("redis_like", settings.backend, [&] { return example::serve(settings, handler); });
}
