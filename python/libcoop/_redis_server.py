"""Commands for the server itself and for scripts, under redis-py's names."""

from __future__ import annotations

import datetime
from typing import Any

from libcoop._redis_keys import Commands, Word, many
from libcoop._redis_types import Text, command


class Server(Commands[Text]):
    @command
    def ping(self) -> bool:
        """True."""
        return self.execute_command("PING")

    @command
    def echo(self, value: Word) -> Text:
        """The value."""
        return self.execute_command("ECHO", value)

    @command
    def info(self, section: str | None = None, *args: str) -> dict[str, Any]:
        """What the server says of itself: dict."""
        return self.execute_command("INFO", *(() if section is None else (section, *args)))

    @command
    def dbsize(self) -> int:
        """How many keys there are: int."""
        return self.execute_command("DBSIZE")

    @command
    def flushdb(self, asynchronous: bool = False) -> bool:
        """True."""
        return self.execute_command("FLUSHDB", *(("ASYNC",) if asynchronous else ()))

    @command
    def flushall(self, asynchronous: bool = False) -> bool:
        """True."""
        return self.execute_command("FLUSHALL", *(("ASYNC",) if asynchronous else ()))

    @command
    def time(self) -> tuple[int, int]:
        """(seconds, microseconds)."""
        return self.execute_command("TIME")

    @command
    def lastsave(self) -> datetime.datetime:
        """A datetime."""
        return self.execute_command("LASTSAVE")

    @command
    def save(self) -> bool:
        """True."""
        return self.execute_command("SAVE")

    @command
    def bgsave(self, schedule: bool = True) -> bool:
        """True."""
        return self.execute_command("BGSAVE", *(("SCHEDULE",) if schedule else ()))

    @command
    def swapdb(self, first: int, second: int) -> bool:
        """True."""
        return self.execute_command("SWAPDB", first, second)

    @command
    def config_get(self, pattern: Word = "*", *args: Word) -> dict[str, str]:
        """Settings: dict of str."""
        return self.execute_command("CONFIG GET", pattern, *args)

    @command
    def config_set(self, name: Word, value: Word, *args: Word) -> bool:
        """True."""
        return self.execute_command("CONFIG SET", name, value, *args)

    @command
    def config_resetstat(self) -> bool:
        """True."""
        return self.execute_command("CONFIG RESETSTAT")

    @command
    def client_list(self, _type: str | None = None, client_id: Any = ()) -> list[dict[str, str]]:
        """Connections, all or those of a type or with these numbers."""
        words: list[Word] = [] if _type is None else ["TYPE", _type]
        numbers: tuple[Word, ...] = many(client_id)
        return self.execute_command("CLIENT LIST", *words, *(("ID", *numbers) if numbers else ()))

    @command
    def client_info(self) -> dict[str, str]:
        """This connection: dict of str."""
        return self.execute_command("CLIENT INFO")

    @command
    def client_id(self) -> int:
        """This connection's number: int."""
        return self.execute_command("CLIENT ID")

    @command
    def client_getname(self) -> str | None:
        """This connection's name: str, or None."""
        return self.execute_command("CLIENT GETNAME")

    @command
    def client_setname(self, name: str) -> bool:
        """True; for what `own()` answers."""
        return self.execute_command("CLIENT SETNAME", name)

    @command
    def client_pause(self, timeout: int, all: bool = True) -> bool:
        """Has the server do nothing for so many milliseconds, or nothing that writes: True."""
        return self.execute_command("CLIENT PAUSE", timeout, *(() if all else ("WRITE",)))

    @command
    def client_unpause(self) -> Text:
        """b"OK"."""
        return self.execute_command("CLIENT UNPAUSE")

    @command
    def client_unblock(self, client_id: int, error: bool = False) -> bool:
        """Whether it waited."""
        return self.execute_command("CLIENT UNBLOCK", client_id, *(("ERROR",) if error else ()))

    @command
    def client_kill(self, address: str) -> Text:
        """b"OK"."""
        return self.execute_command("CLIENT KILL", address)

    @command
    def slowlog_get(self, num: int | None = None) -> list[dict[str, Any]]:
        """Slow commands: list of dicts."""
        return self.execute_command("SLOWLOG GET", *(() if num is None else (num,)))

    @command
    def slowlog_len(self) -> int:
        """How many there are: int."""
        return self.execute_command("SLOWLOG LEN")

    @command
    def slowlog_reset(self) -> bool:
        """True."""
        return self.execute_command("SLOWLOG RESET")

    @command
    def memory_usage(self, key: Word, samples: int | None = None) -> int | None:
        """Bytes: int, or None."""
        return self.execute_command("MEMORY USAGE", key, *(() if samples is None else ("SAMPLES", samples)))

    @command
    def memory_stats(self) -> dict[Text, Any]:
        """What the server uses memory for."""
        return self.execute_command("MEMORY STATS")

    @command
    def role(self) -> list[Any]:
        """Whether it is a master, a replica or a sentinel, and of whom."""
        return self.execute_command("ROLE")

    @command
    def bgrewriteaof(self) -> bool:
        """True."""
        return self.execute_command("BGREWRITEAOF")

    @command
    def config_rewrite(self) -> Text:
        """b"OK"."""
        return self.execute_command("CONFIG REWRITE")

    @command
    def command_count(self) -> int:
        """How many commands the server knows."""
        return self.execute_command("COMMAND COUNT")

    @command
    def acl_whoami(self) -> str:
        """The user's name."""
        return self.execute_command("ACL WHOAMI")

    @command
    def acl_users(self) -> list[str]:
        """The users' names."""
        return self.execute_command("ACL USERS")

    @command
    def acl_list(self) -> list[str]:
        """The users, and what they may do."""
        return self.execute_command("ACL LIST")

    @command
    def acl_cat(self, category: str | None = None) -> list[str]:
        """Categories of commands, or the commands of one."""
        return self.execute_command("ACL CAT", *(() if category is None else (category,)))

    @command
    def acl_deluser(self, *username: str) -> int:
        """How many there were."""
        return self.execute_command("ACL DELUSER", *username)

    @command
    def publish(self, channel: Word, message: Word) -> int:
        """How many subscribers it has reached: int."""
        return self.execute_command("PUBLISH", channel, message)

    @command
    def pubsub_channels(self, pattern: Word = "*") -> list[Text]:
        """Channels that have subscribers: list."""
        return self.execute_command("PUBSUB CHANNELS", pattern)

    @command
    def pubsub_numsub(self, *args: Word) -> list[tuple[Text, int]]:
        """Channels and how many subscribers each has: list of tuples."""
        return self.execute_command("PUBSUB NUMSUB", *args)

    @command
    def pubsub_numpat(self) -> int:
        """How many patterns are subscribed to: int."""
        return self.execute_command("PUBSUB NUMPAT")

    @command
    def spublish(self, shard_channel: Word, message: Word) -> int:
        """How many subscribers it has reached."""
        return self.execute_command("SPUBLISH", shard_channel, message)

    @command
    def pubsub_shardchannels(self, pattern: Word = "*") -> list[Text]:
        """Channels of the shard that have subscribers."""
        return self.execute_command("PUBSUB SHARDCHANNELS", pattern)

    @command
    def pubsub_shardnumsub(self, *args: Word) -> list[tuple[Text, int]]:
        """Channels of the shard and how many subscribers each has."""
        return self.execute_command("PUBSUB SHARDNUMSUB", *args)

    @command
    def wait(self, num_replicas: int, timeout: int) -> int:
        """How many replicas have all that was written, after at most so many milliseconds: int."""
        return self.execute_command("WAIT", num_replicas, timeout)


