"""The terminal: taken, lent to the shell on Ctrl+Z or to an editor, given back however qtui ends.

The one file that uses Textual's private interface (of 8.2), for what its driver does not do:

* A signal is handled between two callbacks of the loop. Textual starts a second writer from its
  handler of SIGCONT, in the middle of what runs, and then saves the raw mode as the one to
  restore. A hang-up sends SIGHUP and SIGCONT together.
* Nothing waits for the terminal. Textual's queue of writes is bounded: with a terminal that was
  closed, or stopped, the next write blocks the loop for good, deaf to every signal.
* A terminal that was closed ends the program, where Textual's input thread would spin.
* A window's size is the terminal's, not that of ``$COLUMNS`` and ``$LINES``, which a shell may have
  exported before the window got another one.
* Whatever an orderly end hangs on, the process is gone `END_WITHIN` seconds after it began.
* The inspector's first frame has its first rows, where these come in time (`LateScreen`).
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import selectors
import signal
import termios
import threading
import time
import tty
from codecs import getincrementaldecoder
from collections import deque
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Final, TypeAlias, TypeVar

import rich
from rich.console import RenderableType
from rich.segment import Segments
from textual import constants, events
from textual._styles_cache import StylesCache
from textual._xterm_parser import XTermParser
from textual.app import App, ScreenError
from textual.await_remove import AwaitRemove
from textual.css.query import QueryError
from textual.dom import DOMNode
from textual.drivers.linux_driver import LinuxDriver
from textual.geometry import Size
from textual.message import Message
from textual.screen import Screen
from textual.widget import Widget

from qtui.text import plain

T = TypeVar("T")

INTERRUPTED: Final = 130
"""The exit code after ctrl+c, a signal or a hang-up."""

END_WITHIN: Final = 1.7
"""Seconds for an orderly end: the journal's last line, the connections' farewell."""

_LAST_OF_PROGRAM: Final = 0.5
"""Seconds for which a program that the terminal was lent to may end, when we end."""

_DRAIN: Final = 0.3
"""Seconds for which the last output may take to reach the terminal."""

_MOST_PENDING: Final = 4_000_000
"""Characters that wait for a slow terminal at most; what comes then is drawn anew instead."""

_KITTY_KEYS: Final = 0b11001
"""Disambiguated escape codes, all keys as escape codes, with their text: as Textual asks for."""

_MOUSE: Final = (1000, 1003, 1015, 1006)
_TAKE: Final = (
    "\x1b[?1049h"  # the other screen
    + "".join(f"\x1b[?{mode}h" for mode in _MOUSE)
    + "\x1b[?25l\x1b[?1004h"  # no cursor, and events when the focus comes and goes
    # Popped first: after a SIGSTOP one of ours may still be on the stack.
    + ("" if constants.DISABLE_KITTY_KEY else f"\x1b[<u\x1b[>{_KITTY_KEYS}u")
    + "\x1b[?2004h\x1b[?7l"  # bracketed paste, no wrap
)
_GIVE_BACK: Final = (
    "\x1b[?2026l\x1b[?2004l\x1b[?7h\x1b[?2048l"
    + "".join(f"\x1b[?{mode}l" for mode in (*_MOUSE, 1016))
    + "\x1b[<u\x1b[?1049l\x1b[?25h\x1b[?1004l"
)

_SAVE_TITLE: Final = "\x1b[22;2t"
_RESTORE_TITLE: Final = "\x1b[23;2t"
_UNTITLED: Final = frozenset({"", "dumb", "linux"})
"""Terminals (TERM) that have no title."""

_LONGEST: Final = 200
"""Characters of a title or a notification."""

_GONE: Final = (QueryError, ScreenError)

_Mode: TypeAlias = list[int | list[bytes | int]]
_Handler: TypeAlias = Callable[[int, FrameType | None], object] | int | None


class Output:
    """Writes to a terminal in a thread of its own, and never makes its caller wait.

    Args:
        number: the file to write to.
        encoding: what the terminal takes.
        closed: is called in the thread when the terminal is gone.
        dropped: is called in the thread when the terminal takes output again, after some was
            dropped since it took none.
    """

    def __init__(
        self,
        number: int,
        encoding: str,
        *,
        closed: Callable[[], None],
        dropped: Callable[[], None],
    ) -> None:
        self._number = number
        self._encoding = encoding
        self._closed, self._dropped = closed, dropped
        self._texts: deque[str] = deque()
        self._pending = 0
        self._behind = False
        self._over = False
        self._change = threading.Condition()
        self._thread = threading.Thread(target=self._run, daemon=True, name="qtui-output")
        self._thread.start()

    def write(self, text: str) -> None:
        """Puts text in line; drops it where the terminal has not taken what is in line."""
        with self._change:
            if self._over or self._behind:
                return
            self._pending += len(text)
            if self._pending > _MOST_PENDING:
                self._behind, self._pending = True, 0
                self._texts.clear()
                return
            self._texts.append(text)
            self._change.notify()

    def finish(self, last: str, within: float) -> None:
        """Writes the last text in place of all that is in line; waits some seconds at most."""
        with self._change:
            if not self._over:
                self._texts.clear()
                self._texts.append(last)
                self._over = True
                self._change.notify()
        self._thread.join(within)

    def _run(self) -> None:
        try:
            while True:
                with self._change:
                    self._change.wait_for(lambda: self._texts or self._over)
                    if not self._texts:
                        return
                    text = "".join(self._texts)
                    self._texts.clear()
                _write(self._number, text.encode(self._encoding, "replace"))
                with self._change:
                    self._pending = sum(map(len, self._texts))
                    was_behind, self._behind = self._behind, False
                if was_behind:
                    self._dropped()
        except OSError:
            with self._change:
                self._over = True
                self._texts.clear()
            self._closed()


def _write(number: int, octets: bytes) -> None:
    rest = memoryview(octets)
    while rest:
        try:
            rest = rest[os.write(number, rest) :]
        except BlockingIOError:  # another program has made our terminal non-blocking
            with selectors.DefaultSelector() as selector:
                selector.register(number, selectors.EVENT_WRITE)
                selector.select()


class Terminal(LinuxDriver):
    """The driver of the inspector."""

    def __init__(
        self,
        app: App[object],
        *,
        debug: bool = False,
        mouse: bool = True,
        size: tuple[int, int] | None = None,
    ) -> None:
        self._before: dict[int, _Handler] = {}
        self._cooked: _Mode | None = None
        """The terminal's mode before it was taken; None while it is the shell's."""
        self._output: Output | None = None
        self._continued = False
        self._ending = False
        self._title = ""
        self._is_titled = False
        """Whether the terminal's own title is on its stack, to be restored."""
        super().__init__(app, debug=debug, mouse=mouse, size=size)
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
            if signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup
                self._before[number] = signal.signal(number, self._end_on_signal)

    # Signals: their handlers run in the middle of anything, so they only ask the loop

    def _end_on_signal(self, number: int, frame: FrameType | None) -> None:
        self.end(INTERRUPTED)

    def _sigtstp_application(self, *_: object) -> None:
        self._soon(self.suspend_self)

    def _sigcont_application(self, *_: object) -> None:
        self._continued = True
        self._soon(self._after_stop)

    def _resized(self, number: int, frame: FrameType | None) -> None:
        if not self._in_band_window_resize:
            self._soon(self._tell_size)

    def _soon(self, work: Callable[[], object]) -> None:
        """Has the loop do some work; may be called from any thread and any signal handler."""
        with contextlib.suppress(RuntimeError):  # the loop is closed: we are as good as gone
            self._loop.call_soon_threadsafe(work)

    # The end

    def end(self, code: int) -> None:
        """Ends the app with an exit code, and the process if that takes too long."""
        self._end_in_time(code)
        self._soon(lambda: self._app.exit(return_code=code))

    def _end_in_time(self, code: int) -> None:
        if self._ending:
            return
        self._ending = True

        def end() -> None:
            time.sleep(END_WITHIN)  # in a thread of its own: the loop may hang
            self._give_back()
            returned = self._app.return_code
            os._exit(code if returned is None else returned)

        threading.Thread(target=end, daemon=True, name="qtui-end").start()

    # Taking it and giving it back

    def start_application_mode(self) -> None:
        """Takes the terminal; in the background that stops us until ``fg``."""
        if self._output is None:
            assert self._file is not None
            self._output = Output(
                self._file.fileno(),
                self._file.encoding,
                closed=lambda: self.end(INTERRUPTED),
                dropped=lambda: self._soon(self._draw),
            )
        self._take()
        self._before.setdefault(signal.SIGWINCH, signal.signal(signal.SIGWINCH, self._resized))
        self.exit_event.clear()
        self._key_thread = threading.Thread(target=self._run_input_thread, name="qtui-input")
        self._key_thread.daemon = True
        self._key_thread.start()
        self._request_terminal_sync_mode_support()
        self._query_in_band_window_resize()
        self._tell_size()
        self.set_title(self._title)

    def _take(self) -> None:
        try:
            now = _in_front(self.fileno)
            if self._cooked is None:
                self._cooked = now
            termios.tcsetattr(self.fileno, termios.TCSANOW, self._raw(now))
        except termios.error:  # it was closed, or no shell gives it to us
            self.end(INTERRUPTED)
            return
        self.write(_TAKE)

    def _raw(self, mode: _Mode) -> _Mode:
        """A mode in which each key comes at once, and nothing is echoed."""
        raw = list(mode)
        local, arriving, special = raw[tty.LFLAG], raw[tty.IFLAG], raw[tty.CC]
        assert isinstance(local, int)
        assert isinstance(arriving, int)
        assert isinstance(special, list)
        raw[tty.LFLAG] = self._patch_lflag(local)
        raw[tty.IFLAG] = self._patch_iflag(arriving)
        raw[tty.CC] = [1 if at == termios.VMIN else one for at, one in enumerate(special)]
        return raw

    def stop_application_mode(self) -> None:
        """Gives the terminal back; from here to the end of the process it is the shell's."""
        code = self._app.return_code
        self._end_in_time(INTERRUPTED if code is None else code)
        self._lend()

    def _lend(self) -> None:
        self.disable_input()
        self._give_back()

    def _give_back(self) -> None:
        """Restores the terminal's mode and screen; does nothing the second time."""
        cooked, self._cooked = self._cooked, None
        output, self._output = self._output, None
        if output is not None:
            output.finish(_GIVE_BACK + (_RESTORE_TITLE if self._is_titled else ""), _DRAIN)
            self._is_titled = False
        if cooked is not None:
            with contextlib.suppress(termios.error):
                termios.tcsetattr(self.fileno, termios.TCSANOW, cooked)

    def disable_input(self) -> None:
        """Ends the reading of keys, and forgets those that were not read yet."""
        self.exit_event.set()
        thread = self._key_thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(1.0)
        with contextlib.suppress(termios.error):
            termios.tcflush(self.fileno, termios.TCIFLUSH)

    def close(self) -> None:
        """Gives back what is still ours, the handlers of signals too."""
        self._give_back()
        for number, handler in self._before.items():
            signal.signal(number, handler)
        for number in (signal.SIGTSTP, signal.SIGCONT):
            signal.signal(number, signal.SIG_DFL)

    def write(self, data: str) -> None:
        """Puts text in line for the terminal; nothing while it is the shell's."""
        output = self._output
        if output is not None:
            output.write(data)

    # What it says to one who looks elsewhere

    def set_title(self, words: str) -> None:
        """Names the terminal's window or tab (OSC 2); its own title comes back in the end."""
        self._title = words
        if words and os.environ.get("TERM", "") not in _UNTITLED:
            save = "" if self._is_titled else _SAVE_TITLE
            self._is_titled = True
            self.write(f"{save}\x1b]2;{_harmless(words)}\x07")

    def ring(self) -> None:
        """Rings the bell."""
        self.write("\x07")

    def notify(self, words: str) -> None:
        """Has the terminal show a notification of the desktop (OSC 9), if it can."""
        self.write(f"\x1b]9;qtui: {_harmless(words)}\x07")

    # Lending it to another program

    @contextlib.contextmanager
    def lent(self) -> Iterator[bool]:
        """Gives the terminal to a program of this process group, and takes it again at the end.

        Meanwhile nothing is drawn and no key is read. Ctrl+C is that program's alone. Where Ctrl+Z
        stops the group, it stops us with it, and ``fg`` brings both back. Yields whether the
        terminal was ours to lend.
        """
        if self._ending or self._cooked is None:
            yield False
            return
        self._lend()
        # Not ignored: the other program would inherit that.
        handlers = {signal.SIGINT: _unheard, signal.SIGQUIT: _unheard}
        before = {number: signal.signal(number, one) for number, one in handlers.items()}
        before[signal.SIGTSTP] = signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        try:
            yield True
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            if not self._ending:
                self.start_application_mode()
                self._draw()

    # Suspending and resuming

    def suspend_group(self) -> bool:
        """Does what Ctrl+Z does elsewhere: stops us, and those who wait for us.

        Returns:
            Whether there was a shell to go back to. A terminal's first process is never stopped,
            as nothing could start it again.
        """
        if os.getsid(0) == os.getpid():
            return False
        return self._suspend(lambda: os.killpg(0, signal.SIGTSTP))

    def suspend_self(self) -> bool:
        """Stops this process alone, as the sender of a SIGTSTP asks."""
        return self._suspend(lambda: os.kill(os.getpid(), signal.SIGTSTP))

    def _suspend(self, stop: Callable[[], None]) -> bool:
        if self._ending or self._cooked is None:
            return False
        self._lend()
        ours = signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        self._continued = False
        # With SIGSTOP a group without a shell would be stopped for good; this the kernel ignores.
        stop()
        signal.signal(signal.SIGTSTP, ours)
        continued, self._continued = self._continued, False
        self.start_application_mode()
        self._draw()
        return continued

    def _after_stop(self) -> None:
        """Takes the terminal again after a stop that could not be seen coming (SIGSTOP)."""
        continued, self._continued = self._continued, False
        if continued and not self._ending and self._cooked is not None:
            self._take()
            self._tell_size()
            self._draw()

    def _get_terminal_size(self) -> tuple[int, int]:
        """The terminal's own size: Textual prefers ``$COLUMNS``, which keeps an older one."""
        with contextlib.suppress(OSError):
            size = os.get_terminal_size(self.fileno)
            if all(size):  # a terminal that was never told its size has none
                return size
        return super()._get_terminal_size()

    def _tell_size(self) -> None:
        size = Size(*self._get_terminal_size())
        self._app.post_message(events.Resize(size, size))

    def _draw(self) -> None:
        self._app.refresh(layout=True)

    # Keys

    def run_input_thread(self) -> None:
        """Reads keys until input is disabled or the terminal is closed."""
        parser = XTermParser(self._debug)
        decode = getincrementaldecoder("utf-8")(errors="replace").decode
        with selectors.SelectSelector() as selector:
            selector.register(self.fileno, selectors.EVENT_READ)
            while not self.exit_event.is_set():
                if selector.select(0.1):
                    try:
                        octets = os.read(self.fileno, 4096)
                    except BlockingIOError:
                        continue
                    except OSError:
                        octets = b""
                    if not octets:
                        self.end(INTERRUPTED)
                        return
                    for message in parser.feed(decode(octets)):
                        self.process_message(message)
                for message in parser.tick():
                    self.process_message(message)

    def process_message(self, message: Message) -> None:
        """Hands a key on; Ctrl+C ends the program even where the app is busy."""
        if isinstance(message, events.Key) and message.key == "ctrl+c":
            self.end(INTERRUPTED)
        else:
            super().process_message(message)


