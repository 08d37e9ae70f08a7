// SPDX-License-Identifier: BSL-1.0
#include "streams/server_core.hpp"

#include "coro/coro.hpp"
#include "io/protocol_transport.hpp"
#include "io/transport.hpp"
#include "streams/protocol_calls.hpp"

#include <asyncio/errors.hpp>

#include <optional>
#include <stdexcept>

namespace asyncio::streams {

/// Kept while the connection is open or the task runs. The task is the handler's own coroutine; its end is heard as
/// everybody who waits for a task hears it, and taken note of in a turn of its own.
struct server_core::client final : stream_core::observer,
                                   io::transport_observer,
                                   io::handshake_user,
                                   detail::waiter,
                                   detail::op {
  io::ref<server_core> owner;
  core_ref core;
  task<> served;
  std::weak_ptr<io::protocol_transport>
      told;  // its protocol's, which may have TLS on top of the channel, or send a file
  bool open = true;
  bool running = false;
  client* prev_client = nullptr;
  client* next_client = nullptr;
  // What the handler is given: it takes them, or uses them here until it has ended.
  std::optional<connection> ends;

  void connection_lost() noexcept override {
    const io::ref<server_core> alive = owner;
    open = false;
    alive->connection_lost();
    alive->end_client(this);
  }
  void handshake_ended(std::exception_ptr error) noexcept override {
    if (error == nullptr)
      owner->serve(this);
    else if (owner->loop_->get_debug() && !owner->home_.get().closing())
      coro::report(owner->loop_, "Error on transport creation for incoming connection", error);
  }
  void close() noexcept {
    if (const auto transport = told.lock())
      transport->close();
    else
      core->channel()->close();
  }
  void abort() noexcept {
    if (const auto transport = told.lock())
      transport->end(nullptr);
    else
      core->channel()->abort();
  }
  static void task_ended(detail::waiter* self, detail::future_core*) noexcept {
    auto* c = static_cast<client*>(self);
    if (c->owner->home_.closed())
      c->take_note();
    else
      c->owner->home_.get().post(c);
  }
  void take_note() noexcept;
};

server_core::server_core(event_loop& loop, detail::client_callback_ptr handler, serve_options options) noexcept
    : loop_(&loop), home_(loop::loop::of(loop.core())), handler_(std::move(handler)), options_(std::move(options)) {
  loop_end_.owner = this;
  loop_end_.on_close = &server_core::loop_closes;
  home_.get().add_close_hook(loop_end_);
}

io::ref<server_core> server_core::make(event_loop& loop, detail::client_callback_ptr handler, bound_sockets bound,
                                       serve_options options) {
  auto core = io::ref<server_core>::adopt(new server_core(loop, std::move(handler), std::move(options)));
  core->file_ = std::move(bound.file);
  core->listeners_.reserve(bound.sockets.size());
  for (io::unique_fd& fd : bound.sockets)
    core->listeners_.push_back(io::listener::make(core->home_.get(), std::move(fd), *core));
  core->port_ = core->listeners_.front()->address().port();
  return core;
}

server_core::~server_core() {
  close();
  if (!home_.closed() && loop_end_.next != nullptr) home_.get().remove_close_hook(loop_end_);
}

void server_core::loop_closes(detail::close_hook* self) noexcept {
  const auto me = io::ref<server_core>::share(static_cast<loop_end*>(self)->owner);
  me->close();
  me->abort_clients();
}

void server_core::check_thread(const char* call) const { home_.box().check_thread(call); }

void server_core::start() {
  if (closed_) throw std::runtime_error("the server is closed");
  if (home_.closed()) throw std::runtime_error("the event loop is closed");
  for (const auto& l : listeners_) l->start(options_.backlog);
  port_ = listeners_.front()->address().port();
  serving_ = true;
}

void server_core::close() noexcept {
  if (closed_) return;
  closed_ = true;
  file_.remove();
  for (const auto& l : listeners_) l->close();
  if (home_.closed()) return;
  forever_.wake_all();
  changes_.wake_all();
}

std::vector<socket_address> server_core::sockets() const {
  std::vector<socket_address> all;
  if (closed_) return all;
  all.reserve(listeners_.size());
  for (const auto& l : listeners_) all.push_back(l->address());
  return all;
}

// ---- clients

void server_core::accepted(io::unique_fd fd, const socket_address& peer) noexcept {
  try {
    add_client(std::move(fd), peer);
  } catch (...) {
    coro::report(loop_, "cannot serve a client", std::current_exception());
  }
}

void server_core::accept_failed(int error, bool for_good) noexcept {
  coro::report(loop_,
               for_good ? "accept() failed; the server accepts no more clients"
                        : "accept() failed for want of system resources; accepting pauses",
               io::os_exception(error, "accept"));
}

void server_core::add_client(io::unique_fd fd, const socket_address& peer) {
  core_ref core = stream_core::make(io::stream_transport::make(home_.get(), std::move(fd), peer), options_.limit);
  auto* c = new client;
  c->owner = io::ref<server_core>::share(this);
  c->core = core;
  c->notify = &client::task_ended;
  c->done = [](detail::op* self) noexcept { static_cast<client*>(self)->take_note(); };
  if (clients_ != nullptr) clients_->prev_client = c;
  c->next_client = std::exchange(clients_, c);
  ++connections_;
  core->set_observer(c);
  throttle();
  if (options_.tls)
    begin_handshake(c);
  else
    serve(c);
}

void server_core::begin_handshake(client* c) noexcept {
  try {
    c->core->secure(*options_.tls, options_.secure)->set_handshake_user(c);
  } catch (...) {
    coro::report(loop_, "cannot serve a client", std::current_exception());
    c->core->channel()->abort();
  }
}

// Its channel goes to a protocol's transport, which tells of the loss from here on.
void server_core::serve_by_protocol(client* c) noexcept {
  try {
    auto* factory = static_cast<detail::protocol_factory*>(handler_.get());
    const auto made = io::protocol_transport::make(home_.get(), io::ref<io::channel>::share(c->core->channel()),
                                                   factory->make(factory), make_host(*loop_, factory->variables));
    c->core->set_observer(nullptr);
    made->set_observer(c);
    c->told = made;
    made->start();
  } catch (...) {
    coro::report(loop_, "cannot make a protocol for a client", std::current_exception());
    c->core->channel()->close();
  }
}

void server_core::serve(client* c) noexcept {
  if (handler_->makes_protocols) return serve_by_protocol(c);
  try {
    c->ends.emplace(stream_reader::from_core(core_ref(c->core).detach()),
                    stream_writer::from_core(core_ref(c->core).detach()));
    c->served =
        loop_->create_task(handler_->call(handler_.get(), std::move(c->ends->reader), std::move(c->ends->writer)));
    c->running = true;
  } catch (...) {
    report_failure(*c, std::current_exception());
    c->ends.reset();
    c->core->channel()->close();
    return;
  }
  detail::future_core* task = c->served.raw_core().get();
  if (task->is_done())
    client::task_ended(c, task);
  else
    task->add_waiter(c);
}

// The handler has ended: by itself, by an exception, or cancelled.
void server_core::client::take_note() noexcept {
  const io::ref<server_core> alive = owner;
  running = false;
  ends.reset();
  detail::future_core* task = served.raw_core().get();
  if (task->state == detail::future_state::cancelled) {
    core->channel()->close();
  } else if (task->error != nullptr) {
    task->retrieved = true;
    alive->report_failure(*this, task->error);
    core->channel()->close();
  }
  alive->end_client(this);
}

void server_core::report_failure(const client& c, const std::exception_ptr& error) noexcept {
  try {
    std::rethrow_exception(error);
  } catch (const keyboard_interrupt&) {
    return;  // on its way out of the loop
  } catch (...) {
    coro::report(loop_, "Unhandled exception in client_connected_cb", error,
                 c.served ? any_task(c.served) : any_task());
  }
}

void server_core::connection_lost() noexcept {
  --connections_;
  throttle();
  changes_.wake_all();
}

void server_core::end_client(client* c) noexcept {
  if (c->open || c->running) return;
  (c->prev_client != nullptr ? c->prev_client->next_client : clients_) = c->next_client;
  if (c->next_client != nullptr) c->next_client->prev_client = c->prev_client;
  changes_.wake_all();
  delete c;
}

void server_core::throttle() noexcept {
  const bool full = options_.max_connections != 0 && connections_ >= options_.max_connections;
  if (full == throttled_) return;
  throttled_ = full;
  for (const auto& l : listeners_) full ? l->pause() : l->resume();
}

void server_core::close_clients() noexcept {
  for (client* c = clients_; c != nullptr; c = c->next_client) c->close();
}

void server_core::abort_clients() noexcept {
  for (client* c = clients_; c != nullptr; c = c->next_client) c->abort();
}

void server_core::cancel_clients() {
  for (client* c = clients_; c != nullptr; c = c->next_client)
    if (c->running) c->served.cancel();
}

}  // namespace asyncio::streams
