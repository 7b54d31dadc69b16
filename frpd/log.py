"""Logging in frp's line format, to stdout or to a file that rotates at midnight.

    2018/06/01 12:00:00 [I] [service.py:130] [runid] [proxy] text

The room knows nothing of connections: callers hand it short prefixes. What peers send (host names,
proxy names) may end up in a line, so every control character is escaped before it is written: one
call, one line. Bytes go straight to the descriptor, so a line is out when the call returns, in a
pipe as on a terminal, and a reader that went away costs the line and nothing else.

Source: the format of frp up to 0.54 (a console and a file logger of beego).
"""

from __future__ import annotations

import contextlib
import logging
import re
import sys
import time
from collections import deque
from typing import Final, NamedTuple

from frpd.errors import ConfigError
from frpd.log_file import LogFile, write_all
from frpd.log_json import timestamp, to_json

TRACE: Final = 5
_LEVELS: Final = {
    "trace": TRACE,
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "error": logging.ERROR,
}
# First level that carries the mark, highest first; with the terminal colour that frp gave it.
_MARKS: Final = (
    (logging.ERROR, "E", "\x1b[1;31m"),
    (logging.WARNING, "W", "\x1b[1;33m"),
    (logging.INFO, "I", "\x1b[1;34m"),
    (logging.DEBUG, "D", "\x1b[1;34m"),
    (0, "T", "\x1b[1;34m"),
)
_RESET: Final = "\x1b[0m"
# C0, DEL, C1, line and paragraph separators, and the marks that reorder what a terminal shows.
_UNSAFE: Final = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")
REMEMBERED_LINES: Final = 500
REMEMBERED_CHARS: Final = 2000
"""Of each line."""


class PrefixLogger:
    """A logger that puts ``[a] [b] `` ahead of each text. Cheap to make, safe in any thread.

    Texts are %-formats and their arguments are rendered only when the level is on.
    """

    __slots__ = ("_extra", "_logger", "_names", "_prefix")

    def __init__(
        self, logger: logging.Logger, prefix: str = "", names: tuple[str, ...] = ()
    ) -> None:
        self._logger = logger
        self._prefix = prefix
        self._names = names
        self._extra = {"prefix": prefix, "names": names}

    def prefixed(self, *names: str) -> PrefixLogger:
        """Return a logger with these names added, each in its own brackets."""
        prefix = self._prefix + "".join(f"[{name}] " for name in names)
        return PrefixLogger(self._logger, prefix, self._names + names)

    def enabled(self, level: int) -> bool:
        """Tell whether a line of this level would be written, to spare costly arguments."""
        return self._logger.isEnabledFor(level)

    def trace(self, text: str, *args: object) -> None:
        """Log what only a developer wants to see."""
        if self._logger.isEnabledFor(TRACE):
            self._logger.log(TRACE, text, *args, stacklevel=2, extra=self._extra)

    def debug(self, text: str, *args: object) -> None:
        """Log a step that explains a behaviour."""
        if self._logger.isEnabledFor(logging.DEBUG):
            self._logger.log(logging.DEBUG, text, *args, stacklevel=2, extra=self._extra)

    def info(self, text: str, *args: object) -> None:
        """Log a fact of normal operation."""
        if self._logger.isEnabledFor(logging.INFO):
            self._logger.log(logging.INFO, text, *args, stacklevel=2, extra=self._extra)

    def warning(self, text: str, *args: object) -> None:
        """Log what an operator should look at."""
        if self._logger.isEnabledFor(logging.WARNING):
            self._logger.log(logging.WARNING, text, *args, stacklevel=2, extra=self._extra)

    def error(self, text: str, *args: object) -> None:
        """Log what did not work."""
        if self._logger.isEnabledFor(logging.ERROR):
            self._logger.log(logging.ERROR, text, *args, stacklevel=2, extra=self._extra)

    def exception(self, text: str, *args: object) -> None:
        """Log an unexpected error with the traceback of the exception being handled."""
        if self._logger.isEnabledFor(logging.ERROR):
            self._logger.log(
                logging.ERROR, text, *args, exc_info=True, stacklevel=2, extra=self._extra
            )


def get_logger(name: str) -> PrefixLogger:
    """Return the logger of a module (give ``__name__``), without a prefix."""
    return PrefixLogger(logging.getLogger(name))


def escape(text: str) -> str:
    """Return ``text`` with everything that could forge or hide a line written as an escape."""
    return _UNSAFE.sub(lambda m: m.group().encode("unicode_escape").decode("ascii"), text)


