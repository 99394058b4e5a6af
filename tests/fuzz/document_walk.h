// Asks every question of every node of a document, so that a fuzz target reaches all accessors.
#pragma once

#include "orrery/base/document.h"

namespace orrery::fuzz {

template <class F>
void expect_input_error_or_value(F&& question) {
  try {
    question();
  } catch (const InputError&) {
  }
}

inline void walk(const Node& node) {
  expect_input_error_or_value([&] { node.as_bool(); });
  expect_input_error_or_value([&] { node.as_number(); });
  expect_input_error_or_value([&] { node.as_integer(INT64_MIN, INT64_MAX); });
  expect_input_error_or_value([&] { node.as_string(); });
  expect_input_error_or_value([&] { node.as_quantity(Unit::Bytes); });
  expect_input_error_or_value([&] { node.at("model_type"); });
  expect_input_error_or_value([&] { node.allow_only({"memory", "clock"}); });
  if (node.is_list()) {
    for (const Node& item : node.items()) walk(item);
  }
  if (node.is_map()) {
    for (const auto& [key, value] : node.entries()) walk(value);
  }
}

}  // namespace orrery::fuzz
