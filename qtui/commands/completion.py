"""`qtui completion`: prints the script with which a shell completes commands and options."""

from __future__ import annotations

from typing import Final

import click
from click.shell_completion import CompletionItem, get_completion_class

SHELLS: Final = ("bash", "zsh", "fish")

COMPLETION_HELP: Final = """Print the shell completion script.

\b
bash: echo 'eval "$(qtui completion bash)"' >> ~/.bashrc
zsh:  echo 'eval "$(qtui completion zsh)"' >> ~/.zshrc
fish: qtui completion fish > ~/.config/fish/completions/qtui.fish
"""

VARIABLE: Final = "_QTUI_COMPLETE"
"""The variable through which the script asks for completions."""


def completion_script(program: click.Command, shell: str) -> str:
    """The completion script of one of the `SHELLS`, to be sourced."""
    kind = get_completion_class(shell)
    assert kind is not None, shell
    return kind(program, {}, "qtui", VARIABLE).source()


def campaign_ids(
    _context: click.Context, _option: click.Parameter, begun: str
) -> list[CompletionItem]:
    """The journal's retries whose ids begin with ``begun``, newest first. Reads names only."""
    from qtui.folders import journal_folder
    from qtui.operations.journal.reading import JournalError, ids

    try:
        known = ids(journal_folder())
    except JournalError:
        return []
    return [CompletionItem(one) for one in known if one.startswith(begun)]
