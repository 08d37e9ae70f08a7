// SPDX-License-Identifier: BSL-1.0
// The load for the servers of bench/net.py: clients that send a message, wait until as many bytes have come back, and
// send the next one. Written straight onto epoll, so that it is the same stranger to every server.
//
//   bench_net_load PORT CLIENTS BYTES seconds LENGTH PID   each client at its own pace, for so long; what the server
//                                                          spends on it is read off the clock of that process
//   bench_net_load PORT CLIENTS BYTES rounds COUNT         in lock-step: all send, then all wait
//
// Prints a JSON object. The first round is not counted; its answers are compared with what was sent.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <vector>

namespace {

using steady = std::chrono::steady_clock;

long checked(long result, const char* what) {
  if (result < 0) throw std::system_error(errno, std::generic_category(), what);
  return result;
}

int connect_to(int port) {
  const int fd = static_cast<int>(checked(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket"));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  checked(connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address), "connect");
  const int on = 1;
  checked(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on), "TCP_NODELAY");
  return fd;
}

struct client {
  int fd = -1;
  std::size_t to_send = 0;
  std::size_t to_receive = 0;
  steady::time_point begun;
};

class load {
 public:
  load(int port, std::size_t clients, std::size_t bytes);
  /// Every client sends a message; returns when all are answered.
  void round();
  /// Each client sends the next message when the last one is answered, until then; returns when all are answered.
  void run_until(steady::time_point end);
  void forget_counts() { latencies_.clear(); }
  std::size_t answered() const { return latencies_.size(); }
  /// The latency that this part of the answers did not exceed, in microseconds.
  double latency(double part);
  bool check = false;

 private:
  void begin(client& c);
  void send_more(client& c);
  void receive(client& c);
  void compare(const client& c, std::size_t n) const;
  void handle_events();

  int epfd_;
  std::string message_;
  std::vector<client> clients_;
  std::vector<char> buffer_;
  std::vector<std::uint32_t> latencies_;  // nanoseconds
  std::size_t waiting_ = 0;               // clients whose answer has not come
  steady::time_point end_ = steady::time_point::min();
};

load::load(int port, std::size_t clients, std::size_t bytes)
    : epfd_(static_cast<int>(checked(epoll_create1(EPOLL_CLOEXEC), "epoll_create1"))),
      message_(bytes, '\0'),
      clients_(clients),
      buffer_(256 * 1024) {
  for (std::size_t i = 0; i < bytes; ++i) message_[i] = static_cast<char>(i * 7 + i / 251);
  latencies_.reserve(4'000'000);
  for (client& c : clients_) {
    c.fd = connect_to(port);
    epoll_event event{};
    event.events = EPOLLIN | EPOLLOUT | EPOLLET;
    event.data.ptr = &c;
    checked(epoll_ctl(epfd_, EPOLL_CTL_ADD, c.fd, &event), "epoll_ctl");
  }
}

void load::round() {
  for (client& c : clients_) begin(c);
  while (waiting_ > 0) handle_events();
}

void load::run_until(steady::time_point end) {
  end_ = end;
  round();
  end_ = steady::time_point::min();
}

void load::begin(client& c) {
  ++waiting_;
  c.begun = steady::now();
  c.to_send = c.to_receive = message_.size();
  send_more(c);
}

void load::send_more(client& c) {
  while (c.to_send > 0) {
    const char* rest = message_.data() + (message_.size() - c.to_send);
    const ssize_t n = send(c.fd, rest, c.to_send, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN) return;
    c.to_send -= static_cast<std::size_t>(checked(n, "send"));
  }
}

// A read that came back short has emptied the socket; the next bytes are an edge of their own.
void load::receive(client& c) {
  std::size_t asked = 0;
  ssize_t n = 0;
  do {
    asked = std::min(c.to_receive, buffer_.size());
    n = recv(c.fd, buffer_.data(), asked, MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN) return;
    if (checked(n, "recv") == 0) throw std::runtime_error("the server closed a connection");
    if (check) compare(c, static_cast<std::size_t>(n));
    c.to_receive -= static_cast<std::size_t>(n);
  } while (c.to_receive > 0 && static_cast<std::size_t>(n) == asked);
  if (c.to_receive > 0) return;
  const steady::time_point now = steady::now();
  const auto spent = static_cast<std::uint64_t>((now - c.begun).count());
  latencies_.push_back(
      static_cast<std::uint32_t>(std::min<std::uint64_t>(spent, std::numeric_limits<std::uint32_t>::max())));
  --waiting_;
  if (now < end_) begin(c);
}

void load::compare(const client& c, std::size_t n) const {
  const char* expected = message_.data() + (message_.size() - c.to_receive);
  if (std::memcmp(buffer_.data(), expected, n) != 0) throw std::runtime_error("the answer is not what was sent");
}

void load::handle_events() {
  constexpr int patience_ms = 20'000;
  std::array<epoll_event, 512> events;
  const long n = epoll_wait(epfd_, events.data(), static_cast<int>(events.size()), patience_ms);
  if (n < 0 && errno == EINTR) return;
  if (checked(n, "epoll_wait") == 0) throw std::runtime_error("no answer");
  for (long i = 0; i < n; ++i) {
    client& c = *static_cast<client*>(events[static_cast<std::size_t>(i)].data.ptr);
    if (c.to_send > 0) send_more(c);
    if (c.to_receive > 0) receive(c);
  }
}

double load::latency(double part) {
  if (latencies_.empty()) return 0;
  const auto at = latencies_.begin() + static_cast<std::ptrdiff_t>(static_cast<double>(answered() - 1) * part);
  std::nth_element(latencies_.begin(), at, latencies_.end());
  return *at / 1e3;
}

/// Processor time of another process, all its threads together, in nanoseconds. Read when it has nothing to do.
double processor_time(pid_t pid) {
  std::this_thread::sleep_for(std::chrono::milliseconds(5));
  clockid_t clock{};
  if (const int error = clock_getcpuclockid(pid, &clock); error != 0)
    throw std::system_error(error, std::generic_category(), "clock_getcpuclockid");
  timespec now{};
  checked(clock_gettime(clock, &now), "clock_gettime");
  return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

void run_for(load& all, double seconds, pid_t server) {
  all.run_until(steady::now() + std::chrono::milliseconds(100));  // caches, windows and pools are warm afterwards
  all.forget_counts();
  const double spent_before = processor_time(server);
  const steady::time_point begin = steady::now();
  all.run_until(begin + std::chrono::duration_cast<steady::duration>(std::chrono::duration<double>(seconds)));
  const double length = std::chrono::duration<double>(steady::now() - begin).count();
  const double spent = processor_time(server) - spent_before;
  const auto answers = static_cast<double>(all.answered());
  std::printf("{\"requests\": %zu, \"rate\": %.0f, \"server_us\": %.3f, \"p50_us\": %.1f, \"p99_us\": %.1f}\n",
              all.answered(), answers / length, spent / 1e3 / answers, all.latency(0.5), all.latency(0.99));
}

int run(int argc, char** argv) {
  if (argc < 6) {
    std::fputs("bench_net_load PORT CLIENTS BYTES (seconds LENGTH PID | rounds COUNT)\n", stderr);
    return 2;
  }
  load all(std::atoi(argv[1]), std::stoul(argv[2]), std::stoul(argv[3]));
  all.check = true;
  all.round();
  all.check = false;
  all.forget_counts();
  if (argc == 7 && std::string_view(argv[4]) == "seconds") {
    run_for(all, std::atof(argv[5]), std::atoi(argv[6]));
  } else {
    for (long rounds = std::atol(argv[5]); rounds > 0; --rounds) all.round();
    std::printf("{\"requests\": %zu}\n", all.answered());
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "bench_net_load: %s\n", e.what());
    return 1;
  }
}
