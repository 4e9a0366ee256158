"""Metric math: expressions over the datapoints of other queries.

Source: "Using math expressions with CloudWatch metrics" in the CloudWatch guide. Imitated: numbers, ids, + - * / ^,
comparisons, AND (&&), OR (||), IF and brackets. Between two time series a missing datapoint counts as 0; a datapoint
that would divide by zero is left out. Every other function is refused, as are SEARCH and SQL.
"""

import math
import operator
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

Points = dict[int, float]
"""Values by number of their period."""
Value = float | Points
Evaluate = Callable[[Mapping[str, Points]], Value]

_TOKEN = re.compile(
    r"\s*(?:(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)|(?P<id>[a-z]\w*)|(?P<word>[A-Z]\w*)"
    r"|(?P<sign>&&|\|\||[=!<>]=|[-+*/^<>(),]))",
    re.ASCII,
)
_SAME = {"&&": "AND", "||": "OR"}
_COMPARISONS = ("==", "!=", "<=", ">=", "<", ">")
_OPERATIONS: dict[str, Callable[[float, float], float]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "^": operator.pow,
    "==": lambda a, b: float(a == b),
    "!=": lambda a, b: float(a != b),
    "<=": lambda a, b: float(a <= b),
    ">=": lambda a, b: float(a >= b),
    "<": lambda a, b: float(a < b),
    ">": lambda a, b: float(a > b),
    "AND": lambda a, b: float(bool(a) and bool(b)),
    "OR": lambda a, b: float(bool(a) or bool(b)),
}
_LEVELS = (("OR",), ("AND",), _COMPARISONS, ("+", "-"), ("*", "/"))  # the loosest first


class BadExpressionError(ValueError):
    """An expression that cannot be computed; the message gives the reason."""


@dataclass(frozen=True)
class Node:
    """A part of an expression; `is_series` is False for a number."""

    evaluate: Evaluate
    is_series: bool


@dataclass(frozen=True)
class Formula:
    """An expression, ready to be computed, and the ids that it uses."""

    root: Node
    names: frozenset[str]

    @classmethod
    def read(cls, expression: str) -> "Formula":
        """Parse an expression. Raises BadExpressionError."""
        parser = _Parser(expression)
        root = parser.whole()
        if not root.is_series:
            raise BadExpressionError(f"Expression {expression!r} is a number; it must be a time series.")
        return cls(root, frozenset(parser.names))

    def combine(self, answers: Mapping[str, Points]) -> Points:
        """Compute the datapoints from those of the ids, by number of their period."""
        points = self.root.evaluate(answers)
        assert isinstance(points, dict)
        return dict(sorted(points.items()))


