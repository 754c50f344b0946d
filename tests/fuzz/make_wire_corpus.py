#!/usr/bin/env python3
"""Writes the seed corpora of the wire fuzzers from the vectors in tests/vectors/wire. Run it after new packets were
added there; the seeds are committed."""
import json
import pathlib
import re

here = pathlib.Path(__file__).parent
vectors = here.parent / "vectors" / "wire"
seeds_per_file = 6
version_byte = {"3.1": 0, "3.1.1": 1, "5": 2}


def to_bytes(text):
    parts = re.findall(r"'([^']*)'|([0-9a-f]+)", text)
    return b"".join(bytes.fromhex(digits) if digits else quoted.encode() for quoted, digits in parts)


def write(name, index, data):
    folder = here / "corpus" / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"seed{index:02d}").write_bytes(data)


def main():
    index = 0
    for path in sorted(vectors.glob("*.json")):
        good = [row for row in json.loads(path.read_text()) if row["expect"] == "ok"]
        # The longest carry the most properties.
        good.sort(key=lambda row: -len(row["hex"]))
        for row in good[:seeds_per_file]:
            packet = to_bytes(row["hex"])
            choice = version_byte[row["version"]]
            write("fuzz_decode", index, bytes([packet[0] & 0xF0 | choice_with_type(packet[0], choice)]) + packet)
            write("fuzz_frame_reader", index, bytes([choice | 0x80, 0, 0, 0, index]) + packet + b"\xc0\x00" + packet)
            index += 1
    topics = ["#\0a", "+/+\0/finance", "sport/#\0sport", "$SYS/#\0$SYS/x", "$share/g/a/+\0a/b", "a/+/c\0a/b/c", "a//#\0a/",
              "\u00e4/\u20ac/\U0001f600\0\u00e4/\u20ac/\U0001f600", "+a\0a", "#/a\0a"]
    for number, text in enumerate(topics):
        write("fuzz_topic", number, text.encode())


def choice_with_type(first_byte, choice):
    """fuzz_decode takes the version from the whole byte modulo 3, the packet type from its upper half."""
    high = first_byte & 0xF0
    return next(low for low in range(16) if (high | low) % 3 == choice)


if __name__ == "__main__":
    main()
