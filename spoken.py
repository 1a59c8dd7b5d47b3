"""Written English -> English as it is spoken: numbers, dates, money, units, abbreviations and symbols become words.

Knows: how an American reader says what is written, as the voices are American. Does not know: voices, models, sound.
Everything here is a table or a rule over a short pattern; the rules are at the end, in the order in which they apply. What no
rule knows is still read: symbols by their Unicode names, other scripts transliterated.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Callable, Collection, Sequence

from anyascii import anyascii
from num2words import num2words

Say = Callable[[re.Match[str]], str]


def spoken_english(text: str) -> str:
    """`text` as it is read aloud: no digits, no symbols, no abbreviations; letters as far as Latin Extended-A.

    A plain sentence comes back unchanged, and so does what this function returned. Takes any str, and time linear in it.
    """
    text = unicodedata.normalize("NFC", text)
    text = re.sub(r"(?<=\d)( ?)[\u00b5\u03bc](?=[gm]\b)", r"\1u", text)  # micro; elsewhere it is a Greek letter
    text = _SAME_EMOJI.sub(r"\1", text)  # three hearts are one heart, meant more
    text = text.translate({ord(character): _readable(character) for character in set(text)})
    text = re.sub(r"(?<!\w)_++|_++(?!\w)", " ", text)
    text = _apply(_ADDRESSES, _tidy(text))
    text = _apply(_READINGS, _apply(_PAUSES, text))
    return _apply(_PAUSES, _tidy(text.translate(_SYMBOLS)))  # again, as "-+" has become "- plus"


def _apply(rules: Sequence[tuple[re.Pattern[str], Say]], text: str) -> str:
    for pattern, say in rules:
        text = pattern.sub(say, text)
    return _tidy(text)


def in_alphabet(text: str, alphabet: Collection[str]) -> str:
    """`text` in those characters alone that a voice knows. What it lacks becomes its nearest, a pause at worst."""
    return _tidy(text.translate({ord(character): _nearest(character, alphabet) for character in set(text) if character not in alphabet}))


# --- characters ---------------------------------------------------------------------------------------------------

_PUNCTUATION = frozenset(".,;:!?'\"()-")
_WITH_NUMBERS = frozenset("°²³€£¥₹¢")  # the rules about numbers know them
_CHARACTERS = {
    **dict.fromkeys("‘’‚‛′ʼ´", "'"),
    **dict.fromkeys("“”„‟«»″", '"'),
    **dict.fromkeys("‐‑‒−", "-"),
    **dict.fromkeys("–—―", "—"),
    **dict.fromkeys("•·‣◦", "—"),
    **dict.fromkeys("¿¡™®", ""),  # nobody says them
    **dict.fromkeys("[{", "("),
    **dict.fromkeys("]}", ")"),
    **dict.fromkeys("*~`", " "),
    "|": " — ",
    "…": "...",
    "×": " times ",
    "÷": " divided by ",
    "±": " plus or minus ",
    "≈": " about ",
    "≠": " is not ",
    "→": " to ",
    "№": "No. ",
    "©": " copyright ",
    "§": " section ",
    "℃": "°C",
    "℉": "°F",
    "❤": " heart ",
    "👍": " — thumbs up — ",
    "\u2028": "\n",
    "\u2029": "\n\n",
}
_SAME_EMOJI = re.compile("([\u2600-\u27bf\U0001f000-\U0001faff])\ufe0f?(?:\\1\ufe0f?)+")


def _readable(character: str) -> str:
    """One character as ASCII, an accented Latin letter, a sign that the number rules know, or words."""
    if character in _CHARACTERS:
        return _CHARACTERS[character]
    if character == "\n" or " " <= character <= "~" or character in _WITH_NUMBERS:
        return character
    if character.isspace() or not character.isprintable():
        return " " if character.isspace() else ""
    kind = unicodedata.category(character)
    if kind[0] == "S":
        name = unicodedata.name(character, "").lower()
        words = "" if kind == "Sk" else name.rpartition("letter ")[2]  # skin tones say nothing; flags are spelled
        return f" — {words} — " if kind == "So" and words == name else f" {words} "
    if kind == "No" and (written := unicodedata.normalize("NFKC", character)) != character:
        return " " + anyascii(written.replace("\u2044", "/"))  # ½ is 1/2, ㆒ is Yi
    if kind[0] == "L" and character < "\u0180":
        return character
    latin = anyascii(character)
    if kind[0] == "P":
        return latin if _PUNCTUATION.issuperset(latin) else " "
    latin = re.sub(r"[^\w' ]", "", latin)
    return f" {latin} " if unicodedata.name(character, "").startswith("CJK") else latin


def _nearest(character: str, alphabet: Collection[str]) -> str:
    pause = "" if character in "\"'" else ". " if character in "!?" else ", "
    for candidate in (latin := anyascii(character), latin.lower(), character.swapcase(), pause):
        if candidate and all(each in alphabet for each in candidate):
            return candidate
    return "\n" if character == "\n" else " "


# Last of all: what the rules left over.
_SYMBOLS = str.maketrans(
    {
        "&": " and ",
        "@": " at ",
        "#": " number ",
        "+": " plus ",
        "=": " equals ",
        "<": " less than ",
        ">": " greater than ",
        "%": " percent ",
        "^": " to the power of ",
        "/": " slash ",
        "\\": " backslash ",
        "$": " dollar ",
        "£": " pound ",
        "€": " euro ",
        "¥": " yen ",
        "₹": " rupee ",
        "¢": " cent ",
        "°": " degrees ",
        "²": " squared ",
        "³": " cubed ",
        "_": " ",
    }
)


def _tidy(text: str) -> str:
    """Single spaces, none before a comma or a full stop; at most one empty line."""
    text = re.sub(r"[^\S\n]+", " ", text)
    text = re.sub(r" ?\n ?", "\n", text)
    text = re.sub(r"\n{3,}", "\n\n", text)
    text = re.sub(r" ([,;:!?)]|\.(?!\w))", r"\1", text)
    return text.strip()


# --- numbers ------------------------------------------------------------------------------------------------------

_WHOLE = r"(?<!\d)(?:\d{1,3}(?:,\d{3}){1,6}(?!\d)|\d++)"
_NUMBER = rf"(?<!/){_WHOLE}(?:\.\d++)?"
_MOST_DIGITS = 9  # a longer run without commas is a telephone or account number, and spelled
_YEARS = range(1010, 2100)  # four digits that are read in pairs
_DENOMINATORS = {2: "half", 4: "quarter"}


@functools.lru_cache(1024)
def _words(number: str | int, kind: str = "cardinal") -> str:
    """num2words' American reading: "one hundred five", where its own is "one hundred and five"."""
    words = num2words(number, to=kind).replace(" and ", " ").replace(",", "")
    return words.replace("oh-", "oh ")


