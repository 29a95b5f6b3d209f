"""Asks a person at the terminal about a plan: shows it with what it takes, reads the answer, opens an editor."""

import os
import shlex
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

from rich.console import RenderableType
from rich.rule import Rule
from rich.text import Text

from eval.providers import secrets
from graph.approval import Answer, Proposal
from graph.estimate import in_words
from graph.plan_file import plan_as_yaml, plan_from_yaml
from graph.progress import Terminal, printable
from graph.run_dir import RunDir
from roles.backbone import is_chat_model
from tasks.child import HUB_SECRETS
from tasks.failure import InputError
from tasks.record import write_text

PROMPT = "[a]ccept, [e]dit, send [b]ack with a comment, [s]top and deliver what there is:"
WORDS = {word[:length]: word for word in ("accept", "edit", "back", "stop") for length in (1, len(word))}


class NobodyThere(Exception):
    """Standard input has ended, so no person can answer."""


def ask(terminal: Terminal, run: RunDir, proposal: Proposal) -> Answer:
    """A person's answer to a plan.

    Raises:
        NobodyThere: standard input ended before there was one.
    """
    terminal.page(*_page(proposal))
    fresh = True
    try:
        while True:
            word, _, rest = terminal.read(PROMPT, fresh=fresh).strip().partition(" ")
            answer = _answer(terminal, run, proposal, WORDS.get(word.lower(), ""), rest.strip())
            if answer:
                return answer
            fresh = False
    except EOFError:
        raise NobodyThere(f"standard input has ended, and plan {proposal.experiment:03d} waits for an answer") from None


def _page(proposal: Proposal) -> list[RenderableType]:
    """The plan, what it takes, and what else is to be known."""
    plan = Text("\n" + textwrap.indent(printable(proposal.plan), "  "))
    plan.highlight_regex(r"(?m)^  [a-z_]+:", "bold")
    parts: list[RenderableType] = [
        Rule(f"plan of experiment {proposal.experiment}, nothing is spent on it yet", align="left"),
        plan,
        *(Text(line) for line in in_words(proposal.estimate)),
    ]
    if proposal.note:
        parts.append(Text(printable(proposal.note), "yellow"))
    return parts


def _answer(terminal: Terminal, run: RunDir, proposal: Proposal, decision: str, rest: str) -> Answer | None:
    """The answer that a word begins; None where the person is to be asked again."""
    if decision == "accept":
        return Answer(decision="accept")
    if decision == "stop":
        return Answer(decision="stop")
    if decision == "edit":
        return _edited(terminal, run, proposal)
    if decision == "back":
        return _sent_back(terminal, proposal, rest)
    terminal.say("please answer a, e, b or s")
    return None


def _sent_back(terminal: Terminal, proposal: Proposal, comment: str) -> Answer | None:
    if not is_chat_model(proposal.planner):
        terminal.say(f"the planner ({proposal.planner}) cannot read: it learns that the plan is not wanted, not why")
    comment = comment or terminal.read("what should the planner do otherwise?").strip()
    if comment:
        return Answer(decision="back", comment=comment)
    terminal.say("without a comment the plan is not sent back")
    return None


def _edited(terminal: Terminal, run: RunDir, proposal: Proposal) -> Answer | None:
    """What the person makes of the plan, in a file that stays; None when it is left as it was."""
    path = run.experiment(proposal.experiment) / _file_name(proposal)
    plan = plan_from_yaml(proposal.plan)
    if not path.exists():
        write_text(path, proposal.draft or plan_as_yaml(plan, explained=True))
    if not _opened(terminal, path):
        return None
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        terminal.say(f"{path} cannot be read: {error}")
        return None
    if _same(text, proposal):
        terminal.say(f"{path} holds the plan as it was proposed")
        return None
    return Answer(decision="edit", plan=text)


def _file_name(proposal: Proposal) -> str:
    return "plan.yaml" if proposal.attempt == 1 else f"plan.{proposal.attempt}.yaml"


def _same(text: str, proposal: Proposal) -> bool:
    try:
        return plan_from_yaml(text) == plan_from_yaml(proposal.plan)
    except InputError:
        return False


def _opened(terminal: Terminal, path: Path) -> bool:
    """Let the person change a file; whether it is to be read afterwards.

    In `$VISUAL` or `$EDITOR`, without keys in its environment; without an editor, however the person likes.
    """
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR")
    if editor:
        try:
            code = _edit([*shlex.split(editor), str(path)])
        except (OSError, ValueError) as error:
            terminal.say(f"the editor {editor} does not start: {error}")
        else:
            if code:
                terminal.say(f"the editor {editor} ended with exit code {code}, so {path} is not read")
            return code == 0
    terminal.read(f"edit {path}, then press Enter:")
    return True


def _edit(command: list[str]) -> int:
    """Run an editor on this terminal; Ctrl-C is the editor's meanwhile."""
    hidden = [*secrets(), *filter(None, map(os.environ.get, HUB_SECRETS))]
    environment = {name: value for name, value in os.environ.items() if not any(key in value for key in hidden)}
    interactive = sys.stdin is not None and sys.stdin.isatty()
    with subprocess.Popen(command, stdin=None if interactive else subprocess.DEVNULL, env=environment) as process:
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            return process.wait()
        finally:
            signal.signal(signal.SIGINT, before)