class Scripts(Commands[Text]):
    @command
    def eval(self, script: Word, numkeys: int, *keys_and_args: Word) -> Any:
        """What the script returns."""
        return self.execute_command("EVAL", script, numkeys, *keys_and_args)

    @command
    def evalsha(self, sha: Word, numkeys: int, *keys_and_args: Word) -> Any:
        """What the script returns; `register_script` sends one that the server does not know."""
        return self.execute_command("EVALSHA", sha, numkeys, *keys_and_args)

    @command
    def eval_ro(self, script: Word, numkeys: int, *keys_and_args: Word) -> Any:
        """What the script returns, which does not write."""
        return self.execute_command("EVAL_RO", script, numkeys, *keys_and_args)

    @command
    def evalsha_ro(self, sha: Word, numkeys: int, *keys_and_args: Word) -> Any:
        """What the script returns, which does not write."""
        return self.execute_command("EVALSHA_RO", sha, numkeys, *keys_and_args)

    @command
    def function_load(self, code: Word, replace: bool = False) -> Text:
        """The library's name."""
        return self.execute_command("FUNCTION LOAD", *(("REPLACE",) if replace else ()), code)

    @command
    def function_delete(self, library: Word) -> bool:
        """True."""
        return self.execute_command("FUNCTION DELETE", library)

    @command
    def fcall(self, function: Word, numkeys: int, *keys_and_args: Word) -> Any:
        """What the function returns."""
        return self.execute_command("FCALL", function, numkeys, *keys_and_args)

    @command
    def fcall_ro(self, function: Word, numkeys: int, *keys_and_args: Word) -> Any:
        """What the function returns, which does not write."""
        return self.execute_command("FCALL_RO", function, numkeys, *keys_and_args)

    @command
    def script_load(self, script: Word) -> str:
        """Its digest: str."""
        return self.execute_command("SCRIPT LOAD", script)

    @command
    def script_exists(self, *args: Word) -> list[bool]:
        """Which digests the server knows: list of bool."""
        return self.execute_command("SCRIPT EXISTS", *args)

    @command
    def script_flush(self, sync_type: str | None = None) -> bool:
        """True."""
        return self.execute_command("SCRIPT FLUSH", *(() if sync_type is None else (sync_type,)))

    @command
    def script_kill(self) -> bool:
        """True."""
        return self.execute_command("SCRIPT KILL")