def _digits(text: str) -> str:
    return " ".join(_words(int(digit)) for digit in text if digit.isdigit())


def _number(text: str) -> str:
    """A number as `_NUMBER` matches it, or with more points, as in a version."""
    whole, *parts = text.split(".")
    digits = whole.replace(",", "")
    if (len(digits) > 1 and digits[0] == "0") or (len(digits) > _MOST_DIGITS and "," not in whole):
        words = _digits(digits)
    else:
        words = _words(int(digits))
    return " point ".join([words, *(_digits(part) for part in parts)])


def _year(digits: str) -> str:
    return _words(int(digits), "year") if re.fullmatch(r"\d{4}", digits) and int(digits) in _YEARS else _number(digits)


def _several(words: str) -> str:
    """The plural of a number's words: "nineties", "sixes"."""
    return f"{words[:-1]}ies" if words.endswith("y") else f"{words}es" if words.endswith("x") else f"{words}s"


# --- money and measures -------------------------------------------------------------------------------------------

_MONEY = {
    "$": ("dollar", "dollars", "cent", "cents"),
    "€": ("euro", "euros", "cent", "cents"),
    "£": ("pound", "pounds", "penny", "pence"),
    "¥": ("yen", "yen", "sen", "sen"),
    "₹": ("rupee", "rupees", "paisa", "paise"),
}
_SCALES = {"k": "thousand", "m": "million", "mn": "million", "bn": "billion", "b": "billion", "tn": "trillion"}
_UNITS = {
    "km": "kilometer(s)", "m": "meter(s)", "cm": "centimeter(s)", "mm": "millimeter(s)", "um": "micrometer(s)",
    "nm": "nanometer(s)", "mi": "mile(s)", "ft": "foot(s)", "yd": "yard(s)", "kg": "kilogram(s)", "g": "gram(s)",
    "mg": "milligram(s)", "ug": "microgram(s)", "t": "ton(s)", "lb": "pound(s)", "lbs": "pound(s)", "oz": "ounce(s)",
    "l": "liter(s)", "L": "liter(s)", "dl": "deciliter(s)", "cl": "centiliter(s)", "ml": "milliliter(s)", "mL": "milliliter(s)",
    "ha": "hectare(s)", "s": "second(s)", "sec": "second(s)", "ms": "millisecond(s)", "min": "minute(s)", "h": "hour(s)",
    "hr": "hour(s)", "hrs": "hour(s)", "km/h": "kilometer(s) per hour", "kmh": "kilometer(s) per hour",
    "kph": "kilometer(s) per hour", "mph": "mile(s) per hour", "m/s": "meter(s) per second", "m²": "square meter(s)",
    "m2": "square meter(s)", "km²": "square kilometer(s)", "km2": "square kilometer(s)", "cm²": "square centimeter(s)",
    "sq ft": "square foot(s)", "m³": "cubic meter(s)", "m3": "cubic meter(s)", "cm³": "cubic centimeter(s)",
    "°C": "degree(s) Celsius", "°F": "degree(s) Fahrenheit", "°": "degree(s)", "%": "percent", "¢": "cent(s)", "Hz": "hertz",
    "kHz": "kilohertz", "MHz": "megahertz", "GHz": "gigahertz", "W": "watt(s)", "kW": "kilowatt(s)", "MW": "megawatt(s)",
    "GW": "gigawatt(s)", "kWh": "kilowatt hour(s)", "V": "volt(s)", "mA": "milliamp(s)", "J": "joule(s)", "kJ": "kilojoule(s)",
    "kcal": "kilocalorie(s)", "dB": "decibel(s)", "hPa": "hectopascal(s)", "bit": "bit(s)", "kB": "kilobyte(s)",
    "KB": "kilobyte(s)", "MB": "megabyte(s)", "GB": "gigabyte(s)", "TB": "terabyte(s)", "Mbit/s": "megabit(s) per second",
    "Mbps": "megabit(s) per second", "fps": "frame(s) per second", "px": "pixel(s)",
}  # fmt: skip


