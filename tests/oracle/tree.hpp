// SPDX-License-Identifier: BSL-1.0
#pragma once
// Scenarios as trees. tree.py writes them: (kind number … subtree …).
#include <cstddef>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

namespace oracle {

struct node {
  std::string kind;
  std::vector<int> numbers;  ///< the first one is the name in the log
  std::vector<node> children;

  int id() const { return numbers.at(0); }
  int at(std::size_t i) const { return numbers.at(i); }
};

/// Reads one tree; `text` begins with its parenthesis, and loses what was read.
inline node parse(std::string_view& text) {
  const auto token = [&text] {
    const std::size_t begin = std::min(text.find_first_not_of(' '), text.size());
    text.remove_prefix(begin);
    std::size_t end = text.find_first_of(" ()");
    if (end == 0) end = 1;
    const std::string_view found = text.substr(0, end);
    text.remove_prefix(found.size());
    return std::string(found);
  };
  token();
  node made;
  made.kind = token();
  while (!text.empty()) {
    text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
    if (text.starts_with('(')) {
      made.children.push_back(parse(text));
    } else {
      const std::string part = token();
      if (part == ")") break;
      made.numbers.push_back(std::atoi(part.c_str()));
    }
  }
  return made;
}

}  // namespace oracle
