"""Which providers of language models there are, what a spec says, and where keys come from.

A spec is `provider:model`, or `provider:model@http://host:port/v1` for a server with the provider's interface. Keys
come from the provider's own environment variables and go to the gateway's process only.
"""

import importlib.util
import os
import re
from collections.abc import Iterable
from urllib.parse import urlsplit

from tasks.child import child_environment
from tasks.failure import InputError
from tasks.record import Record

NO_KEY = "none"
"""Sent as the key to a server that needs none."""
_SPEC = re.compile(r"(?P<provider>[a-z_]+):(?P<model>[^@]+)(?:@(?P<url>.+))?")
_SECRET = re.compile("KEY|TOKEN|SECRET")
_NETWORK = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE")


class Provider(Record):
    """How a provider is reached."""

    package: str
    """On PyPI; the module is called the same with underscores."""
    keys: tuple[str, ...] = ()
    """Environment variables, one of which must hold a key unless a server is named; empty when none is needed."""
    settings: tuple[str, ...] = ()
    """Other environment variables that it reads."""


PROVIDERS = {
    "anthropic": Provider(package="langchain-anthropic", keys=("ANTHROPIC_API_KEY",)),
    "azure_openai": Provider(
        package="langchain-openai",
        keys=("AZURE_OPENAI_API_KEY", "AZURE_OPENAI_AD_TOKEN"),
        settings=("AZURE_OPENAI_ENDPOINT", "OPENAI_API_VERSION"),
    ),
    "bedrock_converse": Provider(
        package="langchain-aws",
        settings=(
            *("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_BEARER_TOKEN_BEDROCK"),
            *("AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION"),
        ),
    ),
    "cohere": Provider(package="langchain-cohere", keys=("COHERE_API_KEY", "CO_API_KEY")),
    "deepseek": Provider(package="langchain-deepseek", keys=("DEEPSEEK_API_KEY",)),
    "fireworks": Provider(package="langchain-fireworks", keys=("FIREWORKS_API_KEY",)),
    "google_genai": Provider(package="langchain-google-genai", keys=("GOOGLE_API_KEY", "GEMINI_API_KEY")),
    "groq": Provider(package="langchain-groq", keys=("GROQ_API_KEY",)),
    "mistralai": Provider(package="langchain-mistralai", keys=("MISTRAL_API_KEY",)),
    "nvidia": Provider(package="langchain-nvidia-ai-endpoints", keys=("NVIDIA_API_KEY",)),
    "ollama": Provider(package="langchain-ollama", settings=("OLLAMA_HOST",)),
    "openai": Provider(
        package="langchain-openai",
        keys=("OPENAI_API_KEY",),
        settings=("OPENAI_ORG_ID", "OPENAI_ORGANIZATION", "OPENAI_PROJECT_ID"),
    ),
    "openrouter": Provider(package="langchain-openrouter", keys=("OPENROUTER_API_KEY",)),
    "perplexity": Provider(package="langchain-perplexity", keys=("PPLX_API_KEY", "PERPLEXITY_API_KEY")),
    "together": Provider(package="langchain-together", keys=("TOGETHER_API_KEY",)),
    "upstage": Provider(package="langchain-upstage", keys=("UPSTAGE_API_KEY",)),
    "xai": Provider(package="langchain-xai", keys=("XAI_API_KEY",)),
}
"""By the name that LangChain's `init_chat_model` has for them."""


class ModelSpec(Record):
    """A spec taken apart."""

    provider: str
    model: str
    base_url: str | None = None


def parse_spec(spec: str) -> ModelSpec:
    """Take a spec apart.

    Raises:
        InputError: it is none, its provider is unknown (the message lists the known ones), or its address will not do.
    """
    found = _SPEC.fullmatch(spec)
    if not found:
        raise InputError(f"'{spec}' names no model; expected PROVIDER:MODEL or PROVIDER:MODEL@http://HOST:PORT/v1")
    provider, url = found["provider"], found["url"]
    if provider not in PROVIDERS:
        raise InputError(f"{spec}: unknown provider '{provider}'; known: {', '.join(PROVIDERS)}")
    if url is not None and not url.startswith(("http://", "https://")):
        raise InputError(f"{spec}: the server's address must begin with http:// or https://")
    if url is not None and "@" in urlsplit(url).netloc:
        raise InputError(f"{provider}:{found['model']}: no key in the address, which is kept in records")
    return ModelSpec(provider=provider, model=found["model"], base_url=url)


def check_spec(spec: str) -> ModelSpec:
    """Take a spec apart and see that its package is installed and a key is there.

    Raises:
        InputError: as `parse_spec`; or with what to install or to set.
    """
    parsed = parse_spec(spec)
    provider = PROVIDERS[parsed.provider]
    if importlib.util.find_spec(provider.package.replace("-", "_")) is None:
        raise InputError(f"{spec}: the package is not installed: pip install {provider.package}")
    if provider.keys and not parsed.base_url and not provider_key(parsed.provider):
        raise InputError(
            f"{spec}: set {' or '.join(provider.keys)}, or name a server that needs no key: {spec}@http://host:port/v1"
        )
    return parsed


def provider_key(provider: str) -> str | None:
    """The key in the environment, without blanks around it; None when there is none."""
    found = (os.environ.get(name, "").strip() for name in PROVIDERS[provider].keys)
    return next(filter(None, found), None)


def gateway_environment(specs: Iterable[str]) -> dict[str, str]:
    """The environment of a gateway for these models: what every child has, the way out, and the keys they need.

    Raises:
        InputError: as `check_spec`.
    """
    providers = [PROVIDERS[check_spec(spec).provider] for spec in specs]
    names = {name for provider in providers for name in (*provider.keys, *provider.settings)}
    names |= {name for proxy in _NETWORK for name in (proxy, proxy.lower())}
    return child_environment({name: os.environ[name].strip() for name in names if name in os.environ})


def secrets() -> tuple[str, ...]:
    """The values in the environment that nobody may see: keys of all providers, and proxies with a password."""
    names = {name for provider in PROVIDERS.values() for name in provider.keys}
    names |= {name for provider in PROVIDERS.values() for name in provider.settings if _SECRET.search(name)}
    found = [os.environ.get(name, "").strip() for name in sorted(names)]
    proxies = [os.environ.get(name, "") for proxy in _NETWORK for name in (proxy, proxy.lower())]
    return tuple(filter(None, [*found, *(proxy for proxy in proxies if "@" in proxy)]))
