"""`voicebot eval nlu`: how well intents are told apart, trained on one file, tested on another.

- accuracy: trained on all of the training file, asked one sentence at a time;
- 10-shot: trained on ten random sentences of each intent, the mean over several draws; nothing
  else is taken from the training file then;
- noise: the same questions with recognition errors imposed (nlu_noise);
- out of scope: whether confidence tells the test's sentences from ones that mean no intent.
  Near: a fifth of the intents is left out of training, and their test sentences are strangers.
  Far: the sentences of nlu_outside, and those of the files given as outside.

Times: training by the clock, an utterance by this process's own time on one core.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch

from voicebot.evaluation.nlu_files import Examples, read_intents, read_sentences
from voicebot.evaluation.nlu_noise import Corruptor, error_rate
from voicebot.evaluation.nlu_outside import OUTSIDE
from voicebot.evaluation.nlu_result import Draw, NluResult, Outside
from voicebot.nlu.intents import IntentClassifier, fit
from voicebot.nlu.intents_vectors import load_vectors

SEED = 5
SHOTS, DRAWS, QUICK_DRAWS = 10, 5, 2
RATES, QUICK_RATES = (0.05, 0.1, 0.15, 0.2, 0.3), (0.15,)
LEFT_OUT = 0.2
QUICK_SENTENCES, MAX_OUTSIDE = 500, 1000


def run(
    *,
    train: Path,
    test: Path,
    outside: Sequence[Path] = (),
    quick: bool = False,
    tell: Callable[[str], None] = lambda _: None,
) -> NluResult:
    """Everything, about two minutes for ten thousand sentences; `quick`: less of the test.

    UserMistake when a file is not laid out as it should be.
    """
    examples, questions = read_intents(train), read_intents(test)
    strangers = {"other lines": list(OUTSIDE)}
    strangers |= {str(path): _some(read_sentences(path)) for path in outside}
    rng = random.Random(SEED)
    if quick and len(questions) > QUICK_SENTENCES:
        questions = rng.sample(questions, QUICK_SENTENCES)
    load_vectors()
    tell(f"training on {len(examples)} sentences")
    began = time.perf_counter()
    classifier = fit(examples)
    train_s = time.perf_counter() - began
    tell(f"asking {len(questions)} questions")
    answers, ms = _timed(classifier, [text for text, _ in questions])
    noisy = _noisy(classifier, examples, questions, QUICK_RATES if quick else RATES, tell)
    far = {
        name: Outside(_confidences(answers), _confidences(_timed(classifier, texts)[0]))
        for name, texts in strangers.items()
    }
    del classifier
    draws = []
    for number in range(QUICK_DRAWS if quick else DRAWS):
        tell(f"training on {SHOTS} of each intent, draw {number + 1}")
        few = fit(_few(examples, random.Random(SEED + number)))
        draws.append(_accuracy(_timed(few, [text for text, _ in questions])[0], questions))
    return NluResult(
        examples=len(examples),
        questions=len(questions),
        intents=len({intent for _, intent in examples}),
        train_s=train_s,
        ms_per_utterance=ms,
        answers=[Draw(*a, of) for a, (_, of) in zip(answers, questions, strict=True)],
        ten_shot=draws,
        noisy=noisy,
        near=_near(examples, questions, tell),
        far=far,
    )


def _few(examples: Examples, rng: random.Random) -> Examples:
    """At most SHOTS random sentences of each intent."""
    by_intent: dict[str, Examples] = {}
    for example in examples:
        by_intent.setdefault(example[1], []).append(example)
    few = [rng.sample(of, min(SHOTS, len(of))) for _, of in sorted(by_intent.items())]
    return [example for of in few for example in of]


def _some(sentences: list[str]) -> list[str]:
    if len(sentences) <= MAX_OUTSIDE:
        return sentences
    return random.Random(SEED).sample(sentences, MAX_OUTSIDE)


def _timed(
    classifier: IntentClassifier, texts: Sequence[str]
) -> tuple[list[tuple[str, float]], float]:
    """(intent, confidence) for each text, and milliseconds of one core for each."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    began = time.process_time()
    answers = [(found[0].name, found[0].confidence) if found else ("", 0.0) for found in map(
        classifier.classify, texts
    )]  # fmt: skip
    spent = time.process_time() - began
    torch.set_num_threads(threads)
    return answers, 1000.0 * spent / max(1, len(texts))


def _accuracy(answers: Sequence[tuple[str, float]], questions: Examples) -> float:
    right = [name == of for (name, _), (_, of) in zip(answers, questions, strict=True)]
    return float(np.mean(right))


def _confidences(answers: Sequence[tuple[str, float]]) -> list[float]:
    return [confidence for _, confidence in answers]


def _noisy(
    classifier: IntentClassifier,
    examples: Examples,
    questions: Examples,
    rates: Sequence[float],
    tell: Callable[[str], None],
) -> dict[float, tuple[float, float]]:
    """(word error rate imposed, accuracy) by the rate asked for."""
    said = [text for text, _ in questions]
    found = {}
    for rate in rates:
        tell(f"the same with {100 * rate:.0f} % of the words wrong")
        corruptor = Corruptor([text for text, _ in examples], seed=SEED)
        heard = [corruptor.corrupt(text, rate) for text in said]
        accuracy = _accuracy(_timed(classifier, heard)[0], questions)
        found[rate] = (error_rate(said, heard), accuracy)
    return found


def _near(examples: Examples, questions: Examples, tell: Callable[[str], None]) -> Outside | None:
    """Confidence in known intents' sentences and in those of intents left out of training."""
    names = sorted({intent for _, intent in examples})
    left_out = set(random.Random(SEED).sample(names, max(1, round(LEFT_OUT * len(names)))))
    if len(names) - len(left_out) < 2:
        return None
    tell(f"training without {len(left_out)} intents")
    classifier = fit([example for example in examples if example[1] not in left_out])
    inside = [text for text, of in questions if of not in left_out]
    outside = [text for text, of in questions if of in left_out]
    if not inside or not outside:
        return None
    answers = (_timed(classifier, texts)[0] for texts in (inside, outside))
    return Outside(*map(_confidences, answers))
