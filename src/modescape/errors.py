"""Say what went wrong, where, and what to do: one family of errors, each with an exit code."""

from typing import ClassVar


class ModescapeError(Exception):
    """An expected problem, told in one line: what is wrong, where it is, and what to do about it.

    Anything else that reaches the user is a defect of modescape.
    """

    exit_code: ClassVar[int] = 1


class SettingsError(ModescapeError):
    """A recipe, an option or an argument asks for something that does not exist or cannot be."""

    exit_code = 2


class DataError(ModescapeError):
    """Data are missing, damaged, or not what their description says."""

    exit_code = 3


class MemberFailed(ModescapeError):
    """One member could not be trained; its neighbours are not affected."""

    exit_code = 4

    def __init__(self, message: str, step: int) -> None:
        super().__init__(message)
        self.step = step

    def __reduce__(self) -> tuple[type["MemberFailed"], tuple[str, int]]:
        """Errors travel between processes, which would leave out the step."""
        return MemberFailed, (str(self), self.step)


class NetworkError(ModescapeError):
    """A network cannot be built, or does not fit the data or the rules of chance."""

    exit_code = 5


class RunError(ModescapeError):
    """A run directory is in use, belongs to something else, is damaged, or cannot be written."""

    exit_code = 6


class EngineError(ModescapeError):
    """Processes that compute together cannot be had, or one of them was lost."""

    exit_code = 7


def in_a_line(error: BaseException, most: int = 200) -> str:
    """An error of somebody else's code, with its kind, in one line of ``most`` characters or so."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:most]}"
