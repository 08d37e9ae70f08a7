// SPDX-License-Identifier: BSL-1.0
#include <asyncio/errors.hpp>

#include <stdexcept>

namespace asyncio {

namespace {

/// The group that `error` is, alive as long as `error`; null when it is none.
const exception_group* group_in(const std::exception_ptr& error) noexcept {
  try {
    std::rethrow_exception(error);
  } catch (const exception_group& group) {
    return &group;
  } catch (...) {
    return nullptr;
  }
}

std::string title(const std::string& message, std::size_t count) {
  return message + " (" + std::to_string(count) + (count == 1 ? " sub-exception)" : " sub-exceptions)");
}

void append(std::vector<std::exception_ptr>& to, const std::optional<exception_group>& group) {
  if (group) to.push_back(std::make_exception_ptr(*group));
}

}  // namespace

exception_group::exception_group(std::string message, std::vector<std::exception_ptr> exceptions)
    : message_(std::move(message)), exceptions_(std::move(exceptions)) {
  if (exceptions_.empty()) throw std::invalid_argument("exception_group: there must be at least one exception");
  for (const std::exception_ptr& e : exceptions_)
    if (e == nullptr) throw std::invalid_argument("exception_group: one of the exceptions is null");
  what_ = detail::shared_text(title(message_.str(), exceptions_.size()));
}

std::optional<exception_group> exception_group::like_this(std::vector<std::exception_ptr> exceptions) const {
  if (exceptions.empty()) return std::nullopt;
  return exception_group(message_.str(), std::move(exceptions));
}

exception_group::halves exception_group::split_leaves(visitor matches, void* state, bool whole) const {
  if (whole) return {*this, std::nullopt};
  std::vector<std::exception_ptr> matching, rest;
  for (const std::exception_ptr& e : exceptions_) {
    if (const exception_group* inner = group_in(e)) {
      const halves parts = inner->split_leaves(matches, state, false);
      append(matching, parts.first);
      append(rest, parts.second);
    } else {
      (matches(state, e) ? matching : rest).push_back(e);
    }
  }
  return {like_this(std::move(matching)), like_this(std::move(rest))};
}

std::optional<exception_group> exception_group::matching(visitor matches, void* state) const {
  if (matches(state, std::make_exception_ptr(*this))) return *this;
  return matching_members(matches, state);
}

std::optional<exception_group> exception_group::matching_members(visitor matches, void* state) const {
  std::vector<std::exception_ptr> found;
  for (const std::exception_ptr& e : exceptions_) {
    if (matches(state, e))
      found.push_back(e);
    else if (const exception_group* inner = group_in(e))
      append(found, inner->matching_members(matches, state));
  }
  return like_this(std::move(found));
}

void exception_group::take_leaves(visitor takes, void* state) {
  std::vector<std::exception_ptr> left;
  for (const std::exception_ptr& e : exceptions_) {
    if (const exception_group* inner = group_in(e)) {
      exception_group copy = *inner;
      copy.take_leaves(takes, state);
      if (!copy.exceptions_.empty()) left.push_back(std::make_exception_ptr(std::move(copy)));
    } else if (!takes(state, e)) {
      left.push_back(e);
    }
  }
  detail::shared_text new_title(title(message_.str(), left.size()));
  exceptions_ = std::move(left);
  what_ = std::move(new_title);
}

void exception_group::rethrow_rest() const {
  if (!exceptions_.empty()) throw *this;
}

}  // namespace asyncio
