"""Tests of the demo's bookkeeping: a demo that cannot count a loss proves nothing."""

import os
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from replay import replay_options  # noqa: E402
from tally import LineFollower, Tally, parse_message  # noqa: E402
from view import format_view  # noqa: E402


class TallyTest(unittest.TestCase):
    def setUp(self):
        self.tally = Tally(["kafka", "amqp"])

    def arrive_everywhere(self, message):
        self.tally.on_arrived("kafka", message)
        self.tally.on_arrived("amqp", message)

    def test_nothing_lost(self):
        self.tally.published = 2
        for seq in (1, 2):
            self.tally.on_acknowledged(("device-0001", seq))
            self.arrive_everywhere(("device-0001", seq))
        self.assertEqual(self.tally.summary(),
                         "published 2 acknowledged 2 delivered kafka 2 amqp 2 lost 0 duplicated 0")

    def test_a_loss_counts_once_per_upstream(self):
        self.tally.on_acknowledged(("a", 1))
        self.assertEqual(self.tally.lost, 2)
        self.tally.on_arrived("kafka", ("a", 1))
        self.assertEqual(self.tally.lost, 1)
        self.assertEqual(self.tally.missing("amqp"), {("a", 1)})

    def test_the_same_seq_of_another_device_does_not_hide_a_loss(self):
        self.tally.on_acknowledged(("a", 1))
        self.arrive_everywhere(("b", 1))
        self.assertEqual(self.tally.lost, 2)

    def test_duplicates_do_not_hide_losses(self):
        for seq in (1, 2):
            self.tally.on_acknowledged(("a", seq))
        for _ in range(3):
            self.arrive_everywhere(("a", 1))
        self.assertEqual(self.tally.lost, 2)
        self.assertEqual(self.tally.duplicated, 4)

    def test_what_arrived_without_acknowledgement_is_neither_lost_nor_duplicated(self):
        self.arrive_everywhere(("a", 9))
        self.assertEqual((self.tally.lost, self.tally.duplicated), (0, 0))
        self.assertEqual(self.tally.delivered("kafka"), 1)

    def test_missing_messages_are_named(self):
        for seq in range(12):
            self.tally.on_acknowledged(("a", seq))
        self.assertEqual(self.tally.describe_missing("amqp", most=2), "a 0, a 1 and 10 more")


class LinesTest(unittest.TestCase):
    def test_messages(self):
        self.assertEqual(parse_message("device-0001 17\n"), ("device-0001", 17))
        for line in ("ready", "", "a b c", "device-0001 x", "device-0001 -1"):
            self.assertIsNone(parse_message(line))

    def test_a_half_written_line_waits_for_its_end(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "journal")
            follower = LineFollower(path)
            self.assertEqual(follower.lines(), [])
            with open(path, "w", encoding="utf-8") as file:
                file.write("a 1\na 2")
                file.flush()
                self.assertEqual(follower.lines(), ["a 1"])
                file.write("5\n")
                file.flush()
                self.assertEqual(follower.lines(), ["a 25"])
                self.assertEqual(follower.lines(), [])


class ReplayTest(unittest.TestCase):
    def options(self, text, seconds=10, devices=4):
        with tempfile.NamedTemporaryFile("w", suffix=".csv", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            return replay_options(file.name, seconds, devices)[2:]

    def test_the_speed_fits_the_file_into_the_time(self):
        text = 'date,v\n"1","2015-02-02 14:00:00",1\n"2","2015-02-02 14:10:00",2\n'
        self.assertEqual(self.options(text), ["--speed", "60"])

    def test_without_times_the_rate_does(self):
        self.assertEqual(self.options("v\n" + "1\n" * 200), ["--rate", "5"])


class ViewTest(unittest.TestCase):
    def test_a_missing_figure_does_not_stop_the_view(self):
        lines = format_view({"seconds": 1, "left": 29, "now": "x", "published": 0, "acknowledged": 0,
                             "rates": {}, "connected": None, "devices": 20, "arrived": {}, "bridges": {}})
        self.assertTrue(all(isinstance(line, str) for line in lines))


if __name__ == "__main__":
    unittest.main()