class _Parser:
    """A parser by recursive descent over one expression."""

    def __init__(self, expression: str) -> None:
        self._expression = expression
        self._tokens = tuple(self._split())
        self._at = 0
        self.names: set[str] = set()

    def whole(self) -> Node:
        node = self._level(0)
        if self._at < len(self._tokens):
            raise self._error(f"{self._next!r} is out of place")
        return node

    def _split(self) -> Iterator[tuple[str, str]]:
        at, text = 0, self._expression.rstrip()
        while at < len(text):
            token = _TOKEN.match(text, at)
            if token is None or token.lastgroup is None:
                raise self._error(f"{text[at:].split()[0]!r} cannot be read")
            yield token.lastgroup, _SAME.get(token[token.lastgroup], token[token.lastgroup])
            at = token.end()

    @property
    def _next(self) -> str:
        return self._tokens[self._at][1] if self._at < len(self._tokens) else "the end"

    def _take(self, *wanted: str) -> str | None:
        """Return the next token and go on if it is one of those wanted."""
        if self._at == len(self._tokens) or self._tokens[self._at][1] not in wanted:
            return None
        self._at += 1
        return self._tokens[self._at - 1][1]

    def _expect(self, sign: str) -> None:
        if self._take(sign) is None:
            raise self._error(f"{sign!r} is missing before {self._next!r}")

    def _level(self, level: int) -> Node:
        if level == len(_LEVELS):
            return self._unary()
        left = self._level(level + 1)
        while sign := self._take(*_LEVELS[level]):
            left = _operation(sign, left, self._level(level + 1))
            if sign in _COMPARISONS and self._next in _COMPARISONS:
                raise self._error("a comparison of a comparison needs brackets")
        return left

    def _unary(self) -> Node:
        if self._take("-"):
            return _operation("-", _number(0.0), self._unary())
        base = self._primary()
        return _operation("^", base, self._unary()) if self._take("^") else base

    def _primary(self) -> Node:
        if self._at == len(self._tokens):
            raise self._error("an operand is missing at the end")
        kind, text = self._tokens[self._at]
        self._at += 1
        if kind == "number":
            return _number(float(text))
        if kind == "id":
            self.names.add(text)
            return Node(lambda answers: answers[text], is_series=True)
        if text == "(":
            inner = self._level(0)
            self._expect(")")
            return inner
        if text == "IF":
            return self._if()
        if kind == "word" and text not in _OPERATIONS:
            raise self._error(f"{text} is not imitated: use IF, AND, OR, comparisons and + - * / ^")
        raise self._error(f"{text!r} is out of place")

    def _if(self) -> Node:
        self._expect("(")
        parts = [self._level(0)]
        while self._take(","):
            parts.append(self._level(0))
        self._expect(")")
        if len(parts) not in (2, 3) or not (parts[0].is_series or parts[1].is_series):
            raise self._error(
                "IF takes a condition, a value and another value, and one of the first two is a metric"
            )
        return _choice(*parts)

    def _error(self, what: str) -> BadExpressionError:
        return BadExpressionError(f"Expression {self._expression!r}: {what}.")


def _number(value: float) -> Node:
    return Node(lambda _: value, is_series=False)


def _operation(sign: str, left: Node, right: Node) -> Node:
    """Return the node of an operation; one of two numbers is computed at once. Raises BadExpressionError."""
    if not left.is_series and not right.is_series:
        value = _compute(sign, _at(left.evaluate({}), 0), _at(right.evaluate({}), 0))
        if value is None:
            raise BadExpressionError(f"A {sign!r} of two numbers has no finite result.")
        return _number(value)

    def evaluate(answers: Mapping[str, Points]) -> Value:
        a, b = left.evaluate(answers), right.evaluate(answers)
        numbers = {*(a if isinstance(a, dict) else ()), *(b if isinstance(b, dict) else ())}
        found = {number: _compute(sign, _at(a, number), _at(b, number)) for number in numbers}
        return {number: value for number, value in found.items() if value is not None}

    return Node(evaluate, is_series=True)


def _compute(sign: str, a: float, b: float) -> float | None:
    """Compute one datapoint; None where it does not exist, as that of a division by zero."""
    try:
        value = _OPERATIONS[sign](a, b)
    except ArithmeticError:
        return None
    return value if isinstance(value, float) and math.isfinite(value) else None


def _choice(condition: Node, then: Node, other: Node | None = None) -> Node:
    """Return IF: without a datapoint of the condition there is none, a missing one of `then` is 0."""

    def evaluate(answers: Mapping[str, Points]) -> Value:
        chosen, a = condition.evaluate(answers), then.evaluate(answers)
        b: Value = {} if other is None else other.evaluate(answers)
        if not isinstance(chosen, dict):
            return a if chosen else b
        there = {n: yes for n, yes in chosen.items() if yes or not isinstance(b, dict) or n in b}
        return {number: _at(a if yes else b, number) for number, yes in there.items()}

    return Node(evaluate, is_series=True)


def _at(value: Value, number: int) -> float:
    """Return one datapoint, 0 for a missing one."""
    return value.get(number, 0.0) if isinstance(value, dict) else value
