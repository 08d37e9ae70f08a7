// SPDX-License-Identifier: BSL-1.0
// Worker processes that die, that misbehave, and that should never have been started.
#include "process_pool_test.hpp"

#include <chrono>
#include <cstdio>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <sys/socket.h>

namespace {

using namespace asyncio;
using namespace asyncio::spec;

void die_by(int signal) { ::raise(signal); }
void leave_with(int status) { ::_exit(status); }

/// As soon as nobody is left who could change it.
std::vector<child> children_after_reaping(std::size_t expected) {
  std::vector<child> left = children();
  for (int i = 0; i < 2000 && left.size() != expected; ++i) {
    ::usleep(1000);
    left = children();
  }
  return left;
}

TEST(ProcessPoolDeaths, fail_the_task_that_ran_and_no_other) {  // F33
  const leaves_nothing check;
  const test::scratch_folder folder;
  door gate(folder);
  process_pool_executor pool(2);
  const auto other = pool.submit(tasks::wait_at, gate.path());
  gate.await_visitor();
  const auto killed = pool.submit(die_by, SIGKILL);
  const auto behind = pool.submit(tasks::square, 5);
  EXPECT_EQ(failure_of(killed),
            "broken_process_pool: a worker process ended while it ran this task: signal 9 (SIGKILL)");
  EXPECT_EQ(behind.result(), 25) << "on a new worker";
  gate.open();
  EXPECT_GT(other.result(), 0);
}

TEST(ProcessPoolDeaths, say_how_the_worker_ended) {
  process_pool_executor pool(1);
  const auto text = [](const char* how) {
    return "broken_process_pool: a worker process ended while it ran this task: " + std::string(how);
  };
  EXPECT_EQ(failure_of(pool.submit(leave_with, 3)), text("exit status 3"));
  EXPECT_EQ(failure_of(pool.submit(leave_with, 0)), text("exit status 0"));
  EXPECT_EQ(failure_of(pool.submit(die_by, SIGTERM)), text("signal 15 (SIGTERM)"));
  EXPECT_EQ(pool.submit(tasks::square, 3).result(), 9);
}

TEST(ProcessPoolDeaths, of_idle_workers_are_noticed_at_once_and_hurt_nobody) {
  const leaves_nothing check;
  process_pool_executor pool(1);
  const int first = pool.submit(tasks::own_pid).result();
  ::kill(first, SIGKILL);
  EXPECT_TRUE(children_after_reaping(0).empty()) << "no zombie stays";
  EXPECT_NE(pool.submit(tasks::own_pid).result(), first);
}

TEST(ProcessPoolDeaths, before_the_task_was_read_leave_it_to_another_worker) {
  const leaves_nothing check;
  process_pool_executor pool(1);
  const int first = pool.submit(tasks::own_pid).result();
  ::kill(first, SIGSTOP);
  int status = 0;
  ::waitpid(first, &status, WUNTRACED | WNOHANG);
  // More than the socket takes: the line is in the middle of sending, then the reader dies.
  const std::string large(std::size_t{4} << 20, 'x');
  const auto size_of = [](const std::string& s) { return std::pair(s.size(), ::getpid()); };
  const auto big = pool.submit(size_of, large);
  const auto small = pool.submit(tasks::own_pid);
  ::usleep(20'000);  // half sent, most likely; it must come out the same if not
  ::kill(first, SIGKILL);
  EXPECT_EQ(big.result().first, large.size());
  EXPECT_NE(big.result().second, first);
  EXPECT_NE(small.result(), first);
}

TEST(ProcessPoolDeaths, of_a_stopped_worker_that_has_a_small_task_unread_leave_it_to_another) {
  const leaves_nothing check;
  process_pool_executor pool(1);
  const int first = pool.submit(tasks::own_pid).result();
  ::kill(first, SIGSTOP);
  for (char state = 'R'; state != 'T';)
    for (const child& each : children()) state = each.state;
  const auto task = pool.submit(tasks::own_pid);
  ::usleep(20'000);  // sent, most likely; it must come out the same if not
  EXPECT_FALSE(task.done());
  ::kill(first, SIGKILL);
  EXPECT_NE(task.result(), first);
}

TEST(ProcessPoolDeaths, of_one_worker_after_another_are_not_for_ever) {
  const leaves_nothing check;
  process_pool_executor pool({.max_workers = 1}, die_by, int{SIGKILL});
  const std::string text = failure_of(pool.submit(tasks::own_pid));
  EXPECT_NE(text.find("ended instead of running its initialiser: "), std::string::npos) << text;
}

TEST(ProcessPoolDeaths, come_with_the_thread_of_their_parent) {
  std::string output;
  const test::scratch_folder folder;
  door gate(folder);
  const std::string command = "POOL_MODE=orphan POOL_DOOR='" + gate.path() + "' exec " ASYNCIO_POOL_PROGRAM;
  FILE* program = ::popen(command.c_str(), "r");
  ASSERT_NE(program, nullptr);
  int pool_pid = 0, worker_pid = 0;
  ASSERT_EQ(std::fscanf(program, "%d %d", &pool_pid, &worker_pid), 2);
  gate.await_visitor();  // the worker is in a task, and does not look at its socket
  ::kill(pool_pid, SIGKILL);
  ::pclose(program);
  bool gone = false;
  for (int i = 0; i < 5000 && !gone; ++i) {
    std::ifstream file("/proc/" + std::to_string(worker_pid) + "/stat");
    std::string line;
    gone = !std::getline(file, line) || line.at(line.rfind(')') + 2) == 'Z';
    if (!gone) ::usleep(1000);
  }
  EXPECT_TRUE(gone);
}

// ---- what a worker has, and what it does to its descriptors

TEST(ProcessPoolWorkers, have_an_empty_input_and_none_of_our_descriptors) {  // F25
  const int foreign = ::dup(1);                                              // no O_CLOEXEC
  process_pool_executor pool(1);
  const auto names = [] {
    std::vector<std::string> found;
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
      std::error_code gone;
      const auto target = std::filesystem::read_symlink(entry.path(), gone);
      if (!gone && target.string().find("/fd") == std::string::npos) found.push_back(entry.path().filename());
    }
    std::ranges::sort(found);
    return found;
  };
  EXPECT_EQ(pool.submit(names).result(), (std::vector<std::string>{"0", "1", "2", "3"}));
  EXPECT_EQ(pool.submit([] { return std::getchar(); }).result(), EOF);
  const auto inherited = [] { return std::system("test -e /proc/self/fd/3"); };
  EXPECT_NE(pool.submit(inherited).result(), 0) << "a worker's own children do not have the pool's socket";
  ::close(foreign);
}

TEST(ProcessPoolWorkers, may_print_what_they_like) {
  process_pool_executor pool(1);
  const auto noisy = [](int n) {
    std::fwrite("\0asP1\x1 garbage \n", 1, 16, stdout);
    std::fputs("and on stderr\n", stderr);
    return n;
  };
  EXPECT_EQ(pool.submit(noisy, 5).result(), 5);
}

TEST(ProcessPoolWorkers, that_talk_nonsense_are_ended) {
  const leaves_nothing check;
  process_pool_executor pool(1);
  const auto nonsense = [](const std::string& bytes) {
    (void)::send(3, bytes.data(), bytes.size(), 0);
    return 1;
  };
  const std::string text = "broken_process_pool: a worker process ended after it had answered with what is no answer: ";
  const std::string wrong_magic(64, 'x');
  const std::string too_long =
      std::string("asP1\5\0\0\0", 8) + std::string("\1\0\0\0\0\0\0\0", 8) + std::string(8, '\x7f');
  const std::string of_another_call = std::string("asP1\5\0\0\0", 8) + std::string(8, '\x7f') + std::string(8, '\0');
  for (const std::string& bytes : {wrong_magic, too_long, of_another_call})
    EXPECT_EQ(failure_of(pool.submit(nonsense, bytes)).substr(0, text.size()), text);
  EXPECT_EQ(failure_of(pool.submit([] { ::close(3); })).substr(0, 21), "broken_process_pool: ");
  EXPECT_EQ(pool.submit(tasks::square, 3).result(), 9);
}

struct liar {
  bool operator==(const liar&) const = default;
};
struct refuses_to_travel {
  int value = 0;
};

}  // namespace

template <>
struct asyncio::codec<liar> {
  static void encode(encoder& out, const liar&) { out.size(std::size_t{1} << 60); }
  static liar decode(decoder& in) {
    in.raw(in.size());
    return {};
  }
};
template <>
struct asyncio::codec<refuses_to_travel> {
  static void encode(encoder&, const refuses_to_travel&) { throw std::domain_error("not today"); }
  static refuses_to_travel decode(decoder&) { return {}; }
};

namespace {

TEST(ProcessPoolWorkers, tell_of_values_that_cannot_travel) {
  process_pool_executor pool(1);
  EXPECT_THROW(pool.submit([](refuses_to_travel) {}, refuses_to_travel()), std::domain_error) << "at once";
  EXPECT_THROW(pool.submit([] { return refuses_to_travel(); }).result(), std::domain_error) << "from there";
  EXPECT_THROW(pool.submit([](const liar&) {}, liar()).result(), codec_error) << "read there";
  EXPECT_THROW(pool.submit([] { return liar(); }).result(), codec_error) << "read here";
  EXPECT_EQ(pool.submit(tasks::square, 3).result(), 9);
}

TEST(ProcessPoolWorkers, are_not_for_a_forked_child) {  // F32
  process_pool_executor pool(1);
  EXPECT_EQ(pool.submit(tasks::square, 3).result(), 9);
  const pid_t forked = ::fork();
  if (forked == 0) {
    int status = 1;
    try {
      pool.submit(tasks::square, 4);
    } catch (const std::runtime_error&) {
      status = 0;
    }
    pool.shutdown();  // nobody of ours: nothing to wait for
    ::_exit(status);
  }
  int status = -1;
  ::waitpid(forked, &status, 0);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(pool.submit(tasks::square, 5).result(), 25);
}

// ---- programs whose main() lacks its line

/// What the program printed, and its exit status.
std::pair<std::string, int> run_program(const std::string& mode) {
  FILE* program = ::popen(("POOL_MODE=" + mode + " exec " ASYNCIO_POOL_PROGRAM).c_str(), "r");
  std::string printed;
  for (int c = std::fgetc(program); c != EOF; c = std::fgetc(program)) printed += static_cast<char>(c);
  return {printed, ::pclose(program)};
}

TEST(ProcessPoolForgotten, line_of_main_is_told_at_the_first_task_and_no_fork_bomb) {
  const std::string advice =
      "Does main() begin with: if (auto worker = asyncio::process_worker(argc, argv)) return *worker;\n";
  for (const std::string mode : {"forgotten", "forgotten-run", "forgotten-ends", "forgotten-global"}) {
    const auto [printed, status] = run_program(mode);
    EXPECT_EQ(status, 0) << mode;
    const std::size_t begin = printed.find("submit: a worker process (");
    ASSERT_NE(begin, std::string::npos) << mode << ": " << printed;
    EXPECT_NE(printed.find(" ended instead of saying hello: exit status "), std::string::npos) << printed;
    EXPECT_NE(printed.find(advice), std::string::npos) << printed;
    EXPECT_EQ(printed.find("submit:", begin + 1), std::string::npos)
        << mode << ": two processes submitted: " << printed;
  }
}

TEST(ProcessPoolForgotten, line_that_is_there_does_no_harm_to_a_pool_made_before_main) {
  EXPECT_EQ(run_program("global"), std::pair(std::string("16\n"), 0));
}

TEST(ProcessPoolForgotten, argument_given_by_hand_is_refused) {
  FILE* program = ::popen("exec " ASYNCIO_POOL_PROGRAM " --asyncio-process-worker 2>&1", "r");
  char line[256] = {};
  EXPECT_NE(std::fgets(line, sizeof line, program), nullptr);
  EXPECT_NE(std::string(line).find("is how a process pool starts its workers, and for nobody else"), std::string::npos);
  EXPECT_NE(::pclose(program), 0);
}

// ---- all at once

/// Kills children of this process at random until it is destroyed.
class killer {
 public:
  explicit killer(unsigned seed) : random_(seed), thread_([this] { kill_some(); }) {}
  ~killer() {
    stop_ = true;
    thread_.join();
  }
  killer(const killer&) = delete;
  killer& operator=(const killer&) = delete;

