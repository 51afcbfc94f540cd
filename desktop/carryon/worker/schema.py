"""The JSON of the OpenAI protocol: request bodies in, checked field by field, and response bodies out."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from carryon.worker.sampling import Sampling
from carryon.worker.template import Message

_ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}
_MOST_STOPS = 16
_LONGEST_STOP = 1000  # characters
_LARGEST_INT = 2**31 - 1
_UNSUPPORTED = "{field} is not supported by this version."


class Invalid(Exception):
    """A request that cannot be served as it is; `field` names what is wrong with it."""

    def __init__(self, message: str, field: str | None = None, code: str = "invalid_value") -> None:
        super().__init__(message)
        self.message = message
        self.field = field
        self.code = code


@dataclass(frozen=True)
class Wish:
    """What chat and plain completions have in common."""

    sampling: Sampling
    max_tokens: int | None
    stops: tuple[str, ...]
    is_streamed: bool


@dataclass(frozen=True)
class ChatRequest:
    """A checked body of /v1/chat/completions."""

    messages: tuple[Message, ...]
    wish: Wish


@dataclass(frozen=True)
class CompletionRequest:
    """A checked body of /v1/completions: the prompt is text or token ids."""

    prompt: str | tuple[int, ...]
    wish: Wish


@dataclass(frozen=True)
class TokenizeRequest:
    """A checked body of /tokenize."""

    content: str
    add_special: bool
    parse_special: bool


class Fields:
    """Reads one JSON object; a missing or null field is its default. Every method raises Invalid."""

    def __init__(self, raw: bytes) -> None:
        try:
            body = json.loads(raw)
        except (ValueError, RecursionError) as error:
            raise Invalid("The request body is not valid JSON.", code="invalid_json") from error
        if not isinstance(body, dict):
            raise Invalid("The request body must be a JSON object.", code="invalid_json")
        self.body: dict[str, Any] = body

    def get(self, name: str) -> Any:
        return self.body.get(name)

    def number(self, name: str, low: float, high: float, default: float) -> float:
        value = self.get(name)
        if value is None:
            return default
        if not _is_number(value) or not low <= value <= high:
            raise Invalid(f"{name} must be a number from {low:g} to {high:g}.", name)
        return float(value)

    def whole(self, name: str, low: int, high: int, default: int | None) -> int | None:
        value = self.get(name)
        if value is None:
            return default
        if not _is_whole(value) or not low <= value <= high:
            raise Invalid(f"{name} must be a whole number from {low} to {high}.", name)
        return int(value)

    def flag(self, name: str, default: bool = False) -> bool:
        value = self.get(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise Invalid(f"{name} must be true or false.", name)
        return value

    def refuse(self, *names: str) -> None:
        """Fields that would silently change the answer's meaning, unless they say nothing."""
        for name in names:
            if self.get(name) not in (None, False, 0, "", "none", "auto", [], {}):
                raise Invalid(_UNSUPPORTED.format(field=name), name, "unsupported_parameter")


def chat_request(raw: bytes, defaults: Sampling) -> ChatRequest:
    """Raises Invalid."""
    fields = Fields(raw)
    fields.refuse("tools", "functions", "function_call", "tool_choice", "logprobs", "top_logprobs", "logit_bias",
                  "audio", "grammar", "json_schema", "chat_template_kwargs", "reasoning_effort")
    messages = fields.get("messages")
    if not isinstance(messages, list) or not messages:
        raise Invalid("messages must be a list with at least one message.", "messages")
    checked = tuple(_message(one, f"messages[{index}]") for index, one in enumerate(messages))
    return ChatRequest(checked, _wish(fields, defaults))


def completion_request(raw: bytes, defaults: Sampling, n_vocabulary: int) -> CompletionRequest:
    """Raises Invalid."""
    fields = Fields(raw)
    fields.refuse("logprobs", "logit_bias", "echo", "suffix", "grammar", "json_schema")
    if fields.get("best_of") not in (None, 1):
        raise Invalid("best_of above 1 is not supported by this version.", "best_of", "unsupported_parameter")
    return CompletionRequest(_prompt(fields.get("prompt"), n_vocabulary), _wish(fields, defaults))


def tokenize_request(raw: bytes) -> TokenizeRequest:
    """Raises Invalid."""
    fields = Fields(raw)
    content = fields.get("content")
    if not isinstance(content, str):
        raise Invalid("content must be a string.", "content")
    return TokenizeRequest(content, fields.flag("add_special"), fields.flag("parse_special"))


def detokenize_request(raw: bytes, n_vocabulary: int) -> tuple[int, ...]:
    """Raises Invalid."""
    return _token_ids(Fields(raw).get("tokens"), "tokens", n_vocabulary)


