// SPDX-License-Identifier: BSL-1.0
#include "tls/tls_channel.hpp"

#include "base/log.hpp"

#include <asyncio/errors.hpp>

#include <algorithm>
#include <cerrno>

namespace asyncio::tls {

namespace {

constexpr std::size_t record = 16 * 1024;
constexpr std::size_t most_decrypted = 64 * 1024;     // at a time
constexpr std::size_t asked_of_lower = 64 * 1024;     // at a time
constexpr std::size_t encrypted_at_once = 64 * 1024;  // between two looks at what `lower` has to send
constexpr std::size_t encrypted_in_a_turn = 1024 * 1024;
constexpr std::size_t flush_at = 64 * 1024;
constexpr std::size_t high_water = 512 * 1024;
constexpr std::size_t low_water = 128 * 1024;
constexpr int reads_in_a_turn = 8;

/// As errors call the other side.
std::string describe_peer(const io::secure_options& options, const io::channel& lower) {
  if (!options.server_hostname.empty()) return "'" + base::printable(options.server_hostname) + "'";
  const std::string address = lower.peer().to_string();
  const std::string who = options.server_side ? "a client" : "a server";
  return address.empty() ? who : who + " at " + base::printable(address);
}

std::string seconds_of(std::chrono::nanoseconds time) {
  std::string text = std::to_string(std::chrono::duration<double>(time).count());
  text.erase(text.find_last_not_of('0') + 1);
  if (text.back() == '.') text.pop_back();
  return text + " s";
}

template <class Make>
std::exception_ptr made_error(Make make) noexcept {
  try {
    return std::make_exception_ptr(make());
  } catch (...) {
    return std::current_exception();
  }
}

}  // namespace

io::ref<tls_channel> tls_channel::make(io::ref<context> ctx, io::ref<io::channel> lower, std::string_view read_ahead,
                                       const io::secure_options& options) {
  ssl_ptr ssl = ctx->make_ssl(options);
  loop::loop& l = loop::loop::of(*lower->box().loop());
  std::string peer = describe_peer(options, *lower);
  auto made = io::ref<tls_channel>::adopt(
      new tls_channel(l, std::move(ctx), std::move(lower), options, std::move(ssl), std::move(peer)));
  made->begin(read_ahead);
  return made;
}

tls_channel::tls_channel(loop::loop& l, io::ref<context> ctx, io::ref<io::channel> lower,
                         const io::secure_options& options, ssl_ptr ssl, std::string peer)
    : home_(l),
      context_(std::move(ctx)),
      lower_(std::move(lower)),
      engine_(std::move(ssl), options.server_side, peer),
      peer_(std::move(peer)),
      server_side_(options.server_side),
      handshake_timeout_(options.handshake_timeout),
      shutdown_timeout_(options.shutdown_timeout) {
  news_.owner = flush_.owner = this;
  timer_.owner = this;
  hook_.owner = this;
  news_.done = &tls_channel::go_on;
  flush_.done = &tls_channel::turn_ended;
  timer_.done = &tls_channel::time_is_up;
  hook_.on_close = &tls_channel::loop_ends;
  l.add_close_hook(hook_);
}

tls_channel::~tls_channel() {
  if (joined_) lower_->set_user(nullptr);
  if (hooked_) home_.get().remove_close_hook(hook_);
}

// From here on `lower` tells us.
void tls_channel::begin(std::string_view read_ahead) {
  engine_.give(read_ahead);
  engine_.keep_input();
  set_limits(high_water, low_water);
  timer_.deadline = home_.get().read_clock() + handshake_timeout_;
  home_.get().add_timer(timer_);
  self_ = io::ref<tls_channel>::share(this);
  joined_ = true;
  lower_->set_user(this);
  post(news_);
}

std::optional<tls_info> tls_channel::security() const {
  if (phase_ == phase::handshaking) return std::nullopt;
  return engine_.info();
}

// ---- turns and time

void tls_channel::post(own_op& o) noexcept {
  if (home_.closed() || std::exchange(o.scheduled, true)) return;
  retain();
  if (&o == &flush_)
    home_.get().at_turn_end(&o);
  else
    home_.get().post(&o);
}

void tls_channel::go_on(detail::op* self) noexcept {
  const auto me = io::ref<tls_channel>::adopt(static_cast<own_op*>(self)->owner);
  me->news_.scheduled = false;
  if (me->home_.closed()) return;
  me->step();
  me->pump();
}

void tls_channel::turn_ended(detail::op* self) noexcept {
  const auto me = io::ref<tls_channel>::adopt(static_cast<own_op*>(self)->owner);
  me->flush_.scheduled = false;
  if (!me->home_.closed()) me->flush();
}

bool tls_channel::start_timer(std::chrono::nanoseconds after) noexcept {
  stop_timer();
  left_at_timer_ = buffered();
  timer_.deadline = home_.get().read_clock() + after;
  try {
    home_.get().add_timer(timer_);
  } catch (...) {
    return false;
  }
  return true;
}

void tls_channel::stop_timer() noexcept {
  if (timer_.armed() && !home_.closed()) home_.get().remove_timer(timer_);
}

// While output leaves, a slow peer has time.
void tls_channel::time_is_up(detail::op* self) noexcept {
  const auto me = io::ref<tls_channel>::share(static_cast<own_timer*>(static_cast<detail::timer_op*>(self))->owner);
  if (me->home_.get().closing()) return;
  if (me->phase_ == phase::handshaking) {
    me->break_off(made_error([&] {
      return io::os_error(
          ECONNABORTED, "TLS handshake with " + me->peer_ + " took longer than " + seconds_of(me->handshake_timeout_));
    }));
  } else if (me->buffered() >= me->left_at_timer_ || !me->start_timer(me->shutdown_timeout_)) {
    me->break_off(made_error(
        [&] { return timeout_error(me->peer_ + " did not end TLS within " + seconds_of(me->shutdown_timeout_)); }));
  }
}

void tls_channel::loop_ends(detail::close_hook* self) noexcept {
  tls_channel* me = static_cast<own_hook*>(self)->owner;
  me->hooked_ = false;
  me->abort();
}

// ---- input

// Asks `lower`. True: there is news for the engine. OpenSSL answers some of what it reads (key updates) by itself: a peer
// that takes no answers is not read from until it does.
bool tls_channel::get_input() noexcept {
  if (lower_->congested() && lower_->buffered() > high_water) {
    input_waits_ = true;
    return false;
  }
  std::string_view bytes;
  switch (lower_->read(asked_of_lower, bytes)) {
    case io::read_state::bytes: engine_.give(bytes); return true;
    case io::read_state::end: engine_.give_end(); return true;
    case io::read_state::later: break;
  }
  return false;
}

bool tls_channel::keep_input() noexcept {
  if (phase_ >= phase::ending) engine_.give({});
  try {
    engine_.keep_input();
    return true;
  } catch (...) {
    break_off(std::current_exception());
    return false;
  }
}

void tls_channel::received(std::string_view bytes) noexcept {
  const auto alive = io::ref<tls_channel>::share(this);
  if (!keep_input()) return;
  engine_.give(bytes);
  step();
  keep_input();
}

void tls_channel::received_eof() noexcept {
  const auto alive = io::ref<tls_channel>::share(this);
  engine_.give_end();
  step();
}

// There may be input that somebody waits for.
void tls_channel::step() noexcept {
  switch (phase_) {
    case phase::handshaking: return shake_hands();
    case phase::open:
      if (asked_ != 0) deliver();
      return;
    case phase::parting: return swallow();
    case phase::flushing:
    case phase::ending:
    case phase::gone: return;
  }
}

void tls_channel::shake_hands() noexcept {
  // A server has nothing to say before the client: one that is silent costs none of OpenSSL's buffers.
  const bool waits_for_hello = server_side_ && !hello_came_ && engine_.input_size() == 0;
  if (waits_for_hello && !get_input()) return;
  hello_came_ = true;
  for (int i = 0; i < reads_in_a_turn; ++i) {
    const engine::status s = engine_.handshake();
    if (s != engine::status::failed) ship();
    if (phase_ != phase::handshaking) return;
    if (s == engine::status::wants_input) {
      if (!get_input()) return lower_->flush();
      continue;
    }
    if (s != engine::status::done) return stop_on(s);
    phase_ = phase::open;
    stop_timer();
    const auto alive = std::move(self_);
    if (!keep_input()) return;
    if (io::handshake_user* user = std::exchange(handshake_user_, nullptr)) user->handshake_ended(nullptr);
    if (phase_ == phase::open && asked_ != 0) deliver();
    return pump();
  }
  post(news_);
}

// Fills the buffer, as far as there is something to fill it with.
engine::status tls_channel::decrypt(std::size_t most, std::size_t& got) noexcept {
  got = 0;
  const std::size_t capacity = engine_.input_size() > record ? most_decrypted : record;
  try {
    if (in_.capacity() < capacity) in_ = plain_buffer(capacity);
  } catch (...) {
    break_off(std::current_exception());
    return engine::status::wants_input;
  }
  most = std::min(most, in_.capacity());
  engine::status s = engine::status::done;
  while (got < most) {
    std::size_t n = 0;
    s = engine_.read(in_.data() + got, most - got, n);
    if (s != engine::status::done) break;
    got += n;
    in_.used(got);
  }
  return s;
}

// What input that is no plaintext means.
void tls_channel::stop_on(engine::status s) noexcept {
  if (s == engine::status::failed) return fail(engine_.error());
  if (s != engine::status::cut && s != engine::status::end) return;
  if (phase_ == phase::handshaking)
    return fail(made_error([&] { return io::os_error(ECONNRESET, "TLS handshake with " + peer_); }));
  if (s == engine::status::cut) fail(cut_error());
}

std::exception_ptr tls_channel::cut_error() const noexcept {
  return made_error([&] { return ssl_eof_error(make_error_code(ssl_errc::truncated), "TLS with " + peer_); });
}

io::read_state tls_channel::read(std::size_t most, std::string_view& bytes) noexcept {
  if (end_seen_) return io::read_state::end;
  if (closing_ || asked_ != 0 || home_.closed()) return io::read_state::later;
  most = std::max<std::size_t>(most, 1);
  for (int i = 0; phase_ == phase::open && i < reads_in_a_turn; ++i) {
    std::size_t got = 0;
    const engine::status s = decrypt(most, got);
    end_seen_ = got == 0 && s == engine::status::end;
    const bool kept = keep_input();
    ship();
    stop_on(s);
    bytes = {in_.data(), got};
    if (got > 0) return io::read_state::bytes;
    if (end_seen_) return io::read_state::end;
    if (!kept || s != engine::status::wants_input || phase_ != phase::open) return io::read_state::later;
    if (get_input()) continue;
    in_ = plain_buffer();
    asked_ = most;
    return io::read_state::later;
  }
  asked_ = most;
  if (phase_ == phase::open) post(news_);
  return io::read_state::later;
}

std::int64_t tls_channel::read_into(std::byte* to, std::size_t size) noexcept {
  if (end_seen_) return 0;
  if (closing_ || asked_ != 0 || home_.closed() || phase_ != phase::open) return -EAGAIN;
  for (int i = 0; i < 2; ++i) {
    std::size_t got = 0;
    const engine::status s = engine_.read(reinterpret_cast<char*>(to), size, got);
    end_seen_ = s == engine::status::end;
    const bool kept = keep_input();
    ship();
    stop_on(s);
    if (s == engine::status::done) return static_cast<std::int64_t>(got);
    if (end_seen_) return 0;
    if (!kept || s != engine::status::wants_input || phase_ != phase::open || i > 0 || !get_input()) break;
  }
  // `lower` may have been asked: who asks again hears of what comes.
  return -EAGAIN;
}

// A read waits, and something came.
void tls_channel::deliver() noexcept {
  for (int i = 0; i < reads_in_a_turn; ++i) {
    std::size_t got = 0;
    const engine::status s = decrypt(asked_, got);
    if (!keep_input()) return;
    ship();
    if (phase_ != phase::open) return;
    if (got > 0) {
      asked_ = 0;
      const plain_buffer lent = std::move(in_);  // whoever is told may ask again
      if (user_ != nullptr) user_->received({lent.data(), got});
      if (phase_ == phase::open) stop_on(s);
      return;
    }
    if (s == engine::status::end) {
      asked_ = 0;
      end_seen_ = true;
      if (user_ != nullptr) user_->received_eof();
      return;
    }
    if (s != engine::status::wants_input) return stop_on(s);
    if (!get_input()) {
      in_ = plain_buffer();
      return;
    }
  }
  post(news_);
}

// After our goodbye: what still comes is not wanted by anybody but for the peer's goodbye.
void tls_channel::swallow() noexcept {
  all_sent_ |= lower_->buffered() == 0;
  for (int i = 0; i < reads_in_a_turn; ++i) {
    std::size_t got = 0;
    engine::status s = engine::status::done;
    while (s == engine::status::done && phase_ == phase::parting) s = decrypt(most_decrypted, got);
    if (phase_ != phase::parting) return;
    if (s != engine::status::wants_input) {
      phase_ = phase::ending;
      return lower_->close();
    }
    if (!get_input()) return;
  }
  post(news_);
}

// `lower` is gone: what it had brought is delivered all the same.
void tls_channel::deliver_last_input() noexcept {
  while (phase_ == phase::open && user_ != nullptr && !end_seen_) {
    std::size_t got = 0;
    const engine::status s = decrypt(most_decrypted, got);
    if (phase_ != phase::open) return;
    if (got > 0) {
      const plain_buffer lent = std::move(in_);
      user_->received({lent.data(), got});
    }
    if (s == engine::status::failed) error_ = engine_.error();
    if (s == engine::status::end) {
      end_seen_ = true;
      if (user_ != nullptr) user_->received_eof();
    }
    if (s != engine::status::done) return;
  }
}

// ---- output

bool tls_channel::check_writable() const noexcept { return !closing_ && !home_.closed() && phase_ <= phase::open; }

void tls_channel::write(std::string_view bytes) {
  if (!check_writable() || bytes.empty()) return;
  out_.append(bytes);
  schedule_output();
}

void tls_channel::write(std::string&& text) {
  if (!check_writable() || text.empty()) return;
  out_.append(std::move(text));
  schedule_output();
}

void tls_channel::schedule_output() noexcept {
  if (out_.size() >= flush_at)
    pump();
  else
    post(flush_);
  note_output();
}

void tls_channel::flush() noexcept {
  if (phase_ >= phase::ending || home_.closed()) return;
  const auto alive = io::ref<tls_channel>::share(this);
  pump();
  lower_->flush();
}

// Encrypts as much as `lower` should have to send.
void tls_channel::pump() noexcept {
  if (pumping_ || (phase_ != phase::open && phase_ != phase::flushing)) return;
  const auto alive = io::ref<tls_channel>::share(this);
  pumping_ = true;
  std::size_t encrypted = 0;
  while (!out_.empty() && !lower_->congested() && encrypted < encrypted_in_a_turn) {
    const std::string_view piece = out_.front().substr(0, encrypted_at_once);
    const engine::status s = engine_.write(piece);
    if (s != engine::status::done) {
      fail(s == engine::status::failed ? engine_.error() : io::os_exception(EPROTO, "cannot send"));
      break;
    }
    encrypted += piece.size();
    out_.consume(piece.size());
    ship();
    if (phase_ != phase::open && phase_ != phase::flushing) break;
  }
  pumping_ = false;
  if (phase_ != phase::open && phase_ != phase::flushing) return;
  if (encrypted >= encrypted_in_a_turn && !out_.empty()) post(news_);
  if (phase_ == phase::flushing && out_.empty()) return part();
  note_output();
}

// Gives the engine's output to `lower`.
void tls_channel::ship() noexcept {
  std::string& bytes = engine_.output();
  if (bytes.empty()) return;
  if (!keep_input()) return;
  try {
    if (bytes.size() >= record)
      lower_->write(std::move(bytes));
    else
      lower_->write(std::string_view(bytes));
  } catch (...) {
    break_off(std::current_exception());
  }
  std::string().swap(bytes);  // an assignment would keep the memory
}

void tls_channel::output_drained() noexcept {
  if (std::exchange(input_waits_, false)) post(news_);
  if (pumping_) return;
  const auto alive = io::ref<tls_channel>::share(this);
  if (phase_ == phase::open || phase_ == phase::flushing)
    pump();
  else
    note_output();
}

void tls_channel::note_output() noexcept {
  if (phase_ < phase::ending && marks_.note(buffered()) && user_ != nullptr) user_->output_drained();
}

// `lower` says when it has fallen to the low mark. It is never filled far beyond it, so the rest waits here.
void tls_channel::set_limits(std::size_t high, std::size_t low) {
  marks_.set(high, low);
  lower_->set_limits(low, low);
  note_output();
}

// ---- the end

void tls_channel::close() noexcept {
  if (closing_) return;
  if (home_.closed() || phase_ == phase::handshaking) return abort();
  closing_ = true;
  asked_ = 0;
  if (phase_ != phase::open) return;
  const auto alive = io::ref<tls_channel>::share(this);
  in_ = plain_buffer();
  phase_ = phase::flushing;
  self_ = alive;
  if (!start_timer(shutdown_timeout_)) return abort();
  pump();
}

// Everything is encrypted: our goodbye, and the wait for the peer's, unless it has come.
void tls_channel::part() noexcept {
  engine_.shut_down();
  if (!keep_input()) return;
  phase_ = phase::parting;
  ship();
  lower_->flush();
  if (phase_ != phase::parting) return;
  all_sent_ = lower_->buffered() == 0;
  left_at_timer_ = buffered();
  if (!engine_.peer_closed()) return swallow();
  phase_ = phase::ending;
  lower_->close();
}

void tls_channel::abort() noexcept { break_off(nullptr); }

// The connection ends with `error`; what tells the peer why goes out before it.
void tls_channel::fail(std::exception_ptr error) noexcept {
  if (phase_ >= phase::ending) return;
  const auto alive = io::ref<tls_channel>::share(this);
  self_ = alive;
  closing_ = true;
  asked_ = 0;
  if (error_ == nullptr) error_ = std::move(error);
  phase_ = phase::ending;
  out_.clear();
  marks_.clear();
  ship();
  if (!start_timer(shutdown_timeout_)) return lower_->abort();
  lower_->close();
}

// The connection ends with `error`, now.
void tls_channel::break_off(std::exception_ptr error) noexcept {
  closing_ = true;
  asked_ = 0;
  if (phase_ == phase::gone) return;
  const auto alive = io::ref<tls_channel>::share(this);
  self_ = alive;
  if (phase_ < phase::ending || error_ == nullptr) error_ = std::move(error);
  phase_ = phase::ending;
  out_.clear();
  marks_.clear();
  lower_->abort();
}

// A reset after our goodbye has left the machine is how many peers answer it.
void tls_channel::lost(std::exception_ptr error) noexcept {
  const auto alive = io::ref<tls_channel>::share(this);
  self_ = {};
  stop_timer();
  if (hooked_) home_.get().remove_close_hook(hook_);
  hooked_ = false;
  if (phase_ == phase::open) deliver_last_input();
  if (error_ == nullptr && !all_sent_) error_ = std::move(error);
  // `lower` was closed under us: that is an end for nobody who has not heard a goodbye.
  if (error_ == nullptr && phase_ == phase::open && !end_seen_ && !home_.get().closing()) error_ = cut_error();
  const bool shaking = phase_ == phase::handshaking;
  phase_ = phase::gone;
  closing_ = true;
  marks_.clear();
  out_.clear();
  in_ = plain_buffer();
  if (shaking && error_ == nullptr) error_ = io::os_exception(ECONNABORTED, "TLS handshake");
  if (io::handshake_user* user = std::exchange(handshake_user_, nullptr))
    user->handshake_ended(error_ != nullptr ? error_ : io::os_exception(ECONNABORTED, "TLS handshake"));
  if (io::channel_user* user = std::exchange(user_, nullptr)) user->lost(error_);
}

}  // namespace asyncio::tls
