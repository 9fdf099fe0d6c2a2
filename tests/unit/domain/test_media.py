"""Which files are fetched, and that no download ends in limbo."""

import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.deliveries import ANA, GROUP, NOON, SECOND, SESSION

from wagateway.domain.identity import ChatType, Jid
from wagateway.domain.media import (
    LIFETIME,
    Attachment,
    Download,
    DownloadStatus,
    Fetch,
    Rules,
    Skip,
    begun,
    completed,
    decide,
    expired,
    failed,
    file_key,
    heard,
    heard_again,
    is_media_key,
    is_untried,
    judged,
    lost,
    merit,
    missing,
    offered,
    put_off,
    retried,
    skipped,
    thumbnail_key,
    turn,
)
from wagateway.domain.messages import Kind, MediaFacts, MediaOffer
from wagateway.domain.patience import Patience

DAY = timedelta(days=1)
HASH = "abcd" + "0" * 60
PATIENCE = Patience(max_retries=2, first=2 * SECOND, longest=3 * SECOND, failed=DAY)
PHOTO = Attachment(
    session=SESSION,
    chat=ANA,
    kind=Kind.IMAGE,
    from_me=False,
    sent_at=NOON - SECOND,
    facts=MediaFacts(mimetype="image/jpeg", size_bytes=1000),
)
OFFER = MediaOffer(offered_at=NOON, url="http://localhost:3000/api/files/vendas/A.jpeg")
IN_BUCKET = MediaOffer(offered_at=NOON, url="https://s3/presigned", s3_bucket="b", s3_key="k")
BROKEN = MediaOffer(offered_at=NOON, error="no more")


def _begun(offer: MediaOffer | None, rules: Rules, now: datetime) -> Download:
    """A download as its first worker sees it."""
    return judged(heard(offer, now), rules, now)


def _decided(
    file: Attachment, offer: MediaOffer | None, rules: Rules, now: datetime
) -> Fetch | Skip:
    return decide(file, heard(offer, now), rules, heard_at=now, now=now)


