"""The list of members in a .zip, beside what zipfile reads."""

import io
import struct
import zipfile
import zlib

import pytest
from support import traced_peak

from dali_rec._files import open_regular
from dali_rec.sources.archives.folder import ArchiveFolder
from dali_rec.sources.archives.images import ArchivedImages
from dali_rec.sources.archives.reader import read_archive
from dali_rec.sources.archives.zip_headers import DamagedZipError, SplitZipError, zip_members


def zipped(*names, comment=b"", method=zipfile.ZIP_STORED):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for number, name in enumerate(names):
            archive.writestr(name, bytes([number % 256]) * 50)
        archive.comment = comment
    return file.getvalue()


@pytest.fixture
def read(tmp_path):
    """The members of a .zip of these bytes."""

    def read(data):
        path = tmp_path / "x.zip"
        path.write_bytes(data)
        descriptor, status = open_regular(path)
        with io.FileIO(descriptor):
            return list(zip_members(descriptor, status.st_size))

    return read


def by_zipfile(data):
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return [
            (one.filename, one.header_offset, one.compress_type, one.compress_size, one.file_size, one.CRC)
            for one in archive.infolist()
        ]


def with_zip64(data, before=b""):
    """The archive behind something else, with all that says where and how many in ZIP64."""
    end = data.rindex(b"PK\5\6")
    length, offset = struct.unpack_from("<2L", data, end + 12)
    entries, at = b"", offset
    while at < offset + length:
        head, name, extra = data[at : at + 46], *struct.unpack_from("<2H", data, at + 28)
        stored, size = struct.unpack_from("<2L", head, 20)
        numbers = struct.pack("<2H3Q", 1, 24, size, stored, *struct.unpack_from("<L", head, 42))
        other = struct.pack("<2HL", 0x5455, 4, 9)
        none = b"\xff" * 4
        head = head[:20] + 2 * none + head[28:30] + struct.pack("<H", len(other + numbers)) + head[32:42] + none
        entries += head + data[at + 46 : at + 46 + name] + other + numbers
        at += 46 + name + extra
    count = struct.unpack_from("<H", data, end + 10)[0]
    end_64 = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, count, count, len(entries), offset)
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, offset + len(entries), 1)
    last = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    return before + data[:offset] + entries + end_64 + locator + last


@pytest.mark.parametrize(
    "data",
    [
        zipped(),
        zipped("a.jpg", "cat/", "cat/é.jpg", "x" * 60_000, "y" * 65_000, "z.jpg"),
        zipped("a.jpg", "b.jpg", comment=b"photographs PK"),
        zipped("a.jpg", comment=b"x" * 65_535),
        b"#!/bin/sh\n" * 50 + zipped("a.jpg", "b.jpg"),
        zipped("a.jpg", "b.txt", method=zipfile.ZIP_DEFLATED),
        zipped(*(f"{number}.jpg" for number in range(70_000))),
        with_zip64(zipped("a.jpg", "cat/b.jpg")),
        with_zip64(zipped("a.jpg", "cat/b.jpg"), b"#!/bin/sh\n" * 50),
    ],
    ids=["empty", "names", "comment", "longest comment", "prefix", "deflated", "many", "zip64", "zip64 and prefix"],
)
def test_members_are_those_of_zipfile(read, data):
    assert [tuple(member[:6]) for member in read(data)] == by_zipfile(data)


def test_names_are_utf_8_or_of_code_page_437(read):
    data = zipped("xxxx.jpg", "yyyy.jpg")
    found = read(data.replace(b"xxxx", "ähé"[:2].encode() + b"x").replace(b"yyyy", b"\x84h\x82y"))
    assert [member.name for member in found] == ["ähx.jpg", "ähéy.jpg"]
    flagged = bytearray(zipped("é.jpg"))
    for at in (flagged.index("é".encode()), flagged.rindex("é".encode())):
        flagged[at] = ord("a")  # no UTF-8 any more, although it says so
    assert [member.name for member in read(bytes(flagged))] == ["a⌐.jpg"]


