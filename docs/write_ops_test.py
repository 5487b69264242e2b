#!/usr/bin/env python3
"""What write_ops.py reads of headers and sources, and that it stops where it cannot."""

import os
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, "docs")
import write_ops  # pylint: disable=wrong-import-position


def parse(declarations):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "some.h")
        with open(path, "w", encoding="utf-8") as file:
            file.write("// What it is for.\n#include <vector>\n\nnamespace wengert {\n")
            file.write(declarations)
            file.write("}  // namespace wengert\n\n#endif\n")
        return write_ops.parse_header(path)


class HeadersTest(unittest.TestCase):
    def problem(self, declarations):
        with self.assertRaises(write_ops.Problem) as raised:
            parse(declarations)
        return str(raised.exception)

    def test_functions_of_sections(self):
        header = parse("""
// Two that share a comment.
Variable Sin(const Operand& x);
Variable Cos(const Operand& x);

Variable Tan(const Operand& x);  // with one of its own
inline Variable operator<(const Operand& a, const Operand& b) { return Less(a, b); }
inline Variable operator<=(const Operand& a, const Operand& b) { return LessEqual(a, b); }
namespace internal {
Variable Hidden(const Variable& x);
}  // namespace internal

// ---- More ----
struct Options {
  double a = 0;  // { ( in a comment
  static Options None() { return {}; }
};
// Over several lines.
template <int n>
std::array<Variable, n> Chunk(const Variable& x, int axis, const Options& options = {},
                              SourceLocation where = SourceLocation::current());
template <int n>
std::array<Variable, n> Chunk(const Variable& x, int axis, const Options& options,
                              SourceLocation where) {
  return {};
}
""")
        self.assertEqual(header.text, "What it is for.")
        self.assertEqual([section.title for section in header.sections], ["", "More"])
        self.assertEqual(
            [section.functions for section in header.sections],
            [["Sin", "Cos", "Tan", "operator<", "operator<="], ["Chunk"]],
        )
        self.assertEqual(header.along, {"Chunk"})
        self.assertNotIn("Hidden", "\n".join(header.sections[0].lines))
        self.assertNotIn("return {};\n}", "\n".join(header.sections[1].lines[-3:]))

    def test_a_function_without_a_comment(self):
        self.assertIn("Tan has no comment",
                      self.problem("// One.\nVariable Sin(X x);\n\nVariable Tan(X x);\n"))

    def test_what_cannot_be_read(self):
        self.assertIn("cannot read", self.problem("// One.\nWENGERT_FUNCTION(Sin)\n;\n"))
        self.assertIn("has no end", self.problem("// One.\nVariable Sin(X x)\n"))

    def test_what_is_overlooked(self):
        # The second begins before the first has ended.
        two = "// One.\nVariable Sin(X x)\nVariable Cos(X x);\n"
        self.assertIn("overlooked", self.problem(two))


class RulesTest(unittest.TestCase):
    def test_short_rules_as_written(self):
        self.assertEqual(
            write_ops.short_rule(
                "AOp", "\n  Gradients Vjp(VariableSpan x, Needs needs) const {\n"
                "    return {needs[0] ? F(dy, x[1]) : Variable(),\n"
                "            needs[1] ? G(x[0]) : Variable()};\n  }\n"), "F(dy, x[1]), G(x[0])")
        self.assertEqual(
            write_ops.short_rule(
                "AOp",
                "\nGradients AOp::Vjp(Needs) const {\n  const int a = 1;\n  return {a};\n}\n"),
            "const int a = 1; return {a};")
        long_rule = "F(" + "x, " * write_ops.LONGEST_RULE + "x)"
        self.assertIsNone(
            write_ops.short_rule(
                "AOp", "\n  Gradients Vjp(Needs) const {\n    return {" + long_rule + "};\n  }\n"))

    def test_errors_of_a_page(self):
        page = "| op | a |\n|---|\n| a | 9 | [0, 1) |  |  | `x \\| y` | 1e-3 | 2e-3 |  |\n"
        self.assertEqual(write_ops.errors_of_page(page),
                         {"a": {"order 1": "1e-3", "order 2": "2e-3", "adjoint": ""}})


if __name__ == "__main__":
    unittest.main()
