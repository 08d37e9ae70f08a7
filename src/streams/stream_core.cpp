// SPDX-License-Identifier: BSL-1.0
#include "streams/stream_core.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <stdexcept>

namespace asyncio::streams {

namespace {

constexpr unsigned most_reads_at_once = 16;
constexpr std::size_t least_asked = 4 * 1024;
constexpr std::size_t most_asked = 256 * 1024;

}  // namespace

core_ref stream_core::make(io::ref<io::channel> channel, std::size_t limit) {
  if (limit == 0) throw std::invalid_argument("the limit of a stream must be greater than 0");
  return core_ref::adopt(new stream_core(std::move(channel), limit));
}

stream_core::stream_core(io::ref<io::channel> channel, std::size_t limit) noexcept
    : channel_(std::move(channel)), limit_(limit) {
  if (!channel_) return;
  channel_->set_user(this);
  box_ = &channel_->box();
}

stream_core::~stream_core() {
  if (channel_) channel_->set_user(nullptr);
}

void stream_core::check_thread(const char* call) const {
  if (box_ != nullptr)
    box_->check_thread(call);
  else
    bond_.check_thread(call);
}

// ---- reading

bool stream_core::fetch(const char* call, std::size_t wanted) {
  if (!data_line_.empty())
    throw std::runtime_error(std::string(call) +
                             " called while another coroutine is already waiting for incoming data");
  if (error_ != nullptr) std::rethrow_exception(error_);
  if (!channel_ || lost_) return false;
  std::string_view bytes;
  const std::size_t asked = std::clamp(std::max(wanted, 2 * std::min(limit_, most_asked)), least_asked, most_asked);
  switch (channel_->read(asked, bytes)) {
    case io::read_state::bytes: keep(bytes); return true;
    case io::read_state::end: eof_ = true; return true;
    case io::read_state::later: break;
  }
  return false;
}

void stream_core::keep(std::string_view bytes) {
  try {
    input_.append(bytes);
  } catch (...) {
    lose_input();
    throw;
  }
}

line_wait stream_core::wait_for_data() noexcept {
  bind_here();
  return line_wait(data_line_);
}

bool stream_core::used_up_its_turn() noexcept {
  if (++reads_at_once_ <= most_reads_at_once) return false;
  reads_at_once_ = 0;
  return true;
}

std::int64_t stream_core::read_directly(std::byte* to, std::size_t size) noexcept {
  if (!channel_ || lost_ || eof_ || !data_line_.empty()) return -EAGAIN;
  return channel_->read_into(to, size);
}

void stream_core::set_target(std::byte* to, std::size_t size, std::size_t& got) noexcept {
  target_ = to;
  target_size_ = size;
  target_got_ = &got;
}

// It may be another read's by now, which came between this one's bytes and its turn.
void stream_core::clear_target(std::size_t& got) noexcept {
  if (target_got_ == &got) target_got_ = nullptr;
}

void stream_core::feed(std::string_view bytes) {
  input_.append(bytes);
  data_line_.wake_all();
}

void stream_core::feed_eof() noexcept {
  eof_ = true;
  data_line_.wake_all();
}

void stream_core::set_error(std::exception_ptr error) noexcept {
  error_ = std::move(error);
  data_line_.wake_all();
}

// The target belongs to a read only as long as it waits: one that was woken, or cancelled, takes from the buffer.
void stream_core::received(std::string_view bytes) noexcept {
  if (input_lost_) return;
  if (target_got_ != nullptr && !data_line_.empty() && input_.empty()) {
    const std::size_t n = std::min(bytes.size(), target_size_);
    std::memcpy(target_, bytes.data(), n);
    *std::exchange(target_got_, nullptr) = n;
    bytes.remove_prefix(n);
  }
  try {
    feed(bytes);
  } catch (...) {
    lose_input();
  }
}

// There was no memory for what came. The stream ends before the hole, with the exception that is being handled.
void stream_core::lose_input() noexcept {
  input_lost_ = true;
  set_error(std::current_exception());
  channel_->abort();
}

void stream_core::received_eof() noexcept { feed_eof(); }

// ---- writing

void stream_core::output_drained() noexcept { drain_line_.wake_all(); }

void stream_core::lost(std::exception_ptr error) noexcept {
  const core_ref alive = core_ref::share(this);
  lost_ = true;
  lost_error_ = error;
  if (error == nullptr && !input_lost_)
    feed_eof();
  else if (error_ == nullptr)
    set_error(std::move(error));
  drain_line_.wake_all();
  loss_line_.wake_all();
  if (observer* o = std::exchange(observer_, nullptr)) o->connection_lost();
}

void stream_core::throw_lost() const {
  if (lost_error_ != nullptr) std::rethrow_exception(lost_error_);
  throw io::os_error(ECONNRESET, "connection lost");
}

socket_address stream_core::peer() const noexcept { return channel_ ? channel_->peer() : socket_address(); }

io::ref<io::secure_channel> stream_core::secure(detail::tls_provider& tls, const io::secure_options& options) {
  io::ref<io::secure_channel> made = tls.secure(channel_, input_.view(), options);
  input_.clear();
  input_.keep_secrets();
  made->set_user(this);
  channel_ = made;
  return made;
}

connection make_connection(io::ref<io::channel> channel, std::size_t limit) {
  return make_connection(stream_core::make(std::move(channel), limit));
}

connection make_connection(core_ref core) {
  stream_reader reader = stream_reader::from_core(core_ref(core).detach());
  return connection(std::move(reader), stream_writer::from_core(core.detach()));
}

}  // namespace asyncio::streams