def _money(match: re.Match[str]) -> str:
    sign, number, scale = match["sign"], match["number"], match["scale"]
    one, many, hundredth, hundredths = _MONEY[sign]
    if scale:
        return f"{_number(number)} {_SCALES.get(scale.lower(), scale)} {many}"
    whole, _, rest = number.partition(".")
    if len(rest) != 2:
        return f"{_number(number)} {one if number == '1' else many}"
    words = [f"{_number(whole)} {one if whole == '1' else many}"] if whole.strip("0") or rest == "00" else []
    if rest != "00":
        words.append(f"{_words(int(rest))} {hundredth if rest == '01' else hundredths}")
    return " and ".join(words)


def _measure(match: re.Match[str]) -> str:
    number, hyphen = match["number"], match["hyphen"]
    return _number(number) + (hyphen or " ") + _unit(match["unit"], is_one=bool(hyphen) or number == "1")


def _unit(unit: str, is_one: bool) -> str:
    return _UNITS[unit].replace("(s)", "" if is_one else "s").replace("foots", "feet")


def _fraction(match: re.Match[str]) -> str:
    whole, top, bottom = match["whole"], int(match["top"]), int(match["bottom"])
    unit = f" {_unit(match['unit'], is_one=not whole)}" if match["unit"] else ""
    if not 0 < top < bottom:
        return f"{whole or ''} {top} over {bottom}{unit}"
    part = _DENOMINATORS.get(bottom) or _words(bottom, "ordinal")
    if top > 1:
        part += "s"
    return (f"{whole} and a {part}" if whole and top == 1 else f"{whole} and {top} {part}" if whole else f"{top} {part}") + unit


# --- dates and times ----------------------------------------------------------------------------------------------

_MONTHS = ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"]
_MONTH = "(?P<month>" + "|".join(f"{month[:3]}(?:{month[3:]}\\b|{'t?' if month == 'September' else ''}\\b\\.?)" for month in _MONTHS) + ")"
_DAYS = range(1, 32)


def _date_in_figures(match: re.Match[str]) -> str:
    month, day = int(match["month"]), int(match["day"])
    if month > 12:  # the day first, as in most of the world
        month, day = day, month
    if not 1 <= month <= 12 or day not in _DAYS:
        return match[0].replace("-", " ").replace("/", " ")
    return f"{_MONTHS[month - 1]} {_words(day, 'ordinal')}, {_year(match['year'])}"