def _harmless(words: str) -> str:
    """The words without anything that would end the sequence that holds them, or be one."""
    return plain(words)[:_LONGEST]


def _unheard(number: int, frame: FrameType | None) -> None:
    """Handles a signal that is meant for another program."""


def _in_front(number: int) -> _Mode:
    """The terminal's mode, as soon as we may change it; in the background that stops us first.

    Raises:
        termios.error: the terminal was closed, or no shell can bring us to the front.
    """
    while True:
        try:
            now = termios.tcgetattr(number)
            termios.tcsetattr(number, termios.TCSANOW, now)
        except termios.error as error:
            if error.args[0] != errno.EINTR:
                raise
        else:
            return now


class LateScreen(Screen[T]):
    """A screen that draws nothing before `show_frames`: its first frame has something to see."""

    _held = True

    def hold_frames(self, seconds: float) -> None:
        """Has `show_frames` come by itself after some seconds."""
        self.set_timer(seconds, self.show_frames)

    def show_frames(self) -> None:
        """Draws what there is, and from now on all that changes."""
        if self._held:
            self._held = False
            self.refresh(layout=True)

    def _on_screen_resume(self, event: events.ScreenResume) -> None:
        if self._held:  # its widgets got their styles just now, when they were mounted
            event.refresh_styles = False

    def _compositor_refresh(self) -> None:
        if not self._held:
            super()._compositor_refresh()


