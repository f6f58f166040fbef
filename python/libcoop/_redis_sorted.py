"""Commands for sorted sets and for places on the earth, under redis-py's names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from libcoop._redis_keys import Commands, Word, conditions, many, page
from libcoop._redis_types import Text, command


def _scores(withscores: bool) -> list[Word]:
    return ["WITHSCORES"] if withscores else []


def _by(byscore: bool, bylex: bool, desc: bool) -> list[Word]:
    return [word for word, given in (("BYSCORE", byscore), ("BYLEX", bylex), ("REV", desc)) if given]


def _end(min: bool, max: bool, count: int | None) -> list[Word]:
    if min == max:
        raise TypeError("one of min and max must be True")
    return ["MIN" if min else "MAX", *(() if count is None else ("COUNT", count))]


def _aggregate(keys: Any, aggregate: str | None) -> list[Word]:
    """Keys, or a mapping of them to weights."""
    weights = ("WEIGHTS", *keys.values()) if isinstance(keys, Mapping) else ()
    names = tuple(keys)
    return [len(names), *names, *weights, *(() if aggregate is None else ("AGGREGATE", aggregate))]


def _ranged(withscores: bool, start: int | None, num: int | None) -> list[Word]:
    words = _scores(withscores)
    if (start is None) != (num is None):
        raise TypeError("start or offset, and num, go together")
    if start is not None and num is not None:
        words += ("LIMIT", start, num)
    return words


class SortedSets(Commands[Text]):
    @command
    def zadd(
        self,
        name: Word,
        mapping: Mapping[Any, float],
        nx: bool = False,
        xx: bool = False,
        ch: bool = False,
        incr: bool = False,
        gt: bool = False,
        lt: bool = False,
    ) -> int | float | None:
        """How many were new: int; with `incr` the score after it: float, or None."""
        words: list[Word] = [*conditions(nx, xx, gt, lt), *(("CH",) if ch else ()), *(("INCR",) if incr else ())]
        return self.execute_command("ZADD", name, *words, *(w for member, s in mapping.items() for w in (s, member)))

    @command
    def zcard(self, name: Word) -> int:
        """How many there are: int."""
        return self.execute_command("ZCARD", name)

    @command
    def zcount(self, name: Word, min: Word, max: Word) -> int:
        """How many have such a score: int."""
        return self.execute_command("ZCOUNT", name, min, max)

    @command
    def zincrby(self, name: Word, amount: float, value: Word) -> float:
        """The score after it: float."""
        return self.execute_command("ZINCRBY", name, amount, value)

    @command
    def zscore(self, name: Word, value: Word) -> float | None:
        """A member's score: float, or None."""
        return self.execute_command("ZSCORE", name, value)

    @command
    def zmscore(self, key: Word, members: Iterable[Word]) -> list[float | None]:
        """Their scores: list of float or None."""
        return self.execute_command("ZMSCORE", key, *members)

    @command
    def zrank(self, name: Word, value: Word) -> int | None:
        """A member's place: int, or None."""
        return self.execute_command("ZRANK", name, value)

    @command
    def zrevrank(self, name: Word, value: Word) -> int | None:
        """A member's place from the end: int, or None."""
        return self.execute_command("ZREVRANK", name, value)

    @command
    def zrem(self, name: Word, *values: Word) -> int:
        """How many were removed: int."""
        return self.execute_command("ZREM", name, *values)

    @command
    def zremrangebyrank(self, name: Word, min: int, max: int) -> int:
        """How many were removed: int."""
        return self.execute_command("ZREMRANGEBYRANK", name, min, max)

    @command
    def zremrangebyscore(self, name: Word, min: Word, max: Word) -> int:
        """How many were removed: int."""
        return self.execute_command("ZREMRANGEBYSCORE", name, min, max)

    @command
    def zrange(
        self,
        name: Word,
        start: Word,
        end: Word,
        desc: bool = False,
        withscores: bool = False,
        *,
        byscore: bool = False,
        bylex: bool = False,
        offset: int | None = None,
        num: int | None = None,
    ) -> list[Any]:
        """Members: list; with `withscores` of (member, score)."""
        words = [*_by(byscore, bylex, desc), *_ranged(False, offset, num), *_scores(withscores)]
        return self.execute_command("ZRANGE", name, start, end, *words)

    @command
    def zrevrange(self, name: Word, start: int, end: int, withscores: bool = False) -> list[Any]:
        """Members from the end: list; with `withscores` of (member, score)."""
        return self.execute_command("ZREVRANGE", name, start, end, *_scores(withscores))

    @command
    def zrangebyscore(
        self,
        name: Word,
        min: Word,
        max: Word,
        start: int | None = None,
        num: int | None = None,
        withscores: bool = False,
    ) -> list[Any]:
        """Members with such a score: list; with `withscores` of (member, score)."""
        return self.execute_command("ZRANGEBYSCORE", name, min, max, *_ranged(withscores, start, num))

    @command
    def zrevrangebyscore(
        self,
        name: Word,
        max: Word,
        min: Word,
        start: int | None = None,
        num: int | None = None,
        withscores: bool = False,
    ) -> list[Any]:
        """Members with such a score, from the end: list; with `withscores` of (member, score)."""
        return self.execute_command("ZREVRANGEBYSCORE", name, max, min, *_ranged(withscores, start, num))

    @command
    def zpopmax(self, name: Word, count: int | None = None) -> list[tuple[Text, float]]:
        """The last ones, which are removed: list of (member, score)."""
        return self.execute_command("ZPOPMAX", name, *(() if count is None else (count,)))

    @command
    def zpopmin(self, name: Word, count: int | None = None) -> list[tuple[Text, float]]:
        """The first ones, which are removed: list of (member, score)."""
        return self.execute_command("ZPOPMIN", name, *(() if count is None else (count,)))

    @command
    def bzpopmax(self, keys: Any, timeout: float = 0) -> tuple[Text, Text, float] | None:
        """(the set's name, member, score), None after `timeout` seconds. Others wait behind it: use `own()`."""
        return self.execute_command("BZPOPMAX", *many(keys), timeout)

    @command
    def bzpopmin(self, keys: Any, timeout: float = 0) -> tuple[Text, Text, float] | None:
        """(the set's name, member, score), None after `timeout` seconds. Others wait behind it: use `own()`."""
        return self.execute_command("BZPOPMIN", *many(keys), timeout)

    @command
    def zdiff(self, keys: Iterable[Word], withscores: bool = False) -> list[Any]:
        """Members of the first alone: list; with `withscores` of (member, score)."""
        keys = tuple(keys)
        return self.execute_command("ZDIFF", len(keys), *keys, *_scores(withscores))

    @command
    def zdiffstore(self, dest: Word, keys: Iterable[Word]) -> int:
        """How many there are."""
        keys = tuple(keys)
        return self.execute_command("ZDIFFSTORE", dest, len(keys), *keys)

    @command
    def zinter(self, keys: Any, aggregate: str | None = None, withscores: bool = False) -> list[Any]:
        """Members of all; `keys` may say weights: list; with `withscores` of (member, score)."""
        return self.execute_command("ZINTER", *_aggregate(keys, aggregate), *_scores(withscores))

    @command
    def zinterstore(self, dest: Word, keys: Any, aggregate: str | None = None) -> int:
        """How many there are; `keys` may say weights."""
        return self.execute_command("ZINTERSTORE", dest, *_aggregate(keys, aggregate))

    @command
    def zintercard(self, numkeys: int, keys: Iterable[Word], limit: int = 0) -> int:
        """How many members all have, at most `limit` if that is not 0."""
        return self.execute_command("ZINTERCARD", numkeys, *keys, "LIMIT", limit)

    @command
    def zunion(self, keys: Any, aggregate: str | None = None, withscores: bool = False) -> list[Any]:
        """Members of any; `keys` may say weights: list; with `withscores` of (member, score)."""
        return self.execute_command("ZUNION", *_aggregate(keys, aggregate), *_scores(withscores))

    @command
    def zunionstore(self, dest: Word, keys: Any, aggregate: str | None = None) -> int:
        """How many there are; `keys` may say weights."""
        return self.execute_command("ZUNIONSTORE", dest, *_aggregate(keys, aggregate))

    @command
    def zlexcount(self, name: Word, min: Word, max: Word) -> int:
        """How many are between those in the order of text."""
        return self.execute_command("ZLEXCOUNT", name, min, max)

    @command
    def zrangebylex(
        self, name: Word, min: Word, max: Word, start: int | None = None, num: int | None = None
    ) -> list[Text]:
        """Members between those in the order of text."""
        return self.execute_command("ZRANGEBYLEX", name, min, max, *_ranged(False, start, num))

    @command
    def zrevrangebylex(
        self, name: Word, max: Word, min: Word, start: int | None = None, num: int | None = None
    ) -> list[Text]:
        """Members between those in the order of text, from the end."""
        return self.execute_command("ZREVRANGEBYLEX", name, max, min, *_ranged(False, start, num))

    @command
    def zremrangebylex(self, name: Word, min: Word, max: Word) -> int:
        """How many were removed."""
        return self.execute_command("ZREMRANGEBYLEX", name, min, max)

    @command
    def zrangestore(
        self,
        dest: Word,
        name: Word,
        start: Word,
        end: Word,
        byscore: bool = False,
        bylex: bool = False,
        desc: bool = False,
        offset: int | None = None,
        num: int | None = None,
    ) -> int:
        """How many there are."""
        words = _by(byscore, bylex, desc)
        return self.execute_command("ZRANGESTORE", dest, name, start, end, *words, *_ranged(False, offset, num))

    @command
    def zrandmember(self, key: Word, count: int | None = None, withscores: bool = False) -> Any:
        """A member, or None; a list of them with `count`."""
        words: list[Word] = [] if count is None else [count]
        return self.execute_command("ZRANDMEMBER", key, *words, *_scores(withscores))

    @command
    def zmpop(
        self, num_keys: int, keys: Iterable[Word], min: bool = False, max: bool = False, count: int | None = 1
    ) -> list[Any] | None:
        """[the name of the first set that has some, its first or last members and scores], or None."""
        return self.execute_command("ZMPOP", num_keys, *keys, *_end(min, max, count))

    @command
    def bzmpop(
        self,
        timeout: float,
        numkeys: int,
        keys: Iterable[Word],
        min: bool = False,
        max: bool = False,
        count: int | None = 1,
    ) -> list[Any] | None:
        """As `zmpop`, None after `timeout` seconds. Others wait behind it: use `own()`."""
        return self.execute_command("BZMPOP", timeout, numkeys, *keys, *_end(min, max, count))

    @command
    def zscan(
        self, name: Word, cursor: int = 0, match: Word | None = None, count: int | None = None
    ) -> tuple[int, list[tuple[Text, float]]]:
        """(the next cursor, a list of (member, score)); see `zscan_iter`."""
        return self.execute_command("ZSCAN", name, cursor, *page(match, count))


