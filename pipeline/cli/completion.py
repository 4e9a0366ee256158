"""Completion in bash for `python -m pipeline`, which is three words: click's own script expects one."""

import click
from click.shell_completion import BashComplete, add_completion_class, shell_complete


class ModuleBashComplete(BashComplete):
    """Bash completion that is registered for `python` and acts only after `-m pipeline`."""

    source_template = """\
%(complete_func)s() {
    local type value
    COMPREPLY=()
    [[ "${COMP_WORDS[1]} ${COMP_WORDS[2]}" == "-m pipeline" ]] || return 0
    while IFS=, read -r type value; do
        [[ $type == plain ]] && COMPREPLY+=("$value")
    done < <(env COMP_WORDS="${COMP_WORDS[*]:2}" COMP_CWORD=$((COMP_CWORD - 2)) \\
        %(complete_var)s=bash_complete "${COMP_WORDS[0]}" -m pipeline)
}
complete -o default -F %(complete_func)s python python3
"""

    @property
    def func_name(self) -> str:
        """The name of the shell function, without the blanks of the program's name."""
        return "_pipeline_completion"


def answer(group: click.Group, program: str, variable: str, instruction: str) -> int:
    """Answer the shell: print the script (`bash_source`) or the completions (`bash_complete`)."""
    add_completion_class(ModuleBashComplete)
    return shell_complete(group, {}, program, variable, instruction)
