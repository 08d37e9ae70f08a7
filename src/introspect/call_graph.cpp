// SPDX-License-Identifier: BSL-1.0
#include "introspect/introspect.hpp"

#include "coro/chain.hpp"
#include "coro/coro.hpp"

#include <algorithm>
#include <stdexcept>
#include <unordered_map>
#include <utility>

namespace asyncio {

namespace {

using detail::coro_core;
using detail::future_core;
using stack = std::vector<frame_call_graph_entry>;

// Until a coroutine has awaited something it stands at its beginning.
std::source_location place_of(const coro_core* coroutine) noexcept {
  return coroutine->site.line() != 0 ? coroutine->site : coroutine->origin;
}

// The running task knows where it last awaited; `where` is where it is now, in its innermost coroutine or in a plain
// function that this one has called.
void add_place_of_call(stack& entries, const coro_core* innermost, std::source_location where) {
  if (coro::function_name(where) == coro::function_name(innermost->origin))
    entries.emplace_back(innermost->origin, where, true);
  else
    entries.emplace_back(where, where, false);
}

void cut(stack& entries, std::optional<int> limit) {
  if (!limit) return;
  const std::size_t most = static_cast<std::size_t>(*limit < 0 ? -static_cast<long>(*limit) : *limit);
  if (entries.size() <= most) return;
  if (*limit >= 0)
    entries.erase(entries.begin() + static_cast<std::ptrdiff_t>(most), entries.end());
  else
    entries.erase(entries.begin(), entries.end() - static_cast<std::ptrdiff_t>(most));
}

stack stack_of(const future_core* core, call_graph_options options, const std::source_location* where) {
  stack entries;
  if (!core->is_task() || options.limit == 0) return entries;
  const coro_core* at = coro::innermost(static_cast<const coro_core*>(core));
  if (at != nullptr && core == detail::here.task && where != nullptr) {
    add_place_of_call(entries, at, *where);
    if (entries.back().is_coroutine()) at = coro::awaiter_of(at);
  }
  const std::size_t enough = options.limit && *options.limit > 0 ? static_cast<std::size_t>(*options.limit) : SIZE_MAX;
  for (; at != nullptr && entries.size() < enough; at = coro::awaiter_of(at))
    if (coro::is_shown(at)) entries.emplace_back(at->origin, place_of(at), true);
  cut(entries, options.limit);
  return entries;
}

enum class depth { all, first_alone };

// Breadth first, without recursion: chains may be as long as they like, and rings end at what was met before.
call_graph capture(future_core* first, call_graph_options options, const std::source_location* where,
                   depth how_deep = depth::all) {
  detail::counted_ptr<call_graph::nodes> graph(new call_graph::nodes);
  std::vector<call_graph::node>& all = graph->all;
  std::unordered_map<const future_core*, std::size_t> places;
  const auto place_of_core = [&](future_core* core) {
    const auto [at, fresh] = places.emplace(core, all.size());
    if (fresh) {
      const bool shown = how_deep == depth::all || core == first;
      all.push_back(
          {any_task::from_core(detail::core_ref<>::share(core)), shown ? stack_of(core, options, where) : stack(), {}});
    }
    return at->second;
  };
  place_of_core(first);
  for (std::size_t i = 0; i < all.size(); ++i) {
    const future_core* core = all[i].future.raw_core().get();
    std::vector<std::size_t> awaited_by;
    for (future_core* waits : coro::waiting_for(core)) awaited_by.push_back(place_of_core(waits));
    all[i].awaited_by = std::move(awaited_by);
    if (how_deep == depth::first_alone) break;
  }
  return call_graph(std::move(graph), 0);
}

future_core* checked(const any_task& future) {
  if (!future) detail::throw_empty_handle();
  future_core* core = future.raw_core().get();
  core->check_thread("capture_call_graph()");
  return core;
}

}  // namespace

std::string frame_call_graph_entry::function_name() const { return coro::public_name(function_); }
const char* frame_call_graph_entry::file_name() const noexcept {
  return coro::is_internal(function_) ? "" : place_.file_name();
}
std::uint_least32_t frame_call_graph_entry::line() const noexcept {
  return coro::is_internal(function_) ? 0 : place_.line();
}

call_graph::nodes::nodes() noexcept
    : counted([](detail::counted* self) noexcept { delete static_cast<nodes*>(self); }) {}
call_graph::nodes::~nodes() = default;

call_graph::call_graph(detail::counted_ptr<nodes> all, std::size_t place) noexcept
    : all_(std::move(all)), place_(place) {}

const call_graph::node& call_graph::here() const noexcept { return all_->all[place_]; }

any_task call_graph::future() const { return all_ ? here().future : any_task(); }

std::vector<frame_call_graph_entry> call_graph::call_stack() && {
  return static_cast<const call_graph&>(*this).call_stack();
}

const std::vector<frame_call_graph_entry>& call_graph::call_stack() const& noexcept {
  static const std::vector<frame_call_graph_entry> none;
  return all_ ? here().call_stack : none;
}

std::vector<call_graph> call_graph::awaited_by() const {
  std::vector<call_graph> graphs;
  if (!all_) return graphs;
  graphs.reserve(here().awaited_by.size());
  for (const std::size_t place : here().awaited_by) graphs.emplace_back(all_, place);
  return graphs;
}

call_graph capture_call_graph(call_graph_options options, std::source_location where) {
  if (detail::here.loop == nullptr)
    throw std::runtime_error("capture_call_graph(): no running event loop in this thread, and no task was given");
  return detail::here.task == nullptr ? call_graph() : capture(detail::here.task, options, &where);
}

call_graph capture_call_graph(const any_task& future, call_graph_options options, std::source_location where) {
  return capture(checked(future), options, &where);
}

call_graph introspect::capture_alone(const any_task& future, call_graph_options options) {
  return capture(checked(future), options, nullptr, depth::first_alone);
}

call_graph any_task::get_stack() const { return capture(core("task.get_stack()"), {}, nullptr); }

}  // namespace asyncio
