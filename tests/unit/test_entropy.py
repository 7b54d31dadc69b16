from __future__ import annotations

import pytest

from frpd.entropy import Entropy, SystemEntropy


def test_token_bytes_have_the_length_asked_for_and_do_not_repeat() -> None:
    entropy: Entropy = SystemEntropy()
    tokens = {entropy.token_bytes(16) for _ in range(100)}
    assert len(tokens) == 100
    assert {len(token) for token in tokens} == {16}
    assert entropy.token_bytes(0) == b""


@pytest.mark.parametrize("spread", [0.0, 0.3, 1.0])
def test_jitter_stays_within_its_spread(spread: float) -> None:
    values = [SystemEntropy().jitter(10.0, spread) for _ in range(500)]
    slack = 1e-9
    assert min(values) >= 10.0 * (1 - spread) - slack
    assert max(values) <= 10.0 * (1 + spread) + slack
    assert (len(set(values)) > 1) is (spread > 0)
