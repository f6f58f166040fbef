"""Commands for keys and strings, under redis-py's names, and what all commands are made of."""

from __future__ import annotations

import datetime
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Generic

from libcoop._redis_bitfield import BitFieldOperation
from libcoop._redis_types import Text, command

Word = bytes | bytearray | memoryview | str | int | float
"""What a command is made of: text is sent as UTF-8, numbers in decimal."""

Seconds = int | datetime.timedelta
Moment = int | datetime.datetime


class Commands(ABC, Generic[Text]):
    """What has `execute_command`: a client, which makes the call, or a pipeline, which keeps it."""

    @abstractmethod
    def execute_command(self, *args: Word, timeout: float | None = None) -> Any:
        """Any command, by its name and arguments; `timeout` is in seconds, None for the client's own."""


def seconds(given: Seconds) -> int:
    return int(given.total_seconds()) if isinstance(given, datetime.timedelta) else given


def milliseconds(given: Seconds) -> int:
    return int(given.total_seconds() * 1000) if isinstance(given, datetime.timedelta) else given


def moment(given: Moment) -> int:
    return int(given.timestamp()) if isinstance(given, datetime.datetime) else given


def moment_ms(given: Moment) -> int:
    return int(given.timestamp() * 1000) if isinstance(given, datetime.datetime) else given


def many(first: Any, others: tuple[Any, ...] = ()) -> tuple[Any, ...]:
    """One word, or an iterable of them, and those that come after."""
    if isinstance(first, bytes | bytearray | memoryview | str | int | float):
        return (first, *others)
    return (*first, *others)


def expiry(ex: Seconds | None, px: Seconds | None, exat: Moment | None, pxat: Moment | None) -> list[Word]:
    words: list[Word] = []
    if ex is not None:
        words += ("EX", seconds(ex))
    if px is not None:
        words += ("PX", milliseconds(px))
    if exat is not None:
        words += ("EXAT", moment(exat))
    if pxat is not None:
        words += ("PXAT", moment_ms(pxat))
    return words


def conditions(nx: bool, xx: bool, gt: bool, lt: bool) -> list[Word]:
    return [word for word, given in (("NX", nx), ("XX", xx), ("GT", gt), ("LT", lt)) if given]


