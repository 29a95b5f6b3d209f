"""How a thread of the message board looks as HTML: one markup for all, with the carelessness of real pages.

    article.thread[data-board]
      h1.title
      div.post.question            span.author, span.votes, div.body
      div.post.answer[.accepted]   span.author, span.votes, div.body

A body may hold a `blockquote.quote` of another post and a `div.signature`. Scripts, styles, comments and advertisements
stand between posts; paragraphs and emphasis are not always closed; characters may be entities.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Post:
    """One post; its paragraphs may hold `<b>`."""

    author: str
    votes: int
    paragraphs: tuple[str, ...]
    accepted: bool = False
    quote: str = ""
    """`author: text` of the post that is quoted."""
    signature: str = ""


@dataclass(frozen=True)
class Thread:
    """A question and what was answered."""

    board: str
    title: str
    question: Post
    answers: tuple[Post, ...]


def page(thread: Thread, number: int, advertisements: tuple[str, ...], rng: random.Random) -> str:
    """The thread as a fragment of HTML."""
    lines = [
        f'<article class="thread" data-board="{thread.board}" id="t{number}">',
        f'<h1 class="title">{_text(thread.title, rng)}</h1>',
        *_clutter(number, advertisements, rng),
        *_post(thread.question, "question", rng),
    ]
    for answer in thread.answers:
        lines += _clutter(number, advertisements, rng)
        lines += _post(answer, "answer accepted" if answer.accepted else "answer", rng)
    return "\n".join([*lines, "</article>"])


def _post(post: Post, kind: str, rng: random.Random) -> list[str]:
    return [
        f'<div class="post {kind}">',
        f'<span class="author">{post.author}</span> &middot; <span class="votes">{post.votes}</span> votes',
        f'<div class="body">{_body(post, rng)}</div>',
        "</div>",
    ]


def _body(post: Post, rng: random.Random) -> str:
    author, _, quoted = post.quote.partition(": ")
    quote = (
        f'<blockquote class="quote"><cite>{author} wrote:</cite> {_text(quoted, rng)}</blockquote>\n' if quoted else ""
    )
    signature = f'\n<div class="signature">-- <br>{_text(post.signature, rng)}</div>' if post.signature else ""
    return quote + _joined([_text(paragraph, rng) for paragraph in post.paragraphs], rng) + signature


def _joined(paragraphs: list[str], rng: random.Random) -> str:
    """Paragraphs closed, left open, or parted by line breaks."""
    style = rng.randrange(4)
    if style == 0:
        return "".join(f"<p>{paragraph}</p>" for paragraph in paragraphs)
    if style == 1:
        return "\n".join(f"<p>{paragraph}" for paragraph in paragraphs)
    if style == 2:
        return "<br>\n".join(paragraphs)
    return "<BR><BR>".join([*paragraphs[:-1], f"<i>{paragraphs[-1]}"])  # the emphasis is never closed


def _text(text: str, rng: random.Random) -> str:
    """Text with entities; `<b>` stays, an ampersand is not always written as it should be."""
    text = text.replace("&", rng.choice(("&amp;", "&amp;", "&")))
    if "<b>" not in text:
        text = text.replace('"', "&quot;")
    text = text.replace("'", rng.choice(("'", "'", "&#39;", "&rsquo;")))
    text = text.replace("...", rng.choice(("...", "&hellip;")))
    return re.sub(r" (?=\d)", lambda _: rng.choice((" ", " ", "&nbsp;")), text)


def _clutter(number: int, advertisements: tuple[str, ...], rng: random.Random) -> list[str]:
    pieces = (
        f'<script>var _q=_q||[];_q.push(["view","t{number}"]);</script>',
        f'<div class="ad"><a href="/go?c={rng.randrange(100, 999)}">{rng.choice(advertisements)}</a></div>',
        f"<!-- cached {rng.randrange(24):02d}:{rng.randrange(60):02d} -->",
        "<style>.signature{color:#888;font-size:80%}</style>",
    )
    return [piece for piece in pieces if rng.random() < 0.1]
