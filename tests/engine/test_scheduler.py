import pytest

from voicebot.asr.telephone_places import Shape
from voicebot.engine.scheduler import DeviceScheduler, Job, JobKind, Scheduler

pytestmark = pytest.mark.unit


def job(slot: int, kind: JobKind, seconds: float = 1.0, utterance: int = 1) -> Job:
    return Job(slot, 1, utterance, kind, 0, int(seconds * 8000))


def test_finals_before_speculative_before_partials() -> None:
    scheduler = Scheduler()
    for kind in (JobKind.PARTIAL, JobKind.SPECULATIVE, JobKind.FINAL):
        scheduler.submit(job(int(kind), kind))
    kinds = []
    while batch := scheduler.next_batch():
        kinds.append([item.kind for item in batch])
    assert kinds == [[JobKind.FINAL], [JobKind.SPECULATIVE], [JobKind.PARTIAL]]


def test_newer_partial_takes_the_place_of_the_older() -> None:
    scheduler = Scheduler()
    scheduler.submit(job(0, JobKind.PARTIAL, 1.0))
    scheduler.submit(job(1, JobKind.PARTIAL, 1.0))
    scheduler.submit(job(0, JobKind.PARTIAL, 1.5))
    batch = scheduler.next_batch()
    assert [(item.slot, item.length) for item in batch] == [(0, 12000), (1, 8000)]
    assert scheduler.shed == 1


def test_final_sheds_the_partial_and_the_speculative_of_its_call() -> None:
    scheduler = Scheduler()
    scheduler.submit(job(0, JobKind.PARTIAL))
    scheduler.submit(job(0, JobKind.SPECULATIVE))
    scheduler.submit(job(1, JobKind.PARTIAL))
    scheduler.submit(job(0, JobKind.FINAL))
    assert [item.slot for item in scheduler.next_batch()] == [0]
    assert [item.slot for item in scheduler.next_batch()] == [1]
    assert scheduler.next_batch() == []


def test_partials_of_one_batch_have_similar_lengths() -> None:
    scheduler = Scheduler(length_ratio=2)
    for slot, seconds in enumerate((1.0, 5.0, 1.9, 0.4)):
        scheduler.submit(job(slot, JobKind.PARTIAL, seconds))
    assert [item.slot for item in scheduler.next_batch()] == [3]
    assert [item.slot for item in scheduler.next_batch()] == [0, 2]
    assert [item.slot for item in scheduler.next_batch()] == [1]


def test_beginnings_go_before_longer_partials() -> None:
    scheduler = Scheduler()
    for slot, seconds in enumerate((5.0, 4.0, 0.5, 0.7)):
        scheduler.submit(job(slot, JobKind.PARTIAL, seconds))
    assert [item.slot for item in scheduler.next_batch()] == [2, 3]
    assert [item.slot for item in scheduler.next_batch()] == [0]


def test_batches_of_partials_are_small() -> None:
    scheduler = Scheduler(max_partial_samples=6 * 8000)
    for slot in range(5):  # what is short counts as 1.5 s
        scheduler.submit(job(slot, JobKind.PARTIAL, 0.5))
    assert [len(scheduler.next_batch()) for _ in range(3)] == [4, 1, 0]


def test_batch_size_is_bounded_and_nobody_starves() -> None:
    scheduler = Scheduler(max_batch=4)
    for slot in range(10):
        scheduler.submit(job(slot, JobKind.FINAL))
    sizes = []
    served = []
    while batch := scheduler.next_batch():
        sizes.append(len(batch))
        served += [item.slot for item in batch]
    assert sizes == [4, 4, 2]
    assert served == list(range(10))


def test_long_utterances_make_small_batches() -> None:
    scheduler = Scheduler(max_batch_samples=10 * 8000)
    for slot, seconds in enumerate((4.0, 4.0, 4.0, 30.0, 1.0)):
        scheduler.submit(job(slot, JobKind.FINAL, seconds))
    batches = []
    while batch := scheduler.next_batch():
        batches.append([item.slot for item in batch])
    assert batches == [[0, 1], [2], [3], [4]]


