// SPDX-License-Identifier: BSL-1.0
#include "process/process.hpp"

#include "streams/stream_core.hpp"

#include <asyncio/gather.hpp>

#include <cerrno>
#include <csignal>
#include <stdexcept>
#include <system_error>

namespace asyncio {

namespace processes {

io::ref<process_core> process_core::make(io::ref<io::child> child) {
  return io::ref<process_core>::adopt(new process_core(std::move(child)));
}

process_core::process_core(io::ref<io::child> child) noexcept : child_(std::move(child)) { child_->set_user(this); }
process_core::~process_core() { child_->set_user(nullptr); }

void process_core::child_ended() noexcept { end_line_.wake_all(); }

namespace {
stream_reader reader_of(const io::ref<io::channel>& channel, std::size_t limit) {
  return stream_reader::from_core(streams::stream_core::make(channel, limit).detach());
}
}  // namespace

void process_core::set_input(io::ref<io::channel> channel, std::size_t limit) {
  input.emplace(stream_writer::from_core(streams::stream_core::make(channel, limit).detach()));
  channels_[0] = std::move(channel);
}

void process_core::set_output(io::ref<io::channel> channel, std::size_t limit) {
  output.emplace(reader_of(channel, limit));
  channels_[1] = std::move(channel);
}

void process_core::set_errors(io::ref<io::channel> channel, std::size_t limit) {
  errors.emplace(reader_of(channel, limit));
  channels_[2] = std::move(channel);
}

void process_core::close_pipes() noexcept {
  for (const auto& channel : channels_)
    if (channel) channel->close();
}

void send_signal(io::child& child, int number) {
  if (const int error = child.signal(number); error != 0)
    throw io::os_error(error,
                       "cannot send signal " + std::to_string(number) + " to process " + std::to_string(child.pid()));
}

}  // namespace processes

namespace {

using processes::process_ref;

bool is_broken_pipe(const std::system_error& error) noexcept {
  return error.code().value() == EPIPE || error.code().value() == ECONNRESET;
}

coroutine<> feed(process_ref core, std::string input) {
  if (!core->input) co_return;
  stream_writer& writer = *core->input;
  try {
    co_await writer.write_all(std::move(input));
  } catch (const std::system_error& error) {
    if (!is_broken_pipe(error)) throw;
  }
  writer.close();
}

using output_of = std::optional<stream_reader> processes::process_core::*;

coroutine<> receive(process_ref core, output_of which) {
  const std::optional<stream_reader>& reader = (*core).*which;
  if (!reader) co_return;
  (void)reader->at_eof();  // throws when it was moved away
  co_await streams::receive_everything(streams::core_ref::share(reader->raw_core()), "process.communicate()");
}

std::string take_all(const std::optional<stream_reader>& reader) {
  return reader && reader->raw_core() != nullptr ? reader->raw_core()->input().take_all() : std::string();
}

coroutine<int> wait_for_end(process_ref core) {
  while (true) {
    if (const std::optional<int> code = core->child().code()) co_return *code;
    co_await core->wait_for_end();
  }
}

// What came is taken when all is over, so that a cancellation before that loses nothing.
coroutine<std::pair<std::string, std::string>> talk(process_ref core, std::string input) {
  co_await gather(feed(core, std::move(input)), receive(core, &processes::process_core::output),
                  receive(core, &processes::process_core::errors));
  co_await wait_for_end(core);
  std::string output = take_all(core->output);
  std::pair<std::string, std::string> both(std::move(output), take_all(core->errors));
  co_return both;
}

coroutine<> nothing() { co_return; }

// It ends with the child: a wait that is cancelled kills it and goes on, since the system keeps no killed child for long.
// One that may not be killed is left to itself.
coroutine<> end_after(process_ref core, std::exception_ptr error) {
  core->close_pipes();
  bool must_die = error != nullptr;
  std::exception_ptr interrupted;
  while (!core->child().code()) {
    if (must_die && core->child().signal(SIGKILL) != 0) break;
    try {
      co_await core->wait_for_end();
    } catch (...) {
      interrupted = std::current_exception();
      must_die = true;
    }
  }
  if (interrupted != nullptr) std::rethrow_exception(std::move(interrupted));
}

template <class Stream>
Stream& piped(std::optional<Stream>& stream, const char* call, const char* option) {
  if (!stream)
    throw std::runtime_error(std::string(call) + ": it is no pipe; ask for one with ." + option +
                             " = subprocess::pipe");
  return *stream;
}

}  // namespace

process& process::operator=(process&& other) noexcept {
  process taken(std::move(other));
  std::swap(core_, taken.core_);
  return *this;
}

process::~process() {
  if (core_ == nullptr) return;
  core_->close_pipes();
  core_->release();
}

processes::process_core& process::core(const char* call) const {
  if (core_ == nullptr) throw std::runtime_error(std::string(call) + ": the process was moved away");
  core_->check_thread(call);
  return *core_;
}

int process::pid() const { return core("process.pid()").child().pid(); }
std::optional<int> process::returncode() const { return core("process.returncode()").child().code(); }

stream_writer& process::stdin_pipe() const {
  return piped(core("process.stdin_pipe()").input, "process.stdin_pipe()", "in");
}
stream_reader& process::stdout_pipe() const {
  return piped(core("process.stdout_pipe()").output, "process.stdout_pipe()", "out");
}
stream_reader& process::stderr_pipe() const {
  return piped(core("process.stderr_pipe()").errors, "process.stderr_pipe()", "err");
}

coroutine<int> process::wait() { return wait_for_end(process_ref::share(&core("process.wait()"))); }

coroutine<std::pair<std::string, std::string>> process::communicate(bytes_view input) {
  return communicate_string(std::string(std::string_view(input)));
}

coroutine<std::pair<std::string, std::string>> process::communicate_string(std::string&& input) {
  return talk(process_ref::share(&core("process.communicate()")), std::move(input));
}

void process::terminate() { send_signal(SIGTERM); }
void process::kill() { send_signal(SIGKILL); }

void process::send_signal(int number) { processes::send_signal(core("process.send_signal()").child(), number); }

coroutine<> process::aenter() { return nothing(); }

coroutine<> process::aexit(std::exception_ptr error) {
  return end_after(process_ref::share(&core("process.aexit()")), std::move(error));
}

}  // namespace asyncio
