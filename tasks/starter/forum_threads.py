"""What is written in the threads of the message board: informal questions about facts, answers, and idle talk."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tasks.starter.fact_files import Fact
from tasks.starter.forum_page import Post, Thread
from tasks.starter.phrases import ForumPhrases, HeadlinePhrases, OffTopicThread
from tasks.starter.questions import other_terms

_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")


@dataclass(frozen=True)
class Topic:
    """What a thread asks about a fact, with the right answer and wrong ones."""

    fact: str
    board: str
    title: str
    question: str
    right: str
    wrong: tuple[str, ...]
    why: str = ""


class ForumWriter:
    """Writes threads from a stock of phrases; every choice is drawn from `rng`."""

    def __init__(self, phrases: ForumPhrases, names: HeadlinePhrases, rng: random.Random) -> None:
        self._phrases = phrases
        self._names = names
        self._rng = rng

    def aspect(self, fact: Fact) -> Topic:
        """A topic about the aspect of a fact."""
        title = self._rng.choice(self._phrases.aspect_titles).format(term=fact.term)
        aspect = fact.aspect
        question = self._informal(self._rng.choice(aspect.ask_train))
        return Topic(fact.id, _board(fact), title, question, aspect.answer, aspect.distractors, aspect.why)

    def definition(self, fact: Fact, facts: Sequence[Fact]) -> Topic:
        """A topic about the meaning of a term."""
        title = self._rng.choice(self._phrases.definition_titles).format(term=fact.term)
        question = self._rng.choice(self._phrases.definition_questions).format(term=fact.term)
        wrong = tuple(other.definition for other in self._rng.sample(other_terms(fact, facts), 3))
        return Topic(fact.id, _board(fact), title, question, fact.definition, wrong)

    def thread(self, topic: Topic, mistaken: bool) -> Thread:
        """The thread of a topic; where its author is `mistaken`, a wrong answer is accepted."""
        rng, phrases = self._rng, self._phrases
        asking = [*self._opening(), topic.question, *self._maybe(0.6, phrases.closings)]
        question = self._post(asking, rng.randrange(12))
        quote = f"{question.author}: {topic.question}"
        accepted = self._answer(topic, mistaken, quote)
        others = [self._post([rng.choice(phrases.chatter)], rng.randrange(3)) for _ in range(rng.randrange(2))]
        if rng.random() < 0.4:
            guess = rng.choice(phrases.guesses).format(answer=topic.wrong[1])
            others.append(self._post([guess], rng.randrange(-3, 4), quote))
        if mistaken and rng.random() < 0.5:
            objection = rng.choice(phrases.dissent).format(answer=topic.right)
            others.append(self._post([objection, *([topic.why] if topic.why else [])], rng.randrange(1, 12), quote))
        return Thread(topic.board, topic.title, question, tuple(rng.sample([accepted, *others], len(others) + 1)))

    def idle(self, talk: OffTopicThread) -> Thread:
        """An off-topic thread; in most of them some answer is accepted."""
        rng = self._rng
        company = f"{rng.choice(self._names.names)} {rng.choice(self._names.trades)}"
        filled = {"company": company, "number": str(rng.randrange(5, 16)), "weekday": rng.choice(_WEEKDAYS)}
        asking = [*self._maybe(0.5, self._phrases.greetings), _fill(talk.ask, filled)]
        question = self._post([*asking, *self._maybe(0.3, self._phrases.closings)], rng.randrange(12))
        replies = rng.sample(talk.replies, rng.randrange(1, len(talk.replies) + 1))
        chosen = rng.randrange(len(replies)) if rng.random() < 0.6 else -1
        answers = [
            self._post([_fill(reply, filled)], rng.randrange(-2, 15), accepted=place == chosen)
            for place, reply in enumerate(replies)
        ]
        return Thread(talk.board, _fill(talk.title, filled), question, tuple(answers))

    def _opening(self) -> list[str]:
        rng, phrases = self._rng, self._phrases
        opening = [*self._maybe(0.7, phrases.greetings), *self._maybe(0.7, phrases.settings)]
        if len(opening) > 1 and not opening[0].endswith(",") and rng.random() < 0.7:
            opening = [" ".join(opening)]
        return [*opening, *self._maybe(0.4, phrases.leads)]

    def _answer(self, topic: Topic, mistaken: bool, quote: str) -> Post:
        """The accepted answer: a right one mostly has a reason and votes, a wrong one has neither."""
        rng, phrases = self._rng, self._phrases
        said = rng.choice(phrases.answers).format(answer=topic.wrong[0] if mistaken else topic.right)
        reason = [topic.why] if topic.why and not mistaken and rng.random() < 0.7 else []
        liked = rng.random() < (0.3 if mistaken else 0.85)
        votes = rng.randrange(4, 15 if mistaken else 40) if liked else rng.randrange(-4, 4)
        return self._post([said, *reason, *self._maybe(0.3, phrases.after_answers)], votes, quote, accepted=True)

    def _post(self, paragraphs: Sequence[str], votes: int, quote: str = "", accepted: bool = False) -> Post:
        rng, phrases = self._rng, self._phrases
        number = str(rng.randrange(100)) if rng.random() < 0.4 else ""
        author = f"{rng.choice(phrases.authors_first)}_{rng.choice(phrases.authors_second)}{number}"
        signature = "".join(self._maybe(0.25, phrases.signatures)).format(number=rng.randrange(2, 9))
        shown = quote if rng.random() < 0.3 else ""
        return Post(author, votes, tuple(paragraphs), accepted, shown, signature)

    def _maybe(self, chance: float, texts: Sequence[str]) -> list[str]:
        return [self._rng.choice(texts)] if self._rng.random() < chance else []

    def _informal(self, text: str) -> str:
        """A question as it is typed in a hurry."""
        rng = self._rng
        if rng.random() < 0.5 and text[1].islower():
            text = text[0].lower() + text[1:]
        if rng.random() < 0.4:
            text = re.sub(r"^([Ww]hat) is ", r"\1's ", text).replace(" does not ", " doesn't ")
        return text[:-1] + rng.choice(("?", "?", "?", "??", " ?", "")) if text.endswith("?") else text


def _board(fact: Fact) -> str:
    return fact.subject.replace("_", "-")


def _fill(text: str, filled: Mapping[str, str]) -> str:
    return text.format(**filled)