 private:
  void kill_some() {
    while (!stop_) {
      const std::vector<child> all = children();
      if (!all.empty()) ::kill(all[random_() % all.size()].pid, SIGKILL);
      ::usleep(static_cast<useconds_t>(random_() % 4000));
    }
  }
  std::mt19937 random_;
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

int busy_for(int microseconds, int n) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::microseconds(microseconds);
  while (std::chrono::steady_clock::now() < end) {}
  return n;
}

// Workers are killed at random while they start, read, work, answer and rest. ASYNCIO_STRESS_SECONDS=60 makes it the
// minute of the judges; by default it is a second.
TEST(ProcessPoolStorm, each_task_ends_with_its_result_or_a_clear_error_and_nothing_is_left) {  // F33
  const leaves_nothing check;
  set_log_sink(
      [](log_level, std::string_view, void*) noexcept {});  // of those that are killed at the end of their work
  const char* wanted = std::getenv("ASYNCIO_STRESS_SECONDS");
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(wanted != nullptr ? std::atoi(wanted) : 1);
  std::mt19937 random(4711);
  std::size_t results = 0, losses = 0;
  {
    process_pool_executor pool(4);
    const killer kills(random());
    do {
      std::vector<concurrent_future<int>> futures;
      for (int i = 0; i < 100; ++i) futures.push_back(pool.submit(busy_for, static_cast<int>(random() % 2000), i));
      for (int i = 0; i < 100; ++i) {
        try {
          EXPECT_EQ(futures[static_cast<std::size_t>(i)].result(60s), i);
          ++results;
        } catch (const broken_process_pool& e) {
          EXPECT_NE(std::string(e.what()).find("signal 9 (SIGKILL)"), std::string::npos) << e.what();
          ++losses;
        }
      }
    } while (std::chrono::steady_clock::now() < end);
  }
  EXPECT_GT(results, 0u);
  RecordProperty("results", std::to_string(results));
  RecordProperty("losses", std::to_string(losses));
}

}  // namespace

int main(int argc, char** argv) {
  if (auto worker = asyncio::process_worker(argc, argv)) return *worker;
  ::testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