def _wish(fields: Fields, defaults: Sampling) -> Wish:
    if fields.get("n") not in (None, 1):
        raise Invalid("n above 1 is not supported by this version.", "n", "unsupported_parameter")
    form = fields.get("response_format")
    if form is not None and not (isinstance(form, dict) and form.get("type") == "text"):
        raise Invalid("response_format other than text is not supported by this version.", "response_format",
                      "unsupported_parameter")
    if not isinstance(fields.get("model"), str | None):
        raise Invalid("model must be a string.", "model")
    if not isinstance(fields.get("stream_options"), dict | None):
        raise Invalid("stream_options must be an object.", "stream_options")
    return Wish(_sampling(fields, defaults), _max_tokens(fields), _stops(fields.get("stop")), fields.flag("stream"))


def _sampling(fields: Fields, defaults: Sampling) -> Sampling:
    top_k = fields.whole("top_k", -1, _LARGEST_INT, defaults.top_k)
    seed = fields.whole("seed", -(2**63), 2**64 - 1, None)
    return replace(
        defaults,
        temperature=fields.number("temperature", 0, 10, defaults.temperature),
        top_k=max(top_k or 0, 0),
        top_p=fields.number("top_p", 0, 1, defaults.top_p),
        min_p=fields.number("min_p", 0, 1, defaults.min_p),
        repeat_penalty=fields.number("repeat_penalty", 0.01, 10, defaults.repeat_penalty),
        frequency_penalty=fields.number("frequency_penalty", -2, 2, defaults.frequency_penalty),
        presence_penalty=fields.number("presence_penalty", -2, 2, defaults.presence_penalty),
        seed=seed,
        ignore_eos=fields.flag("ignore_eos"),
    )


def _max_tokens(fields: Fields) -> int | None:
    older = fields.whole("max_tokens", 1, _LARGEST_INT, None)
    return fields.whole("max_completion_tokens", 1, _LARGEST_INT, older)


def _stops(value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    stops = [value] if isinstance(value, str) else value
    if not isinstance(stops, list) or len(stops) > _MOST_STOPS:
        raise Invalid(f"stop must be a string or a list of at most {_MOST_STOPS} strings.", "stop")
    if not all(isinstance(stop, str) and 0 < len(stop) <= _LONGEST_STOP for stop in stops):
        raise Invalid(f"Each stop must be a string of 1 to {_LONGEST_STOP} characters.", "stop")
    return tuple(stops)


def _message(value: Any, where: str) -> Message:
    if not isinstance(value, dict):
        raise Invalid(f"{where} must be an object with role and content.", where)
    role = value.get("role")
    if role in ("tool", "function") or value.get("tool_calls"):
        raise Invalid(f"{where}: tool calls are not supported by this version.", where, "unsupported_parameter")
    if not isinstance(role, str) or role not in _ROLES:
        raise Invalid(f"{where}.role must be system, user or assistant.", f"{where}.role")
    return Message(_ROLES[role], _content(value.get("content"), f"{where}.content"))


def _content(value: Any, where: str) -> str:
    if isinstance(value, str):
        return value
    if not isinstance(value, list):
        raise Invalid(f"{where} must be a string or a list of text parts.", where)
    return "\n".join(_text_part(part, where) for part in value)


def _text_part(part: Any, where: str) -> str:
    if isinstance(part, dict) and part.get("type") == "text" and isinstance(part.get("text"), str):
        return str(part["text"])
    raise Invalid(f"{where}: only text parts are supported by this version.", where, "unsupported_parameter")


def _prompt(value: Any, n_vocabulary: int) -> str | tuple[int, ...]:
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], str | list):
        value = value[0]  # a batch of one
    if isinstance(value, str):
        return value
    return _token_ids(value, "prompt", n_vocabulary, or_else=" or a string")


def _token_ids(value: Any, name: str, n_vocabulary: int, or_else: str = "") -> tuple[int, ...]:
    if not isinstance(value, list) or not all(_is_whole(one) and 0 <= one < n_vocabulary for one in value):
        raise Invalid(f"{name} must be a list of token ids from 0 to {n_vocabulary - 1}{or_else}.", name)
    return tuple(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)  # NaN fails every range


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def error_body(message: str, kind: str, code: str, **more: Any) -> dict[str, Any]:
    """OpenAI's shape of an error."""
    return {"error": {"message": message, "type": kind, "code": code, **more}}


def defaults_from_file(metadata: Mapping[str, str | None]) -> Sampling:
    """The sampling that a model's file asks for (general.sampling.*) where it is sensible, else llama.cpp's own."""
    def read(key: str, low: float, high: float, default: float) -> float:
        try:
            value = float(metadata.get(key) or "nan")
        except ValueError:
            return default
        return value if low <= value <= high else default

    ours = Sampling()
    return Sampling(
        temperature=read("general.sampling.temp", 0, 10, ours.temperature),
        top_k=int(read("general.sampling.top_k", 0, _LARGEST_INT, ours.top_k)),
        top_p=read("general.sampling.top_p", 0, 1, ours.top_p),
        min_p=read("general.sampling.min_p", 0, 1, ours.min_p),
        repeat_penalty=read("general.sampling.penalty_repeat", 0.01, 10, ours.repeat_penalty),
    )