class _LineFormatter(logging.Formatter):
    """One record to one line (and one indented line per line of a traceback)."""

    def __init__(self, *, color: bool) -> None:
        super().__init__()
        self._color = color
        self._second = -1
        self._second_text = ""

    def format(self, record: logging.LogRecord) -> str:
        return self.line(record, what_it_says(record))

    def line(self, record: logging.LogRecord, said: str) -> str:
        """Return the line of a record that says this."""
        mark, color = _mark(record.levelno)
        text = f"[{mark}] [{record.filename}:{record.lineno}] {said}"
        if self._color:
            text = f"{color}{text}{_RESET}"
        lines = [f"{self._stamp(record.created)} {text}"]
        if record.exc_info:
            # The bar keeps a line break inside an exception's text from starting a forged line.
            traceback = self.formatException(record.exc_info)
            lines += [f"  | {escape(line)}" for line in traceback.splitlines()]
        return "\n".join(lines) + "\n"

    def _stamp(self, created: float) -> str:
        second = int(created)
        if second != self._second:
            self._second_text = time.strftime("%Y/%m/%d %H:%M:%S", time.localtime(second))
            self._second = second
        return self._second_text


class _JsonFormatter(_LineFormatter):
    """One record to one object; what peers have sent is an escaped string in it."""

    def __init__(self) -> None:
        super().__init__(color=False)

    def line(self, record: logging.LogRecord, said: str) -> str:
        """Return the line of a record; its own text counts, ``said`` has the names in it."""
        found: dict[str, object] = {
            "time": timestamp(record.created),
            "level": _word(record.levelno),
            "source": f"{record.filename}:{record.lineno}",
            "names": getattr(record, "names", ()),
            "text": _message(record),
        }
        found |= getattr(record, "facts", {})
        if record.exc_info:
            found["traceback"] = self.formatException(record.exc_info)
        return to_json(found) + "\n"


def what_it_says(record: logging.LogRecord) -> str:
    """Return the text of a record with its prefix, escaped."""
    return escape(f"{getattr(record, 'prefix', '')}{_message(record)}")


def _mark(level: int) -> tuple[str, str]:
    for least, mark, color in _MARKS:
        if level >= least:
            return mark, color
    raise AssertionError("levels below 0 there are none")


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except (TypeError, ValueError, KeyError) as exc:
        return f"{record.msg} {record.args!r} (bad log format: {exc})"


class LogLine(NamedTuple):
    """One line as it is remembered.

    Attributes:
        number: it grows by one with each line.
        time: Unix time.
        level: T, D, I, W or E.
        where: file and line of our code.
        text: with its prefix; escaped, and cut if it is very long.
    """

    number: int
    time: float
    level: str
    where: str
    text: str


class _Memory:
    """The last lines; bounded in number and in length. Its handler's lock guards it."""

    def __init__(self) -> None:
        self.count = 0
        self._kept: deque[tuple[int, float, int, str, int, str]] = deque(maxlen=REMEMBERED_LINES)

    def keep(self, record: logging.LogRecord, text: str) -> None:
        """Remember a line; cheap, since it costs every line and few are ever looked at."""
        self.count += 1
        if record.exc_info and record.exc_info[1] is not None:
            error = record.exc_info[1]
            text += escape(f": {type(error).__name__}: {error}")
        self._kept.append(
            (
                self.count,
                record.created,
                record.levelno,
                record.filename,
                record.lineno,
                text[:REMEMBERED_CHARS],
            )
        )

    def lines(self, after: int) -> list[LogLine]:
        """Return what is remembered beyond a number."""
        return [
            LogLine(number, created, _mark(level)[0], f"{file}:{line}", text)
            for number, created, level, file, line, text in list(self._kept)
            if number > after
        ]


class _DescriptorHandler(logging.Handler):
    """Writes whole lines to a file descriptor; what cannot be written is counted and dropped.

    Args:
        fd: where to write; None drops everything (a daemon started with stdout closed, whose
            descriptor 1 may by now be somebody's socket).
        form: how lines look.
    """

    def __init__(self, fd: int | None, form: _LineFormatter) -> None:
        super().__init__()
        self._lines = form
        self.setFormatter(form)
        self.memory = _Memory()
        self._fd = fd
        self._lost = 0

    def emit(self, record: logging.LogRecord) -> None:
        said = what_it_says(record)
        self.memory.keep(record, said)
        data = self._lines.line(record, said).encode("utf-8", "backslashreplace")
        if self._lost:
            data = self._loss_note(record) + data
        try:
            self._write(data)
        except OSError as exc:
            self._lost += 1
            self.report_failure(exc)
        else:
            self._lost = 0

    def _loss_note(self, after: logging.LogRecord) -> bytes:
        text = f"{self._lost} log lines before this one could not be written"
        note = logging.LogRecord(after.name, logging.WARNING, __file__, 0, text, None, None)
        return self.format(note).encode("utf-8")

    def report_failure(self, exc: OSError) -> None:
        """Tell somebody, where there is anybody to tell."""

    def _write(self, data: bytes) -> None:
        if self._fd is None:
            return
        write_all(self._fd, data)