class TerminalApp(App[None]):
    """An app on this terminal; it hears no key any more once it is leaving."""

    def __init__(self) -> None:
        super().__init__(driver_class=Terminal)
        self.leaving = False
        """Whether the app was asked to end."""

    def exit(
        self,
        result: None = None,
        return_code: int = 0,
        message: RenderableType | None = None,
    ) -> None:
        """Ends the app; the first call decides how."""
        if not self.leaving:
            self.leaving = True
            super().exit(result, return_code, message)

    def set_window_title(self, words: str) -> None:
        """Names the terminal's window or tab."""
        if isinstance(self._driver, Terminal):
            self._driver.set_title(words)

    def ring(self) -> None:
        """Rings the terminal's bell."""
        if isinstance(self._driver, Terminal):
            self._driver.ring()

    def notify_desktop(self, words: str) -> None:
        """Asks the terminal for a notification of the desktop; many do not know how."""
        if isinstance(self._driver, Terminal):
            self._driver.notify(words)

    def suspend_to_shell(self) -> bool:
        """Stops the program until ``fg``; False where there is no shell to go back to."""
        return isinstance(self._driver, Terminal) and self._driver.suspend_group()

    async def lend_terminal(self, work: Callable[[], None], stop: Callable[[], None]) -> bool:
        """Runs a program that uses the terminal, while all else continues unseen.

        Args:
            work: runs the program, in a thread of its own, until it ends.
            stop: makes it end, when we are to end ourselves.

        Returns:
            Whether the terminal could be lent.
        """
        driver = self._driver
        lent = driver.lent() if isinstance(driver, Terminal) else contextlib.nullcontext(True)
        with lent as is_ours:
            if is_ours:
                running = asyncio.ensure_future(asyncio.to_thread(work))
                try:
                    await asyncio.shield(running)
                except asyncio.CancelledError:
                    stop()
                    with contextlib.suppress(Exception):
                        await asyncio.wait_for(running, _LAST_OF_PROGRAM)
                    raise
        return is_ours

    def _prune(self, *nodes: Widget, parent: DOMNode | None = None) -> AwaitRemove:
        """Takes widgets out, and drops what was drawn of them.

        `StylesCache.get_inner_outer` is a method under an `lru_cache`: that keeps the latest 1,024
        widgets' drawn lines for good, 50 kB for each of a dialog.
        """
        StylesCache.get_inner_outer.cache_clear()
        return super()._prune(*nodes, parent=parent)

    async def _check_bindings(self, key: str, priority: bool = False) -> bool:
        """Looks what a key does here, which is nothing where the screen is being taken down."""
        if self.leaving or not self.screen_stack:
            return True
        return await super()._check_bindings(key, priority)

    def _handle_exception(self, error: Exception) -> None:
        """Ends the app at a fault of ours, which is shown when the terminal is given back.

        A widget that is gone is none once the app is leaving: its timers and messages come late.
        """
        if self.leaving and isinstance(error, _GONE):
            self.log.error(error)
            return
        self.leaving = True
        super()._handle_exception(error)

    def _fatal_error(self) -> None:
        from rich.traceback import Traceback  # with Pygments, 10 ms

        # Textual's shows the local variables, of which one may be a password.
        trace = Traceback(show_locals=False, width=None, suppress=[rich])
        self._exit_renderables.append(Segments(self.console.render(trace, self.console.options)))
        self._close_messages_no_wait()
