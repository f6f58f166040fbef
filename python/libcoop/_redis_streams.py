"""Commands for streams, under redis-py's names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from libcoop._redis_keys import Commands, Word
from libcoop._redis_types import Text, command


def _trimmed(maxlen: int | None, approximate: bool, minid: Word | None, limit: int | None) -> list[Word]:
    if maxlen is not None and minid is not None:
        raise TypeError("one of maxlen and minid may be given")
    given: tuple[str, Word] | None = None
    if maxlen is not None:
        given = ("MAXLEN", maxlen)
    elif minid is not None:
        given = ("MINID", minid)
    if given is None:
        return []
    return [given[0], "~" if approximate else "=", given[1], *(() if limit is None else ("LIMIT", limit))]


def _read(entries_read: int | None) -> tuple[Word, ...]:
    return () if entries_read is None else ("ENTRIESREAD", entries_read)


class Streams(Commands[Text]):
    @command
    def xadd(
        self,
        name: Word,
        fields: Mapping[Any, Word],
        id: Word = "*",
        maxlen: int | None = None,
        approximate: bool = True,
        nomkstream: bool = False,
        minid: Word | None = None,
        limit: int | None = None,
    ) -> Text | None:
        """The entry's id; None with `nomkstream` if there is no such stream."""
        words = [*(("NOMKSTREAM",) if nomkstream else ()), *_trimmed(maxlen, approximate, minid, limit)]
        return self.execute_command("XADD", name, *words, id, *(word for pair in fields.items() for word in pair))

    @command
    def xlen(self, name: Word) -> int:
        """How many there are: int."""
        return self.execute_command("XLEN", name)

    @command
    def xdel(self, name: Word, *ids: Word) -> int:
        """How many were deleted: int."""
        return self.execute_command("XDEL", name, *ids)

    @command
    def xrange(
        self, name: Word, min: Word = "-", max: Word = "+", count: int | None = None
    ) -> list[tuple[Text, dict[Text, Text]]]:
        """Entries: list of (id, dict)."""
        return self.execute_command("XRANGE", name, min, max, *(() if count is None else ("COUNT", count)))

    @command
    def xrevrange(
        self, name: Word, max: Word = "+", min: Word = "-", count: int | None = None
    ) -> list[tuple[Text, dict[Text, Text]]]:
        """Entries from the end: list of (id, dict)."""
        return self.execute_command("XREVRANGE", name, max, min, *(() if count is None else ("COUNT", count)))

    @command
    def xread(self, streams: Mapping[Any, Word], count: int | None = None, block: int | None = None) -> list[Any]:
        """Entries after those: list of [name, list of (id, dict)]. With `block` others wait behind it: use `own()`."""
        words: list[Word] = [] if count is None else ["COUNT", count]
        if block is not None:
            words += ("BLOCK", block)
        return self.execute_command("XREAD", *words, "STREAMS", *streams.keys(), *streams.values())

    @command
    def xtrim(
        self,
        name: Word,
        maxlen: int | None = None,
        approximate: bool = True,
        minid: Word | None = None,
        limit: int | None = None,
    ) -> int:
        """How many were deleted."""
        if maxlen is None and minid is None:
            raise TypeError("xtrim needs maxlen or minid")
        return self.execute_command("XTRIM", name, *_trimmed(maxlen, approximate, minid, limit))

    @command
    def xgroup_create(
        self,
        name: Word,
        groupname: Word,
        id: Word = "$",
        mkstream: bool = False,
        entries_read: int | None = None,
    ) -> bool:
        """True."""
        words = [*(("MKSTREAM",) if mkstream else ()), *_read(entries_read)]
        return self.execute_command("XGROUP CREATE", name, groupname, id, *words)

    @command
    def xgroup_setid(self, name: Word, groupname: Word, id: Word, entries_read: int | None = None) -> bool:
        """True."""
        return self.execute_command("XGROUP SETID", name, groupname, id, *_read(entries_read))

    @command
    def xgroup_destroy(self, name: Word, groupname: Word) -> bool:
        """Whether there was one."""
        return self.execute_command("XGROUP DESTROY", name, groupname)

    @command
    def xgroup_createconsumer(self, name: Word, groupname: Word, consumername: Word) -> int:
        """1 if it is new, else 0."""
        return self.execute_command("XGROUP CREATECONSUMER", name, groupname, consumername)

    @command
    def xgroup_delconsumer(self, name: Word, groupname: Word, consumername: Word) -> int:
        """How many entries it had not acknowledged."""
        return self.execute_command("XGROUP DELCONSUMER", name, groupname, consumername)

    @command
    def xinfo_stream(self, name: Word, full: bool = False) -> dict[str, Any]:
        """What the server knows of a stream."""
        return self.execute_command("XINFO STREAM", name, *(("FULL",) if full else ()))

    @command
    def xinfo_groups(self, name: Word) -> list[dict[str, Any]]:
        """What the server knows of its groups."""
        return self.execute_command("XINFO GROUPS", name)

    @command
    def xinfo_consumers(self, name: Word, groupname: Word) -> list[dict[str, Any]]:
        """What the server knows of a group's consumers."""
        return self.execute_command("XINFO CONSUMERS", name, groupname)

    @command
    def xpending(self, name: Word, groupname: Word) -> dict[str, Any]:
        """What is not acknowledged: `pending`, `min`, `max`, `consumers`."""
        return self.execute_command("XPENDING", name, groupname)

    @command
    def xpending_range(
        self,
        name: Word,
        groupname: Word,
        min: Word,
        max: Word,
        count: int,
        consumername: Word | None = None,
        idle: int | None = None,
    ) -> list[dict[str, Any]]:
        """One by one: `message_id`, `consumer`, `time_since_delivered`, `times_delivered`."""
        words: list[Word] = [] if idle is None else ["IDLE", idle]
        words += (min, max, count, *(() if consumername is None else (consumername,)))
        return self.execute_command("XPENDING", name, groupname, *words)

    @command
    def xclaim(
        self,
        name: Word,
        groupname: Word,
        consumername: Word,
        min_idle_time: int,
        message_ids: Iterable[Word],
        idle: int | None = None,
        time: int | None = None,
        retrycount: int | None = None,
        force: bool = False,
        justid: bool = False,
    ) -> list[Any]:
        """The entries that are this consumer's now: list of (id, dict); with `justid` of ids."""
        given = (("IDLE", idle), ("TIME", time), ("RETRYCOUNT", retrycount))
        words: list[Word] = [word for pair in given if pair[1] is not None for word in pair if word is not None]
        words += [word for word, asked in (("FORCE", force), ("JUSTID", justid)) if asked]
        return self.execute_command("XCLAIM", name, groupname, consumername, min_idle_time, *message_ids, *words)

    @command
    def xautoclaim(
        self,
        name: Word,
        groupname: Word,
        consumername: Word,
        min_idle_time: int,
        start_id: Word = "0-0",
        count: int | None = None,
        justid: bool = False,
    ) -> list[Any]:
        """[where to go on, the entries that are this consumer's now, ids that are gone]; with `justid` ids alone."""
        words: list[Word] = [*(() if count is None else ("COUNT", count)), *(("JUSTID",) if justid else ())]
        return self.execute_command("XAUTOCLAIM", name, groupname, consumername, min_idle_time, start_id, *words)

    @command
    def xreadgroup(
        self,
        groupname: Word,
        consumername: Word,
        streams: Mapping[Any, Word],
        count: int | None = None,
        block: int | None = None,
        noack: bool = False,
    ) -> list[Any]:
        """Entries for this consumer: list of [name, list of (id, dict)]."""
        words: list[Word] = ["GROUP", groupname, consumername]
        if count is not None:
            words += ("COUNT", count)
        if block is not None:
            words += ("BLOCK", block)
        if noack:
            words.append("NOACK")
        return self.execute_command("XREADGROUP", *words, "STREAMS", *streams.keys(), *streams.values())

    @command
    def xack(self, name: Word, groupname: Word, *ids: Word) -> int:
        """How many were acknowledged: int."""
        return self.execute_command("XACK", name, groupname, *ids)
