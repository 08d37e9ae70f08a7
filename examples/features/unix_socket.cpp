// SPDX-License-Identifier: BSL-1.0
// A daemon and its control socket: a path instead of a port, for programs of the same machine. A file that a killed daemon
// left at the path is replaced; the path of a living one is not; who ends removes its own.
// See: the second daemon is refused, and after the first one the folder is as empty as before.
#include <asyncio/asyncio.hpp>

#include <cstdio>
#include <filesystem>
#include <string>
#include <system_error>

#include <stdlib.h>
#include <unistd.h>

namespace fs = std::filesystem;

asyncio::coroutine<> obey(asyncio::stream_reader reader, asyncio::stream_writer writer) {
  while (auto line = co_await reader.next()) {
    std::string answer = *line == "status\n" ? "running\n" : "unknown: " + *line;
    co_await writer.write_all(answer);
  }
}

asyncio::coroutine<> ask(std::string path, std::string command) {
  auto [reader, writer] = co_await asyncio::open_unix_connection(path);
  writer.write(command + "\n");
  std::string answer = co_await reader.readline();
  std::printf("%s: %s", command.c_str(), answer.c_str());
  co_await writer.aclose();
}

asyncio::coroutine<> amain(std::string path) {
  {
    asyncio::server daemon = co_await asyncio::start_unix_server(obey, path);
    co_await ask(path, "status");
    co_await ask(path, "dance");
    try {
      asyncio::server second = co_await asyncio::start_unix_server(obey, path);
    } catch (const std::system_error& e) {
      std::printf("a second daemon: %s\n", e.code().message().c_str());
    }
    std::printf("the socket is there: %s\n", fs::exists(path) ? "yes" : "no");
  }
  std::printf("and afterwards: %s\n", fs::exists(path) ? "yes" : "no");

  // A name that begins with NUL needs no file.
  std::string name = std::string(1, '\0') + "unix-socket-example-" + std::to_string(getpid());
  asyncio::server daemon = co_await asyncio::start_unix_server(obey, name);
  co_await ask(name, "status");
}

int main() {
  std::string folder = (fs::temp_directory_path() / "unix-socket-XXXXXX").string();
  if (mkdtemp(folder.data()) == nullptr) return 1;
  asyncio::run(amain(folder + "/control"));
  fs::remove(folder);
}