class TestDecide:
    def test_a_fresh_file_is_fetched_before_the_engine_drops_it(self) -> None:
        assert _decided(PHOTO, OFFER, Rules(), NOON) == Fetch(
            again=False, expires_at=NOON + LIFETIME
        )

    @pytest.mark.parametrize("offer", [None, BROKEN])
    def test_a_file_without_a_place_must_be_got_again(self, offer: MediaOffer | None) -> None:
        assert _decided(PHOTO, offer, Rules(), NOON) == Fetch(again=True, expires_at=None)

    def test_a_file_that_the_engine_dropped_must_be_got_again(self) -> None:
        verdict = _decided(PHOTO, OFFER, Rules(), NOON + LIFETIME)
        assert verdict == Fetch(again=True, expires_at=NOON + LIFETIME)

    def test_what_lies_in_a_bucket_or_is_kept_for_ever_does_not_expire(self) -> None:
        kept = Fetch(again=False, expires_at=None)
        assert _decided(PHOTO, IN_BUCKET, Rules(), NOON + DAY) == kept
        assert _decided(PHOTO, OFFER, Rules(lifetime=None), NOON + DAY) == kept

    @pytest.mark.parametrize(
        ("rules", "file", "reason"),
        [
            (Rules(largest_bytes=999), {}, "it is larger than 999 bytes"),
            (Rules(kinds=frozenset({Kind.VOICE})), {}, "files of kind image are not kept"),
            (Rules(without_chats=frozenset({ANA})), {}, "files of this chat are not kept"),
            (
                Rules(without_sessions=frozenset({SESSION})),
                {},
                "files of this session are not kept",
            ),
            (
                Rules(without_chat_types=frozenset({ChatType.GROUP})),
                {"chat": GROUP},
                "files of group chats are not kept",
            ),
            (
                Rules(without_chat_types=frozenset({ChatType.BROADCAST})),
                {"chat": Jid("status@broadcast")},
                "files of broadcast chats are not kept",
            ),
            (
                Rules(outgoing=False),
                {"from_me": True},
                "files that were sent from here are not kept",
            ),
            (
                Rules(oldest=DAY),
                {"sent_at": NOON - 2 * DAY},
                "the message was too old when it came",
            ),
        ],
    )
    def test_says_why_a_file_is_not_wanted(
        self, rules: Rules, file: dict[str, object], reason: str
    ) -> None:
        verdict = _decided(msgspec.structs.replace(PHOTO, **file), OFFER, rules, NOON)
        assert verdict == Skip(reason=reason)

    def test_what_comes_in_is_wanted_where_only_what_goes_out_is_not(self) -> None:
        assert isinstance(_decided(PHOTO, OFFER, Rules(outgoing=False), NOON), Fetch)
        sent = msgspec.structs.replace(PHOTO, from_me=True)
        assert isinstance(_decided(sent, OFFER, Rules(), NOON), Fetch)

    def test_what_was_not_there_is_got_again(self) -> None:
        state = missing(heard(OFFER, NOON), NOON, "404", PATIENCE)
        verdict = decide(PHOTO, state, Rules(), heard_at=NOON, now=NOON)
        assert verdict == Fetch(again=True, expires_at=NOON + LIFETIME)

    def test_a_message_ages_until_it_is_heard_of_and_not_while_it_waits(self) -> None:
        late, rules = NOON + 9 * DAY, Rules(oldest=DAY)
        verdict = decide(PHOTO, heard(OFFER, NOON), rules, heard_at=NOON, now=late)
        assert isinstance(verdict, Fetch)

    def test_bounds_are_inclusive(self) -> None:
        rules = Rules(largest_bytes=1000, oldest=SECOND, kinds=frozenset({Kind.IMAGE}))
        assert isinstance(_decided(PHOTO, OFFER, rules, NOON), Fetch)

    def test_a_size_that_nobody_told_is_no_reason(self) -> None:
        nameless = msgspec.structs.replace(PHOTO, facts=MediaFacts())
        assert isinstance(_decided(nameless, OFFER, Rules(largest_bytes=1), NOON), Fetch)

    def test_rules_that_mean_nothing_are_refused(self) -> None:
        with pytest.raises(ValueError, match=r"^the largest size is at least one byte$"):
            Rules(largest_bytes=0)
        with pytest.raises(ValueError, match=r"^a lifetime is more than nothing; None: for ever$"):
            Rules(lifetime=timedelta())