def _month(match: re.Match[str]) -> str:
    return next(month for month in _MONTHS if match["month"].startswith(month[:3]))


def _day_and_month(match: re.Match[str]) -> str:
    if int(match["day"]) not in _DAYS:
        return match[0]
    year = f" {_year(match['year'])}" if match["year"] else ""
    return f"{match['the'] or 'the '}{_words(int(match['day']), 'ordinal')} of {_month(match)}{year}"


def _month_and_day(match: re.Match[str]) -> str:
    if int(match["day"]) not in _DAYS:
        return match[0]
    year = f", {_year(match['year'])}" if match["year"] else ""
    return f"{_month(match)} {_words(int(match['day']), 'ordinal')}{year}"


def _time(match: re.Match[str]) -> str:
    hour, minute, second, half = int(match["hour"]), int(match["minute"]), match["second"], match["half"] or ""
    if hour > 24 or minute > 59:
        return match[0].replace(":", " ")
    words = _words(hour)
    if minute:
        words += f" {'oh ' if minute < 10 else ''}{_words(minute)}"
    elif not half:
        words = "midnight" if hour == 0 else words + (" hundred" if hour > 12 else " o'clock")
    if second:
        words += f" and {_words(int(second))} second{'' if int(second) == 1 else 's'}"
    return words + half


# --- words --------------------------------------------------------------------------------------------------------

# Before a name. Their full stop never ends a sentence.
_TITLES = {
    "Mr": "Mister", "Mrs": "Missus", "Ms": "Miz", "Dr": "Doctor", "Prof": "Professor", "St": "Saint", "Mt": "Mount",
    "Gen": "General", "Gov": "Governor", "Sen": "Senator", "Rep": "Representative", "Capt": "Captain", "Lt": "Lieutenant",
    "Col": "Colonel", "Sgt": "Sergeant", "Rev": "Reverend", "Hon": "Honorable", "Pres": "President",
}  # fmt: skip
# Elsewhere, with their full stop. Whether that also ends a sentence is told by what follows.
_ABBREVIATIONS = {
    "Mr": "Mister", "Mrs": "Missus", "Dr": "Drive", "St": "Street", "Ave": "Avenue", "Blvd": "Boulevard", "Rd": "Road",
    "Jr": "Junior", "Sr": "Senior", "Inc": "Incorporated", "Ltd": "Limited", "Corp": "Corporation", "Co": "Company",
    "Bros": "Brothers", "Dept": "Department", "etc": "et cetera", "e.g": "for example", "i.e": "that is", "vs": "versus",
    "approx": "approximately", "cf": "compare", "est": "established", "Mon": "Monday", "Tue": "Tuesday", "Wed": "Wednesday",
    "Thu": "Thursday", "Fri": "Friday", **{month[:3]: month for month in _MONTHS if month != "May"}, "Sept": "September",
}  # fmt: skip
# Before a number only: "I ate a fig." is about fruit.
_BEFORE_NUMBERS = {
    "No": "number", "no": "number", "Nos": "numbers", "nos": "numbers", "Fig": "Figure", "fig": "figure", "Vol": "Volume",
    "vol": "volume", "Ch": "Chapter", "ch": "chapter", "p": "page", "pp": "pages",
}  # fmt: skip
_PHRASES = {
    "24/7": "twenty-four seven",
    "9/11": "nine eleven",
    "and/or": "and or",
    "w/o": "without",
    "w/": "with ",
    "vs": "versus",
    "C#": "C sharp",
}
_ROMAN = {
    numeral: value
    for value, numeral in enumerate(
        "I II III IV V VI VII VIII IX X XI XII XIII XIV XV XVI XVII XVIII XIX XX XXI XXII XXIII XXIV".split(), 1
    )
}
_NUMBERED = "World War|Chapter|Part|Act|Scene|Section|Volume|Book|Phase|Type|Class|Level|Stage|Article|Appendix|Episode|Super Bowl|Apollo"
_CROWNED = (
    "Pope|King|Queen|Henry|Louis|Edward|George|William|Charles|James|Richard|Elizabeth|Napoleon|Pius|Benedict|Leo|John Paul|Frederick|"
    "Philip|Alexander|Nicholas|Peter|Catherine|Ivan|Wilhelm|Ramses|Ferdinand|Christian|Gustav|Francis"
)