class Strings(Commands[Text]):
    @command
    def get(self, name: Word) -> Text | None:
        """The value of a key, None without one."""
        return self.execute_command("GET", name)

    @command
    def set(
        self,
        name: Word,
        value: Word,
        ex: Seconds | None = None,
        px: Seconds | None = None,
        nx: bool = False,
        xx: bool = False,
        keepttl: bool = False,
        get: bool = False,
        exat: Moment | None = None,
        pxat: Moment | None = None,
    ) -> bool | Text | None:
        """True; None if `nx` or `xx` forbade it; with `get` the value before."""
        words = expiry(ex, px, exat, pxat)
        if keepttl:
            words.append("KEEPTTL")
        words += conditions(nx, xx, False, False)
        if get:
            words.append("GET")
        return self.execute_command("SET", name, value, *words)

    @command
    def append(self, key: Word, value: Word) -> int:
        """The length after it: int."""
        return self.execute_command("APPEND", key, value)

    @command
    def decr(self, name: Word, amount: int = 1) -> int:
        """The number after it: int."""
        return self.execute_command("DECRBY", name, amount)

    decrby = decr

    @command
    def incr(self, name: Word, amount: int = 1) -> int:
        """The number after it: int."""
        return self.execute_command("INCRBY", name, amount)

    incrby = incr

    @command
    def incrbyfloat(self, name: Word, amount: float = 1.0) -> float:
        """The number after it: float."""
        return self.execute_command("INCRBYFLOAT", name, amount)

    @command
    def getdel(self, name: Word) -> Text | None:
        """The value of a key, which is deleted."""
        return self.execute_command("GETDEL", name)

    @command
    def getex(
        self,
        name: Word,
        ex: Seconds | None = None,
        px: Seconds | None = None,
        exat: Moment | None = None,
        pxat: Moment | None = None,
        persist: bool = False,
    ) -> Text | None:
        """The value of a key, whose time to live is set."""
        return self.execute_command("GETEX", name, *expiry(ex, px, exat, pxat), *(("PERSIST",) if persist else ()))

    @command
    def getrange(self, key: Word, start: int, end: int) -> Text:
        """A part of a value."""
        return self.execute_command("GETRANGE", key, start, end)

    @command
    def getset(self, name: Word, value: Word) -> Text | None:
        """The value before."""
        return self.execute_command("GETSET", name, value)

    @command
    def mget(self, keys: Any, *args: Word) -> list[Text | None]:
        """The values, None for those that are not there: list."""
        return self.execute_command("MGET", *many(keys, args))

    @command
    def mset(self, mapping: Mapping[Any, Word]) -> bool:
        """True."""
        return self.execute_command("MSET", *(word for pair in mapping.items() for word in pair))

    @command
    def msetnx(self, mapping: Mapping[Any, Word]) -> bool:
        """Whether all were set; none is, if one was there."""
        return self.execute_command("MSETNX", *(word for pair in mapping.items() for word in pair))

    @command
    def psetex(self, name: Word, time_ms: Seconds, value: Word) -> bool:
        """True."""
        return self.execute_command("PSETEX", name, milliseconds(time_ms), value)

    @command
    def setex(self, name: Word, time: Seconds, value: Word) -> bool:
        """True."""
        return self.execute_command("SETEX", name, seconds(time), value)

    @command
    def setnx(self, name: Word, value: Word) -> bool:
        """Whether it was set."""
        return self.execute_command("SETNX", name, value)

    @command
    def setrange(self, name: Word, offset: int, value: Word) -> int:
        """The length after it: int."""
        return self.execute_command("SETRANGE", name, offset, value)

    @command
    def strlen(self, name: Word) -> int:
        """The length of a value: int."""
        return self.execute_command("STRLEN", name)

    @command
    def getbit(self, name: Word, offset: int) -> int:
        """A bit: int."""
        return self.execute_command("GETBIT", name, offset)

    @command
    def setbit(self, name: Word, offset: int, value: int) -> int:
        """The bit before: int."""
        return self.execute_command("SETBIT", name, offset, value)

    @command
    def bitcount(self, key: Word, start: int | None = None, end: int | None = None, mode: str | None = None) -> int:
        """How many bits are set, between two bytes, or with `mode` "BIT" two bits."""
        if (start is None) != (end is None):
            raise TypeError("start and end go together")
        return self.execute_command("BITCOUNT", key, *(word for word in (start, end, mode) if word is not None))

    def bitfield(self, key: Word, default_overflow: str | None = None) -> BitFieldOperation:
        """Operations on a string's bits, which `execute` of what this answers makes as one command."""
        return BitFieldOperation(self, key, default_overflow)

    @command
    def bitop(self, operation: str, dest: Word, *keys: Word) -> int:
        """The length of what was stored."""
        return self.execute_command("BITOP", operation, dest, *keys)

    @command
    def bitpos(
        self, key: Word, bit: int, start: int | None = None, end: int | None = None, mode: str | None = None
    ) -> int:
        """Where the first such bit is, or -1."""
        if start is None and end is not None:
            raise TypeError("end goes with start")
        return self.execute_command("BITPOS", key, bit, *(word for word in (start, end, mode) if word is not None))

    @command
    def lcs(
        self,
        key1: Word,
        key2: Word,
        len: bool = False,
        idx: bool = False,
        minmatchlen: int | None = 0,
        withmatchlen: bool = False,
    ) -> Any:
        """The longest text that both have; with `len` its length; with `idx` where it is."""
        words: list[Word] = [word for word, given in (("LEN", len), ("IDX", idx)) if given]
        if minmatchlen:
            words += ("MINMATCHLEN", minmatchlen)
        return self.execute_command("LCS", key1, key2, *words, *(("WITHMATCHLEN",) if withmatchlen else ()))

    @command
    def substr(self, name: Word, start: int, end: int = -1) -> Text:
        """A part of a value."""
        return self.execute_command("SUBSTR", name, start, end)

    @command
    def pfadd(self, name: Word, *values: Word) -> int:
        """1 if the count has changed, else 0."""
        return self.execute_command("PFADD", name, *values)

    @command
    def pfcount(self, *sources: Word) -> int:
        """The count, nearly: int."""
        return self.execute_command("PFCOUNT", *sources)

    @command
    def pfmerge(self, dest: Word, *sources: Word) -> bool:
        """True."""
        return self.execute_command("PFMERGE", dest, *sources)