def test_withdrawn_call_leaves_nothing() -> None:
    scheduler = Scheduler()
    scheduler.submit(job(0, JobKind.FINAL))
    scheduler.submit(job(0, JobKind.PARTIAL))
    scheduler.withdraw(0)
    assert len(scheduler) == 0


def asked(slot: int, kind: JobKind, seconds: float, at: float) -> Job:
    return Job(slot, 1, 1, kind, 0, int(seconds * 8000), at)


def test_on_a_device_finals_and_partials_of_like_length_share_a_batch() -> None:
    scheduler = DeviceScheduler(64)
    for slot, seconds in enumerate((0.2, 1.4, 2.0, 2.9, 4.0)):
        scheduler.submit(asked(slot, JobKind.PARTIAL, seconds, 1.0))
    scheduler.submit(asked(9, JobKind.FINAL, 3.0, 1.01))
    scheduler.submit(asked(10, JobKind.FINAL, 4.4, 1.02))
    assert [job.slot for job in scheduler.next_batch()] == [9, 10, 2, 3, 4]
    assert [job.slot for job in scheduler.next_batch()] == [0, 1]
    assert scheduler.next_batch() == []


def test_on_a_device_what_is_looked_for_has_batches_of_its_own() -> None:
    """All else is read together, judged or not."""
    scheduler = DeviceScheduler(64)
    for kind in JobKind:
        for slot in (0, 1):
            scheduler.submit(asked(10 * int(kind) + slot, kind, 2.0, 1.0 + 0.01 * slot))
    batches = []
    while batch := scheduler.next_batch():
        batches.append({job.kind for job in batch})
    assert len(batches) == 2
    assert {JobKind.FINAL, JobKind.PARTIAL, JobKind.SPECULATIVE} in batches
    assert {JobKind.HOTWORD} in batches


def test_on_a_device_finals_go_first_but_never_for_ever() -> None:
    scheduler = DeviceScheduler(64)
    scheduler.submit(asked(0, JobKind.PARTIAL, 1.0, 1.0))
    for turn in range(20):
        scheduler.submit(asked(1, JobKind.FINAL, 5.0, 1.0 + 0.03 * turn))
        if scheduler.next_batch()[0].slot == 0:
            break
    assert turn == 4  # more than 100 ms later


def test_batches_of_a_device_are_bounded_in_number_and_memory() -> None:
    scheduler = DeviceScheduler(8)
    for slot in range(20):
        scheduler.submit(asked(slot, JobKind.PARTIAL, 1.0, 1.0 + slot))
        scheduler.submit(asked(100 + slot, JobKind.FINAL, 6.0, 1.0 + slot))
    assert [len(scheduler.next_batch()) for _ in range(8)] == [4, 8, 4, 4, 8, 4, 4, 4]
    scheduler.submit(asked(200, JobKind.FINAL, 60.0, 0.0))
    assert [job.slot for job in scheduler.next_batch()] == [200]


def test_a_batch_of_a_device_never_exceeds_what_one_run_has_room_for() -> None:
    """Just above a shape's edge there is room for much fewer than below it."""
    shapes = Shape.all(64)

    def room(longest: int) -> int:
        frames = min(shape.frames for shape in shapes if shape.samples >= longest)
        return max(shape.rows for shape in shapes if shape.frames == frames)

    edge = max(shape.samples for shape in shapes if shape.frames == 144)
    full = room(edge)
    assert room(edge + 1) < full == 64
    for shortest in (edge - 2000, edge + 1):
        scheduler = DeviceScheduler(64, room)
        for slot in range(150):
            length = shortest if slot % 20 else shortest + 2001
            scheduler.submit(Job(slot, 1, 1, JobKind.FINAL, 0, length, 1.0 + slot))
        batches = []
        while batch := scheduler.next_batch():
            batches.append(batch)
            assert len(batch) <= room(max(job.length for job in batch))
        assert len(batches) <= -(-150 // room(edge + 2000)) + 1, "nor are they small"
    scheduler = DeviceScheduler(64, room)
    for slot in range(64):
        scheduler.submit(Job(slot, 1, 1, JobKind.FINAL, 0, edge, 1.0))
    assert len(scheduler.next_batch()) == 64, "full up to the edge"
