from __future__ import annotations

from bench.ground import ini


def test_an_ini_file_has_frps_words() -> None:
    text = ini({"common": {"tcp_mux": False, "port": 7}, "web": {"type": "http"}})
    assert text == "[common]\ntcp_mux = false\nport = 7\n\n[web]\ntype = http\n"