class Keys(Commands[Text]):
    @command
    def copy(self, source: Word, destination: Word, destination_db: int | None = None, replace: bool = False) -> bool:
        """Whether it was copied."""
        words: list[Word] = [] if destination_db is None else ["DB", destination_db]
        return self.execute_command("COPY", source, destination, *words, *(("REPLACE",) if replace else ()))

    @command
    def delete(self, *names: Word) -> int:
        """How many there were: int."""
        return self.execute_command("DEL", *names)

    @command
    def unlink(self, *names: Word) -> int:
        """How many there were: int."""
        return self.execute_command("UNLINK", *names)

    @command
    def touch(self, *args: Word) -> int:
        """How many there are: int."""
        return self.execute_command("TOUCH", *args)

    @command
    def exists(self, *names: Word) -> int:
        """How many there are: int."""
        return self.execute_command("EXISTS", *names)

    @command
    def expire(
        self, name: Word, time: Seconds, nx: bool = False, xx: bool = False, gt: bool = False, lt: bool = False
    ) -> bool:
        """Whether it was set."""
        return self.execute_command("EXPIRE", name, seconds(time), *conditions(nx, xx, gt, lt))

    @command
    def expireat(
        self, name: Word, when: Moment, nx: bool = False, xx: bool = False, gt: bool = False, lt: bool = False
    ) -> bool:
        """Whether it was set."""
        return self.execute_command("EXPIREAT", name, moment(when), *conditions(nx, xx, gt, lt))

    @command
    def pexpire(
        self, name: Word, time: Seconds, nx: bool = False, xx: bool = False, gt: bool = False, lt: bool = False
    ) -> bool:
        """Whether it was set."""
        return self.execute_command("PEXPIRE", name, milliseconds(time), *conditions(nx, xx, gt, lt))

    @command
    def pexpireat(
        self, name: Word, when: Moment, nx: bool = False, xx: bool = False, gt: bool = False, lt: bool = False
    ) -> bool:
        """Whether it was set."""
        return self.execute_command("PEXPIREAT", name, moment_ms(when), *conditions(nx, xx, gt, lt))

    @command
    def expiretime(self, key: Word) -> int:
        """When it ends, in seconds: int."""
        return self.execute_command("EXPIRETIME", key)

    @command
    def pexpiretime(self, key: Word) -> int:
        """When it ends, in milliseconds."""
        return self.execute_command("PEXPIRETIME", key)

    @command
    def persist(self, name: Word) -> bool:
        """Whether a time to live was taken away."""
        return self.execute_command("PERSIST", name)

    @command
    def ttl(self, name: Word) -> int:
        """Seconds that are left; -1 for ever, -2 for no such key."""
        return self.execute_command("TTL", name)

    @command
    def pttl(self, name: Word) -> int:
        """Milliseconds that are left; -1 for ever, -2 for no such key."""
        return self.execute_command("PTTL", name)

    @command
    def keys(self, pattern: Word = "*") -> list[Text]:
        """Their names: list."""
        return self.execute_command("KEYS", pattern)

    @command
    def move(self, name: Word, db: int) -> bool:
        """Whether it was moved."""
        return self.execute_command("MOVE", name, db)

    @command
    def randomkey(self) -> Text | None:
        """A name, None if there is none."""
        return self.execute_command("RANDOMKEY")

    @command
    def rename(self, src: Word, dst: Word) -> bool:
        """True."""
        return self.execute_command("RENAME", src, dst)

    @command
    def renamenx(self, src: Word, dst: Word) -> bool:
        """Whether it was renamed."""
        return self.execute_command("RENAMENX", src, dst)

    @command
    def type(self, name: Word) -> Text:
        """The type's name, b"none" without one."""
        return self.execute_command("TYPE", name)

    @command
    def dump(self, name: Word) -> Text | None:
        """What `restore` takes; None without such a key."""
        return self.execute_command("DUMP", name)

    @command
    def restore(
        self,
        name: Word,
        ttl: int,
        value: Word,
        replace: bool = False,
        absttl: bool = False,
        idletime: int | None = None,
        frequency: int | None = None,
    ) -> Text:
        """b"OK"."""
        words: list[Word] = [word for word, given in (("REPLACE", replace), ("ABSTTL", absttl)) if given]
        if idletime is not None:
            words += ("IDLETIME", idletime)
        if frequency is not None:
            words += ("FREQ", frequency)
        return self.execute_command("RESTORE", name, ttl, value, *words)

    @command
    def object(self, infotype: str, key: Word) -> Any:
        """What the server knows of a key."""
        return self.execute_command("OBJECT", infotype, key)

    @command
    def scan(
        self, cursor: int = 0, match: Word | None = None, count: int | None = None, _type: str | None = None
    ) -> tuple[int, list[Text]]:
        """(the next cursor, names); see `scan_iter`."""
        words: list[Word] = [] if _type is None else ["TYPE", _type]
        return self.execute_command("SCAN", cursor, *page(match, count), *words)


def page(match: Word | None, count: int | None) -> list[Word]:
    words: list[Word] = []
    if match is not None:
        words += ("MATCH", match)
    if count is not None:
        words += ("COUNT", count)
    return words
