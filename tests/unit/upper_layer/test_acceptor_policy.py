from __future__ import annotations

from dataclasses import replace

import pytest

from seriesgate.upper_layer.negotiation import AcceptorPolicy

POLICY = AcceptorPolicy(ae_title="STORESCP", implementation_class_uid="1.2.276.9")


def test_default_limits():
    assert (POLICY.artim_timeout, POLICY.idle_timeout) == (30.0, 300.0)
    assert (POLICY.progress_window, POLICY.min_progress) == (30.0, 1024.0)


def test_limits_of_the_policy_may_be_at_their_bounds():
    policy = replace(POLICY, max_pdu_length=2**32 - 1, max_operations=1, ae_title="A" * 16)
    assert replace(policy, max_pdu_length=0, max_operations=0xFFFF, ae_title="A").ae_title == "A"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ae_title": ""}, "AE title ''"),
        ({"ae_title": "A" * 17}, "AE title"),
        ({"ae_title": " PADDED"}, "AE title"),
        ({"ae_title": "BACK\\SLASH"}, "AE title"),
        ({"ae_title": "RÖNTGEN"}, "AE title"),
        ({"implementation_version_name": "V" * 17}, "implementation version"),
        ({"implementation_class_uid": "none"}, "'none' is not a UID"),
        ({"storage_negotiation": bytes(65)}, "over 64 bytes"),
        ({"max_pdu_length": -1}, "max_pdu_length -1"),
        ({"max_pdu_length": 2**32}, "max_pdu_length"),
        ({"max_operations": 0}, "max_operations 0"),
        ({"max_operations": 65536}, "max_operations 65536"),
        ({"artim_timeout": 0.0}, "greater than 0"),
        ({"idle_timeout": -1.0}, "greater than 0"),
        ({"progress_window": 0.0}, "greater than 0"),
        ({"min_progress": 0.0}, "greater than 0"),
    ],
)
def test_policy_that_makes_no_sense_is_refused(changes: dict[str, object], message: str):
    with pytest.raises(ValueError, match=message):
        replace(POLICY, **changes)  # type: ignore[arg-type] # any field
