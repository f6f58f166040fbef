"""Commands for hashes, lists and sets, under redis-py's names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from libcoop._redis_keys import Commands, Word, many, page
from libcoop._redis_types import Text, command


class Hashes(Commands[Text]):
    @command
    def hdel(self, name: Word, *keys: Word) -> int:
        """How many there were: int."""
        return self.execute_command("HDEL", name, *keys)

    @command
    def hexists(self, name: Word, key: Word) -> bool:
        """Whether it is there."""
        return self.execute_command("HEXISTS", name, key)

    @command
    def hget(self, name: Word, key: Word) -> Text | None:
        """A field's value, or None."""
        return self.execute_command("HGET", name, key)

    @command
    def hgetall(self, name: Word) -> dict[Text, Text]:
        """All fields: dict."""
        return self.execute_command("HGETALL", name)

    @command
    def hincrby(self, name: Word, key: Word, amount: int = 1) -> int:
        """The number after it: int."""
        return self.execute_command("HINCRBY", name, key, amount)

    @command
    def hincrbyfloat(self, name: Word, key: Word, amount: float = 1.0) -> float:
        """The number after it: float."""
        return self.execute_command("HINCRBYFLOAT", name, key, amount)

    @command
    def hkeys(self, name: Word) -> list[Text]:
        """The fields' names: list."""
        return self.execute_command("HKEYS", name)

    @command
    def hlen(self, name: Word) -> int:
        """How many there are: int."""
        return self.execute_command("HLEN", name)

    @command
    def hset(
        self,
        name: Word,
        key: Word | None = None,
        value: Word | None = None,
        mapping: Mapping[Any, Word] | None = None,
        items: Iterable[Word] | None = None,
    ) -> int:
        """How many were new: int."""
        words: list[Word] = [*(items or ())]
        if key is not None and value is not None:
            words += (key, value)
        elif key is not None or value is not None:
            raise TypeError("hset needs a key and a value, or neither")
        words += [word for pair in (mapping or {}).items() for word in pair]
        if not words:
            raise TypeError("hset needs a key and a value, a mapping or items")
        return self.execute_command("HSET", name, *words)

    @command
    def hmset(self, name: Word, mapping: Mapping[Any, Word]) -> bool:
        """True."""
        return self.execute_command("HMSET", name, *(word for pair in mapping.items() for word in pair))

    @command
    def hsetnx(self, name: Word, key: Word, value: Word) -> int:
        """1 if it was set, else 0."""
        return self.execute_command("HSETNX", name, key, value)

    @command
    def hmget(self, name: Word, keys: Any, *args: Word) -> list[Text | None]:
        """The values, None for those that are not there: list."""
        return self.execute_command("HMGET", name, *many(keys, args))

    @command
    def hvals(self, name: Word) -> list[Text]:
        """The values: list."""
        return self.execute_command("HVALS", name)

    @command
    def hstrlen(self, name: Word, key: Word) -> int:
        """The length of a value: int."""
        return self.execute_command("HSTRLEN", name, key)

    @command
    def hrandfield(self, key: Word, count: int | None = None, withvalues: bool = False) -> Any:
        """A field's name; a list of them with `count`."""
        words: list[Word] = [] if count is None else [count]
        return self.execute_command("HRANDFIELD", key, *words, *(("WITHVALUES",) if withvalues else ()))

    @command
    def hscan(
        self, name: Word, cursor: int = 0, match: Word | None = None, count: int | None = None
    ) -> tuple[int, dict[Text, Text]]:
        """(the next cursor, a dict); see `hscan_iter`."""
        return self.execute_command("HSCAN", name, cursor, *page(match, count))


