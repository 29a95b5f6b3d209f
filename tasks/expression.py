"""What is safe to ask of a sympy expression that a model wrote.

sympy evaluates `9^{9^9}` until memory ends and simplifies some short expressions for minutes. These checks are cheap
and look before one leaps.
"""

import math
from typing import Any

MAX_DIGITS = 10_000
"""Digits of a number that evaluating may build."""
MAX_TERMS = 64
"""Terms of a sum that expanding may build."""

_UNBOUNDED = {"Sum", "Product", "Integral", "Limit", "Derivative"}
_FACTORIALS = {"factorial", "factorial2", "subfactorial", "gamma", "binomial", "RisingFactorial", "FallingFactorial"}
_POINTS = (0.3718, 1.2093)


def tractable(reference: Any, answer: Any) -> bool:
    """Whether the two can be evaluated, expanded and solved in a second or so."""
    pair = (reference, answer)
    if any(_digits(node) > MAX_DIGITS or _terms(node) > MAX_TERMS for node in pair):
        return False
    # Two equations are solved, which may take minutes unless they are algebraic.
    return not (all(map(_is_relation, pair)) and any(map(_has_function, pair)))


def differ(reference: Any, answer: Any) -> bool:
    """Whether two expressions have different values at some point; False when that cannot be said.

    Saves the search for a proof of equality where there is none. Percentages are left alone, because `9%` may stand
    for 9, lone symbols, which are compared as words, and differences that rounding may explain.
    """
    from sympy import Expr, Symbol, UnevaluatedExpr  # takes half a second

    if not _is_relation(reference) and _is_relation(answer):
        answer = answer.rhs  # `x = 5` answers 5
    pair = (reference, answer)
    if any(not isinstance(node, Expr) or isinstance(node, Symbol) or node.has(UnevaluatedExpr) for node in pair):
        return False
    names = sorted({symbol.name for symbol in reference.free_symbols | answer.free_symbols})
    return any(_gap(reference, answer, {name: point + 0.617 * i for i, name in enumerate(names)}) for point in _POINTS)


def _gap(reference: Any, answer: Any, point: dict[str, float]) -> bool:
    first, second = _at(reference, point), _at(answer, point)
    return first is not None and second is not None and abs(first - second) > 1e-5 * max(1, abs(first))


def _at(node: Any, point: dict[str, float]) -> complex | None:
    try:
        value = complex(node.evalf(15, subs={symbol: point[symbol.name] for symbol in node.free_symbols}))
    except Exception:  # noqa: BLE001  sympy raises many kinds here, and no value is an answer too
        return None
    return value if math.isfinite(abs(value)) else None


def _is_relation(node: Any) -> bool:
    return getattr(node, "is_Relational", False)


def _has_function(node: Any) -> bool:
    return getattr(node, "is_Function", False) or any(map(_has_function, getattr(node, "args", ())))


def _digits(node: Any) -> float:
    """A rough upper bound of the digits of the largest number that evaluating an expression builds."""
    kind = type(node).__name__
    if kind in _UNBOUNDED:
        return math.inf
    if getattr(node, "is_Rational", False):
        return math.log10(abs(node.p) + node.q)
    below = [_digits(part) for part in getattr(node, "args", ())]
    largest = max(below, default=0)
    if kind in {"Pow", "exp"} | _FACTORIALS:
        if below[-1] > 6 or largest > MAX_DIGITS:
            return math.inf
        return max(largest, (below[0] if kind == "Pow" else below[-1] + 1) * 10 ** below[-1])
    return sum(below) if kind == "Mul" else largest + math.log10(len(below) or 1)


def _terms(node: Any) -> float:
    """A rough upper bound of the terms that expanding an expression makes."""
    kind, below = type(node).__name__, [_terms(part) for part in getattr(node, "args", ())]
    if kind == "Mul":
        return math.prod(below)
    if kind == "Add":
        return sum(below)
    if kind == "Pow" and getattr(node.exp, "is_Integer", False) and below[0] > 1:
        times, parts = abs(int(node.exp)), below[0]
        return math.comb(times + int(parts) - 1, times) if max(times, parts) <= MAX_TERMS else math.inf
    return max(below, default=1)
