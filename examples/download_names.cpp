// SPDX-License-Identifier: BSL-1.0
#include "download_names.hpp"

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdio>
#include <system_error>
#include <utility>

namespace example {
namespace {

constexpr std::size_t longest_name = 200;  // bytes; file systems take 255, and a number may be added

std::string percent_decoded(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    unsigned char byte = 0;
    if (text[i] == '%' && i + 2 < text.size()) {
      const char* digits = text.data() + i + 1;
      const auto [end, error] = std::from_chars(digits, digits + 2, byte, 16);
      if (error == std::errc{} && end == digits + 2) {
        out += static_cast<char>(byte);
        i += 2;
        continue;
      }
    }
    out += text[i];
  }
  return out;
}

bool is_unfit(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte < 0x20 || byte == 0x7f || c == '/';
}

/// Where the ending begins: at the last dot, or at ".tar." before it.
std::size_t ending_of(std::string_view name) {
  const std::size_t dot = name.rfind('.');
  if (dot == std::string_view::npos || dot == 0) return name.size();
  constexpr std::string_view archive = ".tar";
  const std::string_view before = name.substr(0, dot);
  return before.size() > archive.size() && before.ends_with(archive) ? dot - archive.size() : dot;
}

void shorten(std::string& name) {
  if (name.size() <= longest_name) return;
  std::string ending = name.substr(ending_of(name));
  if (ending.size() > longest_name / 2) ending.clear();
  std::size_t keep = longest_name - ending.size();
  while (keep > 0 && (static_cast<unsigned char>(name[keep]) & 0xC0) == 0x80) --keep;  // not within a UTF-8 character
  name = name.substr(0, keep) + ending;
}

bool is_taken(const std::filesystem::path& path) {
  std::error_code ignored;
  return std::filesystem::exists(std::filesystem::symlink_status(path, ignored));
}

}  // namespace

std::string file_name_of(std::string_view url) {
  const std::size_t scheme = url.find("://");
  if (scheme != std::string_view::npos) url.remove_prefix(scheme + 3);
  url = url.substr(0, url.find_first_of("?#"));
  const std::size_t slash = url.rfind('/');
  std::string name = slash == std::string_view::npos ? std::string() : percent_decoded(url.substr(slash + 1));
  std::ranges::replace_if(name, is_unfit, '_');
  if (name.empty() || name == "." || name == "..") return "index.html";
  shorten(name);
  return name;
}

std::string url_path(std::string_view path) {
  constexpr std::string_view plain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/";
  std::string out;
  for (const char c : path) {
    if (plain.find(c) != std::string_view::npos) {
      out += c;
      continue;
    }
    char code[4];
    std::snprintf(code, sizeof code, "%%%02X", static_cast<unsigned>(static_cast<unsigned char>(c)));
    out += code;
  }
  return out;
}

std::string file_names::path_for(std::string_view url) { return path_of(file_name_of(url)); }

std::string file_names::path_of(std::string_view given_name) {
  const std::string name(given_name);
  const std::size_t ending = ending_of(name);
  std::string path = (folder_ / name).string();
  for (int n = 2; given_.contains(path) || is_taken(path); ++n) {
    path = (folder_ / (name.substr(0, ending) + "-" + std::to_string(n) + name.substr(ending))).string();
  }
  given_.insert(path);
  return path;
}

std::string file_tree::path_for(const std::filesystem::path& relative) {
  const std::filesystem::path folder = top_ / relative.parent_path();
  const auto [found, is_new] = folders_.try_emplace(folder, folder);
  if (is_new) std::filesystem::create_directories(folder);
  return found->second.path_of(relative.filename().string());
}

}  // namespace example