class Lists(Commands[Text]):
    @command
    def blpop(self, keys: Any, timeout: float = 0) -> tuple[Text, Text] | None:
        """(the list's name, its first element), None after `timeout` seconds. Others wait behind it: use `own()`."""
        return self.execute_command("BLPOP", *many(keys), timeout)

    @command
    def brpop(self, keys: Any, timeout: float = 0) -> tuple[Text, Text] | None:
        """(the list's name, its last element), None after `timeout` seconds. Others wait behind it: use `own()`."""
        return self.execute_command("BRPOP", *many(keys), timeout)

    @command
    def brpoplpush(self, src: Word, dst: Word, timeout: float | None = 0) -> Text | None:
        """The element, None after `timeout` seconds. Others wait behind it: use `own()`."""
        return self.execute_command("BRPOPLPUSH", src, dst, 0 if timeout is None else timeout)

    @command
    def blmove(
        self, first_list: Word, second_list: Word, timeout: float, src: str = "LEFT", dest: str = "RIGHT"
    ) -> Text | None:
        """The element, None after `timeout` seconds. Others wait behind it: use `own()`."""
        return self.execute_command("BLMOVE", first_list, second_list, src, dest, timeout)

    @command
    def lmpop(self, num_keys: int, *args: Word, direction: str, count: int | None = 1) -> list[Any] | None:
        """[the name of the first list that has some, its elements], or None."""
        return self.execute_command("LMPOP", num_keys, *args, direction, *(() if count is None else ("COUNT", count)))

    @command
    def blmpop(
        self, timeout: float, numkeys: int, *args: Word, direction: str, count: int | None = 1
    ) -> list[Any] | None:
        """As `lmpop`, None after `timeout` seconds. Others wait behind it: use `own()`."""
        words: tuple[Word, ...] = () if count is None else ("COUNT", count)
        return self.execute_command("BLMPOP", timeout, numkeys, *args, direction, *words)

    @command
    def lindex(self, name: Word, index: int) -> Text | None:
        """An element, or None."""
        return self.execute_command("LINDEX", name, index)

    @command
    def linsert(self, name: Word, where: str, refvalue: Word, value: Word) -> int:
        """The length after it, -1 without such an element: int."""
        return self.execute_command("LINSERT", name, where, refvalue, value)

    @command
    def llen(self, name: Word) -> int:
        """The length: int."""
        return self.execute_command("LLEN", name)

    @command
    def lmove(self, first_list: Word, second_list: Word, src: str = "LEFT", dest: str = "RIGHT") -> Text | None:
        """The element, or None."""
        return self.execute_command("LMOVE", first_list, second_list, src, dest)

    @command
    def lpop(self, name: Word, count: int | None = None) -> Text | list[Text] | None:
        """The first element, or None; a list of them with `count`."""
        return self.execute_command("LPOP", name, *(() if count is None else (count,)))

    @command
    def rpop(self, name: Word, count: int | None = None) -> Text | list[Text] | None:
        """The last element, or None; a list of them with `count`."""
        return self.execute_command("RPOP", name, *(() if count is None else (count,)))

    @command
    def rpoplpush(self, src: Word, dst: Word) -> Text | None:
        """The element, or None."""
        return self.execute_command("RPOPLPUSH", src, dst)

    @command
    def lpush(self, name: Word, *values: Word) -> int:
        """The length after it: int."""
        return self.execute_command("LPUSH", name, *values)

    @command
    def lpushx(self, name: Word, *values: Word) -> int:
        """The length after it: int."""
        return self.execute_command("LPUSHX", name, *values)

    @command
    def rpush(self, name: Word, *values: Word) -> int:
        """The length after it: int."""
        return self.execute_command("RPUSH", name, *values)

    @command
    def rpushx(self, name: Word, *values: Word) -> int:
        """The length after it: int."""
        return self.execute_command("RPUSHX", name, *values)

    @command
    def lrange(self, name: Word, start: int, end: int) -> list[Text]:
        """Elements, both ends included: list."""
        return self.execute_command("LRANGE", name, start, end)

    @command
    def lrem(self, name: Word, count: int, value: Word) -> int:
        """How many were removed: int."""
        return self.execute_command("LREM", name, count, value)

    @command
    def lset(self, name: Word, index: int, value: Word) -> bool:
        """True."""
        return self.execute_command("LSET", name, index, value)

    @command
    def ltrim(self, name: Word, start: int, end: int) -> bool:
        """True."""
        return self.execute_command("LTRIM", name, start, end)

    @command
    def lpos(
        self, name: Word, value: Word, rank: int | None = None, count: int | None = None, maxlen: int | None = None
    ) -> int | list[int] | None:
        """Where it is, or None; a list with `count`."""
        given = (("RANK", rank), ("COUNT", count), ("MAXLEN", maxlen))
        words = [word for name, number in given if number is not None for word in (name, number)]
        return self.execute_command("LPOS", name, value, *words)

    @command
    def sort(
        self,
        name: Word,
        start: int | None = None,
        num: int | None = None,
        by: Word | None = None,
        get: Any = None,
        desc: bool = False,
        alpha: bool = False,
        store: Word | None = None,
    ) -> Any:
        """A list's, set's or sorted set's elements in order: list; with `store` how many: int."""
        if (start is None) != (num is None):
            raise TypeError("start and num go together")
        words: list[Word] = [] if by is None else ["BY", by]
        if start is not None and num is not None:
            words += ("LIMIT", start, num)
        words += [word for pattern in (() if get is None else many(get)) for word in ("GET", pattern)]
        words += [word for word, given in (("DESC", desc), ("ALPHA", alpha)) if given]
        return self.execute_command("SORT", name, *words, *(() if store is None else ("STORE", store)))


