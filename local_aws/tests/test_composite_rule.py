"""AlarmRule expressions: what they mean, and what is refused with AWS's sentence."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_aws.cloudwatch.composite import BadRuleError, CompositeRule

STATES = {"high": "ALARM", "low": "OK", "new": "INSUFFICIENT_DATA", "with space": "ALARM", 'a"b': "ALARM"}
WORDS = st.recursive(
    st.sampled_from(["TRUE", "FALSE", "ALARM(high)", "OK(high)", "OK(low)", 'ALARM("low")']),
    lambda inner: st.one_of(
        inner.map(lambda one: f"NOT {one}"),
        inner.map(lambda one: f"({one})"),
        st.tuples(inner, st.sampled_from(["AND", "OR"]), inner).map(" ".join),
    ),
)


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("ALARM(high)", True),
        ("ALARM(low)", False),
        ("OK( low )", True),
        ("INSUFFICIENT_DATA(new)", True),
        ('ALARM("with space")', True),
        (r'ALARM("a\"b")', True),
        ("ALARM(arn:aws:cloudwatch:eu-west-1:123456789012:alarm:high)", True),
        ("ALARM(high) AND ALARM(low)", False),
        ("ALARM(high) OR ALARM(low)", True),
        ("NOT ALARM(low)", True),
        ("ALARM(high) AND NOT ALARM(low)", True),
        ("TRUE OR TRUE AND FALSE", True),
        ("(TRUE OR TRUE) AND FALSE", False),
        ("NOT FALSE AND FALSE", False),
        ("NOT (FALSE AND FALSE)", True),
        ("(ALARM(high) OR ALARM(low))AND OK(low)", True),
        ("TRUE", True),
        ("FALSE", False),
    ],
)
def test_rules_are_true_when_the_alarms_are_so(text: str, holds: bool) -> None:
    assert CompositeRule.read(text).holds(STATES.get) is holds


@given(text=WORDS)
def test_every_expression_of_the_grammar_is_read_with_the_precedence_of_logic(text: str) -> None:
    truths = {"ALARM(high)": "True", "OK(high)": "False", "OK(low)": "True", 'ALARM("low")': "False"}
    python = text
    for atom, truth in truths.items():
        python = python.replace(atom, truth)
    for word in ("AND", "OR", "NOT", "TRUE", "FALSE"):
        python = python.replace(word, word.capitalize() if word in ("TRUE", "FALSE") else word.lower())

    assert CompositeRule.read(text).holds(STATES.get) is eval(python)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no expression"),
        ("()", "lacks an operator"),
        ("ALARM(a) ALARM(b)", "no expression"),
        ("ALARM(a) (OK(b))", "lacks an operator"),
        ("ALARM(a) AND", "no expression"),
        ("(ALARM(a)", "no expression"),
        ("alarm(a)", "Unsupported token 'alarm"),
        ("ALARM(a) && ALARM(b)", "Unsupported token '&&' at char 8"),
        ("ALARM()", "Unsupported token"),
        ("AT_LEAST(1, ALARM, (a, b))", "Unsupported token"),
        ("NOTALARM(a)", "Unsupported token"),
        ("__import__('os')", "Unsupported token"),
        (" AND ".join(f"ALARM(a{number})" for number in range(101)), "more than 100"),
    ],
)
def test_what_is_no_rule_is_refused(text: str, words: str) -> None:
    with pytest.raises(BadRuleError, match="Error in AlarmRule") as caught:
        CompositeRule.read(text)

    assert words in str(caught.value)
