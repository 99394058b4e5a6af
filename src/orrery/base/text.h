// Small helpers for words that a person reads or mistypes.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace orrery {

// "; did you mean 'x'?" for the nearest of `known` within a third of the word's length, else the list of all
// when it is short.
std::string did_you_mean(std::string_view word, std::span<const std::string_view> known);
std::string did_you_mean(std::string_view word, std::span<const std::string> known);
int edit_distance(std::string_view a, std::string_view b);

// The text with control bytes replaced and cut to `longest`: what is safe to print of a hostile input.
std::string printable(std::string_view text, size_t longest = 120);

std::string lower_case(std::string_view text);
std::vector<std::string> split(std::string_view text, char separator);
std::string join(std::span<const std::string> parts, std::string_view separator);

}  // namespace orrery
