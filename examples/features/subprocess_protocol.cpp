// SPDX-License-Identifier: BSL-1.0
// A child process by callbacks: a protocol hears of its output as it comes, of its end, and of the end of its pipes.
// See: what was said on which pipe, the order of the events, and a child that is closed while it runs.
#include <asyncio/asyncio.hpp>

#include <cstddef>
#include <cstdio>
#include <memory>
#include <span>
#include <string>

class calculator : public asyncio::subprocess_protocol {
 public:
  void connection_made(asyncio::subprocess_transport& t) override { child_ = &t; }
  void pipe_data_received(int fd, std::span<const std::byte> data) override {
    (fd == 1 ? output : errors).append(reinterpret_cast<const char*>(data.data()), data.size());
  }
  void process_exited() override { std::printf("it ended with %d\n", child_->get_returncode().value_or(0)); }
  void connection_lost(std::exception_ptr) override { over.set(); }

  std::string output, errors;
  asyncio::event over;

 private:
  asyncio::subprocess_transport* child_ = nullptr;
};

constexpr asyncio::subprocess_options pipes{
    .in = asyncio::subprocess::pipe, .out = asyncio::subprocess::pipe, .err = asyncio::subprocess::pipe};

asyncio::coroutine<> amain() {
  asyncio::event_loop& loop = asyncio::get_running_loop();
  auto make = [] { return std::make_shared<calculator>(); };
  {
    auto [child, heard] =
        co_await loop.subprocess_shell(make, "read a b; echo $((a * b)); echo 'that was easy' >&2; exit 4", pipes);
    child->get_pipe_transport(0)->write("6 7\n");
    co_await heard->over.wait();
    std::printf("output: %serrors: %s", heard->output.c_str(), heard->errors.c_str());
  }
  auto [child, heard] = co_await loop.subprocess_exec(make, asyncio::command("cat"), pipes);
  child->close();  // kills it
  co_await heard->over.wait();
}

int main() { asyncio::run(amain()); }
