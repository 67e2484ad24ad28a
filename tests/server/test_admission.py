"""Capacity and single-use tokens."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicebot.server.admission import Admission, AdmittedCall, Refusal

pytestmark = pytest.mark.unit


def test_a_token_admits_its_call_once_with_the_webhooks_parameters() -> None:
    admission = Admission(2)
    token = admission.issue("CA1", {"caller": "+15550100"}, now=0.0)
    assert token is not None
    admitted = admission.redeem(token, "CA1", now=1.0)
    assert admitted == AdmittedCall("CA1", {"caller": "+15550100"}, 1.0)
    assert admission.redeem(token, "CA1", now=2.0) == Refusal("reused token")
    admission.release("CA1")
    assert admission.redeem(token, "CA1", now=3.0) == Refusal("reused token")


def test_a_token_is_bound_to_its_call_sid() -> None:
    admission = Admission(2)
    first = admission.issue("CA1", {}, now=0.0)
    second = admission.issue("CA2", {}, now=0.0)
    assert first is not None
    assert second is not None
    assert admission.redeem(first, "CA2", now=1.0) == Refusal("wrong token")
    assert admission.redeem(first, "CA3", now=1.0) == Refusal("no reservation")
    # A wrong guess does not cut off the real caller.
    assert isinstance(admission.redeem(second, "CA2", now=1.0), AdmittedCall)


@pytest.mark.parametrize("token", ["", "naïve ☎", "A" * 10_000])
def test_odd_tokens_are_refused(token: str) -> None:
    admission = Admission(1)
    admission.issue("CA1", {}, now=0.0)
    assert admission.redeem(token, "CA1", now=0.0) == Refusal("wrong token")


def test_tokens_expire_and_give_their_place_back() -> None:
    admission = Admission(1, token_ttl_s=60.0)
    token = admission.issue("CA1", {}, now=0.0)
    assert token is not None
    assert admission.issue("CA2", {}, now=59.9) is None
    assert admission.redeem(token, "CA1", now=60.0) == Refusal("expired token")
    assert admission.issue("CA2", {}, now=60.0) is not None


def test_full_until_a_call_is_released() -> None:
    admission = Admission(1)
    token = admission.issue("CA1", {}, now=0.0)
    assert token is not None
    admission.redeem(token, "CA1", now=0.0)
    assert admission.issue("CA2", {}, now=1000.0) is None, "live calls do not expire"
    admission.release("CA1")
    admission.release("CA1")
    assert admission.issue("CA2", {}, now=1000.0) is not None


def test_a_repeated_webhook_replaces_the_token_and_takes_no_second_place() -> None:
    admission = Admission(1)
    first = admission.issue("CA1", {}, now=0.0)
    second = admission.issue("CA1", {}, now=1.0)
    assert first is not None
    assert second is not None
    assert admission.occupied(1.0) == 1
    assert admission.redeem(first, "CA1", now=1.0) == Refusal("wrong token")
    assert isinstance(admission.redeem(second, "CA1", now=1.0), AdmittedCall)


def test_a_released_reservation_frees_its_place() -> None:
    admission = Admission(1)
    token = admission.issue("CA1", {}, now=0.0)
    assert token is not None
    admission.release("CA1")
    assert admission.occupied(0.0) == 0
    assert admission.redeem(token, "CA1", now=0.0) == Refusal("expired token")


@given(
    st.lists(
        st.tuples(st.sampled_from(["issue", "redeem", "release", "wait"]), st.integers(0, 12)),
        max_size=200,
    )
)
def test_never_more_than_max_calls_and_memory_stays_bounded(steps: list[tuple[str, int]]) -> None:
    admission = Admission(3, token_ttl_s=5.0)
    tokens: dict[str, str] = {}
    live: set[str] = set()
    now = 0.0
    for step, number in steps:
        call_sid = f"CA{number}"
        if step == "issue":
            if token := admission.issue(call_sid, {}, now):
                tokens[call_sid] = token
        elif step == "redeem":
            result = admission.redeem(tokens.get(call_sid, "none"), call_sid, now)
            if isinstance(result, AdmittedCall):
                assert call_sid not in live
                live.add(call_sid)
        elif step == "release":
            admission.release(call_sid)
            live.discard(call_sid)
        else:
            now += number
        assert admission.live == len(live)
        assert admission.occupied(now) <= 3
        assert len(admission._ended) <= 12
