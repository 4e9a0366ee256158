"""Read a YAML file whose sections name each key once, and the text of a value as it was written."""

from collections.abc import Hashable, Sequence
from typing import Any

import yaml


class _OneKeyOnce(yaml.SafeLoader):
    """The safe loader, which also refuses a key that its section has already: YAML takes the last one silently."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        first: dict[str, yaml.Mark] = {}
        for key, _ in node.value:
            if key.value in first:
                at = f"it is in line {first[key.value].line + 1} already"
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key '{key.value}' is there twice: {at}", key.start_mark
                )
            first[key.value] = key.start_mark
        return super().construct_mapping(node, deep=deep)


def read_yaml(text: str) -> Any:
    """Return the content. Raises yaml.YAMLError, also for a key that a section has twice."""
    return yaml.load(text, _OneKeyOnce)  # noqa: S506 - a safe loader


def written_as(text: str, path: Sequence[str | int]) -> str | None:
    """Return the value at this path as the file has it, such as 012345678901; None: there is none, or it is no scalar."""
    node: yaml.Node | None = yaml.compose(text, yaml.SafeLoader)
    for part in path:
        if isinstance(node, yaml.MappingNode):
            node = next((value for key, value in node.value if key.value == part), None)
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
        else:
            return None
    return str(node.value) if isinstance(node, yaml.ScalarNode) else None