def unicode_path(name, path):
    return struct.pack("<2HBL", 0x7075, 5 + len(path), 1, zlib.crc32(name)) + path


def test_name_in_unicode_stands_in_an_extra_field(read):
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        for name, extra in (
            ("?.jpg", struct.pack("<2HL", 0x5455, 4, 9) + unicode_path(b"?.jpg", "猫.jpg".encode())),
            ("renamed.jpg", unicode_path(b"?.jpg", "猫.jpg".encode())),
            ("a.jpg", unicode_path(b"a.jpg", b"")),
            ("b.jpg", unicode_path(b"b.jpg", b"")[:6]),
        ):
            info = zipfile.ZipInfo(name)
            info.extra = extra
            file.writestr(info, b"x")
    assert [member.name for member in read(archive.getvalue())] == ["猫.jpg", "renamed.jpg", "a.jpg", "b.jpg"]


def test_link_of_info_zip(read, tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"x")
    archive = tmp_path / "links.zip"
    with zipfile.ZipFile(archive, "w") as file:
        info = zipfile.ZipInfo("b.jpg")
        info.external_attr = 0o120777 << 16
        file.writestr(info, "a.jpg")
        file.write(tmp_path / "a.jpg", "a.jpg")
    assert [(member.name, member.is_link) for member in read(archive.read_bytes())] == [
        ("b.jpg", True),
        ("a.jpg", False),
    ]


def test_more_than_4_gb_without_zip64_as_macos_writes_it(tmp_path):
    data = zipped("a.jpg", "b.jpg", "c.jpg", "d.jpg")
    end = data.rindex(b"PK\5\6")
    behind, entries = data.index(b"PK\3\4", data.index(b"b.jpg")), data.index(b"PK\1\2")
    moved = bytearray(data)
    for name in (b"c.jpg", b"d.jpg"):
        at = data.rindex(name) - 4
        struct.pack_into("<L", moved, at, struct.unpack_from("<L", data, at)[0] - behind + 10)
    struct.pack_into("<L", moved, end + 16, entries - behind + 10)
    with (tmp_path / "x.zip").open("wb") as file:
        file.write(moved[:behind])
        file.seek((1 << 32) + 10)  # a hole, which takes no room
        file.write(moved[behind:])
    folder = ArchiveFolder("x", "x.zip", "x.zip//", ArchivedImages(str(tmp_path)))
    read_archive(tmp_path / "x.zip", folder)
    for number, name in enumerate(("a.jpg", "b.jpg", "c.jpg", "d.jpg")):
        assert folder.open(name).read() == bytes([number]) * 50


def test_what_is_no_zip_or_cut_off_is_damaged(read):
    data = zipped("a.jpg", "b.jpg")
    entry = data.index(b"PK\1\2")
    in_parts = bytearray(data)
    in_parts[-18:-16] = b"\3\0"
    for damaged, message in (
        (b"", "no mark of its end"),
        (b"x" * 100, "no mark of its end"),
        (data[:-1], "no mark of its end"),
        (data[entry + 9 :], r"\d+ bytes before its end are missing"),
        (data[:entry] + b"xxxx" + data[entry + 4 :], f"no member in its list at byte {entry}"),
        (data[: entry + 23] + b"\x7f" + data[entry + 24 :], r"a\.jpg would end behind what is there"),
    ):
        with pytest.raises(DamagedZipError, match=message):
            read(damaged)
    with pytest.raises(SplitZipError, match="the last of 4 parts"):
        read(bytes(in_parts))


def test_table_takes_little_memory_a_member(tmp_path):
    (tmp_path / "x.zip").write_bytes(zipped(*(f"{number % 10}/{number:08}.jpg" for number in range(20_000))))
    folder = ArchiveFolder("x", "x.zip", "x.zip//", ArchivedImages(str(tmp_path)))
    # zipfile alone takes 600 bytes for each.
    assert traced_peak(lambda: read_archive(tmp_path / "x.zip", folder)) < 20_000 * 300 + (4 << 20)
    assert sum(len(one.files) for one in folder.folders.values()) == 20_000