class TestDownload:
    def test_begins_at_once(self) -> None:
        state = _begun(OFFER, Rules(), NOON)
        assert state == Download(offer=OFFER, due_at=NOON, expires_at=NOON + LIFETIME)

    def test_is_held_until_the_lease_ends(self) -> None:
        state = begun(_begun(OFFER, Rules(), NOON), NOON + SECOND)
        assert (state.status, state.due_at) == (DownloadStatus.DOWNLOADING, NOON + SECOND)

    def test_ends_with_the_hash(self) -> None:
        tried = missing(_begun(OFFER, Rules(), NOON), NOON, "404", PATIENCE)
        assert completed(tried, "ab") == Download(
            status=DownloadStatus.COMPLETED, offer=OFFER, expires_at=NOON + LIFETIME, sha256="ab"
        )

    def test_what_is_to_be_said_of_a_stored_file_is_kept(self) -> None:
        assert completed(heard(OFFER, NOON), "ab", problem="another file").problem == "another file"

    def test_what_nobody_can_fetch_now_is_put_off_without_a_failure(self) -> None:
        state = failed(heard(OFFER, NOON), NOON, "no", PATIENCE)
        later = put_off(begun(state, NOON + SECOND), NOON + DAY, "the disk is full")
        assert later == msgspec.structs.replace(
            state, due_at=NOON + DAY, problem="the disk is full"
        )

    @pytest.mark.parametrize("offer", [OFFER, BROKEN, None])
    def test_what_the_store_lost_is_due_again(self, offer: MediaOffer | None) -> None:
        again = offer is not OFFER
        tried = failed(heard(offer, NOON), NOON, "no", PATIENCE)
        stored = msgspec.structs.replace(tried, again=not again, sha256="ab")
        assert lost(stored, NOON + DAY, "gone") == Download(
            offer=offer, again=again, due_at=NOON + DAY, problem="gone"
        )

    def test_a_place_is_untried_until_something_came_of_it(self) -> None:
        assert is_untried(heard(OFFER, NOON))
        assert is_untried(retried(expired(heard(OFFER, NOON), "410"), NOON))
        assert not is_untried(missing(heard(OFFER, NOON), NOON, "404", PATIENCE))
        assert not is_untried(heard(BROKEN, NOON))
        assert not is_untried(heard(None, NOON))

    def test_waits_longer_and_longer_then_long_but_is_never_given_up(self) -> None:
        state, waits = _begun(OFFER, Rules(), NOON), []
        for _ in range(4):
            state = failed(state, NOON, "no", PATIENCE)
            waits.append((state.status, state.due_at))
        assert waits == [
            (DownloadStatus.PENDING, NOON + 2 * SECOND),
            (DownloadStatus.PENDING, NOON + 3 * SECOND),
            (DownloadStatus.FAILED, NOON + DAY),
            (DownloadStatus.FAILED, NOON + DAY),
        ]
        assert (state.attempts, state.problem) == (4, "no")

    def test_many_do_not_return_at_once(self) -> None:
        state = failed(_begun(OFFER, Rules(), NOON), NOON, "no", PATIENCE, jitter=0.5)
        assert state.due_at == NOON + 3 * SECOND
        assert missing(state, NOON, "404", PATIENCE, jitter=1.0).due_at == NOON + 6 * SECOND

    def test_what_the_engine_dropped_is_got_again_at_once_but_only_once(self) -> None:
        state = missing(_begun(OFFER, Rules(), NOON), NOON, "404", PATIENCE)
        assert (state.again, state.due_at, state.problem) == (True, NOON, "404")
        later = msgspec.structs.replace(OFFER, offered_at=NOON + SECOND)
        found = offered(begun(state, NOON + DAY), later, Rules(), NOON + SECOND)
        assert (found.again, found.offer) == (False, later)
        assert missing(found, NOON, "404", PATIENCE).due_at == NOON + 3 * SECOND

    def test_what_nobody_has_is_over_until_it_is_offered(self) -> None:
        state = expired(_begun(OFFER, Rules(), NOON), "410")
        assert (state.status, state.due_at, state.problem) == (DownloadStatus.EXPIRED, None, "410")
        later = msgspec.structs.replace(OFFER, offered_at=NOON + DAY)
        state = offered(state, later, Rules(), NOON + DAY)
        assert (state.status, state.due_at) == (DownloadStatus.PENDING, NOON + DAY)

    def test_a_new_place_is_tried_at_once_as_if_nothing_had_failed(self) -> None:
        state = _begun(OFFER, Rules(), NOON)
        for _ in range(4):
            state = failed(state, NOON, "no", PATIENCE)
        later = msgspec.structs.replace(OFFER, offered_at=NOON + SECOND)
        now = NOON + 2 * SECOND
        assert offered(state, later, Rules(), now) == Download(
            offer=later, due_at=now, expires_at=NOON + SECOND + LIFETIME
        )

    @pytest.mark.parametrize(
        "offer",
        [
            msgspec.structs.replace(OFFER, offered_at=NOON - SECOND),
            OFFER,
            msgspec.structs.replace(BROKEN, offered_at=NOON + SECOND),
        ],
    )
    def test_an_old_or_empty_offer_says_nothing(self, offer: MediaOffer) -> None:
        state = failed(_begun(OFFER, Rules(), NOON), NOON, "no", PATIENCE)
        assert offered(state, offer, Rules(), NOON) is state

    def test_a_first_place_is_news_whenever_it_was_named(self) -> None:
        state = _begun(BROKEN, Rules(lifetime=None), NOON)
        early = msgspec.structs.replace(OFFER, offered_at=NOON - DAY)
        assert offered(state, early, Rules(lifetime=None), NOON).again is False

    def test_an_offer_that_is_out_of_date_is_no_place(self) -> None:
        later = msgspec.structs.replace(OFFER, offered_at=NOON + SECOND)
        waits = _begun(OFFER, Rules(), NOON)
        end = NOON + SECOND + LIFETIME
        assert offered(waits, later, Rules(), end).again
        assert not offered(waits, later, Rules(), end - SECOND).again

    @pytest.mark.parametrize("status", [DownloadStatus.COMPLETED, DownloadStatus.SKIPPED])
    def test_what_is_settled_takes_no_offer(self, status: DownloadStatus) -> None:
        state = Download(status=status, offer=OFFER)
        later = msgspec.structs.replace(OFFER, offered_at=NOON + DAY)
        assert offered(state, later, Rules(), NOON + DAY) is state

    def test_a_person_may_want_it_after_all(self) -> None:
        state = retried(skipped(_begun(OFFER, Rules(), NOON), "too large"), NOON)
        assert (state.status, state.due_at, state.problem) == (DownloadStatus.PENDING, NOON, None)
        assert not state.again
        gone = expired(failed(state, NOON, "no", PATIENCE), "410")
        assert retried(gone, NOON + LIFETIME).again
        assert not retried(gone, NOON + LIFETIME - SECOND).again
        assert retried(gone, NOON).attempts == 0

    @pytest.mark.parametrize("status", [DownloadStatus.COMPLETED, DownloadStatus.DOWNLOADING])
    def test_what_is_there_or_under_way_is_left_alone(self, status: DownloadStatus) -> None:
        state = Download(status=status, offer=OFFER)
        assert retried(state, NOON) is state


