"""Replies that are more than a type: what redis-py makes of them, of what the native half has made."""

from __future__ import annotations

import datetime
from typing import Any


def _str(value: Any) -> Any:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _number(text: str) -> Any:
    for convert in (int, float):
        try:
            return convert(text)
        except ValueError:
            continue
    return text


def _dict(pairs: Any) -> dict[Any, Any]:
    """Of a map, or of keys and values in turns."""
    if isinstance(pairs, dict):
        return pairs
    return dict(zip(pairs[::2], pairs[1::2], strict=True)) if pairs else {}


def _field(text: str) -> Any:
    """A value of INFO: a number, text, or a dict of "a=1,b=2"."""
    if "," not in text and "=" not in text:
        return _number(text) if "." in text or text.lstrip("-").isdigit() else text
    parts = text.split(",")
    if not all("=" in part for part in parts if part):
        return [_number(part) for part in parts if part] if "=" not in text else text
    return {name: _number(value) for name, value in (part.rsplit("=", 1) for part in parts if part)}


def info(reply: Any) -> dict[str, Any]:
    """INFO: names and values of all sections."""
    found: dict[str, Any] = {}
    for line in _str(reply).splitlines():
        if line and not line.startswith("#"):
            name, colon, value = line.partition(":")
            if colon:
                found[name] = _field(value)
    return found


def lastsave(reply: int) -> datetime.datetime:
    """LASTSAVE: in the local time zone."""
    return datetime.datetime.fromtimestamp(reply)


def time(reply: list[Any]) -> tuple[int, int]:
    """TIME: seconds and microseconds."""
    return int(reply[0]), int(reply[1])


def entries(reply: Any) -> Any:
    """XRANGE: ids and what is there."""
    if reply is None:
        return None
    return [(entry[0], _dict(entry[1]) if entry[1] is not None else None) for entry in reply]


def streams(reply: Any) -> Any:
    """XREAD: streams and their entries."""
    if reply is None:
        return []
    pairs = reply.items() if isinstance(reply, dict) else reply
    return [[name, entries(found)] for name, found in pairs]


def pending(reply: Any) -> Any:
    """XPENDING: a summary, or one dict for each."""
    if reply and isinstance(reply[0], list):
        names = ("message_id", "consumer", "time_since_delivered", "times_delivered")
        return [dict(zip(names, one, strict=True)) for one in reply]
    if len(reply) != 4:
        return reply
    consumers = [{"name": name, "pending": int(count)} for name, count in reply[3] or []]
    return {"pending": reply[0], "min": reply[1], "max": reply[2], "consumers": consumers}


def positions(reply: list[Any]) -> list[Any]:
    """GEOPOS: longitude and latitude, or None."""
    return [None if place is None else (float(place[0]), float(place[1])) for place in reply]


def places(reply: list[Any]) -> list[Any]:
    """GEOSEARCH: members, and what else was asked for: a distance, a hash, (longitude, latitude)."""

    def more(value: Any) -> Any:
        if isinstance(value, list):
            return tuple(map(float, value))
        return value if isinstance(value, int) else float(value)

    return [[place[0], *map(more, place[1:])] if isinstance(place, list) else place for place in reply]


def claimed(reply: list[Any]) -> list[Any]:
    """XAUTOCLAIM: where to go on, entries, and ids that are gone."""
    return [reply[0], entries(reply[1]), *reply[2:]]


def claimed_ids(reply: list[Any]) -> Any:
    """XAUTOCLAIM with JUSTID."""
    return reply[1]


def client(reply: Any) -> dict[str, str]:
    """CLIENT INFO."""
    return dict(pair.split("=", 1) for pair in _str(reply).strip().split(" ") if "=" in pair)


def clients(reply: Any) -> list[dict[str, str]]:
    """CLIENT LIST."""
    return [client(line) for line in _str(reply).splitlines()]


def numsub(reply: Any) -> list[tuple[Any, int]]:
    """PUBSUB NUMSUB: channels and their subscribers."""
    return list(_dict(reply).items())


def slowlog(reply: list[Any]) -> list[dict[str, Any]]:
    """SLOWLOG GET."""
    found = []
    for one in reply:
        words = b" ".join(word if isinstance(word, bytes) else str(word).encode() for word in one[3])
        text = _str(words) if one[3] and isinstance(one[3][0], str) else words
        entry = {"id": one[0], "start_time": int(one[1]), "duration": int(one[2]), "command": text}
        if len(one) > 5:
            entry |= {"client_address": one[4], "client_name": one[5]}
        found.append(entry)
    return found


def stream_info(reply: Any) -> dict[str, Any]:
    """XINFO STREAM."""
    found = {_str(name): value for name, value in _dict(reply).items()}
    for name in ("first-entry", "last-entry"):
        if (entry := found.get(name)) is not None:
            found[name] = (entry[0], _dict(entry[1]))
    return found


def stream_infos(reply: list[Any]) -> list[dict[str, Any]]:
    """XINFO GROUPS, XINFO CONSUMERS."""
    return [{_str(name): value for name, value in _dict(one).items()} for one in reply]
