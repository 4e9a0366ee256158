"""The rule of a composite alarm: a boolean expression over the states of other alarms.

AND, OR, NOT and brackets have the same precedence in AWS's rules and in Python: each token of a rule becomes one of
Python's, and Python's own parser checks the whole.
"""

import ast
import re
from collections.abc import Callable
from dataclasses import dataclass
from types import CodeType

MOST_CHILDREN = 100
_TOKEN = re.compile(
    r"""\s*(?:(?P<state>ALARM|OK|INSUFFICIENT_DATA)\s*\(\s*(?:"(?P<quoted>(?:[^"\\]|\\.)+)"|(?P<bare>[^\s()"]+))\s*\)"""
    r"""|(?P<word>(?:AND|OR|NOT|TRUE|FALSE)\b|[()]))"""
)
_NODES = (
    *(ast.Expression, ast.BoolOp, ast.And, ast.Or, ast.UnaryOp, ast.Not),
    *(ast.Subscript, ast.Name, ast.Load, ast.Constant),
)
_PYTHON = {"AND": "and", "OR": "or", "NOT": "not", "TRUE": "True", "FALSE": "False", "(": "(", ")": ")"}


class BadRuleError(ValueError):
    """An AlarmRule that cannot be read; the message is AWS's."""


@dataclass(frozen=True)
class CompositeRule:
    """A rule, compiled: `children` are the states asked of other alarms, in the order of its text."""

    code: CodeType
    children: tuple[tuple[str, str], ...]

    @classmethod
    def read(cls, text: str) -> "CompositeRule":
        """Compile an AlarmRule. Raises BadRuleError."""
        words: list[str] = []
        children: list[tuple[str, str]] = []
        at = 0
        while at < len(text.rstrip()):
            token = _TOKEN.match(text, at)
            if token is None:
                raise BadRuleError(
                    f"Error in AlarmRule [Unsupported token {text[at:].split()[0]!r} at char {at}]"
                )
            if token["state"]:
                name = token["bare"] or re.sub(r"\\(.)", r"\1", token["quoted"])
                words.append(f"states[{len(children)}]")
                children.append((token["state"], name.rpartition(":alarm:")[2]))
            else:
                words.append(_PYTHON[token["word"]])
            at = token.end()
        if len({name for _, name in children}) > MOST_CHILDREN:
            raise BadRuleError(f"Error in AlarmRule [more than {MOST_CHILDREN} alarms]")
        return cls(_compile(" ".join(words), text), tuple(children))

    def names(self) -> set[str]:
        """Names of the alarms that the rule depends on."""
        return {name for _, name in self.children}

    def holds(self, state: Callable[[str], str | None]) -> bool:
        """Evaluate the rule for the present states of the alarms."""
        states = [state(name) == wanted for wanted, name in self.children]
        return bool(eval(self.code, {"__builtins__": {}}, {"states": states}))  # noqa: S307 - made of _PYTHON


def _compile(words: str, text: str) -> CodeType:
    try:
        tree = ast.parse(words, mode="eval")
    except SyntaxError as error:
        raise BadRuleError(f"Error in AlarmRule [{text!r} is no expression: {error.msg}]") from error
    if not all(isinstance(node, _NODES) for node in ast.walk(tree)):  # "()" or one operand after another
        raise BadRuleError(f"Error in AlarmRule [{text!r} lacks an operator or an operand]")
    return compile(tree, "AlarmRule", "eval")