class TestKeys:
    def test_spread_files_over_folders(self) -> None:
        assert file_key(HASH) == f"sha256/ab/cd/{HASH}"
        assert thumbnail_key(HASH) == f"thumbnails/ab/cd/{HASH}"
        assert is_media_key(file_key(HASH))
        assert is_media_key(thumbnail_key(HASH))

    @pytest.mark.parametrize(
        "sha256",
        ["", "ab", HASH.upper(), HASH + "0", HASH[:-1] + "/", "../" + HASH[3:], HASH + "\n"],
    )
    def test_are_of_hashes_alone(self, sha256: str) -> None:
        with pytest.raises(ValueError, match=r"^a SHA-256 is 64 lower-case hexadecimal digits$"):
            file_key(sha256)

    @pytest.mark.parametrize(
        "text",
        [
            f"sha256/ab/ce/{HASH}",
            f"sha256/../cd/{HASH}",
            f"/sha256/ab/cd/{HASH}",
            f"sha256/ab/cd/{HASH}\n",
            f"others/ab/cd/{HASH}",
        ],
    )
    def test_lead_nowhere_else(self, text: str) -> None:
        assert not is_media_key(text)


class TestTurn:
    def test_soonest_to_expire_first_then_what_stays_then_what_must_be_got_again(self) -> None:
        soon = _begun(OFFER, Rules(), NOON)
        later = msgspec.structs.replace(soon, expires_at=NOON + DAY)
        stays = _begun(IN_BUCKET, Rules(), NOON)
        again = _begun(None, Rules(), NOON)
        many = [again, stays, later, soon]
        assert sorted(many, key=lambda each: turn(each, NOON)) == [soon, later, stays, again]
        assert turn(again, NOON) < turn(again, NOON - DAY)

    def test_when_it_expired_says_nothing_of_what_must_be_got_again(self) -> None:
        state = _begun(OFFER, Rules(), NOON + DAY)
        assert turn(state, NOON)[:2] == (True, math.inf)


