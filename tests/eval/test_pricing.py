"""What tokens cost, by the command line or by the package that knows prices."""

import pytest

from eval.chat_records import TokenUsage
from eval.pricing import Price, check_prices, cost, parse_prices
from tasks.failure import InputError

MILLION = TokenUsage(input=1_000_000, output=1_000_000)
LOCAL = "openai:m@http://127.0.0.1:8000/v1?a=b"


def test_prices_are_given_in_dollars_for_a_million_tokens() -> None:
    prices = parse_prices([f"{LOCAL}=2,10", "openai:gpt-5.2=0.5,1.5"])
    assert prices[LOCAL] == Price(input=2, output=10)
    assert cost(LOCAL, MILLION, prices) == 12
    assert cost("openai:gpt-5.2", MILLION, prices) == 2
    assert cost(LOCAL, TokenUsage(input=10, output=1, cached_input=10), prices) == pytest.approx(30e-6)


@pytest.mark.parametrize("value", ["openai:m", "openai:m=", "openai:m=1", "openai:m=1,2,3", "openai:m=a,b", "=1,2",
                                   "openai:m=-1,2", "openai:m=nan,2", "openai:m=1,inf", "m=1,2"])  # fmt: skip
def test_a_price_in_another_form_is_refused(value: str) -> None:
    with pytest.raises(InputError):
        parse_prices([value])


@pytest.mark.parametrize(
    "spec",
    [
        "openai:gpt-4o-mini",
        "azure_openai:gpt-4o-mini",
        "anthropic:claude-sonnet-4-5",
        "google_genai:gemini-2.5-pro",
        "mistralai:mistral-large-latest",
        "xai:grok-4",
        "deepseek:deepseek-chat",
        "groq:llama-3.3-70b-versatile",
        "openai:deepseek-chat@https://api.deepseek.com/v1",
    ],
)
def test_the_package_knows_the_prices_of_providers(spec: str) -> None:
    found = cost(spec, MILLION, {})
    assert found is not None
    assert 0.01 < found < 1000
    assert cost(spec, TokenUsage(input=1_000_000, output=2_000_000), {}) > found  # pyright: ignore[reportOptionalOperand]


def test_cached_input_costs_less() -> None:
    cached = MILLION.model_copy(update={"cached_input": 900_000})
    full, less = (cost("openai:gpt-4o-mini", usage, {}) for usage in (MILLION, cached))
    assert full is not None
    assert less is not None
    assert less < full
    odd = TokenUsage(input=5, output=5, cached_input=9)  # more than there is, as no server should say
    assert cost("openai:gpt-4o-mini", odd, {}) is not None


@pytest.mark.parametrize("spec", [LOCAL, "openai:no-such-model-77", "ollama:llama3"])
def test_an_unknown_price_is_none(spec: str) -> None:
    assert cost(spec, MILLION, {}) is None
    assert cost(spec, TokenUsage(), {}) == 0  # nothing costs nothing


def test_a_cap_on_cost_needs_all_prices() -> None:
    check_prices(["openai:gpt-4o-mini", LOCAL], {LOCAL: Price(input=0, output=0)})
    with pytest.raises(InputError, match=r"the price of openai:no-such-model-77 is unknown.*--price"):
        check_prices(["openai:gpt-4o-mini", "openai:no-such-model-77"], {})
