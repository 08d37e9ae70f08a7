// SPDX-License-Identifier: BSL-1.0
#include "io/protocol_transport.hpp"

#include "base/log.hpp"
#include "io/address.hpp"
#include "io/water_marks.hpp"

#include <algorithm>
#include <cstring>
#include <new>
#include <stdexcept>

namespace asyncio {

transport::~transport() = default;
datagram_transport::~datagram_transport() = default;

}  // namespace asyncio

namespace asyncio::io {

namespace {

constexpr std::size_t most_a_turn = 256 * 1024;
constexpr std::size_t much = 64 * 1024;  // who gets so much at a time had better read into its own memory
constexpr unsigned quiet_writes_after_loss = 5;

std::span<const std::byte> bytes_of(std::string_view text) noexcept {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}

}  // namespace

// A protocol may be exchanged, or let the last one go who shares it, in one of its own functions.
template <class F>
std::exception_ptr protocol_transport::call(F f) noexcept {
  const std::shared_ptr<base_protocol> alive = protocol_;
  return host_->call(std::move(f));
}

template <class F>
void protocol_transport::call_reporting(F f, const char* message) noexcept {
  if (std::exception_ptr error = call(std::move(f)); error != nullptr) host_->report(message, std::move(error));
}

// A protocol that shares its transport would keep itself alive.
void protocol_transport::forget_protocol() noexcept {
  const std::shared_ptr<base_protocol> last = std::move(protocol_);
  plain_ = nullptr;
  buffered_ = nullptr;
}

protocol_transport::protocol_transport(loop::loop& l, ref<channel> c, host_ptr host) noexcept
    : home_(l),
      channel_(std::move(c)),
      host_(std::move(host)),
      high_(water_marks::default_high),
      low_(water_marks::default_high / 4) {
  begin_.owner = pump_.owner = hook_.owner = this;
  begin_.done = &protocol_transport::begin;
  pump_.done = &protocol_transport::pump_turn;
  hook_.on_close = &protocol_transport::loop_closes;
}

protocol_transport::~protocol_transport() { channel_->set_user(nullptr); }

std::shared_ptr<protocol_transport> protocol_transport::make(loop::loop& l, ref<channel> c,
                                                             std::shared_ptr<base_protocol> p, host_ptr host) {
  auto made = std::make_shared<protocol_transport>(l, std::move(c), std::move(host));
  made->set_protocol(std::move(p));
  return made;
}

void protocol_transport::start(bool reads) {
  reads_ = reads;
  self_ = begin_self_ = weak_from_this().lock();
  channel_->set_user(this);
  home_.get().add_close_hook(hook_);
  home_.get().post(&begin_);
}

void protocol_transport::begin(detail::op* self) noexcept {
  protocol_transport* me = static_cast<owned<detail::op>*>(self)->owner;
  const auto alive = std::move(me->begin_self_);
  if (me->lost_) return;
  std::exception_ptr error = me->call([me] {
    if (me->plain_ != nullptr)
      me->plain_->connection_made(*me);
    else
      me->buffered_->connection_made(*me);
  });
  if (error != nullptr) return me->fatal("protocol.connection_made() failed; the connection is closed", error);
  me->pump();
}

// The loop is being closed: nobody is called any more.
void protocol_transport::loop_closes(detail::close_hook* self) noexcept {
  protocol_transport* me = static_cast<owned<detail::close_hook>*>(self)->owner;
  const auto alive = me->weak_from_this().lock();
  me->lost_ = true;
  me->channel_->set_user(nullptr);
  me->channel_->abort();
  me->when_empty_ = nullptr;
  me->forget_protocol();
  if (transport_observer* o = std::exchange(me->observer_, nullptr)) o->connection_lost();
  me->self_.reset();
}

void protocol_transport::set_protocol(std::shared_ptr<base_protocol> p) {
  auto* plain = dynamic_cast<asyncio::protocol*>(p.get());
  auto* buffered = plain != nullptr ? nullptr : dynamic_cast<buffered_protocol*>(p.get());
  if (plain == nullptr && buffered == nullptr)
    throw std::invalid_argument("a stream transport needs a protocol or a buffered_protocol");
  check_thread("transport.set_protocol()");
  if (lost_) return;
  std::swap(protocol_, p);
  plain_ = plain;
  buffered_ = buffered;
}

// ---- reading

void protocol_transport::pause_reading() {
  check_thread("transport.pause_reading()");
  paused_ = true;
}

void protocol_transport::resume_reading() {
  check_thread("transport.resume_reading()");
  if (!std::exchange(paused_, false)) return;
  schedule_pump();
}

bool protocol_transport::is_reading() const {
  check_thread("transport.is_reading()");
  return !paused_ && !lost_ && !channel_->closing();
}

void protocol_transport::schedule_pump() noexcept {
  if (pump_self_ != nullptr || !reads_ || lost_ || home_.closed()) return;
  pump_self_ = weak_from_this().lock();
  home_.get().post(&pump_);
}

void protocol_transport::pump_turn(detail::op* self) noexcept {
  protocol_transport* me = static_cast<owned<detail::op>*>(self)->owner;
  const auto alive = std::move(me->pump_self_);
  me->pump();
}

void protocol_transport::pump() noexcept {
  const auto alive = weak_from_this().lock();
  if (!reads_) return;
  deliver_held();
  for (std::size_t left = most_a_turn; may_read();) {
    if (left == 0) return schedule_pump();
    std::size_t got = 0;
    if (buffered_ != nullptr && full_read_ && fill_buffer(left, got)) {
      left -= got;
      continue;
    }
    if (!may_read()) return;
    std::string_view bytes;
    const read_state state = channel_->read(left, bytes);
    if (state == read_state::later) return;
    if (state == read_state::end) return deliver_eof();
    left -= bytes.size();
    full_read_ = bytes.size() >= much;
    const std::size_t taken = deliver(bytes);
    if (taken < bytes.size() && !hold(bytes.substr(taken))) return;
  }
}

// Straight into the protocol's memory. False: there is nothing at this moment, or reading has ended.
bool protocol_transport::fill_buffer(std::size_t most, std::size_t& got) noexcept {
  std::span<std::byte> buffer;
  if (!get_buffer(buffer)) return false;
  const std::size_t asked = std::min(buffer.size(), most);
  const std::int64_t n = channel_->read_into(buffer.data(), asked);
  full_read_ = n == static_cast<std::int64_t>(asked);
  if (n < 0) return false;
  if (n == 0) {
    deliver_eof();
    return false;
  }
  got = static_cast<std::size_t>(n);
  std::exception_ptr error = call([this, got] { buffered_->buffer_updated(got); });
  if (error != nullptr) fatal("Fatal error: protocol.buffer_updated() call failed.", std::move(error));
  return true;
}

bool protocol_transport::get_buffer(std::span<std::byte>& buffer) noexcept {
  std::exception_ptr error = call([this, &buffer] {
    buffer = buffered_->get_buffer(0);
    if (buffer.empty()) throw std::runtime_error("get_buffer() returned an empty buffer");
  });
  if (error == nullptr) return true;
  fatal("Fatal error: protocol.get_buffer() call failed.", std::move(error));
  return false;
}

// How much of it the protocol has taken; less when it paused, or the connection came to its end, in between.
std::size_t protocol_transport::deliver(std::string_view bytes) noexcept {
  const std::size_t all = bytes.size();
  while (!bytes.empty() && may_read()) {
    if (plain_ != nullptr) {
      std::exception_ptr error = call([this, bytes] { plain_->data_received(bytes_of(bytes)); });
      if (error != nullptr) fatal("Fatal error: protocol.data_received() call failed.", std::move(error));
      return all;
    }
    std::span<std::byte> buffer;
    if (!get_buffer(buffer)) return all;
    const std::size_t n = std::min(buffer.size(), bytes.size());
    std::memcpy(buffer.data(), bytes.data(), n);
    bytes.remove_prefix(n);
    std::exception_ptr error = call([this, n] { buffered_->buffer_updated(n); });
    if (error != nullptr) fatal("Fatal error: protocol.buffer_updated() call failed.", std::move(error));
  }
  return all - bytes.size();
}

bool protocol_transport::hold(std::string_view bytes) noexcept {
  if (fatal_ || lost_ || channel_->closing()) return true;  // nobody wants it
  try {
    held_.append(bytes);
    return true;
  } catch (const std::bad_alloc&) {
    fatal("no memory for what was received", std::current_exception());
    return false;
  }
}

void protocol_transport::deliver_held() noexcept {
  if (!may_read()) return;
  if (!held_.empty()) {
    const std::string bytes = std::exchange(held_, {});
    const std::size_t taken = deliver(bytes);
    if (taken < bytes.size() && !hold(std::string_view(bytes).substr(taken))) return;
  }
  if (eof_held_ && held_.empty() && may_read()) deliver_eof();
}

void protocol_transport::received(std::string_view bytes) noexcept {
  const auto alive = weak_from_this().lock();
  full_read_ = bytes.size() >= much;
  const std::size_t taken = held_.empty() ? deliver(bytes) : 0;
  if (taken < bytes.size() && !hold(bytes.substr(taken))) return;
  pump();
}

void protocol_transport::received_eof() noexcept {
  const auto alive = weak_from_this().lock();
  if (paused_ || !held_.empty())
    eof_held_ = true;
  else
    deliver_eof();
}

void protocol_transport::deliver_eof() noexcept {
  if (eof_ || fatal_ || lost_ || channel_->closing()) return;
  eof_ = true;
  bool stays = false;
  std::exception_ptr error =
      call([this, &stays] { stays = plain_ != nullptr ? plain_->eof_received() : buffered_->eof_received(); });
  if (error != nullptr) return fatal("Fatal error: protocol.eof_received() call failed.", std::move(error));
  if (!stays) channel_->close();
}

// ---- writing

void protocol_transport::write(bytes_view data) {
  check_thread("transport.write()");
  if (output_locked_) throw std::runtime_error("unable to write; sendfile is in progress");
  if (lost_) {
    if (++writes_after_loss_ >= quiet_writes_after_loss)
      base::log(log_level::warning, "written to a transport whose connection is lost");
    return;
  }
  channel_->write(std::string_view(data));
  note_output();
}

void protocol_transport::note_output() noexcept {
  if (writing_paused_ || output_locked_ || lost_ || !channel_->congested()) return;
  writing_paused_ = true;
  call_reporting([this] { protocol_->pause_writing(); }, "protocol.pause_writing() failed");
}

void protocol_transport::output_drained() noexcept {
  const auto alive = weak_from_this().lock();
  if (auto* then = std::exchange(when_empty_, nullptr)) then(when_empty_context_);
  if (output_locked_ || !std::exchange(writing_paused_, false)) return;
  call_reporting([this] { protocol_->resume_writing(); }, "protocol.resume_writing() failed");
}

void protocol_transport::write_eof() {
  check_thread("transport.write_eof()");
  if (output_locked_) throw std::runtime_error("unable to write; sendfile is in progress");
  channel_->write_eof();
}

bool protocol_transport::can_write_eof() const {
  check_thread("transport.can_write_eof()");
  return channel_->can_write_eof();
}

void protocol_transport::set_write_buffer_limits(std::size_t high, std::size_t low) {
  check_thread("transport.set_write_buffer_limits()");
  if (output_locked_) {
    water_marks().set(high, low);  // said now, set by unlock_output()
  } else {
    channel_->set_limits(high, low);
  }
  high_ = high;
  low_ = low;
  note_output();
}

std::size_t protocol_transport::get_write_buffer_size() const {
  check_thread("transport.get_write_buffer_size()");
  return channel_->buffered();
}

void protocol_transport::lock_output(void (*then)(void*) noexcept, void* context) {
  if (output_locked_) throw std::runtime_error("sendfile() is called while another one is in progress");
  if (is_closing()) throw std::runtime_error("the transport is closing");
  output_locked_ = true;
  call_when_empty(then, context);
}

void protocol_transport::call_when_empty(void (*then)(void*) noexcept, void* context) {
  channel_->flush();
  if (lost_ || channel_->buffered() == 0) return then(context);
  channel_->set_limits(0, 0);
  when_empty_ = then;
  when_empty_context_ = context;
}

void protocol_transport::write_locked(std::string bytes, void (*then)(void*) noexcept, void* context) {
  channel_->write(std::move(bytes));
  call_when_empty(then, context);
}

void protocol_transport::unlock_output() noexcept {
  const auto alive = weak_from_this().lock();
  output_locked_ = false;
  when_empty_ = nullptr;
  if (lost_) return;
  channel_->set_limits(high_, low_);
  if (writing_paused_ && !channel_->congested()) output_drained();
  if (close_wanted_) channel_->close();
}

ref<secure_channel> protocol_transport::secure(detail::tls_provider& tls, const secure_options& options) {
  if (is_closing()) throw std::runtime_error("start_tls(): the transport is closing");
  if (output_locked_) throw std::runtime_error("start_tls(): sendfile is in progress");
  ref<secure_channel> made = tls.secure(channel_, std::exchange(held_, {}), options);
  made->set_limits(high_, low_);
  made->set_user(this);
  channel_ = made;
  full_read_ = false;
  return made;
}

// ---- the end

void protocol_transport::close() {
  check_thread("transport.close()");
  const auto alive = weak_from_this().lock();
  if (output_locked_)
    close_wanted_ = true;
  else
    channel_->close();
}

void protocol_transport::abort() {
  check_thread("transport.abort()");
  shut_down();
  channel_->abort();
}

// A file that is being sent goes by a second descriptor of the socket: that hears of the end too.
void protocol_transport::shut_down() noexcept {
  if (output_locked_ && channel_->fd() >= 0) kernel::sys::shutdown(channel_->fd(), SHUT_RDWR);
}

bool protocol_transport::is_closing() const {
  check_thread("transport.is_closing()");
  return lost_ || close_wanted_ || channel_->closing();
}

void protocol_transport::end(std::exception_ptr error) noexcept {
  if (lost_) return;
  if (error != nullptr) error_ = std::move(error);
  shut_down();
  channel_->abort();
}

void protocol_transport::fatal(const char* message, std::exception_ptr error) noexcept {
  fatal_ = true;
  if (error_ == nullptr) error_ = error;
  shut_down();
  channel_->abort();
  host_->report(message, std::move(error));
}

void protocol_transport::lost(std::exception_ptr error) noexcept {
  const auto alive = weak_from_this().lock();
  lost_ = true;
  if (error_ != nullptr) error = std::exchange(error_, nullptr);
  if (!home_.closed()) home_.get().remove_close_hook(hook_);
  call_reporting([this, error] { protocol_->connection_lost(error); }, "protocol.connection_lost() failed");
  if (auto* then = std::exchange(when_empty_, nullptr)) then(when_empty_context_);
  if (transport_observer* o = std::exchange(observer_, nullptr)) o->connection_lost();
  forget_protocol();
  self_.reset();
}

socket_address protocol_transport::peername() const {
  check_thread("transport.peername()");
  return channel_->peer();
}

socket_address protocol_transport::sockname() const {
  const int fd = fileno();
  return fd < 0 ? socket_address() : local_address(fd);
}

int protocol_transport::fileno() const {
  check_thread("transport.fileno()");
  return channel_->fd();
}

}  // namespace asyncio::io
