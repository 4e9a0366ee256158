"""Say what the value of a key must be, and how to write it. Pure."""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

# Every pattern of the models, in words with an example.
PATTERNS = {
    r"^\d{12}$": 'an account id of 12 digits in quotes: "123456789012"',
    r"^[a-z]{2}(-[a-z]+)+-\d$": "a Region, such as eu-west-1",
    r"^[\w+=,.@-]{1,64}$": "the name of an IAM role without its ARN: letters, digits and +=,.@-_, at most 64",
    r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$": "the name of a bucket: 3 to 63 lower-case letters, digits, dots and hyphens",
    r"^[a-z0-9]+([._/-][a-z0-9]+)*$": "the name of an ECR repository: lower-case letters and digits, joined by . _ / or -",
    r"^[a-zA-Z0-9](-*[a-zA-Z0-9])*$": "a name of letters, digits and hyphens that begins and ends with a letter or digit",
    r"^[a-z0-9](-*[a-z0-9])*$": "a name of lower-case letters, digits and hyphens, such as night-shift",
    r"^ml\.[a-z0-9-]+\.[a-z0-9-]+$": "an instance type of SageMaker, such as ml.m5.large",
    r"^subnet-[0-9a-f]+$": "the id of a subnet, such as subnet-0a1b2c3d",
    r"^sg-[0-9a-f]+$": "the id of a security group, such as sg-0a1b2c3d",
    r"^(alias/[\w/-]+|[0-9a-f-]{36}|arn:aws[a-z-]*:kms:[\w:/-]+)$": "a KMS key: its id, its ARN or alias/NAME",
    r"^arn:aws[a-z-]*:sns:[a-z0-9-]+:\d{12}:[A-Za-z0-9_-]+$": "the ARN of an SNS topic",
    r"^captured(/[\w.-]+)*$": "captured, or a folder below it, such as captured/digits",
    r"^[^:\s]{1,255}$": "a namespace of CloudWatch, such as AWS/SageMaker",
    r"^(Average|Sum|Minimum|Maximum|SampleCount|p\d{1,2}(\.\d{1,10})?)$": "Average, Sum, Minimum, Maximum, SampleCount "
    "or a percentile such as p99",
}

_KINDS = {
    "string": "text in quotes",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "dict": "a section of `key: value` lines",
    "model": "a section of `key: value` lines",
    "tuple": "a list: [first, second]",
    "list": "a list: [first, second]",
    "none": "null",
}
_BOUNDS = {
    "greater_than": ("gt", "greater than {}"),
    "greater_than_equal": ("ge", "at least {}"),
    "less_than": ("lt", "less than {}"),
    "less_than_equal": ("le", "at most {}"),
    "string_too_short": ("min_length", "text of at least {} characters"),
    "string_too_long": ("max_length", "text of at most {} characters"),
    "too_short": ("min_length", "at least {} of them"),
    "too_long": ("max_length", "at most {} of them"),
}


def must_be(problem: Mapping[str, Any]) -> str | None:
    """Return what pydantic asks for in one of its errors, without its own words; None for a rule of the models."""
    kind, context = str(problem["type"]), problem.get("ctx", {})
    if kind == "string_pattern_mismatch":
        return PATTERNS[context["pattern"]]
    if kind == "literal_error":
        choices = str(context["expected"]).replace(" or ", ", ")
        return f"one of {choices}" if "," in choices else choices
    if kind in _BOUNDS:
        name, words = _BOUNDS[kind]
        return words.format(f"{context[name]:g}")
    return _KINDS.get(kind.removesuffix("_type").removesuffix("_parsing").partition("_")[0])


def shown(value: Any, written: str | None) -> str:
    """Return a value as it is in the file, short enough for a line."""
    if value is None:
        return "null"
    if isinstance(value, dict):
        return "a section"
    if isinstance(value, list):
        return "a list"
    text = str(value) if written is None else written
    return text if len(text) <= 60 else f"{text[:60]}…"


def quoted_hint(problem: Mapping[str, Any], written: str | None) -> str:
    """Return the line that quotes a number or a word that YAML does not read as text; empty for other values."""
    value = problem.get("input")
    if problem["type"] != "string_type" or not isinstance(value, bool | int | float) or written is None:
        return ""
    key = next((part for part in reversed(problem["loc"]) if isinstance(part, str)), "value")
    return f'; quote it: {key}: "{written}"'


def close_choice(problem: Mapping[str, Any]) -> str:
    """Return a suggestion where one of the allowed words is meant; empty otherwise."""
    if problem["type"] != "literal_error" or not isinstance(problem.get("input"), str):
        return ""
    choices = [word.strip(" '") for word in str(problem["ctx"]["expected"]).replace(" or ", ",").split(",")]
    close = get_close_matches(problem["input"], choices, n=1)
    return f"; did you mean {close[0]}?" if close else ""