def _ends_sentence(match: re.Match[str]) -> bool:
    """Whether the full stop that `match` ends with also ends a sentence: at the end of a line, or before a capital."""
    following = match.string[match.end() : match.end() + 4]
    return match[0].endswith(".") and bool(re.match(r"[\"')]*(?:$|\n| [\"'(]?[A-Z])", following))


def _title(match: re.Match[str]) -> str:
    is_title = match["stop"] or match["title"] in ("Mr", "Mrs", "Ms", "Dr", "St")  # the British write these without
    return f"{_TITLES[match['title']]} " if is_title else match[0]


def _abbreviation(match: re.Match[str]) -> str:
    ends = _ends_sentence(match) and match["word"] not in ("e.g", "i.e", "vs", "cf", "approx")
    return _ABBREVIATIONS[match["word"]] + ("." if ends else "")


def _half_day(match: re.Match[str]) -> str:
    return f" {match['half'].upper()}M{'.' if _ends_sentence(match) else ''}"


def _roman(match: re.Match[str]) -> str:
    value = _ROMAN[match["numeral"]]
    if match["name"] in _NUMBERED.split("|"):
        return f"{match['name']} {_words(value)}"
    return f"{match['name']} the {_words(value, 'ordinal')}"


def _address(match: re.Match[str]) -> str:
    """A web or mail address, its marks by name; the sentence's own marks after it stay."""
    address = match[0].rstrip(".,;:!?)'-/")
    names = {".": "dot", "@": "at", "/": "slash", "-": "dash", "_": "underscore", ":": "colon", "?": "question mark", "#": "hash"}
    said = re.sub(r"[.@/:?#_-]", lambda mark: f" {names[mark[0]]} ", re.sub(r"^https?://", "", address))
    return re.sub(r"\bwww\b", "W W W", said) + match[0][len(address) :].lstrip("/")


def _telephone(match: re.Match[str]) -> str:
    groups = re.findall(r"\d+", match[0])
    return ("plus " if match[0].startswith("+") else "") + ", ".join(_digits(group) for group in groups)


def _ordinal(match: re.Match[str]) -> str:
    digits = match["number"].replace(",", "")
    return _words(int(digits), "ordinal") if digits.isdigit() and len(digits) <= _MOST_DIGITS else f"{_number(match['number'])}th"


def _any(words: Collection[str]) -> str:
    """A pattern for any of them, the longest first."""
    return "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))


def _rules(*rules: tuple[str, Say | str]) -> list[tuple[re.Pattern[str], Say]]:
    """Patterns compiled; words that they become as functions, like the others."""
    return [(re.compile(pattern), say if callable(say) else functools.partial(re.Match.expand, template=say)) for pattern, say in rules]


