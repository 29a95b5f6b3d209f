"""Text as scorers and decontamination compare it: normalised words, answer markers, numbers."""

import math
import re
import unicodedata
from collections.abc import Iterator

_CURRENCY = "$€£¥₹"
# Minus sign, en dash, full-width and small hyphen; full-width plus, comma, stop, slash and percent; fraction slash.
_ASCII = str.maketrans("\u2212\u2013\uff0d\ufe63\uff0b\uff0c\uff0e\uff0f\uff05\u2044", "----+,./%/")
_MARK = re.compile(
    rf"(?P<keep>(?<!\w)-(?=[{_CURRENCY}]?\.?\d)|(?<![^\W\d])(?<!\.)\.(?=\d))|(?P<drop>(?<=-)[{_CURRENCY}])|[^\w\s]|_"
)
# Chinese, Japanese, Korean, Thai, Lao, Burmese and Khmer: no blanks between words, so each character is one.
_UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")

_SUPERSCRIPT = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺", "0123456789-+")
# Possessive quantifiers (`++`, `?+`) keep the search linear.
_NUMBER = re.compile(
    rf"""
    (?P<prefix>(?:(?<![\w)\]}}%])[-+])?[{_CURRENCY}]?|[{_CURRENCY}]-)
    (?:(?<=USD)|(?<=EUR)|(?<=GBP)|(?<=CNY)|(?<=RMB)|(?<=JPY)|(?<=INR)|(?<=HKD)|(?<![A-Za-z_\d]))
    (?:(?P<whole>\d{{1,6}})[ ](?=\d{{1,6}}/\d))?+
    (?P<number>(?:\d{{1,3}}(?:,\d{{3}}(?!\d))++|\d++)(?:\.\d++)?+|(?<![\d.])\.\d++)
    (?:
        [eE](?P<exponent>[-+]?\d{{1,4}})(?![\dA-Za-z])
      | [ ]?(?:\u00d7|x|·|\*|\\times|\\cdot)[ ]?10
        (?:(?:\^|\*\*)\{{?(?P<power>[-+]?\d{{1,4}})\}}?|(?P<raised>[⁰¹²³⁴-⁹⁻⁺]{{1,5}}))
      | (?P<divisor>(?:[ ]?/[ ]?\d++(?:\.\d++)?+)++)
    )?+
    """,
    re.VERBOSE,
)


def normalise(text: str, *, ignore_case: bool = True, ignore_punctuation: bool = True) -> str:
    """Unicode NFKC, casefolded, punctuation and symbols to spaces, squeezed.

    The sign and the decimal point of a number stay (`-3.5` is not `3 5`); invisible format characters vanish.
    """
    text = unicodedata.normalize("NFKC", text)
    if ignore_case:
        text = unicodedata.normalize("NFKC", text.casefold())
    if ignore_punctuation:
        text = _MARK.sub(_replace, text.translate(_ASCII))
    return " ".join(text.split())


def _replace(match: re.Match[str]) -> str:
    category = unicodedata.category(match.group())
    if match["keep"] or category.startswith("M"):  # a combining mark is part of its letter
        return match.group()
    return "" if match["drop"] or category == "Cf" else " "


def words(text: str) -> str:
    """The normalised words with a blank on either side of each, so that `in` compares whole words; or `""`."""
    tokens = _UNSPACED.sub(r" \g<0> ", normalise(text)).split()
    return f" {' '.join(tokens)} " if tokens else ""


def after_marker(text: str, marker: str) -> str | None:
    """What follows the last occurrence of `marker` (any case), blanks and line breaks skipped; None without it."""
    found = list(re.finditer(re.escape(marker), text, re.IGNORECASE))
    return text[found[-1].end() :].lstrip() if found else None


def first_line(text: str) -> str:
    """The text up to the first line break."""
    return text.strip().partition("\n")[0].strip()


def numbers(text: str) -> Iterator[tuple[str, float]]:
    """Each number of the text, left to right, as written and as a value.

    Reads signs, western thousands separators, currency signs, `1.5e3`, `1.5 x 10^3`, `3/4` and `1 3/4`. A percent
    sign changes nothing: `5%` is 5. Digits glued to a letter (`H2O`, `Q3`) are no number. A division by zero, an
    overflow and a date such as `2024/05/06` have the value `nan` or `inf`.
    """
    for match in _NUMBER.finditer(text.translate(_ASCII)):
        yield match.group().strip(), _value(match)


def number_key(text: str) -> tuple[str, ...]:
    """The numbers of a text in order, in a form to compare: `1,000` equals `1000.0`, a date stays as written."""
    return tuple(str(value) if math.isfinite(value) else written for written, value in numbers(text))


def _value(match: re.Match[str]) -> float:
    raised = (match["raised"] or "").translate(_SUPERSCRIPT)
    exponent = match["exponent"] or match["power"] or raised or "0"
    try:
        value = float(match["number"].replace(",", "") + f"e{exponent}")
        if match["divisor"]:
            _, divisor = match["divisor"].split("/")
            value /= float(divisor)
    except (ValueError, ZeroDivisionError):  # `1/2/3`, `10⁻⁻`, `1/0`
        return float("nan")
    value += float(match["whole"] or 0)
    return -value if "-" in match["prefix"] else value