class Sets(Commands[Text]):
    @command
    def sadd(self, name: Word, *values: Word) -> int:
        """How many were new: int."""
        return self.execute_command("SADD", name, *values)

    @command
    def scard(self, name: Word) -> int:
        """How many there are: int."""
        return self.execute_command("SCARD", name)

    @command
    def sdiff(self, keys: Any, *args: Word) -> set[Text]:
        """Members of the first alone: set."""
        return self.execute_command("SDIFF", *many(keys, args))

    @command
    def sdiffstore(self, dest: Word, keys: Any, *args: Word) -> int:
        """How many there are: int."""
        return self.execute_command("SDIFFSTORE", dest, *many(keys, args))

    @command
    def sinter(self, keys: Any, *args: Word) -> set[Text]:
        """Members of all: set."""
        return self.execute_command("SINTER", *many(keys, args))

    @command
    def sintercard(self, numkeys: int, keys: Iterable[Word], limit: int = 0) -> int:
        """How many members all have, at most `limit` if that is not 0."""
        return self.execute_command("SINTERCARD", numkeys, *keys, "LIMIT", limit)

    @command
    def sinterstore(self, dest: Word, keys: Any, *args: Word) -> int:
        """How many there are: int."""
        return self.execute_command("SINTERSTORE", dest, *many(keys, args))

    @command
    def sunion(self, keys: Any, *args: Word) -> set[Text]:
        """Members of any: set."""
        return self.execute_command("SUNION", *many(keys, args))

    @command
    def sunionstore(self, dest: Word, keys: Any, *args: Word) -> int:
        """How many there are: int."""
        return self.execute_command("SUNIONSTORE", dest, *many(keys, args))

    @command
    def sismember(self, name: Word, value: Word) -> int:
        """1 if it is there, else 0."""
        return self.execute_command("SISMEMBER", name, value)

    @command
    def smismember(self, name: Word, values: Any, *args: Word) -> list[int]:
        """1 for each that is there, else 0: list."""
        return self.execute_command("SMISMEMBER", name, *many(values, args))

    @command
    def smembers(self, name: Word) -> set[Text]:
        """The members: set."""
        return self.execute_command("SMEMBERS", name)

    @command
    def smove(self, src: Word, dst: Word, value: Word) -> bool:
        """Whether it was moved."""
        return self.execute_command("SMOVE", src, dst, value)

    @command
    def spop(self, name: Word, count: int | None = None) -> Any:
        """A member, which is removed, or None; a list of them with `count`."""
        return self.execute_command("SPOP", name, *(() if count is None else (count,)))

    @command
    def srandmember(self, name: Word, number: int | None = None) -> Any:
        """A member, or None; a list of them with `number`."""
        return self.execute_command("SRANDMEMBER", name, *(() if number is None else (number,)))

    @command
    def srem(self, name: Word, *values: Word) -> int:
        """How many were removed: int."""
        return self.execute_command("SREM", name, *values)

    @command
    def sscan(
        self, name: Word, cursor: int = 0, match: Word | None = None, count: int | None = None
    ) -> tuple[int, list[Text]]:
        """(the next cursor, members); see `sscan_iter`."""
        return self.execute_command("SSCAN", name, cursor, *page(match, count))
