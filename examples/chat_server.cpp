// SPDX-License-Identifier: BSL-1.0
// A chat of lines in rooms: /join ROOM, /nick NAME, /rooms, /who, /quit; every other line is said to the others in the room.
// Lines from the server begin with "* " (news) or "! " (refusals), lines of people with "NAME: ", their control characters
// escaped. A line over 64 KiB is refused. Slow readers stall nobody: see outbox in chat_hall.hpp.
// See: build/dev/bin/chat_server --port 8889 &  then  nc localhost 8889  in two terminals.
#include "chat_hall.hpp"
#include "support/printable.hpp"
#include "support/program.hpp"
#include "support/read_line.hpp"
#include "support/serving.hpp"

#include <asyncio/asyncio.hpp>

#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

using namespace std::chrono_literals;

/// Sends what the outbox gets until it is closed, then closes the connection.
asyncio::coroutine<> deliver(std::shared_ptr<client> me, asyncio::stream_writer writer) {
  try {
    while (true) {
      std::string text = co_await me->box.take();
      if (text.empty()) break;
      writer.write(std::move(text));
      co_await writer.drain();
    }
    co_await writer.aclose();
  } catch (const std::system_error&) {
    // The client is gone: its session reads the end of the stream.
  } catch (const asyncio::cancelled_error&) {
    writer.abort();
    throw;
  }
}

/// Does what one line asks for; false when the client wants to go.
bool obey(hall& rooms, client& me, std::string_view line) {
  std::string_view command = line.substr(0, line.find(' '));
  std::string word(line.substr(std::min(line.size(), command.size() + 1)));
  if (line.empty() || !line.starts_with('/')) {
    if (!line.empty()) rooms.tell_others(me, me.name + ": " + example::printable(line));
  } else if (command == "/quit") {
    me.box.put("* goodbye");
    return false;
  } else if (command == "/rooms") {
    me.box.put(rooms.list_rooms());
  } else if (command == "/who") {
    me.box.put(rooms.list_members(me.room));
  } else if (command != "/join" && command != "/nick") {
    me.box.put("! unknown command " + example::printable(command.substr(0, 64)));
  } else if (!hall::is_name(word)) {
    me.box.put("! " + std::string(command) + " needs a name of 1 to 32 letters, digits, '_' or '-'");
  } else if (command == "/join") {
    rooms.join(me, word);
    me.box.put("* you are in " + word);
  } else {
    me.box.put(rooms.rename(me, word) ? "* you are " + word : "! the name " + word + " is taken");
  }
  return true;
}

/// In the hall while it lives.
struct presence {
  presence(hall& rooms, client& who) : rooms(rooms), who(who) { rooms.enter(who); }
  ~presence() {
    rooms.leave(who);
    who.box.close();
  }
  hall& rooms;
  client& who;
};

asyncio::coroutine<> session(hall& rooms, example::server_settings settings, asyncio::stream_reader reader,
                             asyncio::stream_writer writer) {
  auto me = std::make_shared<client>();
  auto delivery = asyncio::create_task(deliver(me, std::move(writer)));
  {
    presence here(rooms, *me);
    me->box.put("* welcome, " + me->name + ": you are in " + me->room + "; /join ROOM /nick NAME /rooms /who /quit");
    for (bool stays = true; stays;) {
      try {
        std::optional<std::string> line = co_await asyncio::wait_for(example::read_line(reader), settings.idle_timeout);
        stays = line && obey(rooms, *me, *line);
      } catch (const std::length_error&) {
        me->box.put("! line over " + std::to_string(settings.line_limit) + " bytes refused");
      } catch (const asyncio::timeout_error&) {
        me->box.put("! silent for too long: goodbye");
        stays = false;
      }
      co_await asyncio::sleep(0s);  // a flood of lines must leave the deliveries their turns
    }
  }
  co_await asyncio::wait_for(delivery, 5s);  // what waits still goes out, if the client reads it
}

int main(int argc, char** argv) {
  example::server_settings settings;
  example::arguments args("chat_server", "A chat of lines in rooms.");
  example::parse_server_arguments(args, settings, argc, argv);

  hall rooms;
  auto handler = [&](asyncio::stream_reader reader, asyncio::stream_writer writer) {
    return session(rooms, settings, std::move(reader), std::move(writer));
  };
  return example::run_program("chat_server", settings.backend, [&] { return example::serve(settings, handler); });
}