class _FileHandler(_DescriptorHandler):
    """Appends to a file that rotates. `file.max_days` may change at any time."""

    def __init__(self, path: str, max_days: int, form: _LineFormatter) -> None:
        super().__init__(None, form)
        self.file = LogFile(path, max_days)

    def emit(self, record: logging.LogRecord) -> None:
        self.file.follow(record.created)
        super().emit(record)

    def _write(self, data: bytes) -> None:
        self.file.write(data)

    def report_failure(self, exc: OSError) -> None:
        """Tell stderr once per trouble: it is another file or the service manager's journal."""
        if self._lost == 1 and sys.stderr is not None:
            with contextlib.suppress(OSError, ValueError):
                sys.stderr.write(f"cannot write to log file {self.file.path}: {exc.strerror}\n")
                sys.stderr.flush()

    def close(self) -> None:
        super().close()
        self.file.close()


def recent(after: int = 0) -> tuple[int, list[LogLine]]:
    """Return the number of the last line, and those remembered beyond a number. Any thread."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, _DescriptorHandler):
            handler.acquire()
            try:
                return handler.memory.count, handler.memory.lines(after)
            finally:
                handler.release()
    return 0, []


def setup(
    *, target: str, level: str, max_days: int, color: bool, line_format: str = "text"
) -> None:
    """Direct all log lines to ``target``; call before anything is bound, and again to change it.

    Args:
        target: "console" (or empty) for stdout, else the path of a file.
        level: trace, debug, info, warn or error; any other text means warn, as in frp.
        max_days: how many days of rotated files to keep; 0 or less keeps all.
        color: allow colours; they are used only when stdout is a terminal.
        line_format: text, or json for an object per line.

    Raises:
        ConfigError: the file cannot be opened.
    """
    handler: logging.Handler
    is_json = line_format == "json"
    if target in {"", "console"}:
        handler = _console_handler(color=color, as_json=is_json)
    else:
        try:
            handler = _FileHandler(target, max_days, _form(as_json=is_json))
        except OSError as exc:
            reason = exc.strerror or str(exc)
            raise ConfigError(f"cannot open log file {target}: {reason}", key="log_file") from exc
        except ValueError as exc:  # a path with a NUL
            raise ConfigError(f"cannot open log file {target!r}: {exc}", key="log_file") from exc
    close()
    logging.getLogger().addHandler(handler)
    logging.getLogger("frpd").setLevel(_LEVELS.get(level, logging.WARNING))


def level() -> str:
    """Return the word for the least serious lines that are logged."""
    return _word(logging.getLogger("frpd").getEffectiveLevel())


def _word(number: int) -> str:
    return next((word for word, least in _LEVELS.items() if number <= least), "error")


def set_level(level_name: str) -> str:
    """Log from this level on; return the word for the one before. Any thread.

    Raises:
        ValueError: there is no such level.
    """
    if level_name not in _LEVELS:
        raise ValueError(f"no level {level_name!r}; accepted: {', '.join(_LEVELS)}")
    before = level()
    logging.getLogger("frpd").setLevel(_LEVELS[level_name])
    return before


def set_max_days(max_days: int) -> None:
    """Keep this many days of rotated files from the next midnight on; see setup. Any thread."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, _FileHandler):
            handler.file.max_days = max_days


def close() -> None:
    """Take back what :func:`setup` did; until the next one only warnings appear, on stderr."""
    root = logging.getLogger()
    for handler in [h for h in root.handlers if isinstance(h, _DescriptorHandler)]:
        root.removeHandler(handler)
        handler.close()
    logging.getLogger("frpd").setLevel(logging.NOTSET)


def _console_handler(*, color: bool, as_json: bool) -> _DescriptorHandler:
    if sys.stdout is None:
        return _DescriptorHandler(None, _form(as_json=as_json))
    sys.stdout.flush()
    form = _form(color=color and sys.stdout.isatty(), as_json=as_json)
    return _DescriptorHandler(sys.stdout.fileno(), form)


def _form(*, color: bool = False, as_json: bool) -> _LineFormatter:
    return _JsonFormatter() if as_json else _LineFormatter(color=color)
