// SPDX-License-Identifier: BSL-1.0
#include "curl/session.hpp"

#include <chrono>
#include <new>
#include <stdexcept>
#include <string>
#include <utility>

namespace asyncio::curl {
namespace {

constexpr std::chrono::seconds keep_connections{5};

/// Sessions by loop. Weak: the downloads (and the lingering timer) own them.
std::unordered_map<event_loop*, std::weak_ptr<session>>& sessions() {
  thread_local std::unordered_map<event_loop*, std::weak_ptr<session>> all;
  return all;
}

/// libcurl's process-wide state; never taken down, as its name-lookup threads may outlive every session.
void ensure_libcurl() {
  static const CURLcode code = curl_global_init(CURL_GLOBAL_DEFAULT);
  if (code != CURLE_OK) throw std::runtime_error(std::string("libcurl does not start: ") + curl_easy_strerror(code));
}

void check(CURLMcode code) {
  if (code == CURLM_OUT_OF_MEMORY) throw std::bad_alloc();
  if (code != CURLM_OK) throw std::runtime_error(std::string("libcurl: ") + curl_multi_strerror(code));
}

class flag_guard {
 public:
  explicit flag_guard(bool& flag) : flag_(flag), before_(std::exchange(flag, true)) {}
  flag_guard(const flag_guard&) = delete;
  flag_guard& operator=(const flag_guard&) = delete;
  ~flag_guard() { flag_ = before_; }

 private:
  bool& flag_;
  bool before_;
};

}  // namespace

std::shared_ptr<session> session::of(event_loop& loop) {
  auto& all = sessions();
  std::erase_if(all, [](const auto& entry) { return entry.second.expired(); });
  if (const auto found = all.find(&loop); found != all.end()) {
    std::shared_ptr<session> present = found->second.lock();
    if (!present->broken_) return present;
  }
  auto fresh = std::make_shared<session>(loop);
  all[&loop] = fresh;
  return fresh;
}

session::session(event_loop& loop) : loop_(loop) {
  ensure_libcurl();
  multi_.reset(curl_multi_init());
  if (!multi_) throw std::bad_alloc();
  check(curl_multi_setopt(multi_.get(), CURLMOPT_SOCKETFUNCTION, &session::on_socket));
  check(curl_multi_setopt(multi_.get(), CURLMOPT_SOCKETDATA, static_cast<void*>(this)));
  check(curl_multi_setopt(multi_.get(), CURLMOPT_TIMERFUNCTION, &session::on_timer));
  check(curl_multi_setopt(multi_.get(), CURLMOPT_TIMERDATA, static_cast<void*>(this)));
}

session::~session() {
  // Closing the kept connections must not call back into an object that is going away, nor into a loop that is closed.
  curl_multi_setopt(multi_.get(), CURLMOPT_SOCKETFUNCTION, nullptr);
  curl_multi_setopt(multi_.get(), CURLMOPT_TIMERFUNCTION, nullptr);
  guarded([&] {
    if (timer_) timer_->cancel();
    while (!watched_.empty()) watch(watched_.begin()->first, 0);
  });
}

void session::attach(transfer& t) {
  attached_.insert(&t);
  CURLMcode code = CURLM_OK;
  {
    const flag_guard inside(busy_);
    code = curl_multi_add_handle(multi_.get(), t.easy());
  }
  if (code == CURLM_OK && !broken_) return;
  detach(t);
  if (broken_) std::rethrow_exception(broken_);
  check(code);
}

void session::detach(transfer& t) noexcept {
  if (attached_.erase(&t) == 0) return;
  {
    const flag_guard inside(busy_);
    curl_multi_remove_handle(multi_.get(), t.easy());
  }
  if (attached_.empty()) linger();
}

void session::linger() noexcept {
  if (lingering_ || broken_ || !loop_.is_running()) return;
  try {
    // The closure's share of the session is all there is to it: when it has run, or the loop is closed, it is gone.
    loop_.call_later(keep_connections, [self = shared_from_this()] { self->lingering_ = false; });
    lingering_ = true;
  } catch (...) {  // out of memory: the connections are closed now
  }
}

template <class F> int session::guarded(F&& body) noexcept {
  try {
    body();
    return 0;
  } catch (...) {
    if (!broken_) broken_ = std::current_exception();
    return -1;  // libcurl gives up: every transfer of this multi handle ends
  }
}

int session::on_socket(CURL*, curl_socket_t fd, int what, void* self, void*) noexcept {
  auto& me = *static_cast<session*>(self);
  const unsigned wanted = what == CURL_POLL_REMOVE ? 0U : static_cast<unsigned>(what);
  return me.guarded([&] { me.watch(fd, wanted); });
}

int session::on_timer(CURLM*, long ms, void* self) noexcept {
  auto& me = *static_cast<session*>(self);
  return me.guarded([&] { me.set_timer(ms); });
}

void session::watch(curl_socket_t fd, unsigned wanted) {
  const auto entry = watched_.find(fd);
  const unsigned present = entry != watched_.end() ? entry->second : 0U;
  // The book first: should the loop refuse, the destructor must not ask it again for what it does not know.
  if (wanted != 0) {
    watched_[fd] = wanted;
  } else if (entry != watched_.end()) {
    watched_.erase(entry);
  }
  const unsigned added = wanted & ~present;
  const unsigned removed = present & ~wanted;
  if ((removed & CURL_POLL_IN) != 0) loop_.remove_reader(fd);
  if ((removed & CURL_POLL_OUT) != 0) loop_.remove_writer(fd);
  if ((added & CURL_POLL_IN) != 0) loop_.add_reader(fd, [this, fd] { act(fd, CURL_CSELECT_IN); });
  if ((added & CURL_POLL_OUT) != 0) loop_.add_writer(fd, [this, fd] { act(fd, CURL_CSELECT_OUT); });
}

void session::set_timer(long ms) {
  if (timer_) timer_->cancel();
  timer_.reset();
  if (ms < 0) return;
  // Also for 0: libcurl may not be called from within its own callback.
  timer_ = loop_.call_later(std::chrono::milliseconds(ms), [this] { act(CURL_SOCKET_TIMEOUT, 0); });
}

void session::act(curl_socket_t fd, int events) {
  const std::shared_ptr<session> alive = shared_from_this();
  CURLMcode code = CURLM_OK;
  {
    const flag_guard inside(busy_);
    int running = 0;
    code = curl_multi_socket_action(multi_.get(), fd, events, &running);
  }
  guarded([&] { check(code); });
  if (broken_) give_up(broken_);
  collect_finished();
}

void session::collect_finished() {
  int left = 0;
  while (const CURLMsg* message = curl_multi_info_read(multi_.get(), &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    char* owner = nullptr;
    curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &owner);
    if (owner == nullptr) continue;
    // The handle stays attached until its coroutine runs and takes it away.
    reinterpret_cast<transfer*>(owner)->finish(message->data.result);
  }
}

void session::give_up(std::exception_ptr why) noexcept {
  for (transfer* t : attached_) t->finish(why);
}

}  // namespace asyncio::curl
