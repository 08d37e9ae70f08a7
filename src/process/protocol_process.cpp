// SPDX-License-Identifier: BSL-1.0
#include "process/protocol_process.hpp"

#include "process/process.hpp"

#include "coro/coro.hpp"
#include "io/pipe_end.hpp"
#include "io/transport.hpp"
#include "streams/protocol_calls.hpp"
#include "streams/waits.hpp"

#include <csignal>
#include <stdexcept>
#include <string>
#include <utility>

namespace asyncio {

subprocess_transport::~subprocess_transport() = default;
void subprocess_transport::terminate() { send_signal(SIGTERM); }
void subprocess_transport::kill() { send_signal(SIGKILL); }

namespace processes {

/// What the transport of one pipe tells, told to the child's protocol. It is called from start() to the pipe's end, and so
/// long its owner lives.
class protocol_process::pipe_end final : public asyncio::protocol {
 public:
  pipe_end(protocol_process& owner, int number) noexcept : owner_(owner), number_(number) {}

  void data_received(std::span<const std::byte> data) override {
    owner_.tell("subprocess_protocol.pipe_data_received() failed",
                [&](subprocess_protocol& p) { p.pipe_data_received(number_, data); });
  }
  void connection_lost(std::exception_ptr error) override { owner_.pipe_lost(number_, error); }
  void pause_writing() override {
    owner_.tell("subprocess_protocol.pause_writing() failed", [](subprocess_protocol& p) { p.pause_writing(); });
  }
  void resume_writing() override {
    owner_.tell("subprocess_protocol.resume_writing() failed", [](subprocess_protocol& p) { p.resume_writing(); });
  }

