"""Specs of models, where their keys come from, and what scrubs them."""

import importlib.util
import io
from typing import Any

import pytest
from pydantic import BaseModel

from eval.chat_records import ChatRequest, Message
from eval.provider_call import Models, _settings
from eval.providers import PROVIDERS, ModelSpec, check_spec, gateway_environment, parse_spec, secrets
from eval.scrub import ScrubbedStream, Scrubber
from tasks.failure import InputError

KEY = "sk-one/two+three=4"


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("openai:gpt-5.2", ModelSpec(provider="openai", model="gpt-5.2")),
        ("openai:a/b:c@http://h:1/v1", ModelSpec(provider="openai", model="a/b:c", base_url="http://h:1/v1")),
        ("openai:m@https://h/v1?x=1&y=2", ModelSpec(provider="openai", model="m", base_url="https://h/v1?x=1&y=2")),
        ("ollama:llama3:8b", ModelSpec(provider="ollama", model="llama3:8b")),
    ],
)
def test_a_spec_is_taken_apart(spec: str, expected: ModelSpec) -> None:
    assert parse_spec(spec) == expected


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("", "names no model"),
        ("gpt-5.2", "names no model"),
        ("openai:", "names no model"),
        ("openai:@http://h/v1", "names no model"),
        ("oracle:delphi", "unknown provider 'oracle'; known: anthropic, "),
        ("openai:m@localhost:8000", "must begin with http://"),
        ("openai:m@", "names no model"),
    ],
)
def test_what_is_none_is_refused_with_the_reason(spec: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        parse_spec(spec)


def test_a_key_in_the_address_is_refused_and_not_repeated() -> None:
    with pytest.raises(InputError, match="no key in the address") as refused:
        parse_spec(f"openai:m@http://me:{KEY.replace('/', '')}@host/v1")
    assert "two+three" not in str(refused.value)


def test_a_missing_package_has_its_install_command(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if "groq" in name else find(name, *rest))
    with pytest.raises(InputError, match="groq:llama: the package is not installed: pip install langchain-groq"):
        check_spec("groq:llama")


@pytest.mark.parametrize("value", [None, "", " \n"])
def test_a_missing_key_is_named(monkeypatch: pytest.MonkeyPatch, value: str | None) -> None:
    if value is not None:
        monkeypatch.setenv("OPENAI_API_KEY", value)
    with pytest.raises(InputError, match=r"openai:gpt-x: set OPENAI_API_KEY, or .*openai:gpt-x@http://host:port/v1"):
        check_spec("openai:gpt-x")
    assert check_spec("openai:gpt-x@http://h/v1").base_url == "http://h/v1"


def test_a_gateway_gets_the_keys_of_its_models_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", f"{KEY}\n")
    for name in ("ANTHROPIC_API_KEY", "HF_TOKEN", "LANGSMITH_API_KEY", "OPENAI_BASE_URL", "MY_PASSWORD"):
        monkeypatch.setenv(name, "planted")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")
    environment = gateway_environment(["openai:gpt-x", "openai:m@http://h/v1"])
    assert environment["OPENAI_API_KEY"] == KEY
    assert environment["HTTPS_PROXY"] == "http://proxy:3128"
    assert "planted" not in environment.values()
    assert "OPENAI_API_KEY" not in gateway_environment([])


def test_every_provider_is_known_to_langchain() -> None:
    """By the names that it has for their packages."""
    from langchain.chat_models import base

    known = base._BUILTIN_PROVIDERS
    for name, provider in PROVIDERS.items():
        assert known[name][0].partition(".")[0] == provider.package.replace("-", "_"), name


def request(**more: Any) -> ChatRequest:
    return ChatRequest(spec="openai:m@http://127.0.0.1:9/v1", messages=(Message(role="user", content="x"),), **more)


def test_a_key_is_given_to_the_client_and_none_is_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    def key(spec: str) -> str:
        return Models(1.0)._make(spec, None, None, None, None, False).openai_api_key.get_secret_value()

    assert key("openai:m@http://127.0.0.1:9/v1") == "none"
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    assert key("openai:m@http://127.0.0.1:9/v1") == KEY
    assert key("openai:m") == KEY


def test_clients_do_not_try_again_themselves_and_count_what_is_streamed() -> None:
    model = Models(7.0)._make("openai:m@http://127.0.0.1:9/v1", 0.5, 30, 4, "low", True)
    assert (model.max_retries, model.request_timeout, model.stream_usage, model.streaming) == (0, 7.0, True, True)
    assert (model.temperature, model.max_tokens, model.seed, model.reasoning_effort) == (0.5, 30, 4, "low")


def test_a_client_is_made_once_for_its_settings() -> None:
    models = Models(1.0)
    spec = "openai:m@http://127.0.0.1:9/v1"
    assert models._model(spec, None, None, None, None, False) is models._model(spec, None, None, None, None, False)
    assert models._model(spec, None, None, None, None, False) is not models._model(spec, 0.0, None, None, None, False)


def test_settings_go_by_the_names_of_the_provider() -> None:
    class Other(BaseModel):
        temperature: float = 0
        num_predict: int = 0

    asked = {"temperature": 0.5, "max_tokens": 9, "seed": 3, "effort": None}
    assert _settings(Other, "other:m", **asked) == {"temperature": 0.5, "num_predict": 9}  # it knows no seed
    with pytest.raises(InputError, match="other:m: this provider takes no effort"):
        _settings(Other, "other:m", effort="high")


# ---- Scrubbing ----


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"Bearer {KEY}.", "Bearer [key]."),
        ("a=sk-one%2Ftwo%2Bthree%3D4&b", "a=[key]&b"),
        (f"{KEY}{KEY} {KEY}x", "[key][key] [key]x"),
        ("nothing here", "nothing here"),
        ('quoted "with \\"quotes\\" 12" and more', 'quoted "[key]" and more'),
    ],
)
def test_secrets_are_replaced_also_where_they_are_quoted(text: str, expected: str) -> None:
    assert Scrubber([KEY, 'with "quotes" 12', KEY + "longer"])(text) == expected


def test_the_longer_of_two_secrets_is_replaced_as_a_whole() -> None:
    assert Scrubber(["secret-1", "secret-12"])("secret-12") == "[key]"


def test_placeholders_are_no_secrets() -> None:
    assert Scrubber(["none", "EMPTY", ""])("none of it is EMPTY") == "none of it is EMPTY"


def test_a_scrubbed_stream(capsys: pytest.CaptureFixture[str]) -> None:
    behind = io.StringIO()
    stream = ScrubbedStream(behind, Scrubber([KEY]))
    print(f"the key is {KEY}", file=stream, flush=True)
    assert behind.getvalue() == "the key is [key]\n"


def test_what_counts_as_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", f" {KEY} ")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "aws-secret")
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    monkeypatch.setenv("HTTPS_PROXY", "http://me:password@proxy:3128")
    monkeypatch.setenv("HTTP_PROXY", "http://proxy:3128")
    assert {KEY, "aws-secret", "http://me:password@proxy:3128"} <= set(secrets())
    assert not {"eu-central-1", "http://proxy:3128"} & set(secrets())
