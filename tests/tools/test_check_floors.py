#!/usr/bin/env python3
"""Small trees, most of them bad on purpose: the floor check must name what is wrong and accept what is right."""

import pathlib
import tempfile
import unittest

import check_floors


class FloorsTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)

    def add(self, name, *lines):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(lines) + "\n")

    def includes(self, includer, *targets):
        """A file that includes others; those are made too when they do not exist yet."""
        self.add(includer, *(f'#include "{target.removeprefix("broker/")}"' for target in targets))
        for target in targets:
            if not (self.root / target).exists():
                self.add(target, "#pragma once")

    def assert_good(self):
        self.assertEqual(check_floors.check(self.root), [])

    def assert_one(self, *words):
        problems = check_floors.check(self.root)
        self.assertEqual(len(problems), 1, problems)
        for word in words:
            self.assertIn(word, problems[0])

    def test_an_empty_tree_is_good(self):
        self.assert_good()

    def test_downwards_and_within_a_room_is_good(self):
        self.includes("broker/shard/shard.cpp", "broker/shard/shard.hpp", "broker/store/store.hpp", "broker/base/log.hpp")
        self.includes("broker/app/main.cpp", "broker/listener/listener.hpp", "bridge/kafka/connector.hpp")
        self.assert_good()

    def test_upwards_is_named_with_file_and_line(self):
        self.add("broker/core/message.hpp", "#pragma once", "", '#include "net/tls.hpp"')
        self.add("broker/net/tls.hpp")
        self.assert_one("broker/core/message.hpp:3:", "broker/net/tls.hpp", "stands above core")

    def test_strangers_on_one_floor(self):
        self.includes("broker/auth/auth.cpp", "broker/store/store.hpp")
        self.assert_one("same floor", "auth", "store")

    def test_rooms_of_floor_5_are_strangers(self):
        self.includes("broker/admin/api.cpp", "bridge/connector.hpp")
        self.assert_one("same floor", "admin", "bridge")

    def test_floor_5_sees_only_the_door_of_the_shard(self):
        self.includes("broker/listener/a.cpp", "broker/shard/inlet.hpp", "broker/shard/link.hpp", "broker/shard/stats.hpp")
        self.assert_good()
        self.includes("broker/listener/b.cpp", "broker/shard/shard.hpp")
        self.assert_one("floor 5 sees of the shard only", "broker/shard/shard.hpp")

    def test_the_app_sees_the_whole_shard(self):
        self.includes("broker/app/wiring.cpp", "broker/shard/shard.hpp")
        self.assert_good()

    def test_nobody_includes_the_app(self):
        self.includes("broker/listener/listener.cpp", "broker/app/wiring.hpp")
        self.assert_one("app (floor 6) stands above listener")

    def test_a_connector_knows_the_bridge_but_no_other_connector(self):
        self.includes("bridge/kafka/producer.cpp", "bridge/connector.hpp", "broker/core/message.hpp")
        self.assert_good()
        self.includes("bridge/kafka/bad.cpp", "bridge/amqp/publisher.hpp")
        self.assert_one("same floor", "bridge/amqp", "bridge/kafka")

    def test_the_bridge_does_not_know_its_connectors(self):
        self.includes("bridge/runner.cpp", "bridge/kafka/producer.hpp")
        self.assert_one("same floor")

    def test_a_relative_include_is_seen(self):
        self.add("broker/core/message.hpp", '#include "../shard/shard.hpp"')
        self.add("broker/shard/shard.hpp")
        self.assert_one("broker/shard/shard.hpp", "stands above core")

    def test_angle_brackets_do_not_hide_it(self):
        self.add("broker/core/message.hpp", "#include <shard/shard.hpp>", "#include <vector>")
        self.add("broker/shard/shard.hpp")
        self.assert_one("stands above core")

    def test_shipped_code_does_not_include_tests(self):
        self.includes("broker/net/channel.cpp", "tests/support/fake.hpp")
        self.assert_one("does not include from tests/")

    def test_tests_include_anything(self):
        self.includes("tests/unit/net/a_test.cpp", "broker/app/wiring.hpp", "tests/support/fake.hpp")
        self.assert_good()

    def test_comments_are_no_includes(self):
        self.add("broker/base/log.hpp", '// #include "net/tls.hpp"', '/* #include "net/tls.hpp"', "*/")
        self.add("broker/net/tls.hpp")
        self.assert_good()

    def test_the_line_after_a_block_comment_is_right(self):
        self.add("broker/base/log.hpp", "/* one", "two */", '#include "net/tls.hpp"')
        self.add("broker/net/tls.hpp")
        self.assert_one("broker/base/log.hpp:3:")

    def test_an_unknown_quoted_include(self):
        self.add("broker/base/log.hpp", '#include "nowhere.hpp"')
        self.assert_one('"nowhere.hpp" is no file of the project')

    def test_a_generated_header_is_known_by_its_template(self):
        self.add("broker/app/main.cpp", '#include "base/version.hpp"')
        self.add("broker/base/version.hpp.in")
        self.assert_good()

    def test_a_file_in_no_room(self):
        self.add("broker/utils/misc.hpp")
        self.assert_one("stands in no room")

    def test_a_circle_inside_a_room(self):
        self.includes("broker/core/a.hpp", "broker/core/b.hpp")
        self.includes("broker/core/b.hpp", "broker/core/c.hpp")
        self.includes("broker/core/c.hpp", "broker/core/a.hpp")
        self.assert_one("circle", "a.hpp -> broker/core/b.hpp -> broker/core/c.hpp -> broker/core/a.hpp")

    def test_a_diamond_is_no_circle(self):
        self.includes("broker/core/a.hpp", "broker/core/b.hpp", "broker/core/c.hpp")
        self.includes("broker/core/b.hpp", "broker/core/d.hpp")
        self.includes("broker/core/c.hpp", "broker/core/d.hpp")
        self.assert_good()

    def test_a_header_and_its_impl_are_one(self):
        self.includes("broker/wire/frame.hpp", "broker/wire/frame_impl.hpp")
        self.includes("broker/wire/frame_impl.hpp", "broker/wire/frame.hpp")
        self.assert_good()

    def test_an_exception_needs_a_reason_and_a_use(self):
        self.includes("broker/auth/auth.cpp", "broker/store/store.hpp")
        subject = "floor broker/auth/auth.cpp->broker/store/store.hpp"
        self.add("tests/tools/lint-allow.txt", f"{subject} moved with the next schema")
        self.assert_good()
        self.add("tests/tools/lint-allow.txt", subject)
        self.assertEqual(len(check_floors.check(self.root)), 2)
        self.includes("broker/auth/auth.cpp", "broker/base/log.hpp")
        self.add("tests/tools/lint-allow.txt", f"{subject} moved with the next schema")
        self.assert_one("no longer needed")


if __name__ == "__main__":
    unittest.main()
