from types import SimpleNamespace

from dali_rec.commands import _options


def test_patterns_stand_for_files_where_shells_leave_them_to_the_program(tmp_path, monkeypatch):
    for name in ("b[1].rec", "b[2].rec", "a.rec", "a.idx"):
        (tmp_path / name).touch()
    patterns = [tmp_path / name for name in ("*.rec", "x", "b[?].rec", "none*")]
    wanted = [tmp_path / name for name in ("a.rec", "b[1].rec", "b[2].rec", "x", "b[1].rec", "b[2].rec", "none*")]
    monkeypatch.setattr(_options, "sys", SimpleNamespace(platform="win32"))
    assert _options.expanded(patterns) == wanted
    monkeypatch.setattr(_options, "sys", SimpleNamespace(platform="linux"))
    assert _options.expanded(patterns) == patterns