 private:
  protocol_process& owner_;
  const int number_;
};

protocol_process::protocol_process(loop::loop& l, std::shared_ptr<base_protocol> p, io::host_ptr host)
    : home_(l), child_(io::child::make(l)), host_(std::move(host)) {
  hook_.owner = this;
  hook_.on_close = &protocol_process::loop_closes;
  set_protocol(std::move(p));
}

protocol_process::~protocol_process() { child_->set_user(nullptr); }

void protocol_process::add_pipe(int number, io::unique_fd fd, io::host_ptr host) {
  const auto kind = number == 0 ? io::stream_kind::pipe_to_write : io::stream_kind::pipe_to_read;
  loop::loop& l = home_.get();
  io::ref<io::channel> channel = io::stream_transport::make_pipe(l, std::move(fd), kind);
  pipes_[static_cast<std::size_t>(number)] =
      io::protocol_transport::make(l, std::move(channel), std::make_shared<pipe_end>(*this, number), std::move(host));
}

void protocol_process::start(const kernel::spawn_request& request) {
  child_->start(request);
  try {
    if (pipes_[0] != nullptr) io::watch_reader(home_.get(), pipes_[0], io::pipe_end_kind::fifo);
  } catch (...) {
    child_->signal(SIGKILL);
    throw;
  }
  self_ = shared_from_this();
  home_.get().add_close_hook(hook_);
  child_->set_user(this);
  for (std::size_t i = 0; i < pipes_.size(); ++i) {
    if (pipes_[i] == nullptr) continue;
    ++open_pipes_;
    pipes_[i]->start(i != 0);
  }
  tell("subprocess_protocol.connection_made() failed", [this](subprocess_protocol& p) { p.connection_made(*this); });
}

void protocol_process::give_up() noexcept {
  for (const auto& pipe : pipes_)
    if (pipe != nullptr) pipe->abort();
}

/// A protocol may be exchanged, or let the last one go who shares it, in one of its own functions.
template <class F>
void protocol_process::tell(const char* failed, F f) noexcept {
  if (told_ == nullptr) return;
  const std::shared_ptr<base_protocol> alive = protocol_;
  const auto call = [&] { f(*told_); };
  if (std::exception_ptr error = host_->call(call); error != nullptr) host_->report(failed, std::move(error));
}

void protocol_process::child_ended() noexcept {
  const auto alive = shared_from_this();
  ended_ = true;
  tell("subprocess_protocol.process_exited() failed", [](subprocess_protocol& p) { p.process_exited(); });
  finish_if_over();
}

void protocol_process::pipe_lost(int number, const std::exception_ptr& error) noexcept {
  --open_pipes_;
  tell("subprocess_protocol.pipe_connection_lost() failed",
       [&](subprocess_protocol& p) { p.pipe_connection_lost(number, error); });
  finish_if_over();
}

void protocol_process::finish_if_over() noexcept {
  if (!ended_ || open_pipes_ > 0 || told_ == nullptr) return;
  const auto alive = std::move(self_);
  closing_ = true;
  home_.get().remove_close_hook(hook_);
  tell("subprocess_protocol.connection_lost() failed", [](subprocess_protocol& p) { p.connection_lost(nullptr); });
  over_ = true;
  told_ = nullptr;
  const auto last = std::move(protocol_);
}

// The loop is being closed: nobody is called any more, and a child that runs is left running.
void protocol_process::loop_closes(detail::close_hook* self) noexcept {
  protocol_process* me = static_cast<owned_hook*>(self)->owner;
  const auto alive = std::move(me->self_);
  me->closing_ = true;
  me->over_ = true;
  me->told_ = nullptr;
  me->child_->set_user(nullptr);
  const auto last = std::move(me->protocol_);
}

int protocol_process::get_pid() const {
  check_thread("subprocess_transport.get_pid()");
  return child_->pid();
}

std::optional<int> protocol_process::get_returncode() const {
  check_thread("subprocess_transport.get_returncode()");
  return child_->code();
}

std::shared_ptr<transport> protocol_process::get_pipe_transport(int fd) const {
  check_thread("subprocess_transport.get_pipe_transport()");
  if (fd < 0 || static_cast<std::size_t>(fd) >= pipes_.size()) return nullptr;
  return pipes_[static_cast<std::size_t>(fd)];
}

void protocol_process::send_signal(int number) {
  check_thread("subprocess_transport.send_signal()");
  processes::send_signal(*child_, number);
}

void protocol_process::close() {
  check_thread("subprocess_transport.close()");
  if (std::exchange(closing_, true)) return;
  if (pipes_[0] != nullptr) pipes_[0]->abort();  // who would read it is killed
  for (const auto& pipe : {pipes_[1], pipes_[2]})
    if (pipe != nullptr) pipe->close();
  child_->signal(SIGKILL);  // nothing, when it has ended
}

bool protocol_process::is_closing() const {
  check_thread("subprocess_transport.is_closing()");
  return closing_;
}

void protocol_process::set_protocol(std::shared_ptr<base_protocol> p) {
  auto* known = dynamic_cast<subprocess_protocol*>(p.get());
  if (known == nullptr) throw std::invalid_argument("the transport of a child process needs a subprocess_protocol");
  check_thread("subprocess_transport.set_protocol()");
  if (over_) return;
  std::swap(protocol_, p);
  told_ = known;
}

}  // namespace processes

namespace detail {

namespace {

/// What can fail comes before the child is there, but for the descriptor that watches its input: then it is killed.
std::shared_ptr<subprocess_transport> start(event_loop& loop, const protocol_factory_ptr& factory,
                                            processes::child_request r) {
  r.check();
  processes::wiring wires(r);
  const auto made = std::make_shared<processes::protocol_process>(
      loop::loop::of(loop.core()), factory->make(factory.get()), streams::make_host(loop, factory->variables));
  try {
    for (int number = 0; number < 3; ++number) {
      io::unique_fd& ours = wires.ours[static_cast<std::size_t>(number)];
      if (ours.get() >= 0) made->add_pipe(number, std::move(ours), streams::make_host(loop, factory->variables));
    }
    made->start(r.spawn);
  } catch (...) {
    made->give_up();
    throw;
  }
  return made;
}

// Others run before each child is started; a cancellation that comes until then starts none.
// NOLINTNEXTLINE(cppcoreguidelines-avoid-reference-coroutine-parameters): the loop that runs it
coroutine<std::shared_ptr<subprocess_transport>> spawn(event_loop& loop, protocol_factory_ptr factory,
                                                       processes::child_request r) {
  coro::check_awaited_in(loop.core(), "subprocess_exec()");
  co_await streams::turn_wait();
  co_return start(loop, factory, std::move(r));
}

}  // namespace

coroutine<std::shared_ptr<subprocess_transport>> spawn_protocol(event_loop& loop, protocol_factory_ptr factory,
                                                                command program, const subprocess_options& options) {
  return spawn(loop, std::move(factory), processes::child_request(std::move(program).argv(), options));
}

command shell(std::string_view text) { return command(processes::shell_command(text)); }

}  // namespace detail

}  // namespace asyncio
