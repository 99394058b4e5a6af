#include "orrery/validate/document.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "orrery/base/storage.h"
#include "orrery/base/test_support.h"

namespace orrery::validate {
namespace {

using ::testing::HasSubstr;

TEST(ValidationDocument, keeps_what_stands_outside_of_its_markers) {
  const Document page("", "validate x");
  EXPECT_EQ(page.refreshed("before\n<!-- orrery validate x -->\nold\n<!-- end -->\nafter\n", "new"),
            "before\n<!-- orrery validate x -->\nnew\n<!-- end -->\nafter\n");
}

TEST(ValidationDocument, a_page_of_another_command_is_refused_before_any_work) {
  const TemporaryFolder folder("document");
  const std::string path = folder.file("x.md");
  const std::string text = "<!-- orrery validate y -->\nold\n<!-- end -->\n";
  write_file(path, text);
  EXPECT_THAT(error_of([&] { Document(path, "validate x"); }), HasSubstr("<!-- orrery validate x -->"));
  EXPECT_EQ(read_file(path), text);
}

TEST(ValidationDocument, what_was_edited_while_the_command_ran_stays) {
  const TemporaryFolder folder("document");
  const std::string path = folder.file("x.md");
  write_file(path, "a\n<!-- orrery validate x -->\n<!-- end -->\n");
  const Document page(path, "validate x");
  write_file(path, "b\n<!-- orrery validate x -->\n<!-- end -->\n");
  page.write("table");
  EXPECT_EQ(read_file(path), "b\n<!-- orrery validate x -->\ntable\n<!-- end -->\n");
}

}  // namespace
}  // namespace orrery::validate