def _where(
    member: Word | None,
    longitude: float | None,
    latitude: float | None,
    unit: str,
    radius: float | None,
    width: float | None,
    height: float | None,
    sort: str | None,
    count: int | None,
    any: bool,
) -> list[Word]:
    words: list[Word] = []
    if member is not None and longitude is None and latitude is None:
        words += ("FROMMEMBER", member)
    elif member is None and longitude is not None and latitude is not None:
        words += ("FROMLONLAT", longitude, latitude)
    else:
        raise TypeError("geosearch needs a member, or a longitude and a latitude")
    if radius is not None and width is None and height is None:
        words += ("BYRADIUS", radius, unit)
    elif radius is None and width is not None and height is not None:
        words += ("BYBOX", width, height, unit)
    else:
        raise TypeError("geosearch needs a radius, or a width and a height")
    if sort is not None:
        words.append(sort)
    if count is not None:
        words += ("COUNT", count, *(("ANY",) if any else ()))
    elif any:
        raise TypeError("any goes with count")
    return words


class Geo(Commands[Text]):
    @command
    def geoadd(self, name: Word, values: Iterable[Word], nx: bool = False, xx: bool = False, ch: bool = False) -> int:
        """Of longitude, latitude and member in turns: how many were new."""
        words = [*conditions(nx, xx, False, False), *(("CH",) if ch else ())]
        return self.execute_command("GEOADD", name, *words, *values)

    @command
    def geodist(self, name: Word, place1: Word, place2: Word, unit: str | None = None) -> float | None:
        """How far they are apart, in "m", "km", "mi" or "ft"."""
        return self.execute_command("GEODIST", name, place1, place2, *(() if unit is None else (unit,)))

    @command
    def geohash(self, name: Word, *values: Word) -> list[str | None]:
        """Where they are, as a Geohash."""
        return self.execute_command("GEOHASH", name, *values)

    @command
    def geopos(self, name: Word, *values: Word) -> list[tuple[float, float] | None]:
        """Where they are: (longitude, latitude)."""
        return self.execute_command("GEOPOS", name, *values)

    @command
    def geosearch(
        self,
        name: Word,
        member: Word | None = None,
        longitude: float | None = None,
        latitude: float | None = None,
        unit: str = "m",
        radius: float | None = None,
        width: float | None = None,
        height: float | None = None,
        sort: str | None = None,
        count: int | None = None,
        any: bool = False,
        withcoord: bool = False,
        withdist: bool = False,
        withhash: bool = False,
    ) -> list[Any]:
        """Members within a radius or a box around a member or a place; with what else is asked for, a list for each."""
        words = _where(member, longitude, latitude, unit, radius, width, height, sort, count, any)
        asked = (("WITHDIST", withdist), ("WITHHASH", withhash), ("WITHCOORD", withcoord))
        return self.execute_command("GEOSEARCH", name, *words, *(word for word, given in asked if given))

    @command
    def geosearchstore(
        self,
        dest: Word,
        name: Word,
        member: Word | None = None,
        longitude: float | None = None,
        latitude: float | None = None,
        unit: str = "m",
        radius: float | None = None,
        width: float | None = None,
        height: float | None = None,
        sort: str | None = None,
        count: int | None = None,
        any: bool = False,
        storedist: bool = False,
    ) -> int:
        """How many were stored."""
        words = _where(member, longitude, latitude, unit, radius, width, height, sort, count, any)
        return self.execute_command("GEOSEARCHSTORE", dest, name, *words, *(("STOREDIST",) if storedist else ()))
