"""Patterns of RE2, which clients write, in the words of PostgreSQL's regular expressions.

Both run in time linear in the text for what is let through here; what PostgreSQL has no words for is refused.
"""

import re

from hanmaru.platform.problems import bad_request

_CLASSES = {"d": "0-9", "w": "0-9A-Za-z_", "s": "\\t\\n\\f\\r "}
_ANCHORS = {"A": "\\A", "z": "\\Z", "b": "\\y", "B": "\\Y"}
_SAME = frozenset("tnfrav")
_FLAGS = re.compile(r"\(\?([is]+)\)").match
_NAMED = re.compile(r"\(\?P?<\w+>").match
_TOKEN = re.compile(r"\\.|\[\^?\]?|\(\?:|\(\?|.", re.DOTALL)
_HEX = re.compile(r"\\x(?:\{([0-9A-Fa-f]+)\}|([0-9A-Fa-f]{2}))").match


def to_postgres(pattern: str) -> str:
    """Return an RE2 pattern as a PostgreSQL one that finds the same; raise a 400 problem when there is none."""
    at, flags = 0, ""
    if match := _FLAGS(pattern):
        flags, at = match[1], match.end()
    out: list[str] = []
    while at < len(pattern):
        token = _TOKEN.match(pattern, at)
        assert token is not None
        text = token[0]
        if match := _HEX(pattern, at):
            out.append(_literal(chr(int(match[1] or match[2], 16))))
            at = match.end()
        elif text.startswith("["):
            end, members = _bracket(pattern, at, "i" in flags)
            out.append(members)
            at = end
        elif match := _NAMED(pattern, at):
            out.append("(")
            at = match.end()
        elif text == "(?":
            raise _unknown(pattern, pattern[at : at + 3])
        elif text == ".":
            out.append("." if "s" in flags else "[^\\n]")
            at += 1
        elif text.startswith("\\"):
            out.append(_escape(pattern, text[1]))
            at += 2
        else:
            out.append(f"[{cases}]" if "i" in flags and (cases := _cases(text)) else text)
            at += len(text)
    return ("(?i)" if "i" in flags else "") + "(?:" + "".join(out) + ")"


def _escape(pattern: str, letter: str) -> str:
    if letter.lower() in _CLASSES:
        return f"[{'^' if letter.isupper() else ''}{_CLASSES[letter.lower()]}]"
    if letter in _ANCHORS:
        return _ANCHORS[letter]
    if letter in _SAME:
        return "\\" + letter
    if letter.isalnum():
        raise _unknown(pattern, "\\" + letter)
    return "\\" + letter


def _cases(character: str) -> str:
    """Return the cases of a letter beyond ASCII, of which the collation "C" knows nothing."""
    if character.isascii() or character.lower() == character.upper():
        return ""
    return "".join(c for c in (character, character.lower(), character.upper()) if len(c) == 1)


def _literal(character: str) -> str:
    return character if character.isalnum() or ord(character) > 127 else f"\\u{ord(character):04x}"


def _bracket(pattern: str, start: int, any_case: bool) -> tuple[int, str]:
    """Return where a bracket expression ends, and the expression in PostgreSQL's words."""
    at = start + 1
    out = "["
    if pattern.startswith("^", at):
        out, at = "[^", at + 1
    first = True
    while first or pattern[at] != "]":
        first = False
        if pattern.startswith("[:", at):
            end = pattern.index(":]", at) + 2
            if pattern.startswith("[:^", at) or pattern[at:end] == "[:word:]":
                raise _unknown(pattern, pattern[at:end])
            out, at = out + pattern[at:end], end
        elif match := _HEX(pattern, at):
            out, at = out + f"\\U{int(match[1] or match[2], 16):08x}", match.end()
        elif pattern[at] == "\\":
            letter = pattern[at + 1]
            if letter in _CLASSES:
                out += _CLASSES[letter]
            elif letter in _SAME or not letter.isalnum():
                out += "\\" + letter
            else:
                raise _unknown(pattern, "\\" + letter)
            at += 2
        else:
            out += "\\" + pattern[at] if pattern[at] in "[]" else pattern[at]
            out += _cases(pattern[at]) if any_case and pattern[at + 1] != "-" and pattern[at - 1] != "-" else ""
            at += 1
    return at + 1, out + "]"


def _unknown(pattern: str, part: str) -> Exception:
    return bad_request(f"The pattern {pattern!r}: the database does not know {part!r}; write it in another way")
