#!/usr/bin/env python3
"""Small trees: what covers a statement, what does not, and what the check must complain of. And the real lists."""

import contextlib
import io
import json
import pathlib
import tempfile
import unittest

import conformance
import repo


class ConformanceTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)
        self.statements({"id": "MQTT-1.2.3-1", "binds": "server", "says": "Answers."})
        self.statements(version="3_1_1")
        self.add("docs/x", "")

    def add(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def statements(self, *rows, version="5"):
        self.add(f"tests/conformance/mqtt{version}.json",
                 json.dumps({"version": version, "about": "about", "statements": rows}))

    def conversation(self, ids, **more):
        row = {"name": "talk", "ids": ids, "steps": [["a", "hello", {"id": "a"}]], **more}
        self.add("tests/vectors/conversations/a.json", json.dumps([row]))

    def run_tool(self, *arguments):
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            code = conformance.main(list(arguments), self.root)
        return code, out.getvalue()

    def assert_good(self):
        code, out = self.run_tool()
        self.assertEqual(code, 0, out)
        self.assertEqual(self.run_tool("--check")[0], 0)

    def assert_bad(self, *words):
        code, out = self.run_tool()
        self.assertEqual(code, 1, out)
        for word in words:
            self.assertIn(word, out)

    def test_a_statement_without_a_test(self):
        self.assert_bad("MQTT-1.2.3-1", "no test covers it")

    def test_a_conversation_covers(self):
        self.conversation(["MQTT-1.2.3-1"])
        self.assert_good()
        self.assertIn("| MQTT-1.2.3-1 | server | Answers. | `conversation talk` |",
                      (self.root / conformance.PAGE).read_text())

    def test_a_row_of_packets_covers(self):
        self.add("tests/vectors/wire/a.json", json.dumps([{"name": "x", "id": "MQTT-1.2.3-1"}] * 2))
        self.assert_good()
        self.assertIn("`packets wire/a.json (2)`", (self.root / conformance.PAGE).read_text())

    def test_tests_in_code_cover_by_comment_and_by_name(self):
        for text in ("// [MQTT-1.2.3-1]\nTEST(A, B) {\n}\n", "TEST_F(A, B) {\n    x();  // [MQTT-1.2.3-1]\n}\n",
                     "TEST_P(A, B_MQTT_1_2_3_1) {\n}\n"):
            self.add("tests/unit/a_test.cpp", text)
            self.assert_good()
        self.add("tests/unit/a_test.cpp", "")
        self.add("tests/system/test_a.py", 'class T:\n    def test_x(self):\n        """[MQTT-1.2.3-1]"""\n')
        self.assert_good()

    def test_names_list_several_statements(self):
        self.assertEqual(conformance.in_name("X_MQTT_4_7_1_1_and_2"), ["MQTT-4.7.1-1", "MQTT-4.7.1-2"])
        self.assertEqual(conformance.in_name("X_MQTT_3_3_2_4_15"), ["MQTT-3.3.2-4", "MQTT-3.3.2-15"])

    def test_code_and_helpers_cover_nothing(self):
        self.add("broker/a.cpp", "int a;  // [MQTT-1.2.3-1]\n")
        self.add("tests/unit/a_test.cpp", "// [MQTT-1.2.3-1]\nvoid helper() {\n}\n\nTEST(A, B) {\n}\n")
        self.add("tests/support/a.py", "def helper():\n    '''MQTT-1.2.3-1'''\n\n\ndef test_a():\n    pass\n")
        self.assert_bad("no test covers it")

    def test_a_statement_that_does_not_exist(self):
        self.conversation(["MQTT-1.2.3-1", "MQTT-1.2.3-9", "MQTT-1.2.3.1"])
        self.assert_bad("a.json: talk: there is no statement MQTT-1.2.3-9", "there is no statement MQTT-1.2.3.1")
        self.conversation(["MQTT-1.2.3-1"])
        self.add("broker/a.cpp", "int a;\nint b;  // [MQTT-7.7.7-7]\n")
        self.assert_bad("broker/a.cpp:2: there is no statement MQTT-7.7.7-7")

    def test_whoever_covers_3_1_1_speaks_it(self):
        self.statements({"id": "MQTT-1.2.3-1", "binds": "server", "says": "Answers."}, version="3_1_1")
        self.conversation(["MQTT-1.2.3-1", "MQTT-3.1.1:1.2.3-1"])
        self.assert_bad("nobody in it speaks 3.1.1")
        self.conversation(["MQTT-1.2.3-1", "MQTT-3.1.1:1.2.3-1"], levels=[5, 4])
        self.assert_good()

    def test_a_stale_page(self):
        self.conversation(["MQTT-1.2.3-1"])
        code, out = self.run_tool("--check")
        self.assertEqual(code, 1)
        self.assertIn("docs/conformance.md: is stale", out)

    def test_pending_is_for_what_has_no_test(self):
        row = {"id": "MQTT-1.2.3-1", "binds": "server", "says": "Answers.", "pending": "being built"}
        self.statements(row)
        self.assert_good()
        self.assertIn("**none**: being built", (self.root / conformance.PAGE).read_text())
        self.conversation(["MQTT-1.2.3-1"])
        self.assert_bad("take 'pending' away")

    def test_a_client_needs_no_test_but_a_reason(self):
        self.statements({"id": "MQTT-1.2.3-1", "binds": "client", "says": "Asks."})
        self.assert_bad("'why' must tell")
        self.statements({"id": "MQTT-1.2.3-1", "binds": "client", "says": "Asks.", "why": "it asks"})
        self.assert_good()

    def test_the_real_lists_are_whole(self):
        problems = conformance.Problems()
        lists = conformance.load_lists(repo.project_root(), problems)
        self.assertEqual(problems, [])
        self.assertEqual(len(lists[""]["rows"]), 251)
        self.assertEqual(len(lists["3.1.1:"]["rows"]), 141)


if __name__ == "__main__":
    unittest.main()
