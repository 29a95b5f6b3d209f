"""What tokens cost: given on the command line, else as `genai-prices` knows it (its data come with the package)."""

import math
from collections.abc import Mapping, Sequence

from eval.chat_records import TokenUsage
from eval.providers import parse_spec
from tasks.failure import InputError
from tasks.record import Record

MILLION = 1_000_000
_NAMES = {
    "azure_openai": "azure",
    "bedrock_converse": "aws",
    "google_genai": "google",
    "mistralai": "mistral",
    "xai": "x-ai",
}
"""Providers that `genai-prices` calls otherwise than LangChain."""


class Price(Record):
    """Dollars for a million tokens."""

    input: float
    output: float


def parse_prices(values: Sequence[str]) -> dict[str, Price]:
    """Prices from `--price SPEC=IN,OUT` values, by spec.

    Raises:
        InputError: a value has another form.
    """
    prices: dict[str, Price] = {}
    for value in values:
        spec, equals, numbers = value.rpartition("=")
        try:
            paid, earned = (float(number) for number in numbers.split(","))
        except ValueError:
            equals, paid, earned = "", 0.0, 0.0
        if not equals or not (0 <= paid < math.inf and 0 <= earned < math.inf):
            raise InputError(f"--price {value}: expected SPEC=IN,OUT in dollars per million tokens")
        parse_spec(spec)
        prices[spec] = Price(input=paid, output=earned)
    return prices


def cost(spec: str, usage: TokenUsage, prices: Mapping[str, Price]) -> float | None:
    """Dollars for some tokens of a model; None when its price is unknown.

    A given price holds for cached input, too, which providers sell for less.
    """
    if not usage.total:
        return 0.0
    if price := prices.get(spec):
        return (usage.input * price.input + usage.output * price.output) / MILLION
    return _known_cost(spec, usage)


def check_prices(specs: Sequence[str], prices: Mapping[str, Price]) -> None:
    """See that the price of every model is known, as a cap on cost needs.

    Raises:
        InputError: one is not; the message says how to give it.
    """
    for spec in specs:
        if cost(spec, TokenUsage(input=1, output=1), prices) is None:
            raise InputError(
                f"--max-cost: the price of {spec} is unknown; give it with --price {spec}=IN,OUT in dollars per "
                "million tokens (0,0 for a server of your own)"
            )


def _known_cost(spec: str, usage: TokenUsage) -> float | None:
    from genai_prices import Usage, calc_price

    model = parse_spec(spec)
    tokens = Usage(
        input_tokens=usage.input,
        output_tokens=usage.output,
        cache_read_tokens=min(usage.cached_input, usage.input),
    )
    try:
        if model.base_url:
            return float(calc_price(tokens, model.model, provider_api_url=model.base_url).total_price)
        provider = _NAMES.get(model.provider, model.provider)
        return float(calc_price(tokens, model.model, provider_id=provider).total_price)
    except LookupError:
        return None