class TestJudging:
    def test_what_was_just_heard_of_waits_for_a_judge(self) -> None:
        assert heard(OFFER, NOON) == Download(offer=OFFER, due_at=NOON)
        for offer in (None, BROKEN):
            assert heard(offer, NOON) == Download(offer=offer, again=True, due_at=NOON)

    @pytest.mark.parametrize("offer", [None, OFFER, IN_BUCKET, BROKEN])
    @pytest.mark.parametrize("now", [NOON, NOON + LIFETIME])
    @pytest.mark.parametrize("rules", [Rules(), Rules(lifetime=None)])
    def test_a_worker_that_comes_later_decides_as_who_gave_it_out(
        self, offer: MediaOffer | None, now: datetime, rules: Rules
    ) -> None:
        state = judged(heard(offer, NOON), rules, now)
        expected = Fetch(again=state.again, expires_at=state.expires_at)
        assert decide(PHOTO, state, rules, heard_at=NOON, now=now) == expected

    def test_what_is_told_again_changes_nothing(self) -> None:
        state = expired(heard(OFFER, NOON), "410")
        assert heard_again(state, OFFER, NOON + DAY) == state
        assert heard_again(state, None, NOON + DAY) == state

    def test_a_better_place_wakes_what_waits(self) -> None:
        later = msgspec.structs.replace(OFFER, offered_at=NOON + DAY)
        state = heard_again(expired(heard(None, NOON), "410"), later, NOON + DAY)
        assert state == heard(later, NOON + DAY)

    def test_an_error_is_kept_but_wakes_nothing(self) -> None:
        state = expired(heard(None, NOON), "410")
        expected = msgspec.structs.replace(state, offer=BROKEN)
        assert heard_again(state, BROKEN, NOON + DAY) == expected

    def test_an_engine_at_the_end_of_time_keeps_what_it_offers(self) -> None:
        at = datetime.max.replace(tzinfo=UTC)
        late = msgspec.structs.replace(OFFER, offered_at=at)
        assert judged(heard(late, NOON), Rules(), NOON) == heard(late, NOON)


def test_of_two_downloads_the_stored_then_the_better_offered_then_the_further_stays() -> None:
    later = msgspec.structs.replace(OFFER, offered_at=NOON + SECOND)
    waits = heard(OFFER, NOON)
    rising = [
        heard(None, NOON),
        heard(BROKEN, NOON),
        skipped(waits, "too large"),
        expired(waits, "410"),
        failed(
            failed(failed(waits, NOON, "a", PATIENCE), NOON, "b", PATIENCE), NOON, "c", PATIENCE
        ),
        failed(waits, NOON, "a", PATIENCE),
        waits,
        begun(waits, NOON),
        heard(later, NOON),
        completed(heard(None, NOON), HASH),
        completed(waits, HASH),
    ]
    falling = rising[::-1]
    assert sorted(falling, key=merit) == rising


Step = Callable[[Download, datetime], Download]
STEPS: list[Step] = [
    lambda state, now: begun(state, now + SECOND),
    lambda state, now: failed(state, now, "no", PATIENCE),
    lambda state, now: missing(state, now, "404", PATIENCE),
    lambda state, _: expired(state, "410"),
    lambda state, _: skipped(state, "too large"),
    retried,
    lambda state, now: offered(state, msgspec.structs.replace(OFFER, offered_at=now), Rules(), now),
    lambda state, _: completed(state, "ab"),
]


@given(steps=st.lists(st.sampled_from(STEPS), max_size=25))
def test_no_download_is_forgotten(steps: list[Step]) -> None:
    """It is due, or it is settled with a hash or a reason."""
    state, now = _begun(OFFER, Rules(), NOON), NOON
    for step in steps:
        now += SECOND
        state = step(state, now)
        if state.status is DownloadStatus.COMPLETED:
            assert (state.sha256, state.due_at) == ("ab", None)
        elif state.status in {DownloadStatus.SKIPPED, DownloadStatus.EXPIRED}:
            assert state.problem
            assert state.due_at is None
        else:
            assert state.due_at is not None