# Their marks mean something else elsewhere, so they come first.
_ADDRESSES = _rules(
    (r"(?<![\w./-])(?:https?://|www\.)[^\s<>\"]++", _address),
    (r"(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,4}", _address),
    (r"(?<![\w.-])(?:[\w-]{1,63}\.){1,4}(?:com|org|net|edu|gov|io|ai|dev|eu|uk|de)\b(?!\.\w)(?:/[^\s<>\"]*+)?", _address),
)
_PAUSES = _rules(
    (r" ?--++ ?|(?<!\d) - | - (?![\d$€£])", "—"),
    (r"(?m)^(?: ?[-—] ?)++(?![\d$€£])", ""),  # of a list
    (r"(?<=[.!?,;:(])(?: ?—)++ ?", " "),
    (r"(?: ?—)++ ?(?=[!?,;:)\n]|\.(?!\w)|$)", ""),
    (r"(?<!\d)(?: ?—)++ ?|(?: ?—)++ ?(?![\d$€£])", ", "),  # between numbers it means a range
)
_READINGS = _rules(
    # 1. Whole things whose marks mean something else elsewhere.
    (r"(?<![\w-])(?P<year>\d{4})-(?P<month>\d\d)-(?P<day>\d\d)(?![\w-])", _date_in_figures),
    (r"(?<![\w/])(?P<month>\d{1,2})/(?P<day>\d{1,2})/(?P<year>\d{4})(?![\w/])", _date_in_figures),
    (r"\+\d[\d ().-]{6,18}\d(?!\d)", _telephone),
    (r"(?<![\w.-])(?:\(\d{3}\) ?|\d{3}[ -])?\d{3}-\d{4}(?![\w-])", _telephone),
    (r"(?<![\w.-])\d{1,8}(?:-\d{1,8}){2,8}(?![\w-])", _telephone),
    # 2. Words.
    (r"(?<=[\d²³])(?=[A-Z][a-z])", " "),
    (r"(?<=\d) ?(?P<half>[AaPp])\.? ?[Mm]\b\.?", _half_day),
    (rf"\b(?P<title>{_any(_TITLES)})(?P<stop>\.?) (?=[A-Z])", _title),
    (rf"\b(?P<word>{_any(_BEFORE_NUMBERS)})\. ?(?=\d)", lambda match: f"{_BEFORE_NUMBERS[match['word']]} "),
    (r"#(?=\d)", "number "),
    (rf"(?<![^\W\d²³]|\.)(?P<word>{_any(_ABBREVIATIONS)})\.(?!\w)", _abbreviation),
    (rf"(?<![^\W\d²³]|\.)(?:{_any(_PHRASES)})(?![^\W\d])", lambda match: _PHRASES[match[0]]),
    (r"#(?=[^\W\d])", " hashtag "),
    (
        rf"\b(?P<name>{_NUMBERED}|{_CROWNED}) (?P<numeral>(?!I\b)(?:{_any(_ROMAN)})|(?<=World War )I|I(?=[.,;:!?)\n]|$))(?![^\W\d]|['.]\w)",
        _roman,
    ),
    # 3. Between numbers.
    (r"(?<![\w.])\.(?=\d)", "0."),
    (r"(?<=\d) ?- ?(?=\d++(?:\.\d++)? ?=)", " minus "),
    (r"(?<=[\d%°])(?: ?— ?| - |-)(?=[$€£]?\d)", " to "),
    (r"(?<![\w)-])-(?=[$€£]?\d)", "minus "),
    (r"(?<=[^\W\d_])-(?=\d)", " "),
    # 4. Numbers with something beside them.
    (rf"(?<![\w:.,])(?P<the>[Tt]he )?(?P<day>\d{{1,2}})(?:st|nd|rd|th)? (?:of )?{_MONTH}(?:,? (?P<year>\d{{4}})\b)?", _day_and_month),
    (rf"\b{_MONTH} (?P<day>\d{{1,2}})(?:st|nd|rd|th)?(?![\w:%]|[.,]\d)(?:,? (?P<year>\d{{4}})\b)?", _month_and_day),
    (r"(?<![\w:.])(?P<hour>\d{1,2}):(?P<minute>\d\d)(?::(?P<second>\d\d))?(?P<half> [AP]M\b)?(?![\w:])", _time),
    (r"(?<=\d):(?=\d)", " to "),
    (r"(?<![\w'])(\d)' ?(\d{1,2})(?:\"|'')?(?!\w)", r"\1 foot \2"),
    (rf"(?P<number>{_NUMBER}) ?(?P<sign>[€£])(?!\d)", r"\g<sign>\g<number>"),
    (
        rf"(?:\bUS)?(?P<sign>[{''.join(_MONEY)}]) ?(?P<number>{_NUMBER})"
        r"(?: ?(?P<scale>hundred|thousand|million|billion|trillion|mn|bn|tn|[kKmMbB])\b)?",
        _money,
    ),
    (
        rf"(?<![\w/.])(?:(?P<whole>\d{{1,3}}) )?(?P<top>\d{{1,3}})/(?P<bottom>\d{{1,3}})(?: ?(?P<unit>{_any(_UNITS)}))?(?![\w/²³])",
        _fraction,
    ),
    (r"(?<![\w.,])'?(?P<digits>\d{1,3}0|\d{3,4})'?s\b", lambda match: _several(_year(match["digits"]))),
    (rf"(?P<number>{_NUMBER})(?:(?P<hyphen>-)| ?)(?P<unit>{_any(_UNITS)})(?![\w²³])", _measure),
    (r"/(?=(?:second|minute|hour|day|night|week|month|year|person)\b)", " per "),
    (rf"(?P<number>{_NUMBER})(?:st|nd|rd|th)\b", _ordinal),
    # 5. Numbers alone.
    (r"(?<=[^\W\d_])(?=\d)|(?<=\d)(?=[^\W\d_])", " "),
    (rf"{_WHOLE}(?:\.\d++)*+", lambda match: _year(match[0])),
)
